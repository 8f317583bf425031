// How a profile is laid over the one that it extends.
#pragma once

#include "load/schema.hpp"

namespace orch::load {

// Tables are merged key by key, everything else is replaced; "+key" appends to the list below (to its default
// where there is none). Layers and applications written as tables are values, and replaced as a whole.
void merge(Value& below, Value above, const Schema::Node& node);

}  // namespace orch::load
