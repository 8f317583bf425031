// Two benchmarks held against each other: did it get slower? Pure.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"

#include <string>
#include <vector>

namespace orch::probe {

using base::Result;
using base::Value;

// "appimage-orch/bench-compare/1" (docs/schemas/bench-compare-1.schema.json):
//  a, b: the names, as given;
//  pairs: results of the same variant and start, in the order of a; where each document has one variant they belong together whatever
//    their names are (the pair then has a's): [{variant, start, a: {median, count, runs}, b: the same, ratio, interval: {low, high},
//    verdict, reason}]. count of the runs were successful, median is theirs. Where the verdict is unknown reason says why, else it is
//    null; ratio and interval (of the medians, b to a) are null where there is too little to compute them;
//  unmatched: what has no counterpart, [{in: "a" or "b", variant, start}];
//  differences: what makes the two less comparable, [{field, a, b}], null for what one has not.
// A usage error where nothing has a counterpart.
Result<Value> compare_benches(const Value& a, const Value& b, const std::string& name_a,
                              const std::string& name_b);

// What `--fail-if-slower` ends with status 1 for, a sentence each: a pair whose verdict is slower with a ratio of at least
// 1 + percent / 100; one in which fewer starts of b got ready than of a, or too few on a side to compare; what a has and b has not.
std::vector<std::string> regressions_of(const Value& comparison, double percent);
// And what it cannot exclude: pairs whose interval is too wide to tell, and reaches 1 + percent / 100.
std::vector<std::string> doubts_of(const Value& comparison, double percent);

// For people: at most 80 columns, but for a word of the documents that is longer. Ends with a newline.
std::string compare_text(const Value& comparison);

}  // namespace orch::probe
