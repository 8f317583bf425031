#include "probe/ab.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace orch::probe {

namespace {

using Leaves = std::map<std::string, Value>;

// What names an item of a list; its index where nothing does.
std::string label_of(const Value& item, std::size_t index) {
  if (item.find("api") != nullptr) {
    const std::string platform = item.string_or("platform", "");
    return item.string_or("api", "") + (platform.empty() ? "" : " " + platform);
  }
  for (const char* key : {"tool", "name", "id"})
    if (const std::string name = item.string_or(key, ""); !name.empty()) return name;
  return fmt::format("{}", index);
}

void add_leaves(const Value& value, const std::string& field, Leaves& out) {
  if (value.is_object()) {
    for (const Value::Member& member : value.as_object())
      if (member.key != "text")
        add_leaves(member.value, field.empty() ? member.key : field + "." + member.key, out);
  } else if (value.is_array()) {
    std::map<std::string, int> seen;
    for (std::size_t i = 0; i < value.as_array().size(); ++i) {
      const Value& item = value.as_array()[i];
      const std::string label = item.is_object() ? label_of(item, i) : fmt::format("{}", i);
      const int number = ++seen[label];
      add_leaves(item, fmt::format("{}[{}{}]", field, label, number == 1 ? "" : fmt::format(" {}", number)),
                 out);
    }
  } else if (!value.is_null()) {
    out.emplace(field, value);
  }
}

Value differing_fields(const std::vector<Variant>& variants) {
  std::vector<Leaves> leaves(variants.size());
  std::set<std::string> fields;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (variants[i].document.is_null()) continue;
    add_leaves(variants[i].document, "", leaves[i]);
    for (const auto& [field, value] : leaves[i]) fields.insert(field);
  }
  Value out = Value::array();
  for (const std::string& field : fields) {
    Value values = Value::object();
    std::set<std::string> different;
    for (std::size_t i = 0; i < variants.size(); ++i) {
      const auto found = leaves[i].find(field);
      values.set(variants[i].name, found == leaves[i].end() ? Value() : found->second);
      // One that said nothing differs in all that there is, and the ranking has the reason.
      if (!variants[i].document.is_null()) different.insert(values.as_object().back().value.canonical());
    }
    const bool differs = different.size() > 1;
    if (differs) out.push(Value::object({{"field", field}, {"values", std::move(values)}}));
  }
  return out;
}

constexpr std::array<const char*, 3> k_apis = {"GLX", "Vulkan", "EGL"};

int rank_of(const std::string& kind) {
  if (kind == "hardware") return 3;
  if (kind == "virtualised") return 2;
  return kind == "software" ? 1 : 0;
}

struct Best {
  int rank = 0;
  std::string words;  // "hardware (Apple M1)"; empty: nothing answered
};

// Of several devices of an API the best, for that is the one that applications take.
Best best_of(const Value& probe, const std::string& api) {
  Best out;
  const Value* renderers = probe.is_object() ? probe.find("renderers") : nullptr;
  if (renderers == nullptr) return out;
  for (const Value& renderer : renderers->as_array()) {
    const std::string kind = renderer.string_or("kind", "");
    if (renderer.string_or("api", "") != api || (!out.words.empty() && rank_of(kind) <= out.rank)) continue;
    out.rank = rank_of(kind);
    out.words =
        fmt::format("{} ({})", kind, renderer.string_or("renderer", renderer.string_or("driver", "?")));
  }
  return out;
}

// Started, and ended by itself or by its time.
bool has_run(const std::string& kind, const Variant& variant) {
  if (kind != k_run_kind) return !variant.document.is_null();
  return variant.outcome == "exited" || variant.outcome == "signaled" || variant.outcome == "timed_out";
}

bool ended_well(const Variant& variant) {
  return variant.outcome == "exited" && variant.exit_status == 0;
}

std::string probe_reason(const Variant& variant) {
  std::vector<std::string> parts;
  for (const char* api : k_apis) {
    const Best best = best_of(variant.document, api);
    parts.push_back(fmt::format("{} {}", api, best.words.empty() ? "nothing" : best.words));
  }
  return base::join(parts, ", ");
}

// The first known failure that its output showed says more than a status.
std::string run_reason(const Variant& variant) {
  std::string out = fmt::format("it ended with status {}", variant.exit_status);
  if (variant.outcome == "signaled")
    out = fmt::format("it was ended by a signal, status {}", variant.exit_status);
  if (variant.outcome == "timed_out") out = "its time was up";
  const Value* signatures = variant.document.find("signatures");
  if (!ended_well(variant) && signatures != nullptr && !signatures->as_array().empty())
    out += ": " + signatures->as_array().front().string_or("meaning", "");
  if (variant.document.bool_or("vm_reused", false))
    out += ", in a VM that was running already, whose GPU mode holds";
  return out;
}

