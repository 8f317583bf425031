// bench.json in the layout of hyperfine's --export-json, for the programs that plot and test that.
#pragma once

#include "base/value.hpp"

namespace orch::probe {

using base::Value;

// {"results": [one for each variant and kind of start that has a successful run]}. Of a result
//  command: "NAME (drm, cold)", NAME being what was measured: the command, or the profile where that is the app itself;
//  mean, stddev (null for one run, as there), median, min, max; times and exit_codes: of the successful runs, one for one;
//  parameters: {NAME: VALUE} of a variant NAME=VALUE, {"gpu_mode": MODE} of one that is a mode, and "start" where the benchmark has cold and
//    warm ones; all texts, as there; left out where there are none, as there;
//  user, system: null. Seconds of processor are not measured, for the processes may be those of a virtual machine. Python reads null and
//    goes on (no script of hyperfine's looks at them); a field that is left out would be an error to what takes each by its name.
// Its scripts need command and times (histogram, progression, whisker, statistics, Welch's test) or command and mean (comparison).
// The parametrized plot wants one parameter that is a number: so starts of one kind, and variants NAME=NUMBER.
Value hyperfine_export(const Value& bench);

}  // namespace orch::probe
