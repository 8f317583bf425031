// Rule files and [[step]] tables into model::Rule. docs/design/rules.md describes the form for users.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "model/rule.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::load {

using base::Result;
using base::Value;

struct Rules {
  std::vector<model::Rule> always;  // apply = "always": part of every profile
  std::vector<model::Rule> named;   // only where a [[step]] asks for them
  const model::Rule* find(std::string_view id) const;
  std::vector<std::string> ids() const;
};

// Reads every *.toml directly in the directories (absent ones are empty), in order of their names. A later
// directory may take the place of a rule of an earlier one by `replaces = true`; any other second use of an
// id is an error that names both places.
Result<Rules> load_rules(const std::vector<std::string>& directories);

// One rule file; relative paths in it are taken from its directory.
Result<model::Rule> read_rule(const std::string& path);

// The [[step]] tables of a profile, checked, expanded and with absolute paths, as rules with the id
// "step:NAME". References to other steps are checked.
Result<std::vector<model::Rule>> read_steps(const Value& steps, const Rules& rules);

}  // namespace orch::load
