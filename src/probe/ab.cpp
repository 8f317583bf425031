#include "probe/ab.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

namespace orch::probe {

namespace {

using Leaves = std::map<std::string, Value>;

// What names an item of a list; its index where nothing does.
std::string label_of(const Value& item, std::size_t index) {
  if (item.find("api") != nullptr) {
    const std::string platform = item.string_or("platform", "");
    return item.string_or("api", "") + (platform.empty() ? "" : " " + platform);
  }
  for (const char* key : {"tool", "name"})
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
    add_leaves(variants[i].probe, "", leaves[i]);
    for (const auto& [field, value] : leaves[i]) fields.insert(field);
  }
  Value out = Value::array();
  for (const std::string& field : fields) {
    Value values = Value::object();
    bool differs = false;
    for (std::size_t i = 0; i < variants.size(); ++i) {
      const auto found = leaves[i].find(field);
      values.set(variants[i].name, found == leaves[i].end() ? Value() : found->second);
      differs |= values.as_object().back().value != values.as_object().front().value;
    }
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

std::string reason_for(const Variant& variant) {
  if (variant.probe.is_null())
    return fmt::format("it did not run: {}",
                       variant.error.empty()
                           ? fmt::format("{}, status {}", variant.outcome, variant.exit_status)
                           : variant.error);
  std::vector<std::string> parts;
  for (const char* api : k_apis) {
    const Best best = best_of(variant.probe, api);
    parts.push_back(fmt::format("{} {}", api, best.words.empty() ? "nothing" : best.words));
  }
  return base::join(parts, ", ");
}

auto score_of(const Variant& variant) {
  return std::tuple(!variant.probe.is_null(), best_of(variant.probe, k_apis[0]).rank,
                    best_of(variant.probe, k_apis[1]).rank, best_of(variant.probe, k_apis[2]).rank,
                    variant.exit_status == 0);
}

}  // namespace

Value ab_report(const std::string& kind, const std::vector<Variant>& variants) {
  Value list = Value::array();
  for (const Variant& variant : variants)
    list.push(Value::object({{"name", variant.name},
                             {"directory", variant.directory},
                             {"outcome", variant.outcome},
                             {"exit_status", variant.exit_status},
                             {"error", variant.error.empty() ? Value() : Value(variant.error)},
                             {"ran", !variant.probe.is_null()}}));
  std::vector<const Variant*> order;
  for (const Variant& variant : variants) order.push_back(&variant);
  std::stable_sort(order.begin(), order.end(),
                   [](const Variant* a, const Variant* b) { return score_of(*a) > score_of(*b); });
  Value ranking = Value::array();
  for (const Variant* variant : order)
    ranking.push(Value::object({{"variant", variant->name}, {"reason", reason_for(*variant)}}));
  return Value::object({{"schema", "appimage-orch/ab/1"},
                        {"kind", kind},
                        {"variants", std::move(list)},
                        {"fields", differing_fields(variants)},
                        {"ranking", std::move(ranking)}});
}

std::string winner_of(const Value& report) {
  const Value::Array& ranking = report.find("ranking")->as_array();
  if (ranking.empty()) return {};
  const std::string first = ranking.front().string_or("variant", "");
  for (const Value& variant : report.find("variants")->as_array())
    if (variant.string_or("name", "") == first && variant.bool_or("ran", false)) return first;
  return {};
}

}  // namespace orch::probe
