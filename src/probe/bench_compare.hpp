// Two benchmarks held against each other: did it get slower? Pure.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"

#include <string>

namespace orch::probe {

using base::Result;
using base::Value;

// "appimage-orch/bench-compare/1" (docs/schemas/bench-compare-1.schema.json):
//  a, b: the names, as given;
//  pairs: results of the same variant and start, in the order of a; where each document has one variant they belong together whatever
//    their names are (the pair then has a's): [{variant, start, a: {median, count, runs}, b: the same, ratio, interval: {low, high},
//    verdict, reason}]. count of the runs were successful, median is theirs. ratio and interval (of the medians, b to a) are null where
//    the verdict is unknown, and reason says why; else reason is null;
//  unmatched: what has no counterpart, [{in: "a" or "b", variant, start}];
//  differences: what makes the two less comparable, [{field, a, b}], null for what one has not.
// A usage error where nothing has a counterpart.
Result<Value> compare_benches(const Value& a, const Value& b, const std::string& name_a,
                              const std::string& name_b);

// Whether some pair's verdict is slower, and its ratio at least 1 + percent / 100; or no start of b got ready where one of a did.
bool is_slower_than(const Value& comparison, double percent);

// For people: at most 80 columns, but for a word of the documents that is longer. Ends with a newline.
std::string compare_text(const Value& comparison);

}  // namespace orch::probe
