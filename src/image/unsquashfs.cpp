// Extraction by the program `unsquashfs`, brought to what extract_squashfs makes: its check of names before,
// its permission bits and kinds of files after. The way for LZO, which libsquashfs cannot decode, and for
// comparison.
#include "base/text.hpp"
#include "image/extract.hpp"
#include "image/squashfs.hpp"
#include "sys/file.hpp"

#include <climits>
#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace orch::image {

using base::errno_error;
using base::ErrorKind;
using base::fail;

namespace {

constexpr std::string_view k_listed_root = "squashfs-root/";

sys::Environment child_environment() {
  return {{"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C"}, {"TZ", "UTC"}};
}

std::string last_lines(std::string_view text) {
  text = base::trim(text);
  const std::size_t from = text.size() > 400 ? text.size() - 400 : 0;
  return base::printable(text.substr(from));
}

// Versions before 4.5.1 follow links that the image itself made (CVE-2021-41072).
Result<> check_version(sys::ProcessRunner& processes, const std::string& program) {
  sys::Command command;
  command.argv = {program, "-version"};
  command.environment = child_environment();
  ORCH_TRY(const sys::Exit exit, processes.run(command));
  constexpr std::string_view k_before = "unsquashfs version ";
  const std::size_t at = exit.output.find(k_before);
  std::array<int, 3> version{};
  if (at != std::string::npos) {
    const char* text = exit.output.data() + at + k_before.size();
    const char* const end = exit.output.data() + exit.output.size();
    for (int& part : version) {
      const auto parsed = std::from_chars(text, end, part);
      if (parsed.ec != std::errc() || parsed.ptr == end || *parsed.ptr != '.') break;
      text = parsed.ptr + 1;
    }
  }
  if (version >= std::array<int, 3>{4, 5, 1}) return {};
  return fail(
      ErrorKind::tool,
      fmt::format(
          "'{}' is version {}.{}.{}, expected 4.5.1 or newer: older ones can be made to write elsewhere",
          base::printable(program), version[0], version[1], version[2]),
      "update the package 'squashfs-tools', or choose the backend \"squashfs\"");
}

// What will not arrive, and that everything else may: from the image's own metadata.
Result<> survey_tree(const FileTree& tree, const ExtractLimits& limits, Extraction& out) {
  std::uint64_t total = 0;
  const auto visit = [&](const WalkEntry& entry) -> Result<> {
    const bool kept = entry.type == NodeType::file || entry.type == NodeType::directory;
    if (!kept && entry.type != NodeType::symlink) out.skipped.push_back({entry.path, entry.type});
    if (!kept) return {};
    ORCH_TRY(const NodeInfo info, tree.stat(entry.node));
    if ((info.mode & 07000) != 0) out.special_bits.push_back(entry.path);
    total += info.size;
    if (info.size > limits.file_bytes || total > limits.total_bytes)
      return fail(ErrorKind::corrupt, "the image unpacks to more than the limits allow",
                  "this looks like a decompression bomb; do not use it");
    return {};
  };
  return walk(tree, visit, {static_cast<std::size_t>(limits.entries), limits.depth});
}

// The same from unsquashfs's listing, where the metadata cannot be decoded here. A line is "MODE OWNER …
// PATH".
Result<> survey_listing(sys::ProcessRunner& processes, const std::string& program, const std::string& file,
                        std::uint64_t offset, Extraction& out) {
  sys::Command command;
  command.argv = {program, "-o", std::to_string(offset), "-llnumeric", file};
  command.environment = child_environment();
  ORCH_TRY(const sys::Exit exit, processes.run(command));
  if (!exit.ok())
    return fail(ErrorKind::tool, fmt::format("unsquashfs {}: {}", exit.describe(), last_lines(exit.errors)),
                "download or copy the file again");
  for (const std::string_view line : base::split(exit.output, '\n')) {
    const std::size_t at = line.find(k_listed_root);
    if (at == std::string_view::npos || at < 10) continue;
    const std::string path(line.substr(at + k_listed_root.size()));
    const std::string_view mode = line.substr(0, 10);
    constexpr std::string_view k_kinds = "cbps";
    constexpr std::array<NodeType, 4> k_types = {NodeType::char_device, NodeType::block_device,
                                                 NodeType::fifo, NodeType::socket};
    const std::size_t kind = k_kinds.find(mode[0]);
    if (kind != std::string_view::npos) out.skipped.push_back({path, k_types[kind]});
    if ((mode[0] == '-' || mode[0] == 'd') && mode.find_first_of("sStT") != std::string_view::npos)
      out.special_bits.push_back(path);
  }
  return {};
}

// Status 2 says that something was left out. Right only where that is a device, FIFO or socket.
bool only_special_files_failed(const sys::Exit& exit) {
  if (exit.status != 2 || exit.signal != 0 || exit.timed_out) return false;
  for (const std::string_view line : base::split(exit.errors, '\n')) {
    if (base::trim(line).empty()) continue;
    const bool special = line.find(" device ") != std::string_view::npos ||
                         line.find(" fifo ") != std::string_view::npos ||
                         line.find(" socket ") != std::string_view::npos;
    if (!line.starts_with("create_inode: ") || !special) return false;
  }
  return true;
}

// Takes from what unsquashfs wrote the owners, special bits and special files that extract_squashfs never
// makes.
class Normaliser {
 public:
  Result<> directory(int parent, const std::string& name, const std::string& path, std::size_t depth) {
    if (depth > 512)
      return fail(ErrorKind::corrupt, fmt::format("'{}' lies too deep", base::printable(path)));
    struct stat before {};
    if (::fstatat(parent, name.c_str(), &before, AT_SYMLINK_NOFOLLOW) != 0) return broken("look at", path);
    // Mode first: a directory may be closed to its owner.
    if (::fchmodat(parent, name.c_str(), (before.st_mode & 0777) | 0700, 0) != 0)
      return broken("change", path);
    const sys::Fd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return broken("open", path);
    ORCH_TRY(const std::vector<std::string> names, sys::list_dir(fmt::format("/proc/self/fd/{}", fd.get())));
    for (const std::string& entry : names) ORCH_CHECK(any(fd.get(), entry, path + "/" + entry, depth));
    const std::array<timespec, 2> times = {before.st_mtim, before.st_mtim};
    if (own(fd.get(), "", path, before) && ::futimens(fd.get(), times.data()) == 0) return {};
    return broken("change", path);
  }

