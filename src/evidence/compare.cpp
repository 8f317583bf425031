#include "evidence/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace orch::evidence {

namespace {

using Array = Value::Array;
using Equal = std::function<bool(std::size_t, std::size_t)>;
using Pair = std::pair<std::size_t, std::size_t>;

const Value k_absent;

bool same_value(const Value& a, const Value& b, const std::string& field, const SameText& same);

bool same_array(const Array& a, const Array& b, const std::string& field, const SameText& same) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](const Value& x, const Value& y) { return same_value(x, y, field, same); });
}

bool same_object(const Value& a, const Value& b, const std::string& field, const SameText& same) {
  const auto covered = [&](const Value& from, const Value& in) {
    return std::all_of(from.as_object().begin(), from.as_object().end(), [&](const Value::Member& member) {
      const Value* other = in.find(member.key);
      return same_value(member.value, other != nullptr ? *other : k_absent, field, same);
    });
  };
  return covered(a, b) && covered(b, a);
}

bool same_value(const Value& a, const Value& b, const std::string& field, const SameText& same) {
  if (a.is_string() && b.is_string()) return a == b || same(field, a.as_string(), b.as_string());
  if (a.is_array() && b.is_array()) return same_array(a.as_array(), b.as_array(), field, same);
  if (a.is_object() && b.is_object()) return same_object(a, b, field, same);
  const auto is_number = [](const Value& value) { return value.is_int() || value.is_double(); };
  if (is_number(a) && is_number(b)) return a.as_double() == b.as_double();
  return a == b;
}

// Pairs of equal items of a longest common subsequence, in order.
std::vector<Pair> common(std::size_t size_a, std::size_t size_b, const Equal& equal) {
  constexpr std::size_t k_largest_table = 4'000'000;
  std::vector<Pair> out;
  std::size_t begin = 0;
  while (begin < std::min(size_a, size_b) && equal(begin, begin)) out.emplace_back(begin, begin), ++begin;
  std::size_t tail = 0;
  while (tail < std::min(size_a, size_b) - begin && equal(size_a - 1 - tail, size_b - 1 - tail)) ++tail;
  const std::size_t rows = size_a - begin - tail;
  const std::size_t columns = size_b - begin - tail;
  if ((rows + 1) * (columns + 1) <= k_largest_table) {  // beyond, what lies between counts as changed
    std::vector<std::uint32_t> table((rows + 1) * (columns + 1));
    std::vector<bool> fits(rows * columns);
    const auto cell = [&](std::size_t r, std::size_t c) -> std::uint32_t& {
      return table[r * (columns + 1) + c];
    };
    for (std::size_t r = rows; r-- > 0;)
      for (std::size_t c = columns; c-- > 0;) {
        fits[r * columns + c] = equal(begin + r, begin + c);
        cell(r, c) =
            fits[r * columns + c] ? cell(r + 1, c + 1) + 1 : std::max(cell(r + 1, c), cell(r, c + 1));
      }
    for (std::size_t r = 0, c = 0; r < rows && c < columns;) {
      if (fits[r * columns + c])
        out.emplace_back(begin + r++, begin + c++);
      else if (cell(r + 1, c) >= cell(r, c + 1))
        ++r;
      else
        ++c;
    }
  }
  for (; tail > 0; --tail) out.emplace_back(size_a - tail, size_b - tail);
  return out;
}

// What names the items of both lists, or nullptr.
const char* naming_key(const Array& a, const Array& b) {
  constexpr std::array<const char*, 5> k_keys = {"id", "name", "role", "soname", "path"};
  for (const char* key : k_keys) {
    const auto named = [key](const Value& item) {
      const Value* name = item.find(key);
      return name != nullptr && name->is_string();
    };
    if (std::all_of(a.begin(), a.end(), named) && std::all_of(b.begin(), b.end(), named)) return key;
  }
  return nullptr;
}

// The names of a list's items; the second of a name is "NAME 2".
std::vector<std::string> labels_of(const Array& list, const char* key) {
  std::map<std::string, int> seen;
  std::vector<std::string> out;
  for (const Value& item : list) {
    const std::string name = item.string_or(key, "");
    const int number = ++seen[name];
    out.push_back(number == 1 ? name : fmt::format("{} {}", name, number));
  }
  return out;
}

