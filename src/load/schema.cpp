#include "load/schema.hpp"

#include "base/text.hpp"
#include "base/variable_name.hpp"
#include "load/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace orch::load {

using base::Error;
using base::ErrorKind;
using base::printable;
using base::SourceSpan;
using Node = Schema::Node;

namespace {

std::string_view bare(std::string_view member) {
  if (member.starts_with('+')) member.remove_prefix(1);
  return member;
}

bool allows(std::string_view allowed, std::string_view word) {
  for (const std::string_view one : base::split(allowed, '|'))
    if (one == word) return true;
  return false;
}

std::vector<std::string> to_strings(const std::vector<std::string_view>& views) {
  return {views.begin(), views.end()};
}

}  // namespace

const Node* Node::child(std::string_view member) const {
  member = bare(member);
  for (const Node& node : children)
    if (node.name == member || node.name == "*") return &node;
  return nullptr;
}

bool Node::is_list() const {
  if (key == nullptr) return false;
  return key->type == KeyType::texts || key->type == KeyType::layers || key->type == KeyType::tables ||
         key->type == KeyType::steps;
}

Schema::Schema(std::span<const Key> keys) {
  for (const Key& key : keys) {
    Node* here = &root_;
    const std::vector<std::string_view> parts = base::split(key.path, '.');
    for (std::size_t i = 0; i < parts.size(); ++i) {
      Node* next = nullptr;
      for (Node& node : here->children)
        if (node.name == parts[i]) next = &node;
      if (next == nullptr) next = &here->children.emplace_back(Node{parts[i], nullptr, {}});
      here = next;
      if (i + 1 == parts.size()) here->key = &key;
    }
  }
}

namespace {

void collect_homes(const Node& node, std::string_view name, const std::string& path,
                   std::vector<std::string>& out) {
  for (const Node& child : node.children) {
    const std::string below = path.empty() ? std::string(child.name) : path + "." + std::string(child.name);
    if (child.name == name && !path.empty()) out.push_back(path);
    collect_homes(child, name, below, out);
  }
}

}  // namespace

std::vector<std::string> Schema::homes_of(std::string_view name) const {
  std::vector<std::string> out;
  collect_homes(root_, name, {}, out);
  return out;
}

Error profile_error(std::string what, const SourceSpan& where, std::string hint) {
  return Error(ErrorKind::profile, std::move(what), std::move(hint)).at(where);
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates,
                       std::string_view list_name) {
  if (candidates.empty()) return {};
  if (const auto near = base::nearest(word, candidates)) return fmt::format("did you mean '{}'?", *near);
  std::string out = fmt::format("{}: ", list_name);
  return out + base::join(candidates, ", ");
}

std::string spoken_list(std::string_view allowed) {
  const std::vector<std::string_view> words = base::split(allowed, '|');
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += fmt::format("'{}'", words[i]);
  }
  return out;
}

std::optional<std::int64_t> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::int64_t milliseconds;
  };
  constexpr std::array<Unit, 5> k_units{
      {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
  constexpr std::int64_t k_longest = std::int64_t{1000} * 86'400'000;  // a thousand days
  if (text.empty()) return std::nullopt;
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (problem != std::errc{} || text[0] == '-' || number > k_longest) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const std::size_t length = std::min(text.find_first_of("0123456789"), text.size());
    const std::string_view name = text.substr(0, length);
    while (next_unit < k_units.size() && k_units[next_unit].name != name) ++next_unit;
    if (next_unit == k_units.size()) return std::nullopt;
    if (number > k_longest / k_units[next_unit].milliseconds) return std::nullopt;
    total += number * k_units[next_unit++].milliseconds;
    text.remove_prefix(length);
  }
  return total > k_longest ? std::nullopt : std::optional(total);
}

// ---- checking ----

namespace {

class Checker {
 public:
  Checker(const Schema& schema, Append append) : schema_(schema), append_(append) {}

