#include "evidence/run_directory.hpp"

#include "base/text.hpp"
#include "evidence/ab_directory.hpp"
#include "evidence/bench_directory.hpp"
#include "evidence/last_words.hpp"
#include "evidence/plain_text.hpp"
#include "evidence/redact.hpp"
#include "format/json.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace orch::evidence {

using base::errno_error;
using base::ErrorKind;
using base::fail;

namespace {

constexpr const char* k_reserve = "/.run.report.json.reserve";
constexpr std::uint64_t k_reserved_bytes = 128 * 1024;
constexpr std::uint64_t k_slack = 64 * 1024;  // by which a report grows while the application runs

std::string folder_name(const std::string& app) {
  std::string out = app.empty() ? "app" : app;
  for (char& c : out) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || c == '.';
    if (!plain) c = '_';
  }
  if (out[0] == '.') out[0] = '_';
  return out;
}

Result<std::string> make_exclusively(const std::string& parent, const std::string& name) {
  Result<> made = sys::make_dirs(parent);
  if (!made) {
    made.error().hint = "name another place with --out-dir, or set [evidence] dir";
    return fail(std::move(made.error()));
  }
  constexpr int k_attempts = 10'000;
  for (int i = 1; i < k_attempts; ++i) {
    const std::string path = fmt::format("{}/{}{}", parent, name, i == 1 ? "" : fmt::format("-{}", i));
    if (::mkdir(path.c_str(), 0777) == 0) return path;
    if (errno != EEXIST)
      return fail(errno_error(errno, "make the evidence directory", path)
                      .with_hint("name another place with --out-dir, or set [evidence] dir"));
  }
  return fail(errno_error(EEXIST, "make an evidence directory in", parent));
}

// Of an A/B or a benchmark that was there: one of fewer variants or starts would leave the rest of them.
Result<> remove_runs_below(const std::string& path) {
  if (is_bench_directory(path)) ORCH_CHECK(sys::remove_tree(path + "/runs"));
  if (!is_ab_directory(path)) return {};
  for (int number = 1;; ++number) {
    const std::string variant = fmt::format("{}/variant-{}", path, number);
    if (!is_run_directory(variant)) return {};
    ORCH_CHECK(sys::remove_tree(variant));
  }
}

Result<std::string> use_out_dir(const Place& place) {
  const std::string path = sys::absolute_path(place.out_dir);
  ORCH_CHECK(sys::make_dirs(path));
  ORCH_TRY(const std::vector<std::string> names, sys::list_dir(path));
  if (!names.empty() && place.occupied == Place::Occupied::refuse)
    return fail(ErrorKind::usage, fmt::format("the directory '{}' is not empty", base::printable(path)),
                "name another with --out-dir, or add --force to replace the files of an earlier run");
  if (is_running(path))
    return fail(
        ErrorKind::usage, fmt::format("the run in '{}' is under way", base::printable(path)),
        "name another directory with --out-dir, or wait for that run's end (--force replaces the files "
        "of a run that is over)");
  ORCH_CHECK(remove_runs_below(path));
  for (const char* name :
       {k_ab_lock, "/inputs.json", "/run.log", "/run.report.json", "/run.cast", "/run.txt", "/bench.json",
        "/guest.record", "/guest.record-check", "/guest.record.cancelled", "/guest.record-check.cancelled",
        "/diff.json", "/probe.json", "/run.log.tail-0", "/run.log.tail-1", "/.run.report.json.reserve"})
    ORCH_CHECK(sys::remove_tree(path + name));
  return path;
}

bool is_same_file(int fd, const std::string& path) {
  struct stat mine = {};
  const sys::Result<struct stat> there = sys::lstat_file(path);
  return there && ::fstat(fd, &mine) == 0 && mine.st_dev == there->st_dev && mine.st_ino == there->st_ino;
}

}  // namespace

