#include "elf/inspection.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace orch::elf {

using base::Value;
using image::DirEntry;
using image::FileTree;
using image::Identity;
using image::NodeId;
using image::NodeInfo;
using image::NodeType;
using image::PayloadFormat;
using image::RandomAccess;
using image::WalkEntry;

namespace {

constexpr std::size_t k_max_desktop = 64U << 10;
constexpr std::size_t k_max_update_information = 4096;
constexpr std::uint64_t k_iso_update_information =
    33651;  // "application use" of the primary volume descriptor

std::string file_name(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool looks_like_library(std::string_view name) {
  return name.find(".so") != std::string_view::npos;
}

// What the ELF files of one architecture need and provide.
struct MachineNames {
  std::set<std::string> sonames;
  std::set<std::string> file_names;
  std::set<std::string> needed;
};

class Inside {
 public:
  explicit Inside(const FileTree& tree) : tree_(tree) {}

  Result<> run(Inspection& inspection) {
    ORCH_CHECK(image::walk(tree_, [this](const WalkEntry& entry) { return visit(entry); }));
    std::set<std::string> bundled;
    std::set<std::string> needed;
    for (const auto& [arch, machine] : machines_) {
      inspection.payload_archs.push_back(arch);
      bundled.insert(machine.sonames.begin(), machine.sonames.end());
      for (const std::string& name : machine.needed)
        if (!machine.sonames.contains(name) && !machine.file_names.contains(name) && !links_.contains(name))
          needed.insert(name);
    }
    inspection.bundled.assign(bundled.begin(), bundled.end());
    inspection.needed.assign(needed.begin(), needed.end());
    inspection.glibc = glibc_;
    inspection.isa_needed = isa_;
    return {};
  }

 private:
  Result<> visit(const WalkEntry& entry) {
    const std::string name = file_name(entry.path);
    if (entry.type == NodeType::symlink && looks_like_library(name)) links_.insert(name);
    if (entry.type != NodeType::file) return {};
    if (!looks_like_library(name)) {
      ORCH_TRY(const NodeInfo info, tree_.stat(entry.node));
      if ((info.mode & 0111) == 0) return {};
    }
    if (const auto known = seen_.find(entry.node); known != seen_.end()) {
      if (!known->second.empty()) machines_[known->second].file_names.insert(name);
      return {};
    }
    ORCH_TRY(const std::unique_ptr<RandomAccess> file, tree_.open(entry.node));
    Result<std::optional<Facts>> facts = read_facts(*file);
    if (!facts)
      return base::fail(
          std::move(facts).error().while_doing("reading '" + base::printable(entry.path) + "'"));
    std::string& arch = seen_[entry.node];
    if (*facts && (*facts)->type >= 2 && (*facts)->type <= 3) {
      arch = image::machine_name((*facts)->machine, (*facts)->is_64);
      add(entry.path, name, **facts, machines_[arch]);
    }
    return {};
  }

  void add(const std::string& path, const std::string& name, const Facts& facts, MachineNames& machine) {
    machine.file_names.insert(name);
    machine.needed.insert(facts.needed.begin(), facts.needed.end());
    if (!facts.soname.empty())
      machine.sonames.insert(facts.soname);
    else if (facts.type == 3 && looks_like_library(name))
      machine.sonames.insert(name);
    if (!facts.glibc.empty() && (glibc_.empty() || compare_versions(glibc_, facts.glibc) < 0))
      glibc_ = facts.glibc;
    // What lies below glibc-hwcaps is only loaded where the processor has that level.
    if (path.find("glibc-hwcaps/") == std::string::npos) isa_ = std::max(isa_, facts.isa_needed);
  }

  const FileTree& tree_;
  std::map<std::string, MachineNames> machines_;
  std::set<std::string> links_;
  std::map<NodeId, std::string> seen_;  // hard links are read once
  std::string glibc_;
  unsigned isa_ = 0;
};

Result<std::string> update_information(const RandomAccess& file, const Identity& identity) {
  std::string text;
  if (identity.payload.format == PayloadFormat::iso9660 && file.size() >= k_iso_update_information + 512) {
    ORCH_TRY(text, image::read_exact(file, k_iso_update_information, 512));
    text.resize(std::min(text.find('\0'), text.size()));
  } else if (identity.elf) {
    ORCH_TRY(std::optional<std::string> section,
             read_section_text(file, ".upd_info", k_max_update_information));
    text = std::move(section).value_or("");
  }
  return std::string(base::trim(text));
}

void note_entry(const image::Entry& entry, std::vector<std::string>& notes) {
  using image::EntryKind;
  const std::string target = base::printable(entry.target);
  if (entry.kind == EntryKind::missing)
    notes.push_back(entry.links.empty()
                        ? "there is no AppRun: nothing says how to start the application"
                        : fmt::format("AppRun is a link to '{}', which is not there", target));
  if (entry.kind == EntryKind::outside)
    notes.push_back(fmt::format("AppRun is a link out of the AppImage, to '{}'", target));
  if (entry.kind == EntryKind::unknown)
    notes.push_back("AppRun is neither an ELF program nor a script with an interpreter");
  if ((entry.kind == EntryKind::elf || entry.kind == EntryKind::script) && !entry.executable)
    notes.push_back("AppRun is not executable");
  if (entry.kind == EntryKind::script && !entry.interpreter.starts_with('/'))
    notes.push_back(fmt::format("AppRun's interpreter '{}' is relative to the working directory",
                                base::printable(entry.interpreter)));
}

void note_architecture(const Inspection& inspection, std::vector<std::string>& notes) {
  const std::string& arch = inspection.arch;
  const std::vector<std::string>& inside = inspection.payload_archs;
  const bool has = std::find(inside.begin(), inside.end(), arch) != inside.end();
  if (arch == "aarch64" && (inside.empty() || has))
    notes.push_back("this AppImage is for aarch64: it needs no FEX and no x86_64 libraries");
  else if (!arch.empty() && !inside.empty() && !has)
    notes.push_back(
        fmt::format("the runtime is for {}, the programs inside are for {}", arch, base::join(inside, ", ")));
}

Value entry_value(const image::Entry& entry) {
  Value value = Value::object();
  value.set("kind", image::to_string(entry.kind));
  value.set("path", entry.path);
  value.set("interpreter", base::or_null(entry.interpreter));
  value.set("argument", base::or_null(entry.argument));
  value.set("target", base::or_null(entry.target));
  value.set("links", Value::strings(entry.links));
  value.set("executable", entry.executable);
  value.set("arch", entry.kind == image::EntryKind::elf
                        ? Value(image::machine_name(entry.machine, entry.is_64))
                        : Value());
  return value;
}

Value desktop_value(const DesktopEntry& desktop) {
  return Value::object({{"file", desktop.file},
                        {"name", base::or_null(desktop.name)},
                        {"exec", base::or_null(desktop.exec)},
                        {"icon", base::or_null(desktop.icon)},
                        {"version", base::or_null(desktop.version)},
                        {"startup_wm_class", base::or_null(desktop.startup_wm_class)}});
}

Value payload_value(const image::Payload& payload) {
  if (payload.format == PayloadFormat::none) return {};
  Value value = Value::object();
  value.set("format", image::to_string(payload.format));
  value.set("offset", payload.offset);
  value.set("size", payload.size);
  value.set("compressor", payload.squashfs ? Value(image::to_string(payload.squashfs->compressor)) : Value());
  value.set("block_size", payload.squashfs ? Value(payload.squashfs->block_size) : Value());
  value.set("scanned", payload.scanned);
  return value;
}

Value erofs_value(const image::ErofsSuper& erofs) {
  return Value::object({{"block_size", erofs.block_size},
                        {"blocks", erofs.blocks},
                        {"inodes", erofs.inodes},
                        {"build_time", erofs.build_time},
                        {"features", Value::strings(image::feature_names(erofs))},
                        {"compressors", Value::strings(image::compressor_names(erofs))},
                        {"uuid", erofs.uuid},
                        {"label", base::or_null(erofs.label)}});
}

std::string_view kind_name(const Identity& identity) {
  switch (identity.kind) {
    case image::FileKind::appimage:
      return "appimage";
    case image::FileKind::erofs:
      return "erofs";
    case image::FileKind::squashfs:
      return "squashfs";
    case image::FileKind::elf:
    case image::FileKind::runimage:
      return "elf";
    case image::FileKind::iso:
    case image::FileKind::unknown:
      return "unknown";
  }
  return "unknown";
}

}  // namespace

DesktopEntry parse_desktop_entry(std::string_view text) {
  DesktopEntry out;
  const std::array<std::pair<std::string_view, std::string*>, 5> fields = {
      {{"Name", &out.name},
       {"Exec", &out.exec},
       {"Icon", &out.icon},
       {"X-AppImage-Version", &out.version},
       {"StartupWMClass", &out.startup_wm_class}}};
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  bool inside = false;
  for (std::string_view line : base::split(text, '\n')) {
    line = base::trim(line);
    if (line.starts_with('[')) {
      inside = line == "[Desktop Entry]";
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!inside || equals == std::string_view::npos || line.starts_with('#')) continue;
    const std::string_view key = base::trim(line.substr(0, equals));
    for (const auto& [name, value] : fields)
      if (key == name && value->empty()) *value = std::string(base::trim(line.substr(equals + 1)));
  }
  return out;
}

Result<std::optional<DesktopEntry>> find_desktop_entry(const FileTree& tree) {
  ORCH_TRY(const std::vector<DirEntry> names, tree.list(tree.root()));
  for (const DirEntry& entry : names) {
    if (!entry.name.ends_with(".desktop")) continue;
    ORCH_TRY(const image::Resolution found, image::resolve(tree, entry.name));
    if (found.outcome != image::Resolution::Outcome::found || found.type != NodeType::file) continue;
    ORCH_TRY(const std::unique_ptr<RandomAccess> file, tree.open(found.node));
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(file->size(), k_max_desktop));
    ORCH_TRY(const std::string text, image::read_exact(*file, 0, size));
    DesktopEntry desktop = parse_desktop_entry(text);
    desktop.file = entry.name;
    return std::optional<DesktopEntry>(std::move(desktop));
  }
  return std::optional<DesktopEntry>();
}