  Result<> table(const Value& table, const Node& node, const std::string& path) const {
    for (const Value::Member& member : table.as_object()) {
      const Node* known = node.child(member.key);
      if (known == nullptr) return base::fail(unknown(member, node, path));
      ORCH_CHECK(check_append(member, *known, table));
      ORCH_CHECK(value(member.value, *known, joined(path, bare(member.key))));
    }
    for (const Node& child : node.children) {
      if (child.key == nullptr || child.key->fallback != "!" || table.find(child.name) != nullptr) continue;
      const std::string where = path.empty() ? std::string("here") : fmt::format("in [{}]", path);
      return base::fail(profile_error(fmt::format("'{}' is missing {}", child.name, where), table.span,
                                      fmt::format("{}: {}", child.name, child.key->about)));
    }
    return {};
  }

 private:
  static std::string joined(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
  }

  Error unknown(const Value::Member& member, const Node& node, const std::string& path) const {
    const std::string name = printable(member.key);
    const bool is_table =
        member.value.is_object() || (member.value.is_array() && !member.value.as_array().empty() &&
                                     member.value.as_array()[0].is_object());
    std::vector<std::string> candidates;
    for (const Node& child : node.children) candidates.emplace_back(child.name);
    std::string what = path.empty() && is_table ? fmt::format("unknown table [{}]", name)
                       : path.empty()           ? fmt::format("unknown key '{}'", name)
                                                : fmt::format("unknown key '{}' in [{}]", name, path);
    const std::vector<std::string> homes = schema_.homes_of(bare(member.key));
    std::string hint = base::nearest(bare(member.key), candidates) || homes.empty()
                           ? suggestion(bare(member.key), candidates, "known keys")
                           : fmt::format("'{}' is a key of [{}]", name, homes[0]);
    return profile_error(std::move(what), member.key_span, std::move(hint));
  }

  Result<> check_append(const Value::Member& member, const Node& node, const Value& table) const {
    if (!member.key.starts_with('+')) return {};
    const std::string_view name = bare(member.key);
    if (append_ == Append::no)
      return base::fail(profile_error(fmt::format("'{}' adds to nothing here", member.key), member.key_span,
                                      "\"+key\" works in profiles only"));
    if (!node.is_list())
      return base::fail(
          profile_error(fmt::format("'{}' cannot be added to: '{}' is no list", member.key, name),
                        member.key_span, fmt::format("write {} = … to replace it", name)));
    for (const Value::Member& other : table.as_object()) {
      if (other.key != name) continue;
      Error error = profile_error(fmt::format("'{}' and '{}' stand in one table", name, member.key),
                                  member.key_span, "keep one of them");
      error.related.emplace_back("the other one", other.key_span);
      return base::fail(std::move(error));
    }
    return {};
  }

  static tl::unexpected<Error> wrong_type(const Value& value, std::string_view expected,
                                          const std::string& path, std::string hint = {}) {
    return base::fail(profile_error(
        fmt::format(
            "expected {} for '{}', found {} {}", expected, printable(path),
            std::string_view("aeio").find(value.type_name()[0]) != std::string_view::npos ? "an" : "a",
            value.type_name()),
        value.span, std::move(hint)));
  }

  Result<> text_value(const Value& value, const Key& key, const std::string& path) const {
    if (!value.is_string()) return wrong_type(value, "a string", path);
    const std::string& text = value.as_string();
    if (key.type == KeyType::duration && !parse_duration(text))
      return base::fail(profile_error(fmt::format("'{}' is not a duration", printable(text)), value.span,
                                      "write for example \"90s\", \"2m\", \"1h30m\", or \"0s\" for none"));
    if (key.type == KeyType::compressor && !is_compressor(text))
      return base::fail(profile_error(fmt::format("'{}' is not a compressor of mkfs.erofs", printable(text)),
                                      value.span, "write for example \"lz4\", \"lz4hc,9\", or \"none\""));
    if (key.type == KeyType::text && !key.allowed.empty() && !allows(key.allowed, text))
      return base::fail(bad_choice(value, key, path));
    if ((key.type == KeyType::path || key.type == KeyType::path_or_auto || key.type == KeyType::program) &&
        text.empty())
      return base::fail(profile_error(fmt::format("'{}' is empty", path), value.span, "expected a path"));
    return {};
  }

