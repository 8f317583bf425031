// One profile with the rules that apply to it, before steps are tied together. Internal to src/graph.
#pragma once

#include "base/result.hpp"
#include "model/profile.hpp"
#include "model/rule.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace orch::graph {

using base::Result;

// A rule bound to a profile and, for rules with for_each, to an item of a list.
struct Instance {
  const model::Rule* rule = nullptr;
  std::optional<std::size_t> item;
  std::string item_name;
  // Where each output stands in the expanded profile ("layers[2].image"); empty for outputs without a place.
  std::vector<std::string> places;
};

// A place in the expanded profile with "item." written out ("layers[2].image").
std::string bind_place(const Instance& instance, std::string_view place);

// The places that a list stands for, in order: "layers[].image" all items of `layers`, "below[].image" those
// of the rule's list that lie below the instance's item. Nothing for a place without "[]".
std::vector<std::string> bind_list(const Instance& instance, const base::Value& profile,
                                   std::string_view place);

// The profile's value at a place ("app.appimage", "layers[2].image"); nullptr if there is none.
const base::Value* value_at(const base::Value& profile, std::string_view place);

struct Provider {
  std::size_t instance = 0;
  std::size_t output = 0;
};

struct Bindings {
  base::Value
      profile;  // the expanded profile, with a layer for each "layers+", below the layer of role "finish"
  std::vector<Instance> instances;
  // Who provides a place, in the order in which values pass: a source first, then those that take and provide
  // it.
  std::map<std::string, std::vector<Provider>> providers;
};

// Picks the rules and items that apply. Order: rules as given, then the profile's own steps.
Result<Bindings> bind_rules(const model::Profile& profile, const std::vector<const model::Rule*>& rules);

}  // namespace orch::graph
