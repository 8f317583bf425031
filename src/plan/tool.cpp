#include "plan/tool.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

namespace orch::plan {

using base::ErrorKind;
using base::fail;

ToolFinder::ToolFinder(hash::StatCache& stat_cache, sys::ProcessRunner& processes, std::string search_path,
                       std::map<std::string, Identify> special)
    : stat_cache_(stat_cache),
      processes_(processes),
      search_path_(std::move(search_path)),
      special_(std::move(special)) {}

Result<model::SpecTool> ToolFinder::find(const model::RuleTool& tool) {
  // sbin holds mkfs.erofs on some systems, and an ordinary user's PATH may lack it.
  const std::optional<std::string> path =
      sys::find_program(tool.program, search_path_ + ":/usr/local/sbin:/usr/sbin:/sbin");
  if (!path) {
    if (tool.optional) return model::SpecTool{tool, "", "absent"};
    const std::string hint =
        tool.package_hint.empty()
            ? std::string("install it, or put its folder on PATH")
            : fmt::format("install the package '{}' (or put the folder of the program on PATH)",
                          tool.package_hint);
    return fail(
        base::Error(ErrorKind::not_found, fmt::format("the program '{}' was not found", tool.program), hint)
            .at(tool.span));
  }
  ORCH_TRY(std::string text, identity(tool, *path));
  return model::SpecTool{tool, *path, std::move(text)};
}

Result<std::string> ToolFinder::identity(const model::RuleTool& tool, const std::string& path) {
  if (tool.identity == "digest") {
    ORCH_TRY(const hash::Digest digest, stat_cache_.digest(path));
    return "xxh3:" + digest.hex();
  }
  std::string topic = tool.identity + " " + base::join(tool.version_args, " ");
  const auto special = special_.find(tool.identity);
  // Such an identity speaks of libraries too; an upgrade of any library rewrites the loader's cache.
  if (special != special_.end()) {
    const Result<struct stat> libraries = sys::stat_file("/etc/ld.so.cache");
    if (libraries) topic += fmt::format(" {}.{}", libraries->st_mtim.tv_sec, libraries->st_mtim.tv_nsec);
  }
  // Keyed on the file behind symlinks: an upgrade changes its inode.
  return stat_cache_.text_of(sys::real_path(path).value_or(path), topic, [&]() -> Result<std::string> {
    return special != special_.end() ? special->second(path) : version_of(tool, path);
  });
}

Result<std::string> ToolFinder::version_of(const model::RuleTool& tool, const std::string& path) {
  sys::Command command;
  command.argv = {path};
  command.argv.insert(command.argv.end(), tool.version_args.begin(), tool.version_args.end());
  command.environment = sys::Environment{{"PATH", search_path_}, {"LC_ALL", "C"}, {"TZ", "UTC"}};
  command.timeout = std::chrono::seconds(20);
  ORCH_TRY(const sys::Exit ended, processes_.run(command));
  // Some programs print their version to standard error, some end with a status of their own (unsquashfs: 1).
  const std::string_view text = base::trim(ended.output.empty() ? ended.errors : ended.output);
  if (ended.signal != 0 || ended.timed_out || text.empty())
    return fail(
        ErrorKind::tool,
        fmt::format("'{}' did not say its version: it {}", base::shell_join(command.argv), ended.describe()),
        "check that the program works");
  return std::string(base::trim(base::split(text, '\n').front()));
}

}  // namespace orch::plan
