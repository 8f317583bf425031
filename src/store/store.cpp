#include "store/store.hpp"

#include "base/text.hpp"
#include "format/json.hpp"
#include "model/spec.hpp"
#include "store/manifest.hpp"
#include "sys/process.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fts.h>
#include <memory>
#include <thread>

namespace orch::store {

using base::ErrorKind;
using base::fail;
using base::Value;
using model::ArtifactKind;
using model::ArtifactRef;

namespace {

std::string data_name(ArtifactKind kind) {
  switch (kind) {
    case ArtifactKind::image:
      return "image.erofs";
    case ArtifactKind::tree:
      return "root";
    case ArtifactKind::document:
      return "document.json";
    case ArtifactKind::file:
      return "file";
  }
  return "file";
}

std::string sharded(const std::string& hex) {
  return hex.substr(0, 2) + "/" + hex;
}

// Whether the status of anything below `path` changed at or after `start`. A name that is gone counts: its
// directory changed.
Result<bool> changed_since(const std::string& path, const timespec& start) {
  std::string root = path;
  char* const roots[] = {root.data(), nullptr};
  const std::unique_ptr<FTS, decltype(&::fts_close)> walk(
      ::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr), ::fts_close);
  if (!walk) return fail(base::errno_error(errno, "read directory", path));
  while (const FTSENT* entry = ::fts_read(walk.get())) {
    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS) return true;
    const timespec& when = entry->fts_statp->st_ctim;
    if (when.tv_sec > start.tv_sec || (when.tv_sec == start.tv_sec && when.tv_nsec >= start.tv_nsec))
      return true;
  }
  return false;
}

}  // namespace

Staging::~Staging() {
  if (path_.empty()) return;  // moved from
  (void)sys::remove_tree(path_);
  ::unlink((path_ + ".lock").c_str());
}

std::string Store::artifact_dir(const ArtifactRef& artifact) const {
  return fmt::format("{}/cas/{}/{}", root_, model::to_string(artifact.kind), sharded(artifact.digest.hex()));
}

std::string Store::data_path(const ArtifactRef& artifact) const {
  return artifact_dir(artifact) + "/" + data_name(artifact.kind);
}

std::string Store::manifest_path(const ArtifactRef& artifact) const {
  return artifact_dir(artifact) + "/manifest.json";
}

std::string Store::record_path(const hash::Digest& key) const {
  return fmt::format("{}/ac/{}.json", root_, sharded(key.hex()));
}

bool Store::has(const ArtifactRef& artifact) const {
  return sys::exists(data_path(artifact)) && sys::exists(manifest_path(artifact));
}

Result<> Store::prepare() const {
  for (const char* folder : {"/cas", "/ac", "/locks", "/tmp"}) {
    Result<> made = sys::make_dirs(root_ + folder);
    if (made && ::access((root_ + folder).c_str(), W_OK) != 0)
      made = fail(base::errno_error(errno, "write in", root_ + folder));
    if (!made) {
      if (made.error().hint.empty())
        made.error().hint = "choose a writable place with --cache-dir or XDG_CACHE_HOME";
      return made;
    }
  }
  return {};
}

Result<std::string> Store::sha256(const ArtifactRef& artifact) const {
  const std::string path = manifest_path(artifact);
  ORCH_TRY(const std::string text, sys::read_file(path));
  ORCH_TRY(const Manifest manifest, read_manifest(text, path));
  return manifest.sha256.hex();
}

Result<LookupResult> Store::lookup(const hash::Digest& key, Repair repair) const {
  LookupResult result;
  const std::string path = record_path(key);
  const Result<std::string> text = sys::read_file(path);
  if (!text) {
    if (text.error().kind != ErrorKind::not_found) return fail(text.error());
    return result;
  }
  result.outcome = Lookup::torn_record;
  const Result<Value> value = format::parse_json(*text, path);
  if (!value || value->string_or("schema", "") != "appimage-orch/record/1" ||
      value->string_or("key", "") != key.hex())
    return result;
  Result<std::vector<model::OutputRecord>> outputs = model::outputs_from_value(value->find("outputs"), path);
  if (!outputs) return result;
  Record& record = result.record;
  record.key = key;
  record.rule = value->string_or("rule", "");
  record.outputs = std::move(*outputs);
  record.synced = value->bool_or("synced", false);
  record.boot_id = value->string_or("boot_id", "");
  for (const model::OutputRecord& output : record.outputs) {
    if (!has(output.artifact)) {
      result.outcome = Lookup::artifact_missing;
      return result;
    }
  }
  if (!record.synced && record.boot_id != sys::boot_id()) {
    for (const model::OutputRecord& output : record.outputs) {
      const Result<bool> sound =
          repair == Repair::yes ? whole_or_aside(output.artifact) : verify(output.artifact);
      if (!sound || !*sound) {
        result.outcome = Lookup::artifact_corrupt;
        return result;
      }
    }
    record.boot_id = sys::boot_id();
    if (repair == Repair::yes) (void)write_record(record);  // only saves the next verification
  }
  result.outcome = Lookup::hit;
  return result;
}

