// What `appimage-orch step` is given (steps/ID.json), and what it leaves (stamps/ID, action-cache records).
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "hash/key_hasher.hpp"
#include "model/artifact.hpp"
#include "model/step.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::model {

struct SpecInput {
  std::string name;
  std::string path;      // leaf: absolute path
  std::string digest;    // leaf: its digest when the plan was made
  std::string upstream;  // otherwise: step id
  std::string output;    // and the name of its output
};

struct SpecTool {
  RuleTool rule;  // how it is found and identified: the step looks again, for a bare ninja after an upgrade
  std::string path;  // empty where an optional tool is absent
  std::string identity;
};

struct StepSpec {
  std::string id;
  std::string rule;
  int rule_version = 1;
  std::string description;
  std::string builtin;
  std::vector<std::string> command;
  CachePolicy cache = CachePolicy::content;
  std::vector<SpecInput> inputs;
  base::Value parameters;  // object
  base::Value settings;    // object
  std::vector<SpecTool> tools;
  std::vector<RuleOutput> outputs;  // name and kind
  std::string store;                // root of the artifact store
  std::string stat_cache;           // path
};

base::Value to_value(const StepSpec& spec);
base::Result<StepSpec> spec_from_value(const base::Value& value, std::string_view name);

// A stamp says: step ID was brought up to date with KEY and these outputs. `items` is the key's readable
// twin.
struct Stamp {
  std::string id;
  hash::Digest key;
  std::vector<OutputRecord> outputs;
  std::vector<hash::KeyItem> items;
  std::string boot_id;  // of the boot that wrote it: only then the artifacts are known to be whole
};

base::Value to_value(const Stamp& stamp);
base::Result<Stamp> stamp_from_value(const base::Value& value, std::string_view name);

// The outputs of stamps and records: a list of {name, kind, digest}.
base::Value to_value(const std::vector<OutputRecord>& outputs);
// Whether a record has exactly the outputs that a step declares, in their order: a stamp or record of another
// make has not.
bool answers(const std::vector<OutputRecord>& records, const std::vector<RuleOutput>& declared);
base::Result<std::vector<OutputRecord>> outputs_from_value(const base::Value* value, std::string_view name);

// An input with the digest that takes part in the key.
struct KeyInput {
  std::string name;
  ArtifactKind kind = ArtifactKind::file;
  hash::Digest digest;
};

// key = XXH3-128(rule id, rule version, action, parameters, tool identities, (input name, content digest)…).
hash::KeyHasher compute_key(const StepSpec& spec, const std::vector<KeyInput>& inputs);

}  // namespace orch::model
