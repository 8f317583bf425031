#include "package/manifest.hpp"

#include "package/layer_check.hpp"

#include <fmt/format.h>

#include <utility>

namespace orch::package {

namespace {

std::string_view type_text(hash::EntryType type) {
  switch (type) {
    case hash::EntryType::file:
      return "file";
    case hash::EntryType::directory:
      return "directory";
    case hash::EntryType::symlink:
      return "symlink";
  }
  return "file";
}

Value package_name(const std::vector<LockedPackage>& packages, std::size_t index) {
  return index < packages.size() ? Value(packages[index].name) : Value();
}

Value package_records(const std::vector<LockedPackage>& packages, const UnpackedTree& tree) {
  std::vector<std::uint64_t> files(packages.size());
  std::vector<std::uint64_t> bytes(packages.size());
  for (std::size_t i = 0; i < tree.listing.entries.size(); ++i) {
    const hash::TreeEntry& entry = tree.listing.entries[i];
    const std::size_t owner = tree.owner[i];
    if (entry.type == hash::EntryType::directory || owner >= packages.size()) continue;
    ++files[owner];
    if (entry.type == hash::EntryType::file && entry.hard_link.empty()) bytes[owner] += entry.size;
  }
  Value list = Value::array();
  for (std::size_t i = 0; i < packages.size(); ++i) {
    const LockedPackage& package = packages[i];
    list.push(Value::object({{"name", package.name},
                             {"version", package.version},
                             {"architecture", package.architecture},
                             {"sha256", package.sha256.hex()},
                             {"size", package.size},
                             {"reason", package.reason},
                             {"origin", base::or_null(package.origin)},
                             {"allow_unsigned", package.allow_unsigned},
                             {"files", files[i]},
                             {"bytes", bytes[i]}}));
  }
  return list;
}

Value file_records(const std::vector<LockedPackage>& packages, const UnpackedTree& tree) {
  Value list = Value::array();
  for (std::size_t i = 0; i < tree.listing.entries.size(); ++i) {
    const hash::TreeEntry& entry = tree.listing.entries[i];
    Value record = Value::object({{"path", entry.path},
                                  {"type", type_text(entry.type)},
                                  {"mode", fmt::format("{:04o}", entry.mode)},
                                  {"size", entry.size}});
    if (entry.type == hash::EntryType::file) record.set("xxh3", entry.digest.hex());
    if (entry.type == hash::EntryType::symlink) record.set("target", entry.target);
    if (!entry.hard_link.empty()) record.set("hard_link", entry.hard_link);
    record.set("package", package_name(packages, tree.owner[i]));
    list.push(std::move(record));
  }
  return list;
}

}  // namespace

Value image_manifest(const ImageFacts& facts, const std::vector<LockedPackage>& packages,
                     const UnpackedTree& tree, const std::vector<image::Finding>& findings) {
  Value skipped = Value::array();
  for (const SkippedEntry& item : tree.skipped)
    skipped.push(Value::object(
        {{"path", item.path}, {"package", package_name(packages, item.package)}, {"reason", item.reason}}));
  Value notes = Value::array();
  for (const TreeNote& item : tree.notes)
    notes.push(Value::object(
        {{"path", item.path}, {"package", package_name(packages, item.package)}, {"note", item.text}}));
  return Value::object({{"schema", "appimage-orch/image-manifest/1"},
                        {"role", facts.role},
                        {"class", facts.layer_class},
                        {"image", Value::object({{"sha256", facts.sha256},
                                                 {"size", facts.size},
                                                 {"uuid", facts.uuid},
                                                 {"block_size", 4096},
                                                 {"compressor", facts.compressor},
                                                 {"cluster", facts.cluster}})},
                        {"tool", facts.tool},
                        {"tree", Value::object({{"xxh3", tree.listing.digest().hex()},
                                                {"entries", std::uint64_t{tree.listing.entries.size()}},
                                                {"bytes", tree.listing.total_bytes()}})},
                        {"packages", package_records(packages, tree)},
                        {"provided", facts.provided},
                        {"skipped", std::move(skipped)},
                        {"notes", std::move(notes)},
                        {"findings", findings_value(findings)},
                        {"files", file_records(packages, tree)}});
}

}  // namespace orch::package
