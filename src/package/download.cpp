#include "package/download.hpp"

#include "base/text.hpp"
#include "package/archive_cache.hpp"
#include "sys/file.hpp"
#include "sys/shared_library.hpp"

#include <curl/curl.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <strings.h>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

// The functions of libcurl that are used here.
struct Curl {
  decltype(&curl_global_init) global_init = nullptr;
  decltype(&curl_easy_init) easy_init = nullptr;
  decltype(&curl_easy_setopt) easy_setopt = nullptr;
  decltype(&curl_easy_perform) easy_perform = nullptr;
  decltype(&curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&curl_easy_strerror) easy_strerror = nullptr;
  decltype(&curl_easy_cleanup) easy_cleanup = nullptr;
};

Result<Curl> load_curl() {
  ORCH_TRY(sys::SharedLibrary library,
           sys::SharedLibrary::load({"libcurl.so.4", "libcurl-gnutls.so.4"}, "libcurl", "downloads",
                                    "install the package 'libcurl4' (Debian) or 'libcurl' (Fedora)"));
  Curl curl;
  library.find("curl_global_init", curl.global_init);
  library.find("curl_easy_init", curl.easy_init);
  library.find("curl_easy_setopt", curl.easy_setopt);
  library.find("curl_easy_perform", curl.easy_perform);
  library.find("curl_easy_getinfo", curl.easy_getinfo);
  library.find("curl_easy_strerror", curl.easy_strerror);
  library.find("curl_easy_cleanup", curl.easy_cleanup);
  ORCH_CHECK(library.complete());
  if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return base::fail(ErrorKind::internal, "libcurl cannot be started");
  return curl;
}

struct Sink {
  int fd = -1;
  std::uint64_t room = 0;  // bytes that may still come
  bool overflowed = false;
  int error = 0;  // errno of a write that failed
};

std::size_t write_to_sink(char* data, std::size_t size, std::size_t count, void* target) {
  auto* sink = static_cast<Sink*>(target);
  sink->overflowed = size * count > sink->room;
  if (sink->overflowed) return 0;
  const auto written = sys::write_all(sink->fd, std::string_view(data, size * count), "download");
  if (written) {
    sink->room -= size * count;
    return size * count;
  }
  sink->error = written.error().kind == ErrorKind::no_space ? ENOSPC : EIO;
  return 0;
}

// What is to be brought, and how much of it may come.
struct Target {
  const std::string& url;
  const std::string& file;
  std::uint64_t most;
};

bool has_scheme(std::string_view url, std::string_view scheme) {
  return url.size() >= scheme.size() && ::strncasecmp(url.data(), scheme.data(), scheme.size()) == 0;
}

// A transfer that begins with https stays with it. One that begins with http may lead to https and from there back:
// whoever could abuse that holds its beginning. Before 7.85 libcurl knows protocols as bits only (options 181 and 182:
// 1 http, 2 https, 1024 file); newer headers warn of their names.
Result<> restrict_protocols(const Curl& curl, CURL* easy, const std::string& url) {
  const bool secure = !has_scheme(url, "http:");
  const char* const redirected = secure ? "https" : "http,https";
  if (curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https,file") == CURLE_OK &&
      curl.easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, redirected) == CURLE_OK)
    return {};
  if (curl.easy_setopt(easy, static_cast<CURLoption>(181), 1L | 2L | 1024L) == CURLE_OK &&
      curl.easy_setopt(easy, static_cast<CURLoption>(182), secure ? 2L : 1L | 2L) == CURLE_OK)
    return {};
  return base::fail(ErrorKind::unsupported, "libcurl cannot be held to https",
                    "install a libcurl that knows https (7.19.4 or newer)");
}

tl::unexpected<base::Error> too_large(const Target& target) {
  return base::fail(ErrorKind::corrupt,
                    "'" + base::printable(target.url) + "' is not what is expected: it has more than " +
                        std::to_string(target.most) + " bytes",
                    "correct the address; if the file was replaced on purpose, take its present state with "
                    "'appimage-orch lock --update', of a finished image with 'appimage-orch lock --images'");
}

