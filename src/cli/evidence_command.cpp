// appimage-orch evidence: finds, shows, compares and removes what runs have left.
#include "cli/evidence_command.hpp"

#include "base/text.hpp"
#include "evidence/moments.hpp"
#include "evidence/run_directory.hpp"
#include "load/schema.hpp"
#include "sys/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::printable;

void add_evidence_dir(CLI::App& command, std::string& dir) {
  command
      .add_option("--dir", dir,
                  "where the runs lie (default: docs/agent-context/research here if there is "
                  "docs/agent-context, else "
                  "$XDG_STATE_HOME/appimage-orch/evidence)")
      ->type_name("DIR");
}

Result<std::string> evidence_place(const Session& session, const std::string& dir) {
  if (dir.empty()) return evidence::evidence_root("", sys::absolute_path("."), session.state_dir);
  const std::string path = sys::absolute_path(dir);
  const sys::Result<struct stat> info = sys::stat_file(path);
  if (info && S_ISDIR(info->st_mode)) return path;
  return fail(ErrorKind::not_found, fmt::format("there is no directory '{}'", printable(dir)),
              "give --dir the directory that [evidence] dir names, or leave it out");
}

Result<evidence::TimePoint> parse_when(const std::string& option, const std::string& text,
                                       evidence::TimePoint now) {
  if (const auto ago = load::parse_duration(text)) return now - std::chrono::milliseconds(*ago);
  if (const auto moment = evidence::parse_moment(text)) return *moment;
  return fail(ErrorKind::usage,
              fmt::format("{} '{}' is neither a time nor a duration", option, printable(text)),
              "write it as '7d', '1h30m', '2026-01-31' or '2026-01-31 18:00'");
}

void add_evidence(CLI::App& app, Session& session) {
  CLI::App* evidence = app.add_subcommand("evidence", "find, show, compare and remove what runs have left");
  evidence->require_subcommand(1);
  add_evidence_list(*evidence, session);
  add_evidence_show(*evidence, session);
  add_evidence_diff(*evidence, session);
  add_evidence_prune(*evidence, session);
}

}  // namespace orch::cli
