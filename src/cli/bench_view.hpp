// How a benchmark looks: while it runs, and what it found.
#pragma once

#include "base/value.hpp"
#include "cli/command.hpp"
#include "probe/bench.hpp"

#include <memory>
#include <string>

namespace orch::cli {

// On standard error: a bar with the time that is left on a terminal that can draw over a line, else a line for each start.
class BenchView {
 public:
  virtual ~BenchView() = default;
  virtual void begin(std::size_t starts) = 0;
  virtual void expect(std::size_t starts) = 0;  // so many in all, those that were made included
  // `name`: "drm, warm"; the start that is under way.
  virtual void started(const std::string& name) = 0;
  virtual void finished(const std::string& name, const probe::Measured& run) = 0;
  virtual void note(const std::string& text) = 0;
  virtual void end() = 0;
};
std::unique_ptr<BenchView> make_bench_view(const Session& session);

// "drm, warm"; "warm" without variants.
std::string start_name(const std::string& variant, std::string_view start);

// For people, at most 80 columns: each result, then how the variants relate to the fastest of their kind.
std::string bench_text(const base::Value& report);

}  // namespace orch::cli
