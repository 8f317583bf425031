// The directory of an A/B: variants that are held against each other. DIR/APP/YYYYMMDD-HHMMSS with a run in each of variant-1,
// variant-2, …, and diff.json ("appimage-orch/ab/1", probe/ab.hpp). For lists and for removing it is one run.
#pragma once

#include "evidence/run_directory.hpp"
#include "evidence/run_record.hpp"

#include <string>

namespace orch::evidence {

// Holds a lock in the directory as long as it lives: between two variants no run of them does.
class AbDirectory {
 public:
  static Result<AbDirectory> create(const Place& place);
  AbDirectory(AbDirectory&&) noexcept = default;
  AbDirectory& operator=(AbDirectory&&) = delete;
  ~AbDirectory();

  const std::string& path() const { return path_; }
  // Of the run of a variant, counted from 1.
  std::string variant(std::size_t number) const;
  // Replaces diff.json atomically; secrets are redacted here.
  Result<> write(const Value& report);

 private:
  explicit AbDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
  sys::Fd lock_;
};

// True for a directory (no link) with a diff.json of that schema and no run's report beside it.
bool is_ab_directory(const std::string& path);

// As read_run(), of such a directory: when its variants began and ended.
Run read_ab(const std::string& path, const std::string& name, TimePoint now, Parts parts);

}  // namespace orch::evidence
