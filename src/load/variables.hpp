// ${home}, ${env:NAME} and ${profile_dir} in the strings of a document; ${appdir} is left for the launch.
#pragma once

#include "load/schema.hpp"
#include "sys/process.hpp"

#include <string>
#include <string_view>

namespace orch::load {

struct VariableScope {
  std::string profile_dir;                        // absolute
  const sys::Environment* environment = nullptr;  // HOME is ${home}
};

// Expands in place, in every string but keys; "$${" is a plain "${". Strings that took a variable are marked
// host_dependent. Where a key may hold ${appdir}, that and "$${" stay as they are: expand_appdir() ends the
// work.
Result<> expand_variables(Value& document, const Schema& schema, const VariableScope& scope);

// The launch's part: ${appdir} becomes `appdir`, "$${" becomes "${".
std::string expand_appdir(std::string_view text, std::string_view appdir);

// Makes the paths of a document absolute: relative ones are taken from `directory`. A path is file-typed, so
// it loses the mark of expand_variables().
void absolutise(Value& document, const Schema& schema, const std::string& directory);

}  // namespace orch::load
