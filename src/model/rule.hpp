// A rule: a kind of step, as data. docs/design/rules.md describes the TOML form; src/load reads it.
// The engine (graph, plan, ninja, store) knows rules and values only, nothing of AppImages.
#pragma once

#include "base/value.hpp"
#include "model/artifact.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orch::model {

// Where an input comes from; exactly one of value, step, file is set.
struct RuleInput {
  std::string name;
  // A place in the expanded profile ("app.appimage", "item.file", "layers[].image"): a file or directory
  // path, or what some step provides there. "layers[].image" gives a list, in order; "below[].image" only
  // the items of the rule's for_each that come before its own.
  std::string value;
  // A step by its name in the profile (user steps), and one of its outputs (empty: its first).
  std::string step;
  std::string output;
  // A path, relative to the file that the rule or step stands in.
  std::string file;
  bool optional = false;  // an absent value is no error
  base::SourceSpan span;
};

// A value that takes part in the key (parameters) or only reaches the action (settings: what cannot change
// the result).
struct RuleParameter {
  std::string name;
  std::string value;  // a place, or a list of places, in the expanded profile; empty: use `literal`
  std::optional<base::Value> literal;  // also the default where `value` is absent
  // "string", "integer", "boolean", "strings", "any", "lock" (absent until the lock file is written: the step
  // is then unresolved, not wrong).
  std::string type = "any";
  base::SourceSpan span;
};

struct RuleTool {
  std::string name;
  std::string program;  // a name to look up in PATH, or a path
  // How its identity is found: "digest" of its file, "version" (what the program prints with `version_args`),
  // or "erofs-writer" (version of mkfs.erofs and of its compressor library).
  std::string identity = "digest";
  std::vector<std::string> version_args;
  std::string package_hint;  // what to install, for messages
  bool optional = false;     // absent is an identity of its own ("absent")
  base::SourceSpan span;
};

struct RuleOutput {
  std::string name;
  ArtifactKind kind = ArtifactKind::file;
  // A place in the expanded profile that this output becomes ("app.tree", "item.image"). A step that also
  // takes that place as an input is put between the former provider and everybody else. "layers+" adds a
  // layer on top, below one of role "finish".
  std::string provides;
  base::SourceSpan span;
};

enum class CachePolicy { content, never };

struct Rule {
  std::string id;
  int version = 1;
  std::string description;  // "${item.name}" and "${profile}" expand
  std::string for_each;     // a list in the expanded profile ("layers"); empty: once per profile
  // All must hold. First: a place ("item.kind"); second: the text it must have, one of several.
  std::vector<std::pair<std::string, std::vector<std::string>>> when;
  std::vector<RuleInput> inputs;
  std::vector<RuleParameter> parameters;
  std::vector<RuleParameter> settings;
  std::vector<RuleTool> tools;
  std::vector<RuleOutput> outputs;
  std::string builtin;               // a built-in action, or
  std::vector<std::string> command;  // an argv; {in.X} {out.X} {param.X} {tool.X} expand within words
  std::string pool;                  // "", "heavy", "network", "console"
  CachePolicy cache = CachePolicy::content;
  base::SourceSpan span;  // of the id
};

}  // namespace orch::model
