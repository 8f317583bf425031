#include "load/variables.hpp"

#include "base/text.hpp"
#include "load/keys.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::load {

using base::SourceSpan;
using Node = Schema::Node;

namespace {

// The place of the byte `offset` of a string: exact where the source text shows the same bytes there (no
// escapes).
SourceSpan place_in(const Value& value, std::size_t offset, std::string_view word) {
  SourceSpan span = value.span;
  if (!span.file || span.line <= 0) return span;
  const std::size_t column =
      static_cast<std::size_t>(span.column) + offset;  // after the opening quote, from 0
  if (span.line_text().substr(std::min(column, span.line_text().size())).starts_with(word)) {
    span.column = static_cast<int>(column) + 1;
    span.length = static_cast<int>(word.size());
  }
  return span;
}

class Expander {
 public:
  explicit Expander(const VariableScope& scope) : scope_(scope) {}

  Result<> walk(Value& value, const Node* node, Variables variables) const {
    if (node != nullptr && node->key != nullptr) {
      variables = node->key->variables;
      if (node->key->type == KeyType::steps) node = &step_schema().root();
    }
    if (value.is_string()) return string(value, variables);
    if (value.is_array()) {
      for (Value& item : value.as_array()) ORCH_CHECK(walk_item(item, node, variables));
    } else if (value.is_object()) {
      for (Value::Member& member : value.as_object()) {
        const Node* below = node == nullptr ? nullptr : node->child(member.key);
        ORCH_CHECK(walk(member.value, below, variables));
      }
    }
    return {};
  }

 private:
  // An item of a list has the keys of the list's node, but is not that key itself.
  Result<> walk_item(Value& item, const Node* node, Variables variables) const {
    if (!item.is_object() || node == nullptr) return walk(item, nullptr, variables);
    for (Value::Member& member : item.as_object())
      ORCH_CHECK(walk(member.value, node->child(member.key), variables));
    return {};
  }

  Result<> string(Value& value, Variables variables) const {
    const std::string& text = value.as_string();
    if (variables == Variables::none || text.find("${") == std::string::npos) return {};
    const bool late = variables == Variables::with_appdir;
    std::string out;
    bool marked = false;
    std::size_t at = 0;
    while (true) {
      const std::size_t open = text.find("${", at);
      if (open == std::string::npos) break;
      if (open > at && text[open - 1] == '$') {
        out += text.substr(at, open - 1 - at) + (late ? "$${" : "${");
        at = open + 2;
        continue;
      }
      out += text.substr(at, open - at);
      const std::size_t close = text.find('}', open);
      if (close == std::string::npos)
        return base::fail(profile_error("'${' has no '}'", place_in(value, open, "${"),
                                        "write \"$${\" for a plain \"${\""));
      const std::string word = text.substr(open, close + 1 - open);
      ORCH_TRY(const std::string expanded, variable(word, place_in(value, open, word), late));
      out += expanded;
      marked = marked || word != "${appdir}";  // which stays, and so is the same on every host
      at = close + 1;
    }
    out += text.substr(at);
    const SourceSpan span = value.span;
    value = Value(std::move(out));
    value.span = span;
    value.host_dependent = marked;
    return {};
  }

  // `word` is "${NAME}".
  Result<std::string> variable(const std::string& word, const SourceSpan& where, bool late) const {
    const std::string name = word.substr(2, word.size() - 3);
    if (name == "appdir") {
      if (late) return word;
      return base::fail(profile_error("'${appdir}' is known only when the application starts", where,
                                      "it works in app.args, app.env and launch.guest_pre"));
    }
    std::string found;
    if (name == "profile_dir") {
      found = scope_.profile_dir;
    } else if (name == "home" || name.starts_with("env:")) {
      const std::string variable = name == "home" ? "HOME" : name.substr(4);
      const auto at = scope_.environment->find(variable);
      if (at == scope_.environment->end())
        return base::fail(profile_error(fmt::format("the environment has no '{}'", base::printable(variable)),
                                        where,
                                        fmt::format("set {} before the call", base::printable(variable))));
      found = at->second;
    } else {
      return base::fail(
          profile_error(fmt::format("unknown variable '{}'", base::printable(word)), where,
                        suggestion(name, {"appdir", "home", "env:NAME", "profile_dir"}, "known variables")));
    }
    return late ? escaped(found) : found;
  }

  // What a variable brought must not be read as a variable by expand_appdir().
  static std::string escaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text.substr(i).starts_with("${")) out += '$';
      out += text[i];
    }
    return out;
  }

  const VariableScope& scope_;
};

}  // namespace

Result<> expand_variables(Value& document, const Schema& schema, const VariableScope& scope) {
  return Expander(scope).walk(document, &schema.root(), Variables::early);
}

std::string expand_appdir(std::string_view text, std::string_view appdir) {
  constexpr std::string_view k_name = "${appdir}";
  std::string out;
  while (!text.empty()) {
    if (text.starts_with("$${")) {
      out += "${";
      text.remove_prefix(3);
    } else if (text.starts_with(k_name)) {
      out += appdir;
      text.remove_prefix(k_name.size());
    } else {
      out += text[0];
      text.remove_prefix(1);
    }
  }
  return out;
}

// ---- paths ----

namespace {

void make_absolute(Value& value, const std::string& directory) {
  const SourceSpan span = value.span;
  value = Value(sys::absolute_path(value.as_string(), directory));
  value.span = span;
}

void absolutise_value(Value& value, const Node& node, const std::string& directory);

void absolutise_table(Value& table, const Node& node, const std::string& directory) {
  for (Value::Member& member : table.as_object())
    if (const Node* below = node.child(member.key)) absolutise_value(member.value, *below, directory);
}

void absolutise_each(Value& list, const Node& node, const std::string& directory) {
  for (Value& item : list.as_array()) absolutise_table(item, node, directory);
}

// A program's name stays a name; everything with a '/' is a path.
void absolutise_tools(Value& step, const std::string& directory) {
  Value* tools = step.find("tools");
  if (tools == nullptr || !tools->is_object()) return;
  for (Value::Member& member : tools->as_object()) {
    Value* program = member.value.is_object() ? member.value.find("program") : &member.value;
    if (program != nullptr && program->is_string() && program->as_string().find('/') != std::string::npos)
      make_absolute(*program, directory);
  }
}

void absolutise_value(Value& value, const Node& node, const std::string& directory) {
  const KeyType type = node.key == nullptr ? KeyType::table : node.key->type;
  const bool is_path = value.is_string() && (type == KeyType::path || type == KeyType::app);
  const bool may_be_auto = value.is_string() && (type == KeyType::path_or_auto || type == KeyType::layer);
  if (is_path || (may_be_auto && value.as_string() != "auto")) {
    make_absolute(value, directory);
  } else if (type == KeyType::layers) {
    for (Value& item : value.as_array())
      if (item.is_string() && item.as_string() != "auto") make_absolute(item, directory);
  } else if (type == KeyType::steps) {
    absolutise_each(value, step_schema().root(), directory);
    for (Value& step : value.as_array()) absolutise_tools(step, directory);
  } else if (type == KeyType::tables) {
    absolutise_each(value, node, directory);
  } else if (type == KeyType::table || type == KeyType::named_tables) {
    absolutise_table(value, node, directory);
  }
}

}  // namespace

void absolutise(Value& document, const Schema& schema, const std::string& directory) {
  absolutise_table(document, schema.root(), directory);
  absolutise_tools(document, directory);
}

}  // namespace orch::load