// Whoever looks at the lock (is_running) holds it for an instant: that must not leave this run without it, which would
// look dead for as long as it lives. A file system without locks costs the difference between a live run and a dead one,
// not the run.
Result<> lock_for_life(int file, const std::string& path) {
  constexpr std::chrono::milliseconds k_between(5);
  constexpr int k_attempts = 200;
  for (int i = 0; i < k_attempts; ++i) {
    if (::flock(file, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno != EWOULDBLOCK && errno != EINTR) return {};
    std::this_thread::sleep_for(k_between);
  }
  return fail(ErrorKind::io, fmt::format("another process holds the lock of '{}'", base::printable(path)),
              "end that process ('lslocks' names it), or name another place with --out-dir");
}

std::string evidence_root(const std::string& setting, const std::string& directory,
                          const std::string& state_dir) {
  if (!setting.empty() && setting != "auto") return setting;
  const sys::Result<struct stat> notes = sys::stat_file(directory + "/docs/agent-context");
  if (notes && S_ISDIR(notes->st_mode)) return directory + "/docs/agent-context/research";
  return state_dir + "/evidence";
}

Result<std::string> make_directory(const Place& place) {
  return place.out_dir.empty()
             ? make_exclusively(place.root + "/" + folder_name(place.app), sys::compact_local(place.now))
             : use_out_dir(place);
}

Result<RunDirectory> RunDirectory::create(const Place& place) {
  ORCH_TRY(std::string path, make_directory(place));
  RunDirectory out(std::move(path));
  ORCH_CHECK(out.open_files());
  return out;
}

Result<> RunDirectory::open_files() {
  ORCH_TRY(sys::Fd log,
           sys::open_file(path_ + "/run.log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW));
  ORCH_CHECK(lock_for_life(log.get(), path_ + "/run.log"));
  log_ = RunLog(std::move(log), path_ + "/run.log");
  ORCH_TRY(reserve_, sys::open_file(path_ + k_reserve, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
  return reserve(k_reserved_bytes);
}

Result<> RunDirectory::reserve(std::uint64_t bytes) {
  if (bytes <= reserved_) return {};
  const int number = ::posix_fallocate(reserve_.get(), 0, static_cast<off_t>(bytes));
  if (number != 0)
    return fail(errno_error(number, "reserve the space of", path_ + "/run.report.json")
                    .with_hint("free some space, or name another place with --out-dir"));
  reserved_ = bytes;
  return {};
}

void RunDirectory::begin_capture(const Capture& capture, const RunCast::Header& header) {
  setting_ = capture;
  log_.set_limit(capture.max_log);
  begin_ = std::chrono::steady_clock::now();
  if (!capture.cast) return;
  if (sys::Fd file = open_capture("run.cast")) cast_ = RunCast(std::move(file), log_.fd(), header);
}

sys::Fd RunDirectory::open_capture(const char* name) {
  sys::Result<sys::Fd> file =
      sys::open_file(path_ + "/" + name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW);
  if (file) return *std::move(file);
  problems_.push_back(fmt::format("{} could not be opened ({})", name, file.error().what));
  return {};
}

void RunDirectory::capture(std::string_view bytes) {
  log_.write(bytes);
  cast_.note(log_.bytes(), std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count());
}

void RunDirectory::end_capture() {
  cast_.finish(log_.seen());  // before the log gets its end, whose timing is not known
  log_.finish();
  if (setting_.plain) write_plain();
}

// As much of it as can be had: run.log has it all.
void RunDirectory::write_plain() {
  constexpr std::size_t k_piece = 256 * 1024;
  const sys::Fd to = open_capture("run.txt");
  if (!to) return;
  const auto put = [&](const std::string& text) {
    const Result<> written = sys::write_all(to.get(), text, "run.txt");
    if (!written)
      problems_.push_back(fmt::format("run.txt could not be written to its end ({}); run.log has it all",
                                      written.error().what));
    return written.has_value();
  };
  PlainText plain;
  for (std::uint64_t at = 0;;) {
    const sys::Result<std::string> piece = sys::read_at(log_.fd(), at, k_piece, "run.log");
    if (!piece)
      problems_.push_back(fmt::format("run.txt ends early ({}); run.log has it all", piece.error().what));
    if (!piece || piece->empty()) break;
    at += piece->size();
    if (!put(plain.add(*piece))) return;
  }
  put(plain.finish());
}

RunDirectory::~RunDirectory() {
  if (reserve_ && is_same_file(reserve_.get(), path_ + k_reserve)) ::unlink((path_ + k_reserve).c_str());
}

Result<> RunDirectory::write_inputs(const Value& inputs) {
  Value document = redact(inputs);
  // As TOML: the rule for texts does not know all of its spellings.
  if (const Value* verbatim = inputs.find_path("profile.verbatim");
      verbatim != nullptr && verbatim->is_string())
    document.find("profile")->set("verbatim", redact_toml(verbatim->as_string()));
  return sys::write_atomic(path_ + "/inputs.json", format::to_json(document));
}

Result<> RunDirectory::write_report(const Value& report) {
  const std::string text = format::to_json(redact(report));
  ORCH_CHECK(reserve(text.size() + k_slack));
  return sys::write_atomic(path_ + "/run.report.json", text);
}

void RunDirectory::prepare_last_words(const std::function<Value(int)>& report, Tell tell) {
  const std::string message = tell == Tell::yes ? "evidence: " + base::printable(path_) + "\n" : "";
  evidence::prepare_last_words({reserve_.get(), path_ + k_reserve, path_ + "/run.report.json", message,
                                [&report](int signal) { return format::to_json(redact(report(signal))); }});
}

Result<> RunDirectory::finish(const Value& report) {
  forget_last_words();
  const std::string text = format::to_json(redact(report));
  const std::string reserve = path_ + k_reserve;
  const std::string path = path_ + "/run.report.json";
  if (!is_same_file(reserve_.get(), reserve)) return finish_without_reserve(text);
  // Written over the reserved blocks first, cut afterwards: cutting first would give them back.
  ORCH_CHECK(sys::write_all(reserve_.get(), text, path));
  if (::ftruncate(reserve_.get(), static_cast<off_t>(text.size())) != 0)
    return fail(errno_error(errno, "write", path));
  ORCH_CHECK(sys::rename_file(reserve, path));
  reserve_.reset();
  return {};
}

// Somebody removed the file, or put others in the place of this run's: what is another's stays as it is.
Result<> RunDirectory::finish_without_reserve(const std::string& text) {
  const std::string path = path_ + "/run.report.json";
  if (!is_same_file(log_.fd(), path_ + "/run.log"))
    return fail(
        ErrorKind::io,
        fmt::format("cannot write '{}': the files of this run are no longer there", base::printable(path)),
        "leave a run's directory as it is until the run is over");
  return sys::write_atomic(path, text);
}

bool is_running(const std::string& run_directory) {
  const auto locked = [&](const char* name) {
    const sys::Result<sys::Fd> file = sys::open_file(run_directory + name, O_RDONLY);
    return file && ::flock(file->get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  };
  return locked("/run.log") || locked(k_ab_lock);
}

bool may_run(const std::string& run_directory) {
  const auto may_be_locked = [&](const char* name) {
    const sys::Result<sys::Fd> file = sys::open_file(run_directory + name, O_RDONLY);
    if (!file) return file.error().kind != ErrorKind::not_found;
    return ::flock(file->get(), LOCK_SH | LOCK_NB) != 0;
  };
  return may_be_locked("/run.log") || may_be_locked(k_ab_lock);
}

}  // namespace orch::evidence