enum class Transfer { complete, restart };

// How a transfer that failed ends.
Result<Transfer> failed(const Curl& curl, CURL* easy, CURLcode code, const char* message,
                        const Target& target, const Sink& sink, bool resumed) {
  long status = 0;
  curl.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  const bool cannot_resume = code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME || status == 416;
  // What is too large behind another file's beginning may be right from the start.
  if (resumed && (cannot_resume || sink.overflowed)) return Transfer::restart;
  if (sink.error != 0) return base::fail(base::errno_error(sink.error, "write", target.file));
  if (sink.overflowed) return too_large(target);
  const bool absent = status == 404 || status == 410 || code == CURLE_FILE_COULDNT_READ_FILE;
  return base::fail(absent ? ErrorKind::not_found : ErrorKind::io,
                    "'" + base::printable(target.url) + "' cannot be downloaded: " +
                        base::printable(message[0] != '\0' ? message : curl.easy_strerror(code)),
                    absent ? "correct the address in the profile"
                           : "check the network and try again: the download goes on where it stopped");
}

// One attempt, from `offset` on. `restart`: the server cannot go on from there.
Result<Transfer> transfer(const Curl& curl, const Target& target, int fd, std::uint64_t offset) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl.easy_init(), curl.easy_cleanup);
  if (!handle) return base::fail(ErrorKind::internal, "libcurl gives no handle");
  CURL* easy = handle.get();
  Sink sink;
  sink.fd = fd;
  sink.room = target.most - offset;
  char message[CURL_ERROR_SIZE] = "";
  ORCH_CHECK(restrict_protocols(curl, easy, target.url));
  curl.easy_setopt(easy, CURLOPT_URL, target.url.c_str());
  curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
  curl.easy_setopt(easy, CURLOPT_MAXREDIRS, 10L);
  curl.easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
  curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, 30L);
  curl.easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl.easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 60L);
  curl.easy_setopt(easy, CURLOPT_USERAGENT, "appimage-orch");
  curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, message);
  curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, write_to_sink);
  curl.easy_setopt(easy, CURLOPT_WRITEDATA, &sink);
  curl.easy_setopt(easy, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(offset));
  const CURLcode code = curl.easy_perform(easy);
  if (code == CURLE_OK) return Transfer::complete;
  return failed(curl, easy, code, message, target, sink, offset > 0);
}

Result<> truncate_file(int fd, const std::string& path) {
  if (::ftruncate(fd, 0) != 0 || ::lseek(fd, 0, SEEK_SET) != 0)
    return base::fail(base::errno_error(errno, "truncate", path));
  return {};
}

struct Opened {
  sys::Fd fd;
  bool resumed = false;  // what the file held was the beginning of what it holds now
};

// Fills the file with what the address has, going on from what is there. Leaves nothing of what is too large.
Result<Opened> fill(const Curl& curl, const Target& target) {
  ORCH_TRY(sys::Fd fd, sys::open_file(target.file, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600));
  for (int attempt = 0;; ++attempt) {
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return base::fail(base::errno_error(errno, "examine", target.file));
    auto offset = static_cast<std::uint64_t>(info.st_size);
    if (offset > target.most) {
      ORCH_CHECK(truncate_file(fd.get(), target.file));
      offset = 0;
    }
    const Result<Transfer> outcome = transfer(curl, target, fd.get(), offset);
    if (!outcome && outcome.error().kind == ErrorKind::corrupt)
      ORCH_CHECK(truncate_file(fd.get(), target.file));
    ORCH_CHECK(outcome);
    if (*outcome == Transfer::complete) return Opened{std::move(fd), offset > 0};
    if (attempt > 0)
      return base::fail(ErrorKind::io, "'" + base::printable(target.url) +
                                           "' cannot be downloaded: the server refuses every range");
    ORCH_CHECK(truncate_file(fd.get(), target.file));
  }
}

