// inspect: says what a file is, without extracting or executing anything. Text for people, JSON for scripts.
#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/fields.hpp"
#include "elf/inspection.hpp"
#include "format/json.hpp"
#include "image/appimage.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <set>

namespace orch::cli {

namespace {

using base::ErrorKind;
using base::fail;
using base::printable;
using base::Value;
using image::FileKind;
using image::NodeType;
using image::PayloadFormat;

constexpr std::size_t k_most_names = 24;

struct Options {
  std::string file;
  std::string format = "text";
  bool files = false;
};

struct ListedFile {
  image::WalkEntry entry;
  image::NodeInfo info;
  std::string target;
};

std::string names(const std::vector<std::string>& all) {
  std::string out;
  for (std::size_t i = 0; i < std::min(all.size(), k_most_names); ++i)
    out += (i == 0 ? "" : ", ") + printable(all[i]);
  if (all.size() > k_most_names) out += fmt::format(" and {} more", all.size() - k_most_names);
  return out;
}

std::string counted(std::size_t count) {
  return fmt::format("{} {}", count, count == 1 ? "library" : "libraries");
}

std::string title(const elf::Inspection& inspection) {
  const image::Identity& identity = inspection.identity;
  const std::string arch = inspection.arch.empty() ? "" : ", " + inspection.arch;
  switch (identity.kind) {
    case FileKind::appimage:
      return fmt::format("AppImage, type {}{}", identity.type, arch);
    case FileKind::runimage:
      return "RunImage" + arch;
    case FileKind::erofs:
      return "EROFS image";
    case FileKind::squashfs:
      return "SquashFS image";
    case FileKind::iso:
      return "ISO 9660 image";
    case FileKind::elf:
      return "ELF file" + arch;
    case FileKind::unknown:
      return identity.looks_like;
  }
  return {};
}

std::string payload_text(const image::Payload& payload) {
  std::string out(image::to_string(payload.format));
  if (payload.squashfs)
    out += fmt::format(" ({}, {} blocks)", image::to_string(payload.squashfs->compressor),
                       base::human_size(payload.squashfs->block_size));
  return out + fmt::format(", {} at byte {}", base::human_size(payload.size), payload.offset);
}

std::string entry_text(const image::Entry& entry) {
  using image::EntryKind;
  std::string out = printable(entry.path);
  for (const std::string& link : entry.links) out += " -> " + printable(link);
  switch (entry.kind) {
    case EntryKind::elf:
      return out + fmt::format(": ELF, {}, {}", image::machine_name(entry.machine, entry.is_64),
                               entry.interpreter.empty() ? "static" : printable(entry.interpreter));
    case EntryKind::script:
      return out + ": script, " + printable(entry.interpreter) +
             (entry.argument.empty() ? "" : fmt::format(" with argument '{}'", printable(entry.argument)));
    case EntryKind::missing:
      return out + ": missing";
    case EntryKind::outside:
      return out + ": leads out of the AppImage";
    case EntryKind::unknown:
      return out + ": neither ELF nor script";
  }
  return out;
}

void erofs_text(std::string& out, const image::ErofsSuper& erofs) {
  field(out, "blocks", fmt::format("{} of {}", erofs.blocks, base::human_size(erofs.block_size)));
  const std::vector<std::string> compressors = image::compressor_names(erofs);
  field(out, "compression", compressors.empty() ? "none" : base::join(compressors, ", "));
  const std::vector<std::string> features = image::feature_names(erofs);
  field(out, "features", features.empty() ? "none" : base::join(features, ", "));
  field(out, "uuid", erofs.uuid);
  if (!erofs.label.empty()) field(out, "label", printable(erofs.label));
}

std::string to_text(const std::string& file, const elf::Inspection& inspection) {
  std::string out = fmt::format("{}: {}\n", printable(file), title(inspection));
  const image::Identity& identity = inspection.identity;
  if (identity.erofs)
    erofs_text(out, *identity.erofs);
  else if (identity.payload.format != PayloadFormat::none)
    field(out, "payload", payload_text(identity.payload));
  if (inspection.entry) field(out, "entry", entry_text(*inspection.entry));
  if (inspection.desktop) {
    const elf::DesktopEntry& desktop = *inspection.desktop;
    field(out, "desktop",
          fmt::format("{}: {}{}{}", printable(desktop.file), printable(desktop.name),
                      desktop.version.empty() ? "" : " ", printable(desktop.version)));
    if (!desktop.exec.empty()) field(out, "starts", printable(desktop.exec));
  }
  if (!inspection.update_information.empty()) field(out, "updates", printable(inspection.update_information));
  if (!inspection.payload_archs.empty())
    field(out, "programs", "for " + base::join(inspection.payload_archs, ", "));
  if (!inspection.bundled.empty())
    field(out, "provides", counted(inspection.bundled.size()) + ": " + names(inspection.bundled));
  if (!inspection.needed.empty())
    field(out, "needs", counted(inspection.needed.size()) + " from outside: " + names(inspection.needed));
  if (!inspection.glibc.empty()) field(out, "glibc", printable(inspection.glibc) + " or newer");
  if (inspection.isa_needed > 1)
    field(out, "processor", fmt::format("x86-64-v{} or newer", inspection.isa_needed));
  for (const std::string& note : inspection.notes) field(out, "note", note);
  return out;
}

Result<std::vector<ListedFile>> list_files(std::shared_ptr<const image::RandomAccess> file,
                                           const std::string& name, const image::Identity& identity) {
  if (auto problem = image::payload_problem(identity, name)) return fail(std::move(*problem));
  ORCH_TRY(const auto tree, image::open_payload(std::move(file), identity));
  std::vector<ListedFile> files;
  ORCH_CHECK(image::walk(*tree, [&](const image::WalkEntry& entry) -> Result<> {
    ListedFile listed{entry, {}, {}};
    ORCH_TRY(listed.info, tree->stat(entry.node));
    if (entry.type == NodeType::symlink) {
      ORCH_TRY(listed.target, tree->readlink(entry.node));
    }
    files.push_back(std::move(listed));
    return {};
  }));
  std::sort(files.begin(), files.end(),
            [](const ListedFile& a, const ListedFile& b) { return a.entry.path < b.entry.path; });
  return files;
}

Value files_value(const std::vector<ListedFile>& files) {
  Value out = Value::array();
  for (const ListedFile& file : files)
    out.push(Value::object({{"path", file.entry.path},
                            {"type", image::to_string(file.entry.type)},
                            {"mode", file.info.mode},
                            {"size", file.info.size},
                            {"target", base::or_null(file.target)}}));
  return out;
}

struct DirectoryTotal {
  std::string path;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

// The directory whose total a path counts in: the top one, of usr the one below, "." for files of the root.
std::string total_of(std::string_view path) {
  std::size_t end = path.find('/');
  if (end == std::string_view::npos) return ".";
  if (path.substr(0, end) == "usr") {
    const std::size_t second = path.find('/', end + 1);
    if (second != std::string_view::npos) end = second;
  }
  return std::string(path.substr(0, end));
}

// Biggest first. A file with several names counts once, under the first.
std::vector<DirectoryTotal> directory_totals(const std::vector<ListedFile>& files) {
  std::map<std::string, DirectoryTotal> totals;
  std::set<image::NodeId> seen;
  for (const ListedFile& file : files) {
    if (file.entry.type != NodeType::file || !seen.insert(file.entry.node).second) continue;
    DirectoryTotal& total = totals[total_of(file.entry.path)];
    ++total.files;
    total.bytes += file.info.size;
  }
  std::vector<DirectoryTotal> out;
  for (auto& [path, total] : totals) {
    total.path = path;
    out.push_back(std::move(total));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const DirectoryTotal& a, const DirectoryTotal& b) { return a.bytes > b.bytes; });
  return out;
}

Value totals_value(const std::vector<DirectoryTotal>& totals) {
  Value out = Value::array();
  for (const DirectoryTotal& total : totals)
    out.push(Value::object({{"path", total.path}, {"files", total.files}, {"bytes", total.bytes}}));
  return out;
}

std::string totals_text(const std::vector<DirectoryTotal>& totals) {
  std::string out;
  DirectoryTotal all{"in all"};
  const auto line = [&](const DirectoryTotal& total) {
    out += fmt::format("  {:>11}  {:>7} {}  {}\n", base::human_size(total.bytes), total.files,
                       total.files == 1 ? "file " : "files", printable(total.path));
  };
  for (const DirectoryTotal& total : totals) {
    line(total);
    all.files += total.files;
    all.bytes += total.bytes;
  }
  line(all);
  return out;
}

// Biggest first.
std::string files_text(std::vector<ListedFile> files) {
  std::stable_sort(files.begin(), files.end(),
                   [](const ListedFile& a, const ListedFile& b) { return a.info.size > b.info.size; });
  std::string out;
  for (const ListedFile& file : files) {
    char type = '-';
    if (file.entry.type == NodeType::directory) type = 'd';
    if (file.entry.type == NodeType::symlink) type = 'l';
    if (file.entry.type == NodeType::char_device) type = 'c';
    if (file.entry.type == NodeType::block_device) type = 'b';
    if (file.entry.type == NodeType::fifo) type = 'p';
    if (file.entry.type == NodeType::socket) type = 's';
    out += fmt::format("{} {:04o} {:>11} {}{}{}\n", type, file.info.mode, file.info.size,
                       printable(file.entry.path), file.target.empty() ? "" : " -> ", printable(file.target));
  }
  return out;
}

Result<int> inspect(const Options& options) {
  auto opened = image::FileAccess::open(options.file);
  if (!opened) {
    base::Error error = std::move(opened).error();
    if (error.kind == ErrorKind::not_found && error.hint.empty())
      error.hint = "check the name; a relative path starts from the working directory";
    return fail(std::move(error));
  }
  const std::shared_ptr<image::FileAccess> file = *opened;
  ORCH_TRY(const elf::Inspection inspection, elf::inspect(file, options.file));
  std::vector<ListedFile> files;
  if (options.files) {
    ORCH_TRY(files, list_files(file, options.file, inspection.identity));
  }
  const bool unknown = inspection.identity.kind == FileKind::unknown;
  std::string out;
  if (options.format == "json") {
    Value document = elf::to_value(inspection);
    if (options.files) {
      document.set("files", files_value(files));
      document.set("directories", totals_value(directory_totals(files)));
    }
    out = format::to_json(document);
  } else if (!unknown) {
    out = to_text(options.file, inspection);
    if (options.files) {
      out += totals_text(directory_totals(files));
      out += files_text(std::move(files));
    }
  }
  if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || std::fflush(stdout) != 0)
    return fail(ErrorKind::io, "cannot write to standard output");
  // A script gets its document; a person, and the status, the reason.
  if (unknown) return fail(*image::payload_problem(inspection.identity, options.file));
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "say what an AppImage or image is, without executing it");
  command->add_option("FILE", options->file, "an AppImage, or an EROFS, SquashFS or ELF file")->required();
  command->add_flag("--files", options->files,
                    "list the files inside, too, biggest first, with totals of directories");
  command->add_option("--format", options->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->callback([options, &session] { session.action = [options] { return inspect(*options); }; });
}

}  // namespace orch::cli