Result<Inspection> inspect_outside(const RandomAccess& file) {
  Inspection inspection;
  ORCH_TRY(inspection.identity, image::identify(file));
  const Identity& identity = inspection.identity;
  if (identity.elf) inspection.arch = image::machine_name(identity.elf->machine, identity.elf->is_64);
  ORCH_TRY(inspection.update_information, update_information(file, identity));
  if (identity.payload.scanned)
    inspection.notes.push_back("the payload is not where the runtime's ELF headers end; it was searched for");
  if (identity.kind == image::FileKind::runimage)
    inspection.notes.push_back("this is a RunImage: it is started by Run.sh, not by AppRun");
  if (identity.kind == image::FileKind::elf) {
    ORCH_TRY(const std::optional<Facts> facts, read_facts(file));
    if (facts) {
      if (!facts->soname.empty()) inspection.bundled.push_back(facts->soname);
      inspection.needed = facts->needed;
      std::sort(inspection.needed.begin(), inspection.needed.end());
      inspection.glibc = facts->glibc;
      inspection.isa_needed = facts->isa_needed;
    }
  }
  return inspection;
}

Result<> inspect_inside(const FileTree& tree, Inspection& inspection) {
  ORCH_TRY(inspection.entry, image::find_entry(tree));
  ORCH_TRY(inspection.desktop, find_desktop_entry(tree));
  ORCH_CHECK(Inside(tree).run(inspection));
  note_entry(*inspection.entry, inspection.notes);
  note_architecture(inspection, inspection.notes);
  return {};
}

