// A build folder: what one set of profiles built together leaves beside its ninja file.
//
//   build.ninja            generated
//   root, orch             symlinks: the folder that leaf files are relative to, and the tool's binary
//   steps/ID.json          model::StepSpec
//   stamps/ID              model::Stamp; ID.prev is one that a plan set aside because its key is out of date
//   logs/ID.log            output of the step's last execution
//   index.json             slot -> step id of the last build that brought it up to date: how a step whose
//   parameters
//                          (and so its id) changed finds what it was before
//   lock                   held (flock) by a build and inherited by its ninja and steps
//   ninja.log              what ninja printed
#pragma once

#include "base/result.hpp"
#include "model/spec.hpp"
#include "sys/file.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace orch::store {

using base::Result;

class BuildFolder {
 public:
  explicit BuildFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string spec_path(const std::string& id) const { return path_ + "/steps/" + id + ".json"; }
  std::string stamp_path(const std::string& id) const { return path_ + "/stamps/" + id; }
  std::string log_path(const std::string& id) const { return path_ + "/logs/" + id + ".log"; }

  Result<> prepare() const;
  // The build lock; nullopt if another build (or an orphan of one) holds it and `wait` is no.
  Result<std::optional<sys::FileLock>> lock(sys::FileLock::Wait wait) const;

  enum class StampState { present, absent, torn };
  struct StampFile {
    StampState state = StampState::absent;
    std::optional<model::Stamp> stamp;
  };
  StampFile read_stamp(const std::string& id) const;
  // The stamp, else the one that was set aside.
  std::optional<model::Stamp> last_stamp(const std::string& id) const;
  // Rewritten only if it differs.
  Result<bool> write_stamp(const model::Stamp& stamp) const;
  // After this ninja runs the step; last_stamp() still knows what it was.
  Result<> set_stamp_aside(const std::string& id) const;

  Result<bool> write_spec(const model::StepSpec& spec) const;

  using Index = std::map<std::string, std::string>;
  Index read_index() const;
  Result<> write_index(const Index& index) const;
  // Removes specs, stamps and logs of steps that are in neither list.
  void drop_unused(const std::vector<std::string>& live, const Index& index) const;

 private:
  std::string path_;
};

// Reads a spec file; for the step runner.
Result<model::StepSpec> read_spec(const std::string& path);

}  // namespace orch::store