class Comparison {
 public:
  explicit Comparison(const SameText& same) : same_(same) {}

  void values(const Value& a, const Value& b, const std::string& field) {
    if (a.is_object() && b.is_object())
      objects(a, b, field);
    else if (a.is_array() && b.is_array())
      arrays(a.as_array(), b.as_array(), field);
    else if (!same_value(a, b, field, same_))
      out_.push_back({field, a, b});
  }
  std::vector<Difference> take() { return std::move(out_); }

 private:
  void objects(const Value& a, const Value& b, const std::string& field) {
    const auto inner = [&](const std::string& key) { return field.empty() ? key : field + "." + key; };
    for (const Value::Member& member : a.as_object()) {
      const Value* other = b.find(member.key);
      values(member.value, other != nullptr ? *other : k_absent, inner(member.key));
    }
    for (const Value::Member& member : b.as_object())
      if (a.find(member.key) == nullptr) values(k_absent, member.value, inner(member.key));
  }

  void arrays(const Array& a, const Array& b, const std::string& field) {
    const auto equal = [&](std::size_t i, std::size_t j) { return same_value(a[i], b[j], field, same_); };
    if (const char* key = naming_key(a, b); key != nullptr) return named(a, b, key, field);
    for (const Misfit& misfit : align(a.size(), b.size(), equal)) {
      const std::string place = fmt::format("{}[{}]", field, misfit.a ? *misfit.a : *misfit.b);
      values(misfit.a ? a[*misfit.a] : k_absent, misfit.b ? b[*misfit.b] : k_absent, place);
    }
  }

  // Items that are equal belong together, wherever they stand, then those of the same name.
  void named(const Array& a, const Array& b, const char* key, const std::string& field) {
    const auto equal = [&](std::size_t i, std::size_t j) { return same_value(a[i], b[j], field, same_); };
    const auto alike = [&](std::size_t i, std::size_t j) { return *a[i].find(key) == *b[j].find(key); };
    std::vector<std::optional<std::size_t>> of_a(a.size());
    std::vector<bool> taken(b.size());
    const auto join = [&](std::size_t i, std::size_t j) {
      of_a[i] = j;
      taken[j] = true;
    };
    for (const auto& [i, j] : common(a.size(), b.size(), equal)) join(i, j);
    for (const Equal& fits : {Equal(equal), Equal(alike)})
      for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 0; j < b.size() && !of_a[i]; ++j)
          if (!taken[j] && fits(i, j)) join(i, j);
    const std::vector<std::string> names_a = labels_of(a, key);
    const std::vector<std::string> names_b = labels_of(b, key);
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (of_a[i]) order.push_back(*of_a[i]);
      values(a[i], of_a[i] ? b[*of_a[i]] : k_absent, fmt::format("{}[{}]", field, names_a[i]));
    }
    for (std::size_t j = 0; j < b.size(); ++j)
      if (!taken[j]) values(k_absent, b[j], fmt::format("{}[{}]", field, names_b[j]));
    if (!std::is_sorted(order.begin(), order.end()))
      out_.push_back({field + ".order", Value::strings(names_a), Value::strings(names_b)});
  }

  const SameText& same_;
  std::vector<Difference> out_;
};

}  // namespace

bool only_equal(const std::string&, const std::string&, const std::string&) {
  return false;
}

std::vector<Misfit> align(std::size_t size_a, std::size_t size_b, const Equal& equal) {
  std::vector<Pair> pairs = common(size_a, size_b, equal);
  pairs.emplace_back(size_a, size_b);
  std::vector<Misfit> out;
  std::size_t i = 0;
  std::size_t j = 0;
  for (const auto& [end_a, end_b] : pairs) {
    while (i < end_a && j < end_b) out.push_back({i++, j++});
    while (i < end_a) out.push_back({i++, std::nullopt});
    while (j < end_b) out.push_back({std::nullopt, j++});
    i = end_a + 1;
    j = end_b + 1;
  }
  return out;
}

std::vector<Difference> compare(const Value& a, const Value& b, const std::string& field,
                                const SameText& same) {
  Comparison comparison(same);
  comparison.values(a, b, field);
  return comparison.take();
}

}  // namespace orch::evidence