 private:
  static tl::unexpected<base::Error> broken(std::string_view action, const std::string& path) {
    return fail(errno_error(errno, action, path));
  }
  bool own(int fd, const char* name, const std::string&, const struct stat& info) const {
    if (info.st_uid == uid_ && info.st_gid == gid_) return true;
    return ::fchownat(fd, name, uid_, gid_, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0;
  }
  Result<> any(int parent, const std::string& name, const std::string& path, std::size_t depth) {
    struct stat info {};
    if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return broken("look at", path);
    if (S_ISDIR(info.st_mode)) return directory(parent, name, path, depth + 1);
    if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) {
      if (::unlinkat(parent, name.c_str(), 0) != 0) return broken("remove", path);
      return {};
    }
    if (!own(parent, name.c_str(), path, info)) return broken("change", path);
    if (S_ISREG(info.st_mode) && (info.st_mode & 07000) != 0 &&
        ::fchmodat(parent, name.c_str(), info.st_mode & 0777, 0) != 0)
      return broken("change", path);
    return {};
  }

  uid_t uid_ = ::geteuid();
  gid_t gid_ = ::getegid();
};

Result<Extraction> run(sys::ProcessRunner& processes, const std::string& program, const std::string& file,
                       std::uint64_t offset, const std::string& target, const ExtractOptions& options) {
  Extraction out;
  ORCH_CHECK(check_version(processes, program));
  ORCH_TRY(const std::shared_ptr<FileAccess> data, FileAccess::open(file));
  ORCH_TRY(const SquashfsSuper super, read_squashfs_super(*data, offset));
  auto payload = std::make_shared<SliceAccess>(data, offset, super.bytes_used);
  Result<std::unique_ptr<SquashfsTree>> tree = SquashfsTree::open(std::move(payload));
  if (tree)
    ORCH_CHECK(survey_tree(**tree, options.limits, out));
  else
    ORCH_CHECK(survey_listing(processes, program, file, offset, out));
  sys::Command command;
  command.argv = {program,
                  "-quiet",
                  "-no-progress",
                  "-no-xattrs",
                  "-processors",
                  std::to_string(std::max(1U, options.threads)),
                  "-o",
                  std::to_string(offset),
                  "-dest",
                  target,
                  file};
  command.environment = child_environment();
  command.umask = 0;  // for ordinary users it would cut the modes
  ORCH_TRY(const sys::Exit exit, processes.run(command));
  if (!exit.ok() && !only_special_files_failed(exit))
    return fail(ErrorKind::tool, fmt::format("unsquashfs {}: {}", exit.describe(), last_lines(exit.errors)),
                "see its message above; a damaged download and a full disk are the usual causes");
  ORCH_CHECK(Normaliser().directory(AT_FDCWD, target, target, 0));
  ORCH_TRY(out.listing, hash::list_tree(target, options.threads));
  std::sort(out.skipped.begin(), out.skipped.end(),
            [](const SkippedNode& a, const SkippedNode& b) { return a.path < b.path; });
  std::sort(out.special_bits.begin(), out.special_bits.end());
  return out;
}

}  // namespace

Result<Extraction> extract_with_unsquashfs(sys::ProcessRunner& processes, const std::string& unsquashfs,
                                           const std::string& file, std::uint64_t offset,
                                           const std::string& target, const ExtractOptions& options) {
  if (sys::exists(target)) return fail(errno_error(EEXIST, "create directory", target));
  Result<Extraction> done = run(processes, unsquashfs, file, offset, target, options);
  if (!done) static_cast<void>(sys::remove_tree(target));
  return done;
}

}  // namespace orch::image
