#include "launch/extracted_image.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace orch::launch {

using base::ErrorKind;
using base::fail;

namespace {

// Present exactly where the extraction was completed; its text says by what.
constexpr const char* k_marker = "/complete";

Result<std::string> entry_path(const model::LaunchImage& image, const Host& host, const std::string& folder) {
  if (image.digest.empty())
    return fail(ErrorKind::internal,
                fmt::format("the image '{}' has no digest", base::printable(image.path)));
  ORCH_CHECK(sys::make_dirs(folder, 0700));
  ORCH_TRY(const struct stat info, sys::stat_file(folder));
  const bool own = info.st_uid == host.uid;
  if (own) return folder + "/" + image.digest;
  return folder + "/" + image.digest + fmt::format(".uid{}", host.uid);
}

Result<> extract(const model::LaunchImage& image, const Host& host, const std::string& target) {
  sys::Command command;
  command.argv = {"fsck.erofs", "--extract=" + target, "--preserve-perms", "--no-preserve-owner", image.path};
  command.environment = sys::Environment{
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, {"LC_ALL", "C"}};
  Result<sys::Exit> exit = host.processes->run(command);
  if (!exit) {
    const bool absent = exit.error().kind == ErrorKind::not_found;
    base::Error error = std::move(exit.error());
    if (absent)
      error.hint = "install erofs-utils: it extracts the images where the caller may not mount them";
    return fail(std::move(error));
  }
  if (!exit->ok())
    return fail(
        ErrorKind::tool,
        fmt::format("fsck.erofs {} while extracting '{}': {}", exit->describe(), base::printable(image.path),
                    base::printable(base::trim(exit->errors + exit->output))),
        "the image may be damaged, or of a compression that this fsck.erofs does not know");
  return {};
}

// After this a crash of the machine cannot leave a marker without its tree.
Result<> write_to_disk(const std::string& folder) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(folder, O_RDONLY | O_DIRECTORY));
  if (::syncfs(fd.get()) != 0) return fail(base::errno_error(errno, "write", folder));
  return {};
}

Result<> make_entry(const model::LaunchImage& image, const Host& host, const std::string& folder,
                    const std::string& entry) {
  ORCH_CHECK(sys::remove_tree(entry));
  ORCH_TRY(const std::string work, sys::make_temp_dir(folder + "/.extract-"));
  Result<> made = extract(image, host, work + "/root");
  if (made) made = write_to_disk(work);
  if (made) made = sys::write_atomic(work + k_marker, image.digest + "\n", sys::Sync::yes);
  if (made) made = sys::rename_file(work, entry);
  if (!made) (void)sys::remove_tree(work);
  return made;
}

}  // namespace

Result<std::string> extracted_image(const model::LaunchImage& image, const Host& host) {
  const std::string folder = host.cache_dir + "/native";
  ORCH_TRY(const std::string entry, entry_path(image, host, folder));
  if (sys::exists(entry + k_marker)) return entry + "/root";
  const auto lock = sys::FileLock::acquire(entry + ".lock", sys::FileLock::Wait::yes);
  if (!lock) return fail(lock.error());
  if (!sys::exists(entry + k_marker)) ORCH_CHECK(make_entry(image, host, folder, entry));
  return entry + "/root";
}

std::optional<std::string> extracted_already(const model::LaunchImage& image, const std::string& cache_dir,
                                             uid_t uid) {
  for (const std::string& suffix : {std::string(), fmt::format(".uid{}", uid)}) {
    const std::string entry = fmt::format("{}/native/{}{}", cache_dir, image.digest, suffix);
    if (sys::exists(entry + k_marker)) return entry + "/root";
  }
  return std::nullopt;
}

}  // namespace orch::launch
