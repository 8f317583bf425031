// What a table of a TOML file may hold, as data: one list of keys drives checks, defaults and the manual.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orch::load {

using base::Result;
using base::Value;

enum class KeyType {
  text,
  integer,
  boolean,
  texts,         // a list of strings
  text_table,    // names of environment variables, string values
  path,          // a file or folder, relative to the file that names it
  path_or_auto,  // the same, or "auto"
  program,       // a name to look up in PATH, or a path
  duration,      // "90s", "1h30m"
  size,          // bytes, an integer not below 0
  compressor,    // what mkfs.erofs -z takes, "none" or "" for none
  app,           // path | { url, sha256 }
  layer,         // path | table (see layer_schema), "auto" where `allowed` has it
  layers,        // a list of them
  any,           // whatever TOML has
  table,         // its keys follow in the list
  tables,        // a list of tables; the keys of one follow
  steps,         // [[step]], see step_schema
  named_tables,  // tables under names that the user chooses ("source.*"); the keys of one follow
};

// Which variables a string may hold: none (it has its own), ${home} ${env:NAME} ${profile_dir}, or ${appdir}
// too.
enum class Variables { none, early, with_appdir };

struct Key {
  std::string_view path;  // "launch.gpu_mode", "stack.deps.name", "source.*.kind"
  KeyType type = KeyType::text;
  // The default: text as it is, "[]", a number, "true"/"false"; "-" where an absent key stays absent, "!" if
  // the key must be there.
  std::string_view fallback = "-";
  std::string_view
      allowed;  // "a|b|c": the values of a text (or what `layer` may say besides a path); empty: any
  std::string_view about;  // one line for the manual
  Variables variables = Variables::early;
};

// A list of keys as a tree. The list must outlive it.
class Schema {
 public:
  struct Node {
    std::string_view name;     // the last part of the path; "*" under named tables
    const Key* key = nullptr;  // nullptr: the root, or "*"
    std::vector<Node> children;
    // The child that speaks for a member of that name, or nullptr. A leading '+' of the name is not looked
    // at.
    const Node* child(std::string_view member) const;
    bool is_list() const;
  };

  explicit Schema(std::span<const Key> keys);
  const Node& root() const { return root_; }
  // Tables that have a key of that name ("launch"), for hints.
  std::vector<std::string> homes_of(std::string_view name) const;

 private:
  Node root_;
};

enum class Append { no, yes };  // whether "+key" is a way to add to a list

// Holds a document against the schema: unknown keys, types, values.
Result<> check(const Value& document, const Schema& schema, Append append);

// Writes the defaults of absent keys into the document, tables included; not below named tables or lists that
// are absent.
void fill_defaults(Value& document, const Schema::Node& node);

// The default of a key, by its type; for "-" and "!" there is none to ask for.
Value default_of(const Key& key);

// An error of kind profile at a place.
base::Error profile_error(std::string what, const base::SourceSpan& where, std::string hint = {});
// "did you mean 'x'?", or else "LIST_NAME: a, b, c"; empty without candidates.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates,
                       std::string_view list_name);
// "'a', 'b' or 'c'" of "a|b|c".
std::string spoken_list(std::string_view allowed);

// Milliseconds of "0s", "500ms", "90s", "2m", "1h30m"; units fall, each at most once. nullopt for anything
// else.
std::optional<std::int64_t> parse_duration(std::string_view text);

}  // namespace orch::load