// Fills the partial file; leaves it, verified, for the caller to move. What was there before may be the
// beginning of another file: if the sum is wrong after going on from it, everything is brought once more.
Result<> fill_verified(const Target& target, const hash::Sha256& sha256) {
  const std::string& partial = target.file;
  ORCH_TRY(const Curl curl, load_curl());
  for (;;) {
    ORCH_TRY(const Opened opened, fill(curl, target));
    ORCH_TRY(const hash::Sha256 found, hash::sha256_fd(opened.fd.get(), partial));
    if (found == sha256) {
      if (::fchmod(opened.fd.get(), 0444) == 0) return {};
      return base::fail(base::errno_error(errno, "change the mode of", partial));
    }
    ORCH_CHECK(truncate_file(opened.fd.get(), partial));
    if (!opened.resumed)
      return base::fail(
          ErrorKind::corrupt,
          "'" + base::printable(target.url) + "' is not what the profile names: expected sha256 " +
              sha256.hex() + ", found " + found.hex(),
          "if the file was replaced on purpose, write the new sha256 into the profile; for a finished "
          "image, 'appimage-orch lock --images' writes it into the lock file");
  }
}

Result<> check_address(const std::string& url) {
  if (is_address(url)) return {};
  return base::fail(ErrorKind::profile, "'" + base::printable(url) + "' is no address that can be fetched",
                    "use https://, http:// or file:///");
}

Result<bool> is_sound(const std::string& path, const hash::Sha256& expected) {
  if (!sys::exists(path)) return false;
  ORCH_TRY(const sys::Fd fd, sys::open_file(path, O_RDONLY));
  ORCH_TRY(const hash::Sha256 found, hash::sha256_fd(fd.get(), path));
  return found == expected;
}

}  // namespace

bool is_address(std::string_view url) {
  const bool local = has_scheme(url, "file:/") && !has_scheme(url, "file://");
  return local || has_scheme(url, "https://") || has_scheme(url, "http://") || has_scheme(url, "file:///");
}

bool is_local_address(std::string_view url) {
  return has_scheme(url, "file:");
}

Result<> download_to(const std::string& url, const std::string& file, std::uint64_t most) {
  ORCH_CHECK(check_address(url));
  ORCH_TRY(const Curl curl, load_curl());
  ORCH_TRY(const Opened opened, fill(curl, {url, file, most}));
  return {};
}

Result<std::string> download_verified(const std::vector<std::string>& urls, const hash::Sha256& sha256,
                                      const std::string& cache_dir,
                                      const std::function<void(std::string_view)>& log, std::uint64_t most) {
  for (const std::string& url : urls) ORCH_CHECK(check_address(url));
  std::string cached = download_path(cache_dir, sha256);
  const std::string partial = cache_dir + "/downloads/partial/" + sha256.hex();
  ORCH_CHECK(sys::make_dirs(sys::parent_path(cached)));
  ORCH_CHECK(sys::make_dirs(sys::parent_path(partial)));
  ORCH_TRY(const auto lock, sys::FileLock::acquire(partial + ".lock", sys::FileLock::Wait::yes));
  ORCH_TRY(const bool sound, is_sound(cached, sha256));
  if (sound) return cached;
  ORCH_CHECK(sys::remove_tree(cached));
  Result<> filled = base::fail(ErrorKind::not_found, "nothing says where the file " + sha256.hex() + " is");
  for (const std::string& url : urls) {
    if (log) log((&url == &urls.front() ? "downloading " : "that failed; downloading ") + url);
    filled = fill_verified({url, partial, most}, sha256);
    if (filled) break;
  }
  ORCH_CHECK(filled);
  ORCH_CHECK(sys::rename_file(partial, cached));
  return cached;
}

Result<std::string> download_verified(const std::string& url, const hash::Sha256& sha256,
                                      const std::string& cache_dir,
                                      const std::function<void(std::string_view)>& log, std::uint64_t most) {
  return download_verified(std::vector<std::string>{url}, sha256, cache_dir, log, most);
}

}  // namespace orch::package
