// bench.json as a picture.
#pragma once

#include "base/value.hpp"

#include <string>

namespace orch::probe {

using base::Value;

// One SVG of two plots. Above a box for each result: from the first quartile to the third (as numpy has them), the median with its
// number, whiskers to the furthest time within 1.5 times the box's width, what lies beyond as marks. Below every run at its place in the
// order, with a mark of its result's shape; a failed one is a cross at the bottom. Readable in black and white, and with any sans-serif
// font; without scripts and links. The same document gives the same bytes.
std::string bench_svg(const Value& bench);

}  // namespace orch::probe
