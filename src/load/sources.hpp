// Package sources that are not in the profile: profiles/sources/NAME.toml, the user's before the shipped
// ones.
#pragma once

#include "load/profile.hpp"

#include <string>
#include <vector>

namespace orch::load {

// Names of the source files, sorted, each once.
std::vector<std::string> source_names(const Surroundings& surroundings);

// The table of a source file, checked, with absolute paths and without `schema`.
Result<Value> read_source(const std::string& name, const Surroundings& surroundings);

// The table for a source's name: of the profile's own [source.NAME], else of a file. null for "auto".
// `where` is the place that names it.
Result<Value> find_source(const Value& profile, const std::string& name, const base::SourceSpan& where,
                          const Surroundings& surroundings);

}  // namespace orch::load
