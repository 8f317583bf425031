#include "cli/unfinished.hpp"

#include "base/text.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

namespace orch::cli {

using base::printable;
using base::Value;

Result<std::vector<std::string>> unfinished_caches(const Project& project, const std::string& profile,
                                                   const plan::Plan& plan) {
  std::vector<std::string> out;
  const std::string path = project.output_of(profile, "finish-stack", "finish", plan);
  if (path.empty()) return out;
  ORCH_TRY(const std::string text, sys::read_file(path));
  ORCH_TRY(const Value document, format::parse_json(text, path));
  const Value* parts = document.find("parts");
  if (parts == nullptr || !parts->is_array()) return out;
  for (const Value& part : parts->as_array()) {
    if (part.string_or("status", "") != "not-done") continue;
    const std::string remedy = part.string_or("remedy", "");
    out.push_back(fmt::format("the stack lacks its {}: {}{}", part.string_or("id", ""),
                              printable(part.string_or("detail", "")),
                              remedy.empty() ? "" : "; " + printable(remedy)));
  }
  return out;
}

}  // namespace orch::cli