Result<> Store::write_record(const Record& record) const {
  const std::string path = record_path(record.key);
  ORCH_CHECK(sys::make_dirs(sys::parent_path(path)));
  const Value value = Value::object({{"schema", "appimage-orch/record/1"},
                                     {"key", record.key.hex()},
                                     {"rule", record.rule},
                                     {"outputs", model::to_value(record.outputs)},
                                     {"seconds", record.seconds},
                                     {"synced", record.synced},
                                     {"boot_id", record.boot_id}});
  return sys::write_atomic(path, format::to_json(value), sys::Sync::yes);
}

KeyLock::~KeyLock() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<KeyLock> Store::lock_named(const std::string& name) const {
  const std::string path = root_ + "/locks/" + name;
  ORCH_TRY(std::optional<sys::FileLock> lock, sys::FileLock::acquire(path, sys::FileLock::Wait::yes));
  return KeyLock(path, *std::move(lock));
}

Result<KeyLock> Store::lock_key(const hash::Digest& key) const {
  return lock_named(key.hex());
}

Result<Staging> Store::stage() const {
  ORCH_TRY(const KeyLock making, lock_named("tmp"));
  ORCH_TRY(const std::string path, sys::make_temp_dir(fmt::format("{}/tmp/{}-", root_, ::getpid())));
  ORCH_TRY(std::optional<sys::FileLock> lock,
           sys::FileLock::acquire(path + ".lock", sys::FileLock::Wait::no));
  if (!lock) return fail(ErrorKind::internal, "a new directory in the store is locked by somebody else");
  return Staging(path, *std::move(lock));
}

Result<bool> Store::whole_or_aside(const ArtifactRef& artifact) const {
  ORCH_TRY(const KeyLock lock,
           lock_named(fmt::format("{}-{}", model::to_string(artifact.kind), artifact.digest.hex())));
  const Result<bool> sound = verify(artifact);
  if (sound && *sound) return true;
  set_aside(artifact);
  return false;
}

Result<ArtifactRef> Store::publish(ArtifactKind kind, const std::string& path,
                                   std::optional<hash::TreeListing> listing,
                                   const std::optional<hash::FileDigests>& digests) const {
  Manifest manifest;
  if (kind == ArtifactKind::tree) {
    if (!listing) {
      ORCH_TRY(listing, hash::list_tree(path, std::thread::hardware_concurrency()));
    }
    ORCH_CHECK(make_read_only(path, *listing));
    ORCH_TRY(manifest, manifest_of_tree(std::move(*listing)));
  } else {
    if (digests) {
      manifest.kind = kind;
      manifest.digest = digests->digest;
      manifest.sha256 = digests->sha256;
      manifest.size = digests->size;
    } else {
      ORCH_TRY(manifest, manifest_of_file(kind, path));
    }
    if (::chmod(path.c_str(), 0444) != 0) return fail(base::errno_error(errno, "make read-only", path));
  }
  const ArtifactRef artifact{kind, manifest.digest};
  const std::string target = artifact_dir(artifact);
  ORCH_TRY(const KeyLock lock,
           lock_named(fmt::format("{}-{}", model::to_string(artifact.kind), artifact.digest.hex())));
  if (has(artifact)) {
    // From this boot it is whole; what an earlier boot left may be torn by power loss.
    const Result<std::string> text = sys::read_file(manifest_path(artifact));
    const Result<Manifest> present = text ? read_manifest(*text, target) : fail(text.error());
    if (present && present->boot_id == sys::boot_id()) return artifact;
    const Result<bool> sound = verify(artifact);
    if (sound && *sound) return artifact;
    set_aside(artifact);
  } else if (sys::exists(target)) {
    ORCH_CHECK(sys::remove_tree(target));
  }
  const std::string wrapped = path + ".artifact";
  ORCH_CHECK(sys::make_dirs(wrapped, 0755));
  ORCH_CHECK(sys::rename_file(path, wrapped + "/" + data_name(kind)));
  manifest.boot_id = sys::boot_id();
  ORCH_CHECK(sys::write_atomic(wrapped + "/manifest.json", write_manifest(manifest)));
  ORCH_CHECK(sys::make_dirs(sys::parent_path(target)));
  if (::rename(wrapped.c_str(), target.c_str()) != 0 && errno != EEXIST && errno != ENOTEMPTY)
    return fail(base::errno_error(errno, "write", target));
  return artifact;
}