std::string reason_for(const std::string& kind, const Variant& variant) {
  if (variant.outcome == "interrupted") return "it was interrupted";
  if (has_run(kind, variant)) return kind == k_run_kind ? run_reason(variant) : probe_reason(variant);
  return fmt::format("it did not run: {}",
                     variant.error.empty()
                         ? fmt::format("{}, status {}", variant.outcome, variant.exit_status)
                         : variant.error);
}

// The better one's is greater, part by part.
using Score = std::array<int, 5>;

Score score_of(const std::string& kind, const Variant& variant) {
  const int ran = has_run(kind, variant) ? 1 : 0;
  if (kind == k_run_kind) return {ran, ended_well(variant) ? 1 : 0, 0, 0, 0};
  return {ran, best_of(variant.document, k_apis[0]).rank, best_of(variant.document, k_apis[1]).rank,
          best_of(variant.document, k_apis[2]).rank, variant.exit_status == 0 ? 1 : 0};
}

Value ranking_of(const AbComparison& comparison) {
  std::vector<const Variant*> order;
  for (const Variant& variant : comparison.variants) order.push_back(&variant);
  const auto score = [&](const Variant* variant) { return score_of(comparison.kind, *variant); };
  std::stable_sort(order.begin(), order.end(),
                   [&](const Variant* a, const Variant* b) { return score(a) > score(b); });
  Value out = Value::array();
  int place = 1;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && score(order[i]) != score(order[i - 1])) place = static_cast<int>(i) + 1;
    out.push(Value::object(
        {{"place", place}, {"variant", order[i]->name}, {"reason", reason_for(comparison.kind, *order[i])}}));
  }
  return out;
}

}  // namespace

Value run_facts(const Value& report) {
  Value out = Value::object();
  for (const char* key : {"outcome", "status", "signal", "vm_reused", "forced"})
    if (const Value* value = report.find(key)) out.set(key, *value);
  if (const Value* error = report.find_path("error.what")) out.set("error", *error);
  Value signatures = Value::array();
  if (const Value* list = report.find("signatures"); list != nullptr && list->is_array())
    for (const Value& item : list->as_array())
      signatures.push(
          Value::object({{"id", item.string_or("id", "")}, {"meaning", item.string_or("meaning", "")}}));
  out.set("signatures", std::move(signatures));
  Value checks = Value::array();
  if (const Value* list = report.find("checks"); list != nullptr && list->is_array())
    for (const Value& item : list->as_array())
      checks.push(
          Value::object({{"id", item.string_or("id", "")}, {"status", item.string_or("status", "")}}));
  out.set("checks", std::move(checks));
  return out;
}

Value ab_report(const AbComparison& comparison) {
  Value list = Value::array();
  for (const Variant& variant : comparison.variants)
    list.push(Value::object({{"name", variant.name},
                             {"directory", variant.directory},
                             {"outcome", variant.outcome},
                             {"exit_status", variant.exit_status},
                             {"error", base::or_null(variant.error)},
                             {"ran", has_run(comparison.kind, variant)}}));
  return Value::object({{"schema", "appimage-orch/ab/1"},
                        {"kind", comparison.kind},
                        {"profile", comparison.profile},
                        {"variants", std::move(list)},
                        {"left_out", Value::strings(comparison.left_out)},
                        {"fields", differing_fields(comparison.variants)},
                        {"ranking", ranking_of(comparison)}});
}

std::string winner_of(const Value& report) {
  const Value::Array& ranking = report.find("ranking")->as_array();
  if (ranking.empty()) return {};
  const bool runs = report.string_or("kind", "") == k_run_kind;
  const std::string first = ranking.front().string_or("variant", "");
  for (const Value& variant : report.find("variants")->as_array())
    if (variant.string_or("name", "") == first && variant.bool_or("ran", false) &&
        (!runs || (variant.string_or("outcome", "") == "exited" && variant.int_or("exit_status", 1) == 0)))
      return first;
  return {};
}

std::string equal_of_winner(const Value& report) {
  const Value::Array& ranking = report.find("ranking")->as_array();
  if (ranking.size() < 2 || ranking[1].int_or("place", 0) != ranking[0].int_or("place", 0)) return {};
  return ranking[1].string_or("variant", "");
}

}  // namespace orch::probe
