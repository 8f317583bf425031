// Two document trees compared field by field, so that one change is one difference.
//
// Objects are compared by key. Lists are aligned first, so that an item that is gone is one difference: lists of
// objects by what names their items ("id", "name", "role", "soname" or "path"), others by their content. Null and
// absent are the same.
#pragma once

#include "base/value.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::evidence {

using base::Value;

// `field`: "a.b", "a.list[3]", "a.images[base]", "a.images[deps 2]" (the second so named); "a.images.order" with the
// names of both where items changed places. Null stands for absent. An index is that of `a`, of `b` where only it has
// the item.
struct Difference {
  std::string field;
  Value a;
  Value b;
};

// Whether two strings that are not equal mean the same in this field.
using SameText = std::function<bool(const std::string& field, const std::string& a, const std::string& b)>;
bool only_equal(const std::string& field, const std::string& a, const std::string& b);  // false

std::vector<Difference> compare(const Value& a, const Value& b, const std::string& field,
                                const SameText& same);

// Positions of two lists; where both are set the items stand in the same place and differ.
struct Misfit {
  std::optional<std::size_t> a;
  std::optional<std::size_t> b;
};
// The items that a shortest edit from one list to the other removes, adds or changes, in order.
std::vector<Misfit> align(std::size_t size_a, std::size_t size_b,
                          const std::function<bool(std::size_t, std::size_t)>& equal);

}  // namespace orch::evidence