Result<bool> Store::verify(const ArtifactRef& artifact) const {
  const std::string path = manifest_path(artifact);
  ORCH_TRY(const std::string text, sys::read_file(path));
  const Result<Manifest> manifest = read_manifest(text, path);
  if (!manifest || manifest->digest != artifact.digest || manifest->kind != artifact.kind) return false;
  return data_holds(*manifest, data_path(artifact));
}

Result<bool> Store::survived(const ArtifactRef& artifact, const timespec& start) const {
  ORCH_TRY(const bool touched, changed_since(data_path(artifact), start));
  if (!touched) return true;
  return whole_or_aside(artifact);
}

void Store::set_aside(const ArtifactRef& artifact) const {
  const std::string folder = root_ + "/corrupt";
  (void)sys::make_dirs(folder);
  const std::string target =
      fmt::format("{}/{}-{}", folder, model::to_string(artifact.kind), artifact.digest.hex());
  (void)sys::remove_tree(target);
  if (::rename(artifact_dir(artifact).c_str(), target.c_str()) != 0)
    (void)sys::remove_tree(artifact_dir(artifact));
}

Result<std::size_t> Store::sweep() const {
  std::vector<Staging> abandoned;
  {
    ORCH_TRY(const KeyLock making, lock_named("tmp"));
    ORCH_TRY(const std::vector<std::string> names, sys::list_dir(root_ + "/tmp"));
    for (const std::string& name : names) {
      const std::string path = root_ + "/tmp/" + name;
      if (name.ends_with(".lock")) {
        if (!sys::exists(path.substr(0, path.size() - 5))) ::unlink(path.c_str());
        continue;
      }
      Result<std::optional<sys::FileLock>> lock =
          sys::FileLock::acquire(path + ".lock", sys::FileLock::Wait::no);
      if (lock && *lock) abandoned.push_back(Staging(path, **std::move(lock)));
    }
  }
  return abandoned.size();  // they are removed here, with their locks in our hands
}

Result<std::vector<KindStats>> Store::stats() const {
  std::vector<KindStats> out;
  for (const ArtifactKind kind :
       {ArtifactKind::image, ArtifactKind::tree, ArtifactKind::document, ArtifactKind::file}) {
    KindStats row{kind, 0, 0};
    const std::string folder = fmt::format("{}/cas/{}", root_, model::to_string(kind));
    for (const std::string& shard : sys::list_dir(folder).value_or(std::vector<std::string>{})) {
      for (const std::string& name :
           sys::list_dir(folder + "/" + shard).value_or(std::vector<std::string>{})) {
        const std::string path = folder + "/" + shard + "/" + name + "/manifest.json";
        const Result<std::string> text = sys::read_file(path);
        if (!text) continue;
        const Result<Manifest> manifest = read_manifest(*text, path);
        if (!manifest) continue;
        ++row.count;
        row.bytes += manifest->size;
      }
    }
    out.push_back(row);
  }
  return out;
}

Result<std::uint64_t> Store::record_count() const {
  std::uint64_t count = 0;
  for (const std::string& shard : sys::list_dir(root_ + "/ac").value_or(std::vector<std::string>{}))
    for (const std::string& name : sys::list_dir(root_ + "/ac/" + shard).value_or(std::vector<std::string>{}))
      if (name.ends_with(".json")) ++count;
  return count;
}

}  // namespace orch::store
