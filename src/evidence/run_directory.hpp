// The directory that a run leaves: DIR/APP/YYYYMMDD-HHMMSS with inputs.json, run.log, run.cast and run.report.json.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "evidence/run_cast.hpp"
#include "evidence/run_log.hpp"
#include "sys/fd.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace orch::evidence {

using base::Result;
using base::Value;

// Where evidence goes: `setting` ([evidence] dir) unless it is "auto" or empty; else
// docs/agent-context/research below `directory`, where docs/agent-context exists there; else STATE/evidence.
std::string evidence_root(const std::string& setting, const std::string& directory,
                          const std::string& state_dir);

struct Place {
  std::string root;     // evidence_root(); unused with `out_dir`
  std::string app;      // becomes a folder name; bytes other than A-Z a-z 0-9 . _ - become '_'
  std::string out_dir;  // the run's files directly in it; empty: not asked for
  // An out_dir that is not empty; that of a run that is under way is refused all the same.
  enum class Occupied { refuse, replace } occupied = Occupied::refuse;
  std::chrono::system_clock::time_point now;
};

// Makes the directory of a run, or of several that belong together: exclusively (NAME, NAME-2, …), or `out_dir`.
Result<std::string> make_directory(const Place& place);

// [evidence] of the profile, as far as it is about the terminal's output.
struct Capture {
  std::uint64_t max_log = 0;  // bytes; 0: no limit
  bool cast = true;           // run.cast
  bool plain = false;         // run.txt
};

// Holds a lock on run.log as long as it lives: that tells a running run from one that was killed.
class RunDirectory {
 public:
  // Makes the directory exclusively (NAME, NAME-2, NAME-3, …), an empty run.log, and reserves the report's
  // space. Fails if another process keeps the lock for a second.
  static Result<RunDirectory> create(const Place& place);
  RunDirectory(RunDirectory&&) noexcept = default;
  RunDirectory& operator=(RunDirectory&&) = delete;
  ~RunDirectory();

  const std::string& path() const { return path_; }
  const RunLog& log() const { return log_; }
  const RunCast& cast() const { return cast_; }
  // Before the application starts: which files its output gets. What of them cannot be made is not there.
  void begin_capture(const Capture& capture, const RunCast::Header& header);
  // Every byte of its terminal.
  void capture(std::string_view bytes);
  void end_capture();
  // Sentences for the report, where run.cast or run.txt is asked for and could not be made. After end_capture().
  const std::vector<std::string>& capture_problems() const { return problems_; }
  // Until finish(): the report that a signal leaves where no SignalSession takes it (last_words.hpp), `report` for each. With
  // `tell` the directory is named on standard error then. finish() and what follows it ignore these signals.
  enum class Tell { no, yes };
  void prepare_last_words(const std::function<Value(int signal)>& report, Tell tell);
  // Each replaces the file atomically; secrets are redacted here.
  Result<> write_inputs(const Value& inputs);
  // While it runs; reserves space for a last one that is up to 64 KiB larger.
  Result<> write_report(const Value& report);
  // The last one, into the reserved space: works on a full disk. Fails if the files of the run are gone, and leaves those
  // alone that another run put in their place.
  Result<> finish(const Value& report);

 private:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  Result<> open_files();
  Result<> reserve(std::uint64_t bytes);
  Result<> finish_without_reserve(const std::string& text);
  sys::Fd open_capture(const char* name);
  void write_plain();
  std::string path_;
  RunLog log_;
  RunCast cast_;
  Capture setting_;
  std::vector<std::string> problems_;
  std::chrono::steady_clock::time_point begin_;
  sys::Fd reserve_;
  std::uint64_t reserved_ = 0;  // bytes
};

// In the directory of an A/B: the lock that lives as long as it does.
inline constexpr const char* k_ab_lock = "/.ab.lock";
// Takes the lock of an open file, for as long as that is open.
Result<> lock_for_life(int file, const std::string& path);

// True while the process that made this directory, of a run or of an A/B, lives.
bool is_running(const std::string& run_directory);
// False where that is certain: nobody holds the lock, or there is none to hold. On a file system without locks, nothing
// is.
bool may_run(const std::string& run_directory);

}  // namespace orch::evidence
