// Finds the tools of steps and their identities: the part of a tool that takes part in keys.
#pragma once

#include "base/result.hpp"
#include "hash/stat_cache.hpp"
#include "model/rule.hpp"
#include "model/spec.hpp"
#include "sys/process.hpp"

#include <functional>
#include <map>
#include <string>

namespace orch::plan {

using base::Result;

class ToolFinder {
 public:
  // A way to identify a program that plan itself cannot know ("erofs-writer"): path to text.
  using Identify = std::function<Result<std::string>(const std::string& path)>;

  // `search_path`: PATH of the user. References must outlive the finder.
  ToolFinder(hash::StatCache& stat_cache, sys::ProcessRunner& processes, std::string search_path,
             std::map<std::string, Identify> special);

  // A missing tool that is not optional is an error that names the package to install. Identities are
  // remembered by the stat cache, so a program is run at most once for its version until it changes.
  Result<model::SpecTool> find(const model::RuleTool& tool);

 private:
  Result<std::string> identity(const model::RuleTool& tool, const std::string& path);
  Result<std::string> version_of(const model::RuleTool& tool, const std::string& path);

  hash::StatCache& stat_cache_;
  sys::ProcessRunner& processes_;
  std::string search_path_;
  std::map<std::string, Identify> special_;
};

}  // namespace orch::plan
