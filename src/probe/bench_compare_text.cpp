// A comparison of benchmarks for people: a table, and below it what to keep in mind.
#include "base/text.hpp"
#include "probe/bench_compare.hpp"
#include "probe/bench_results.hpp"

#include <fmt/format.h>

#include <map>

namespace orch::probe {

namespace {

using base::printable;

constexpr std::size_t k_columns = 80;
constexpr std::size_t k_variant_width = 17;
// variant, start, a, b, ratio, interval, verdict: 78 columns with "no difference" in the last one
constexpr const char* k_row_format = "  {:<17} {:<5} {:>8} {:>8} {:>6} {:>14}  {}\n";

// Words in as many lines as they need; `start` opens the first line, spaces the others.
std::string wrapped(const std::string& start, std::string_view words) {
  std::string out;
  std::string line = start;
  for (const std::string_view word : base::split(words, ' ')) {
    if (line.size() > start.size() && line.size() + 1 + word.size() > k_columns) {
      out += line + "\n";
      line.assign(start.size(), ' ');
    }
    if (line.size() > start.size()) line += ' ';
    line += word;
  }
  return out + line + "\n";
}

std::string ratio_text(double ratio) {
  constexpr double k_large = 10;
  constexpr double k_larger = 1000;
  if (ratio < k_large) return fmt::format("{:.3f}", ratio);
  return ratio < k_larger ? fmt::format("{:.1f}", ratio) : fmt::format("{:.0e}", ratio);
}

std::string median_text(const Value& side) {
  const Value& median = *side.find("median");
  return median.is_null() ? "-" : precise_seconds(median.as_double());
}

std::string failed_text(const Value& pair, const char* side) {
  const Value& runs = *pair.find(side);
  const std::int64_t all = runs.int_or("runs", 0);
  const std::int64_t failed = all - runs.int_or("count", 0);
  if (failed == 0) return {};
  return wrapped("    ", fmt::format("{}: {} of {} did not get ready", side, failed,
                                     base::quantity(static_cast<std::uint64_t>(all), "run", "runs")));
}

// A name that is longer than its column stands on a line of its own.
std::string pair_text(const Value& pair) {
  constexpr std::size_t k_indent = 2;
  const Value& interval = *pair.find("interval");
  const bool is_known = !interval.is_null();
  const bool has_reason = !pair.find("reason")->is_null();
  const auto number = [](const Value& of, const char* key) { return ratio_text(of.find(key)->as_double()); };
  const std::string name = base::shortened(printable(pair.string_or("variant", "")), k_columns - k_indent);
  const bool is_long = name.size() > k_variant_width;
  std::string out = is_long ? fmt::format("  {}\n", name) : "";
  out += fmt::format(
      k_row_format, is_long ? "" : name, printable(pair.string_or("start", "")), median_text(*pair.find("a")),
      median_text(*pair.find("b")), is_known ? number(pair, "ratio") : "-",
      is_known ? fmt::format("{}..{}", number(interval, "low"), number(interval, "high")) : "-",
      pair.string_or("verdict", ""));
  out += failed_text(pair, "a") + failed_text(pair, "b");
  if (has_reason) out += wrapped("    ", printable(pair.string_or("reason", "")));
  return out;
}

std::string value_text(const Value& value) {
  if (value.is_null()) return "(none)";
  if (value.is_string()) return printable(value.as_string());
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  if (value.is_int()) return fmt::format("{}", value.as_int());
  if (value.is_double()) return fmt::format("{}", value.as_double());
  return printable(value.canonical());
}

std::string difference_text(const Value& difference) {
  constexpr std::size_t k_indent = 6;
  const std::string field = printable(difference.string_or("field", ""));
  const std::string a = value_text(*difference.find("a"));
  const std::string b = value_text(*difference.find("b"));
  const std::string line = fmt::format("  {}: {} -> {}", field, a, b);
  if (line.size() <= k_columns) return line + "\n";
  const auto kept = [](const std::string& text, std::size_t left) {
    return base::shortened(text, k_columns - left);
  };
  return fmt::format("  {}\n    a {}\n    b {}\n", kept(field, 2), kept(a, k_indent), kept(b, k_indent));
}

// "1 slower, 2 no difference", in the order of the words' weight.
std::string counts_text(const Value::Array& pairs) {
  std::map<std::string, std::size_t> counts;
  for (const Value& pair : pairs) ++counts[pair.string_or("verdict", "")];
  std::vector<std::string> parts;
  for (const char* verdict : {"slower", "faster", "no difference", "unknown"})
    if (counts[verdict] > 0) parts.push_back(fmt::format("{} {}", counts[verdict], verdict));
  return base::join(parts, ", ");
}

}  // namespace

std::string compare_text(const Value& comparison) {
  constexpr std::size_t k_indent = 3;
  std::string out;
  for (const char* side : {"a", "b"})
    out += fmt::format("{}: {}\n", side,
                       base::shortened(printable(comparison.string_or(side, "")), k_columns - k_indent));
  out += "\n" + fmt::format(k_row_format, "variant", "start", "a", "b", "b/a", "95 % interval", "b is");
  const Value::Array& pairs = comparison.find("pairs")->as_array();
  for (const Value& pair : pairs) out += pair_text(pair);
  if (const Value::Array& items = comparison.find("unmatched")->as_array(); !items.empty()) {
    out += "\nwithout a counterpart\n";
    for (const Value& item : items) {
      const std::string variant = printable(item.string_or("variant", ""));
      out += base::shortened(
                 fmt::format("  {}: {}{}{}", item.string_or("in", ""), printable(item.string_or("start", "")),
                             variant.empty() ? "" : " of ", variant),
                 k_columns) +
             "\n";
    }
  }
  if (const Value::Array& items = comparison.find("differences")->as_array(); !items.empty()) {
    out += "\nnot the same in a and b\n";
    for (const Value& item : items) out += difference_text(item);
  }
  return out + "\n" + counts_text(pairs) + "\n";
}

}  // namespace orch::probe
