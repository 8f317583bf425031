// The directory of a benchmark: DIR/APP-bench/YYYYMMDD-HHMMSS with bench.json ("appimage-orch/bench/1", probe/bench.hpp), and a
// run for each start in runs/. For lists and for removing it is one run.
#pragma once

#include "evidence/run_record.hpp"

#include <string>

namespace orch::evidence {

// True for a directory (no link) with a bench.json of that schema and no run's report beside it.
bool is_bench_directory(const std::string& path);

// As read_run(), of such a directory.
Run read_bench(const std::string& path, const std::string& name, TimePoint now, Parts parts);

}  // namespace orch::evidence
