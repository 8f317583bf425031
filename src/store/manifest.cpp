#include "store/manifest.hpp"

#include "format/json.hpp"
#include "sys/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace orch::store {

using base::ErrorKind;
using base::fail;
using base::Value;
using hash::EntryType;
using hash::TreeEntry;

namespace {

std::string_view type_word(EntryType type) {
  switch (type) {
    case EntryType::file:
      return "file";
    case EntryType::directory:
      return "directory";
    case EntryType::symlink:
      return "symlink";
  }
  return "file";
}

// A file's two digests in one reading.
Result<Manifest> digests_of(const std::string& path) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(path, O_RDONLY | O_NOFOLLOW));
  ORCH_TRY(const hash::FileDigests both, hash::file_digests(fd.get(), path));
  Manifest out;
  out.digest = both.digest;
  out.sha256 = both.sha256;
  out.size = both.size;
  return out;
}

Result<TreeEntry> entry_of(const Value& item, std::string_view name) {
  const auto malformed = [&] {
    return fail(ErrorKind::corrupt,
                "the manifest '" + std::string(name) + "' does not have the form it should have");
  };
  TreeEntry entry;
  const Value* path = item.find("path");
  if (path == nullptr || !path->is_string()) return malformed();
  entry.path = path->as_string();
  const std::string type = item.string_or("type", "");
  if (type == "directory")
    entry.type = EntryType::directory;
  else if (type == "symlink")
    entry.type = EntryType::symlink;
  else if (type != "file")
    return malformed();
  entry.mode = static_cast<std::uint32_t>(item.int_or("mode", 0));
  entry.size = static_cast<std::uint64_t>(item.int_or("size", 0));
  return entry;
}

}  // namespace

Result<Manifest> manifest_of_tree(hash::TreeListing listing) {
  Manifest out;
  out.kind = model::ArtifactKind::tree;
  out.digest = listing.digest();
  out.sha256 = listing.sha256();
  out.size = listing.total_bytes();
  out.listing = std::move(listing);
  return out;
}

Result<Manifest> manifest_of_file(model::ArtifactKind kind, const std::string& path) {
  ORCH_TRY(Manifest out, digests_of(path));
  out.kind = kind;
  return out;
}

std::string write_manifest(const Manifest& manifest) {
  format::JsonWriter out;
  out.begin_object();
  const auto text = [&](std::string_view key, std::string_view value) {
    out.key(key);
    out.value(value);
  };
  const auto number = [&](std::string_view key, std::uint64_t value) {
    out.key(key);
    out.value(static_cast<std::int64_t>(value));
  };
  text("schema", "appimage-orch/artifact/1");
  text("kind", model::to_string(manifest.kind));
  text("digest", manifest.digest.hex());
  text("sha256", manifest.sha256.hex());
  number("size", manifest.size);
  text("boot_id", manifest.boot_id);
  if (manifest.kind == model::ArtifactKind::tree) {
    out.key("files");
    out.begin_array();
    for (const TreeEntry& entry : manifest.listing.entries) {
      out.begin_object();
      text("path", entry.path);
      text("type", type_word(entry.type));
      number("mode", entry.mode);
      if (entry.type == EntryType::file) {
        number("size", entry.size);
        text("xxh3", entry.digest.hex());
        if (!entry.hard_link.empty()) text("hard_link", entry.hard_link);
      }
      if (entry.type == EntryType::symlink) text("target", entry.target);
      out.end_object();
    }
    out.end_array();
  }
  out.end_object();
  return out.take();
}

Result<Manifest> read_manifest(std::string_view text, std::string_view name) {
  ORCH_TRY(const Value value, format::parse_json(text, name));
  const auto kind = model::parse_artifact_kind(value.string_or("kind", ""));
  const auto digest = hash::Digest::parse(value.string_or("digest", ""));
  const auto sha256 = hash::Sha256::parse(value.string_or("sha256", ""));
  if (value.string_or("schema", "") != "appimage-orch/artifact/1" || !kind || !digest || !sha256)
    return fail(ErrorKind::corrupt,
                "the manifest '" + std::string(name) + "' does not have the form it should have");
  Manifest out;
  out.kind = *kind;
  out.digest = *digest;
  out.sha256 = *sha256;
  out.size = static_cast<std::uint64_t>(value.int_or("size", 0));
  out.boot_id = value.string_or("boot_id", "");
  if (const Value* files = value.find("files"); files != nullptr && files->is_array()) {
    for (const Value& item : files->as_array()) {
      ORCH_TRY(TreeEntry entry, entry_of(item, name));
      out.listing.entries.push_back(std::move(entry));
    }
  }
  return out;
}

Result<> make_read_only(const std::string& root, const hash::TreeListing& listing) {
  for (const TreeEntry& entry : listing.entries) {
    const std::string path = root + "/" + entry.path;
    const mode_t mode = entry.type == EntryType::directory ? 0755 : entry.mode & 0555U;
    if (entry.type == EntryType::symlink) continue;
    if (::chmod(path.c_str(), mode) != 0) return fail(base::errno_error(errno, "make read-only", path));
  }
  return {};
}

Result<bool> data_holds(const Manifest& manifest, const std::string& path) {
  if (manifest.kind != model::ArtifactKind::tree) {
    ORCH_TRY(const Manifest present, digests_of(path));
    return present.digest == manifest.digest && present.size == manifest.size;
  }
  ORCH_TRY(hash::TreeListing present, hash::list_tree(path, std::thread::hardware_concurrency()));
  present.sort();
  if (present.entries.size() != manifest.listing.entries.size()) return false;
  // The manifest has the modes that the tree means; on disk the write bits are gone.
  for (std::size_t i = 0; i < present.entries.size(); ++i) {
    const std::uint32_t meant = manifest.listing.entries[i].mode;
    TreeEntry& entry = present.entries[i];
    if (entry.type == EntryType::file && entry.mode != (meant & 0555U)) return false;
    if (entry.type != EntryType::symlink) entry.mode = meant;
  }
  return present.digest() == manifest.digest;
}

}  // namespace orch::store
