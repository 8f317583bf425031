#include "cli/command_action.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::Result;

namespace {

std::string parameter_text(const base::Value& value) {
  return value.is_string() ? value.as_string() : value.canonical();
}

Result<std::string> placeholder(std::string_view name, const action::Context& context) {
  const std::size_t dot = name.find('.');
  const std::string_view kind = name.substr(0, dot);
  const std::string what(dot == std::string_view::npos ? std::string_view{} : name.substr(dot + 1));
  if (kind == "in")
    for (const action::Input& input : context.inputs)
      if (input.name == what) return input.path;
  if (kind == "out")
    if (const auto found = context.outputs.find(what); found != context.outputs.end()) return found->second;
  if (kind == "tool")
    if (const auto found = context.tools.find(what); found != context.tools.end()) return found->second;
  if (kind == "param")
    if (const base::Value* value = context.parameters.find(what)) return parameter_text(*value);
  return fail(ErrorKind::profile,
              fmt::format("the command has the placeholder '{{{}}}', which the step does not have", name),
              "use {in.NAME}, {out.NAME}, {param.NAME} or {tool.NAME} with a name from the step's tables; "
              "\"{{\" is a plain brace");
}

}  // namespace

Result<std::vector<std::string>> expand_command(const std::vector<std::string>& command,
                                                const action::Context& context) {
  std::vector<std::string> out;
  for (const std::string& word : command) {
    std::string text;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (word[i] != '{') {
        text += word[i];
        continue;
      }
      if (i + 1 < word.size() && word[i + 1] == '{') {
        text += '{';
        ++i;
        continue;
      }
      const std::size_t close = word.find('}', i);
      const std::string_view name = close == std::string::npos
                                        ? std::string_view{}
                                        : std::string_view(word).substr(i + 1, close - i - 1);
      // Only what looks like one of ours: a shell's ${x} or an awk program stays as it is.
      const std::string_view kind = name.substr(0, name.find('.'));
      const bool ours = name.find('.') != std::string_view::npos &&
                        (kind == "in" || kind == "out" || kind == "param" || kind == "tool");
      if (!ours) {
        text += '{';
        continue;
      }
      ORCH_TRY(const std::string value, placeholder(name, context));
      text += value;
      i = close;
    }
    out.push_back(std::move(text));
  }
  return out;
}

Result<> run_command_action(const std::vector<std::string>& command, action::Context& context, int log_fd) {
  sys::Command child;
  ORCH_TRY(child.argv, expand_command(command, context));
  const std::string work = context.scratch + "/work";
  const std::string home = context.scratch + "/home";
  const std::string temporary = context.scratch + "/tmp";
  for (const std::string& folder : {work, home, temporary}) ORCH_CHECK(sys::make_dirs(folder));
  child.directory = work;
  child.environment =
      sys::Environment{{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                       {"LC_ALL", "C"},
                       {"TZ", "UTC"},
                       {"HOME", home},
                       {"TMPDIR", temporary}};
  child.stdout_fd = log_fd;
  child.stderr_fd = log_fd;
  context.log("$ " + base::shell_join(child.argv));
  ORCH_TRY(const sys::Exit ended, context.processes->run(child));
  if (!ended.ok())
    return fail(ErrorKind::step, fmt::format("the command {}", ended.describe()),
                "its output is in the step's log");
  for (const auto& [name, path] : context.outputs)
    if (!sys::exists(path))
      return fail(ErrorKind::step, fmt::format("the command ended well, but left no output '{}'", name),
                  fmt::format("it should create '{{out.{}}}'", name));
  return {};
}

}  // namespace orch::cli
