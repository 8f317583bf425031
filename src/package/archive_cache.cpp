#include "package/archive_cache.hpp"

#include "base/text.hpp"
#include "package/apt_output.hpp"
#include "package/download.hpp"
#include "package/rpm_keys.hpp"
#include "sys/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

enum class Verdict { sound, absent, differs };

Result<Verdict> verify(const std::string& file, const LockedPackage& package, std::string* found = nullptr) {
  if (!sys::exists(file)) return Verdict::absent;
  ORCH_TRY(const sys::Fd fd, sys::open_file(file, O_RDONLY));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return base::fail(base::errno_error(errno, "examine", file));
  if (found != nullptr) *found = std::to_string(info.st_size) + " bytes";
  if (!S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) != package.size)
    return Verdict::differs;
  ORCH_TRY(const hash::Sha256 digest, hash::sha256_fd(fd.get(), file));
  if (found != nullptr) *found = digest.hex();
  return digest == package.sha256 ? Verdict::sound : Verdict::differs;
}

// Holds what came against the lock.
Result<> check(const Download& download) {
  const LockedPackage& package = download.package;
  std::string found;
  ORCH_TRY(const Verdict verdict, verify(download.file, package, &found));
  if (verdict == Verdict::absent)
    return base::fail(ErrorKind::tool,
                      "package '" + package.name + "' " + package.version + " did not arrive",
                      "check the network");
  if (verdict == Verdict::differs)
    return base::fail(ErrorKind::corrupt,
                      "package '" + package.name + "' " + package.version +
                          " is not what the lock file names: expected " + package.sha256.hex() + " (" +
                          std::to_string(package.size) + " bytes), found " + found,
                      "if the archive has rebuilt it on purpose, take it with 'appimage-orch lock --update'");
  return {};
}

// Moves what was checked to its place in the cache.
Result<> keep(const Download& download, const std::string& cached) {
  const std::string copy = download.file + ".copy";
  ORCH_CHECK(copy_file(download.file, copy));
  return sys::rename_file(copy, cached);
}

// "package 'NAME' VERSION"
std::string label(const LockedPackage& package) {
  return "package '" + package.name + "' " + package.version;
}

std::vector<Download> absent(const std::vector<Download>& wanted) {
  std::vector<Download> out;
  for (const Download& download : wanted)
    if (!sys::exists(download.file)) out.push_back(download);
  return out;
}

// Where an old package is below `root`; in places with all files in one folder, by its name.
std::string archive_url(const std::string& root, const std::string& path) {
  constexpr std::string_view k_file = "{file}";
  if (const std::size_t at = root.find(k_file); at != std::string::npos)
    return root.substr(0, at) + percent_encoded(path.substr(path.rfind('/') + 1)) +
           root.substr(at + k_file.size());
  return root + (root.ends_with('/') ? "" : "/") + percent_encoded(path);
}

// Where the source keeps old packages; by the digest that the lock names.
Result<> bring_from_archives(const Source& source, const Surroundings& around, const Download& download) {
  if (download.package.path.empty()) return {};
  for (const std::string& root : source.archive_uris) {
    const std::string url = archive_url(root, download.package.path);
    if (around.log) around.log("looking for " + label(download.package) + " in " + url);
    const std::string part = download.file + ".part";
    ORCH_CHECK(sys::remove_tree(part));
    if (!download_to(url, part, download.package.size)) continue;
    ORCH_TRY(const Verdict verdict, verify(part, download.package));
    if (verdict == Verdict::sound) return sys::rename_file(part, download.file);
  }
  return {};
}

// Whether the host's own apt had the archive, which is in the cache then. Whatever keeps it from being read is no
// error: the source has it, too.
bool take_from_host(const LockedPackage& package, const Source& source, const Surroundings& around,
                    const std::string& scratch) {
  if (source.kind != SourceKind::apt) return false;
  const std::string file = around.host_archives + "/" + archive_file_name(package);
  const auto info = sys::stat_file(file);
  if (!info || !S_ISREG(info->st_mode) || static_cast<std::uint64_t>(info->st_size) != package.size)
    return false;
  // The copy is verified, as the file may change at any time.
  const std::string copy = scratch + "/host.deb";
  const bool sound = copy_file(file, copy) && verify(copy, package) == Verdict::sound &&
                     sys::rename_file(copy, download_path(around.cache_dir, package.sha256));
  if (!sound) (void)sys::remove_tree(copy);
  return sound;
}

