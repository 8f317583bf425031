// Every key that a profile, a source file or a rule file may hold. The reference pages list the same keys; a
// test compares them.
#pragma once

#include "load/schema.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace orch::load {

// How overlays are compressed where nothing is said, [[stack.deps]] and layers of packages alike: lz4 in 64
// KiB clusters is as small as lz4hc in 4 KiB ones and takes a quarter of the time to write.
inline constexpr std::string_view k_default_compressor = "lz4";
inline constexpr std::int64_t k_default_cluster = 65536;

// The keys of a profile; those of one [[step]] are in step_keys().
std::span<const Key> profile_keys();
// A layer written as a table, and an application written as a table.
std::span<const Key> layer_keys();
std::span<const Key> app_keys();
// profiles/sources/NAME.toml: what a [source.NAME] table holds, plus `schema`.
std::span<const Key> source_keys();
std::span<const Key> rule_keys();       // a rule file
std::span<const Key> step_keys();       // [[step]]
std::span<const Key> parameter_keys();  // one parameter or setting, written as a table
std::span<const Key> tool_keys();       // one tool, written as a table

const Schema& profile_schema();
const Schema& layer_schema();
const Schema& app_schema();
const Schema& source_schema();
const Schema& rule_schema();
const Schema& step_schema();
const Schema& parameter_schema();
const Schema& tool_schema();

}  // namespace orch::load
