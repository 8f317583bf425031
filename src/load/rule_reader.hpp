// The body of a rule: what rule files and [[step]] tables share. Used by rules.cpp only.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "model/rule.hpp"

namespace orch::load {

using base::Result;
using base::Value;

// Fills everything but id and span from a table that passed its schema. Adds the program of `command` to the
// tools.
Result<> read_rule_table(const Value& table, model::Rule& rule);

// The same over a rule that is complete: inputs, parameters, settings and outputs are replaced by name (an
// unknown one is an error), description, pool, for_each and when as a whole.
Result<> read_rule_table_over(const Value& table, model::Rule& rule);

// `schema = 1`, or absent.
Result<> check_format_version(const Value& document);

}  // namespace orch::load