Result<> bring(const std::vector<LockedPackage>& missing, const Source& source, const Surroundings& around,
               const std::string& scratch) {
  std::vector<Download> wanted;
  std::uint64_t bytes = 0;
  for (const LockedPackage& package : missing) {
    wanted.push_back({package, scratch + "/" + archive_file_name(package)});
    bytes += package.size;
  }
  ORCH_TRY(const std::unique_ptr<PackageSource> opened, open_source(source, around));
  if (around.log)
    around.log("downloading " + std::to_string(wanted.size()) +
               (wanted.size() == 1 ? " package (" : " packages (") + base::human_size(bytes) + ")");
  const Result<> outcome = opened->download(wanted);
  for (const Download& download : absent(wanted)) ORCH_CHECK(bring_from_archives(source, around, download));
  if (const std::vector<Download> lost = absent(wanted); !lost.empty()) {
    if (!outcome) return base::fail(outcome.error());
    return base::fail(
        ErrorKind::not_found, source_label(source) + " no longer has " + label(lost.front().package),
        "the archive has moved on: take its present versions with 'appimage-orch lock --update', or "
        "name a place that keeps old ones in archive_uris of the source");
  }
  for (const Download& download : wanted) ORCH_CHECK(check(download));
  ORCH_CHECK(check_rpm_signatures(source, around, scratch, wanted));
  for (const Download& download : wanted)
    ORCH_CHECK(keep(download, download_path(around.cache_dir, download.package.sha256)));
  return {};
}

}  // namespace

Result<> copy_file(const std::string& from, const std::string& to) {
  ORCH_TRY(const sys::Fd in, sys::open_file(from, O_RDONLY));
  ORCH_TRY(const sys::Fd out, sys::open_file(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  std::uint64_t offset = 0;
  for (;;) {
    ORCH_TRY(const std::string part, sys::read_at(in.get(), offset, 1U << 20U, from));
    if (part.empty()) break;
    ORCH_CHECK(sys::write_all(out.get(), part, to));
    offset += part.size();
  }
  if (::fchmod(out.get(), 0444) != 0) return base::fail(base::errno_error(errno, "change the mode of", to));
  return {};
}

Result<> place_download(const std::string& cached, const std::string& to) {
  if (::link(cached.c_str(), to.c_str()) == 0) return {};
  return copy_file(cached, to);
}

std::string download_path(const std::string& cache_dir, const hash::Sha256& digest) {
  return cache_dir + "/downloads/sha256/" + digest.hex();
}

Result<> collect_archives(const std::vector<LockedPackage>& packages, const Source& source,
                          const Surroundings& around, const std::string& scratch,
                          const std::string& directory) {
  ORCH_CHECK(sys::make_dirs(sys::parent_path(download_path(around.cache_dir, {}))));
  ORCH_CHECK(sys::make_dirs(directory));
  std::vector<LockedPackage> missing;
  std::vector<Download> there;
  std::size_t from_host = 0;
  for (const LockedPackage& package : packages) {
    const std::string cached = download_path(around.cache_dir, package.sha256);
    ORCH_TRY(const Verdict verdict, verify(cached, package));
    if (verdict == Verdict::sound) {
      there.push_back({package, cached});
      continue;
    }
    if (verdict == Verdict::differs) ORCH_CHECK(sys::remove_tree(cached));
    if (take_from_host(package, source, around, scratch))
      ++from_host;
    else
      missing.push_back(package);
  }
  if (from_host != 0 && around.log)
    around.log("took " + base::quantity(from_host, "package", "packages") + " from '" + around.host_archives +
               "'");
  // Another source, which demands less, may have brought them.
  ORCH_CHECK(check_rpm_signatures(source, around, scratch, there));
  if (!missing.empty()) ORCH_CHECK(bring(missing, source, around, scratch));
  for (const LockedPackage& package : packages)
    ORCH_CHECK(place_download(download_path(around.cache_dir, package.sha256),
                              directory + "/" + archive_file_name(package)));
  return {};
}

}  // namespace orch::package
