#include "launch/muvm_arguments.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace orch::launch {

using Status = Check::Status;

namespace {

struct Option {
  enum class Kind { none, number, path, text } kind;
  enum class Times { once, many } times;
  std::string_view name;
};
using Kind = Option::Kind;
using Times = Option::Times;

constexpr std::array<Option, 10> k_options = {{{Kind::text, Times::many, "--cpu-list"},
                                               {Kind::number, Times::once, "--mem"},
                                               {Kind::number, Times::once, "--vram"},
                                               {Kind::path, Times::once, "--passt-socket"},
                                               {Kind::text, Times::many, "--passt-args"},
                                               {Kind::none, Times::once, "--merged-rootfs"},
                                               {Kind::none, Times::once, "--privileged"},
                                               {Kind::text, Times::many, "--publish"},
                                               {Kind::path, Times::many, "--execute-pre"},
                                               {Kind::path, Times::many, "--user-execute-pre"}}};
// Passed by this tool itself; a second time they would slide into the command line.
constexpr std::array<std::string_view, 8> k_own = {"--interactive", "--tty", "--emu",  "--gpu-mode",
                                                   "--fex-image",   "--env", "--help", "--"};

// One of a later release is what its help shows: "--name=VALUE", or "--name".
Option option_called(std::string_view name, const MuvmFeatures& features) {
  for (const Option& option : k_options)
    if (option.name == name) return option;
  const bool valued = features.help.find(fmt::format("{}=", name)) != std::string::npos;
  return {valued ? Kind::text : Kind::none, valued ? Times::many : Times::once, name};
}

Check bad(const std::string& word, std::string_view why, std::string remedy) {
  return {"muvm-args", Status::failed,
          fmt::format("'{}' in [launch] muvm_args: {}", base::printable(word), why), std::move(remedy)};
}

// Why the word is no option to pass on; nullopt: it is one.
std::optional<Check> bad_name(const std::string& word, std::string_view name, const MuvmFeatures& features,
                              const std::vector<std::string_view>& seen) {
  const auto is_in = [name](const auto& list) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  constexpr const char* k_take_out = "take it out; images, GPU mode and variables have keys of their own";
  if (!word.starts_with("-"))
    return bad(word, "it is no option, nor the value of one: muvm would start it in place of the application",
               "write each value behind its option, as --mem=4096");
  if (!word.starts_with("--")) return bad(word, "only long options are known here", k_take_out);
  if (is_in(k_own)) return bad(word, "appimage-orch sets it by itself", k_take_out);
  if (!features.has(name))
    return bad(word, "this muvm has no such option, it would go to the application",
               "take it out, or update muvm");
  if (is_in(seen) && option_called(name, features).times == Times::once)
    return bad(word, "muvm takes it once, the second would go to the application", "take one of them out");
  return std::nullopt;
}

bool is_number(std::string_view text) {
  constexpr std::size_t k_most_digits = 9;  // muvm reads 32 bits
  return !text.empty() && text.size() <= k_most_digits &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<Check> bad_value(const std::string& word, const Option& option, const std::string& value,
                               const std::string& directory) {
  if (option.kind == Kind::number && !is_number(value))
    return bad(word, fmt::format("'{}' is not a number of MiB", base::printable(value)),
               fmt::format("write digits alone, as {}=4096", option.name));
  if (value.empty()) return bad(word, "its value is empty", fmt::format("write {}=VALUE", option.name));
  if (!base::is_utf8(value)) return bad(word, "muvm takes UTF-8 only", "rename the file");
  const std::string path = value.starts_with("/") ? value : directory + "/" + value;
  const bool looked_up = value.find('/') == std::string::npos;  // on PATH, in the VM
  if (option.kind == Kind::path && !looked_up && !sys::exists(path))
    return bad(word, fmt::format("'{}' does not exist", base::printable(path)), "write the path of a file");
  return std::nullopt;
}

}  // namespace

Check check_muvm_arguments(const std::vector<std::string>& words, const MuvmFeatures& features,
                           const std::string& directory) {
  std::vector<std::string_view> seen;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::size_t equals = word.find('=');
    const std::string_view name = std::string_view(word).substr(0, equals);
    if (std::optional<Check> check = bad_name(word, name, features, seen)) return *std::move(check);
    seen.push_back(name);
    const Option option = option_called(name, features);
    if (option.kind == Kind::none) {
      if (equals == std::string::npos) continue;
      return bad(word, "it takes no value, and with one it would go to the application",
                 fmt::format("write {}", name));
    }
    std::string value;
    if (equals != std::string::npos)
      value = word.substr(equals + 1);
    else if (i + 1 < words.size() && !words[i + 1].starts_with("-"))
      value = words[++i];
    else
      return bad(word, "its value is missing", fmt::format("write {}=VALUE", name));
    if (std::optional<Check> check = bad_value(word, option, value, directory)) return *std::move(check);
  }
  return {"muvm-args", Status::ok, words.empty() ? "none" : base::printable(base::join(words, " ")), ""};
}

}  // namespace orch::launch
