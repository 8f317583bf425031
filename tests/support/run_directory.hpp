// Directories as runs leave them, for tests that read such.
#pragma once

#include "base/value.hpp"
#include "evidence/report.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

#include <string>

namespace orch::test {

class TempRoot {
 public:
  TempRoot() : path_(*sys::make_temp_dir("/tmp/orch-unit-")) {}
  TempRoot(const TempRoot&) = delete;
  TempRoot& operator=(const TempRoot&) = delete;
  ~TempRoot() { (void)sys::remove_tree(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void write(const std::string& path, const std::string& text) {
  REQUIRE(sys::make_dirs(sys::parent_path(path)));
  REQUIRE(sys::write_atomic(path, text));
}

inline base::Value report_of(const std::string& outcome,
                             const std::string& started = "2026-01-02T03:04:05.000Z") {
  evidence::RunReport report;
  report.outcome = outcome;
  report.profile = "app";
  report.started = started;
  if (outcome == "exited") report.status = 3;
  if (outcome == "signaled") report.signal = 11;
  return to_value(report);
}

inline base::Value inputs_of() {
  return base::Value::object({{"schema", "appimage-orch/inputs/1"}, {"started", "2026-01-02T03:04:05.000Z"}});
}

// PATH with both documents and an empty log.
inline void write_run(const std::string& path, const base::Value& report,
                      const base::Value& inputs = inputs_of()) {
  write(path + "/inputs.json", format::to_json(inputs));
  write(path + "/run.report.json", format::to_json(report));
  write(path + "/run.log", "");
}

}  // namespace orch::test