Result<Inspection> inspect(std::shared_ptr<const RandomAccess> file, std::string_view name) {
  ORCH_TRY(Inspection inspection, inspect_outside(*file));
  const Identity& identity = inspection.identity;
  const PayloadFormat format = identity.payload.format;
  if (identity.payload_error) return base::fail(*image::payload_problem(identity, name));
  if (format == PayloadFormat::dwarfs)
    inspection.notes.push_back("a DwarFS payload cannot be read here: " +
                               image::payload_problem(identity, name)->hint);
  const bool rootfs = format == PayloadFormat::erofs;  // no application: nothing starts it
  if (format != PayloadFormat::squashfs && format != PayloadFormat::iso9660 && !rootfs) return inspection;
  Result<std::unique_ptr<FileTree>> tree = image::open_payload(std::move(file), identity);
  if (!tree && tree.error().kind == base::ErrorKind::unsupported) {
    inspection.notes.push_back("what is inside cannot be looked at in place: " + tree.error().what);
    return inspection;
  }
  const auto damaged = [&](base::Error error) {
    return base::fail(std::move(error).while_doing("reading the payload of '" + base::printable(name) + "'"));
  };
  if (!tree) return damaged(std::move(tree).error());
  Result<> inside = rootfs ? Inside(**tree).run(inspection) : inspect_inside(**tree, inspection);
  if (!inside) return damaged(std::move(inside).error());
  return inspection;
}

Value to_value(const Inspection& inspection) {
  const Identity& identity = inspection.identity;
  Value value = Value::object();
  value.set("schema", "appimage-orch/inspect/1");
  value.set("kind", kind_name(identity));
  value.set("type", identity.kind == image::FileKind::runimage ? Value("runimage")
                    : identity.type != 0                       ? Value(identity.type)
                                                               : Value());
  value.set("payload", payload_value(identity.payload));
  value.set("arch", base::or_null(inspection.arch));
  value.set("payload_archs", Value::strings(inspection.payload_archs));
  value.set("entry", inspection.entry ? entry_value(*inspection.entry) : Value());
  value.set("desktop", inspection.desktop ? desktop_value(*inspection.desktop) : Value());
  value.set("update_information", base::or_null(inspection.update_information));
  value.set("bundled", Value::strings(inspection.bundled));
  value.set("needed", Value::strings(inspection.needed));
  value.set("glibc", base::or_null(inspection.glibc));
  value.set("isa", inspection.isa_needed == 0   ? Value()
                   : inspection.isa_needed == 1 ? Value("x86-64")
                                                : Value(fmt::format("x86-64-v{}", inspection.isa_needed)));
  if (identity.erofs) value.set("erofs", erofs_value(*identity.erofs));
  value.set("notes", Value::strings(inspection.notes));
  return value;
}

}  // namespace orch::elf