  static Error bad_choice(const Value& value, const Key& key, const std::string& path) {
    const auto near = base::nearest(value.as_string(), to_strings(base::split(key.allowed, '|')));
    return profile_error(fmt::format("expected {} for '{}', found '{}'", spoken_list(key.allowed),
                                     printable(path), printable(value.as_string())),
                         value.span, near ? fmt::format("did you mean '{}'?", *near) : std::string());
  }

  // mkfs.erofs: NAME or NAME,LEVEL.
  static bool is_compressor(std::string_view text) {
    if (text.empty() || text == "none") return true;
    const std::size_t comma = text.find(',');
    if (!allows("lz4|lz4hc|lzma|deflate|libdeflate|zstd", text.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    const std::string_view level = text.substr(comma + 1);
    return !level.empty() && level.size() <= 2 &&
           level.find_first_not_of("0123456789") == std::string_view::npos;
  }

  Result<> value(const Value& value, const Node& node, const std::string& path) const {
    const KeyType type = node.key == nullptr ? KeyType::table : node.key->type;
    switch (type) {
      case KeyType::text:
      case KeyType::path:
      case KeyType::path_or_auto:
      case KeyType::program:
      case KeyType::duration:
      case KeyType::compressor:
        return text_value(value, *node.key, path);
      case KeyType::integer:
        return value.is_int() ? Result<>() : wrong_type(value, "an integer", path);
      case KeyType::size:
        if (!value.is_int()) return wrong_type(value, "a number of bytes", path);
        if (value.as_int() < 0)
          return base::fail(profile_error(fmt::format("'{}' must not be below 0", path), value.span));
        return {};
      case KeyType::boolean:
        return value.is_bool() ? Result<>() : wrong_type(value, "true or false", path);
      case KeyType::texts:
        return texts(value, path);
      case KeyType::text_table:
        return text_table(value, path);
      case KeyType::app:
        return app(value, path);
      case KeyType::layer:
        return layer(value, *node.key, path);
      case KeyType::layers:
        return layers(value, *node.key, path);
      case KeyType::any:
        return {};
      case KeyType::table:
        return value.is_object() ? table(value, node, path) : wrong_type(value, "a table", path);
      case KeyType::tables:
        return tables(value, node, path);
      case KeyType::steps:
        return Checker(step_schema(), Append::no).tables(value, step_schema().root(), path);
      case KeyType::named_tables:
        return named_tables(value, node, path);
    }
    return {};
  }

  static Result<> texts(const Value& value, const std::string& path) {
    if (!value.is_array())
      return wrong_type(value, "a list of strings", path,
                        value.is_string() ? "put it in brackets: [\"…\"]" : "");
    for (const Value& item : value.as_array())
      if (!item.is_string()) return wrong_type(item, "a string in the list", path);
    return {};
  }

  static Result<> text_table(const Value& value, const std::string& path) {
    if (!value.is_object()) return wrong_type(value, "a table of strings", path);
    for (const Value::Member& member : value.as_object()) {
      if (!base::is_variable_name(member.key))
        return base::fail(profile_error(
            fmt::format("'{}' in [{}] is not a name of a variable", printable(member.key), path),
            member.key_span, base::k_variable_name_hint));
      if (!member.value.is_string()) return wrong_type(member.value, "a string", joined(path, member.key));
    }
    return {};
  }

  Result<> tables(const Value& value, const Node& node, const std::string& path) const {
    if (!value.is_array()) return wrong_type(value, fmt::format("[[{}]] tables", path), path);
    for (const Value& item : value.as_array()) {
      if (!item.is_object()) return wrong_type(item, fmt::format("[[{}]] tables", path), path);
      ORCH_CHECK(table(item, node, path));
    }
    return {};
  }

  Result<> named_tables(const Value& value, const Node& node, const std::string& path) const {
    if (!value.is_object()) return wrong_type(value, fmt::format("tables [{}.NAME]", path), path);
    for (const Value::Member& member : value.as_object())
      ORCH_CHECK(this->value(member.value, node.children[0], joined(path, member.key)));
    return {};
  }

  Result<> app(const Value& value, const std::string& path) const {
    if (value.is_string()) return text_value(value, Key{path, KeyType::path, "-", "", ""}, path);
    if (!value.is_object()) return wrong_type(value, "a path or { url, sha256 }", path);
    ORCH_CHECK(Checker(app_schema(), Append::no).table(value, app_schema().root(), path));
    return check_sha256(*value.find("sha256"), path);
  }

  static Result<> check_sha256(const Value& value, const std::string& path) {
    const std::string& text = value.as_string();
    if (text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos) return {};
    return base::fail(profile_error(fmt::format("'{}.sha256' must be 64 hex digits in lower case", path),
                                    value.span, "sha256sum FILE prints them"));
  }

  Result<> layer(const Value& value, const Key& key, const std::string& path) const {
    constexpr std::string_view k_forms =
        "expected a path, { url, sha256 }, { package, source, arch, path }, { packages, source } or { fex }";
    if (value.is_string()) {
      if (value.as_string().empty())
        return base::fail(profile_error(fmt::format("'{}' is empty", path), value.span));
      if (value.as_string() == "auto" && !allows(key.allowed, "auto"))
        return base::fail(
            profile_error(fmt::format("'{}' has no \"auto\"", path), value.span, "expected a path"));
      return {};
    }
    if (!value.is_object()) return wrong_type(value, "a path or a layer table", path);
    ORCH_CHECK(Checker(layer_schema(), Append::no).table(value, layer_schema().root(), path));
    int forms = 0;
    for (const std::string_view form : {"url", "package", "packages", "fex"})
      if (value.find(form) != nullptr) ++forms;
    if (forms != 1)
      return base::fail(profile_error(fmt::format("{} of 'url', 'package', 'packages', 'fex' in one layer",
                                                  forms == 0 ? "none" : "more than one"),
                                      value.span, std::string(k_forms)));
    const Value* sha256 = value.find("sha256");
    if (value.find("url") != nullptr && sha256 == nullptr)
      return base::fail(
          profile_error("a layer by 'url' needs its 'sha256'", value.span, "sha256sum FILE prints it"));
    return sha256 != nullptr ? check_sha256(*sha256, path) : Result<>();
  }

  Result<> layers(const Value& value, const Key& key, const std::string& path) const {
    if (!value.is_array()) return wrong_type(value, "a list of layers", path);
    for (const Value& item : value.as_array()) ORCH_CHECK(layer(item, key, path));
    return {};
  }

  const Schema& schema_;
  Append append_;
};

}  // namespace

Value default_of(const Key& key) {
  switch (key.type) {
    case KeyType::boolean:
      return key.fallback == "true";
    case KeyType::integer:
    case KeyType::size: {
      std::int64_t number = 0;
      std::from_chars(key.fallback.data(), key.fallback.data() + key.fallback.size(), number);
      return number;
    }
    case KeyType::texts:
    case KeyType::layers:
    case KeyType::tables:
    case KeyType::steps: {
      Value list = Value::array();
      if (key.fallback != "[]") list.push(Value(key.fallback.substr(1, key.fallback.size() - 2)));
      return list;
    }
    case KeyType::text_table:
    case KeyType::table:
    case KeyType::named_tables:
      return Value::object();
    case KeyType::text:
    case KeyType::path:
    case KeyType::path_or_auto:
    case KeyType::program:
    case KeyType::duration:
    case KeyType::compressor:
    case KeyType::app:
    case KeyType::layer:
    case KeyType::any:
      return Value(key.fallback);
  }
  return {};
}

Result<> check(const Value& document, const Schema& schema, Append append) {
  return Checker(schema, append).table(document, schema.root(), {});
}

void fill_defaults(Value& document, const Node& node) {
  for (const Node& child : node.children) {
    if (child.key == nullptr) continue;
    Value* present = document.find(child.name);
    if (present == nullptr) {
      if (child.key->fallback == "-" || child.key->fallback == "!") continue;
      present = &document.set(std::string(child.name), default_of(*child.key));
    }
    if (child.key->type == KeyType::table) {
      fill_defaults(*present, child);
    } else if (child.key->type == KeyType::tables) {
      for (Value& item : present->as_array()) fill_defaults(item, child);
    } else if (child.key->type == KeyType::named_tables) {
      for (Value::Member& member : present->as_object()) fill_defaults(member.value, child.children[0]);
    }
  }
}

}  // namespace orch::load
