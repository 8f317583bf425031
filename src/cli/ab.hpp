// A/B: a probe or a run for each of several variants, one VM after another, and what differs. `probe --ab` and `run --ab` are
// both this.
#pragma once

#include "base/value.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/variants.hpp"
#include "model/profile.hpp"

#include <functional>
#include <string>

namespace orch::cli {

struct AbRequest {
  std::string kind;  // of diff.json: "gpu", "run", …
  std::string app;   // names the evidence folder
  VariantArguments variants;
  std::string out_dir;
  bool force = false;
  OutputFormat format = OutputFormat::text;
  bool to_stdout = true;  // the result; not where standard output is the application's
};

// One variant as it ended. All else is read from its evidence.
struct AbEnd {
  int status = 0;        // as the command alone would have ended
  base::Value document;  // probe::Variant::document; for runs it is read from the report
};
// Runs a variant and leaves its evidence in `directory`.
using AbVariant = std::function<Result<AbEnd>(const VariantSetting& setting, const std::string& directory)>;

// The exit status: 0 if that of each variant was, else 1; 128 + signal where one was interrupted, which is the last then.
// diff.json is there from the beginning, and has each variant as soon as that has ended. Errors: also those of --save, after the
// result was told.
Result<int> compare_variants(const Session& session, const model::Profile& profile, const AbRequest& request,
                             const AbVariant& run);

// diff.json for people: the ranking, and what differs.
std::string ab_text(const base::Value& report);

}  // namespace orch::cli
