// What the commands below `evidence` share: where runs lie, and moments on the command line.
#pragma once

#include "cli/command.hpp"
#include "evidence/run_record.hpp"

#include <string>

namespace orch::cli {

// Adds --dir.
void add_evidence_dir(CLI::App& command, std::string& dir);
// --dir, which must exist; without it what `run` uses in this working directory, [evidence] dir aside: which profile's
// it would be is not known here.
Result<std::string> evidence_place(const Session& session, const std::string& dir);

// A moment, or how long ago ("7d", "1h30m"). `option` is named in the error.
Result<evidence::TimePoint> parse_when(const std::string& option, const std::string& text,
                                       evidence::TimePoint now);

void add_evidence_list(CLI::App& evidence, Session& session);
void add_evidence_show(CLI::App& evidence, Session& session);
void add_evidence_diff(CLI::App& evidence, Session& session);
void add_evidence_prune(CLI::App& evidence, Session& session);

}  // namespace orch::cli
