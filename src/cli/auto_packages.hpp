// Packages for libraries that a stack lacks: who has them, and which layer of the profile takes them.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "cli/locker.hpp"
#include "model/profile.hpp"

#include <string>
#include <vector>

namespace orch::cli {

// The first deps layer that says auto = true; empty where there is none.
std::string automatic_layer(const model::Profile& profile);

// Who has these libraries, in the source of that layer, or, for an empty name, of the first layer that takes
// packages, else of this machine. Needs the lists of the source, and brings them where they are missing.
struct SonameAnswer {
  std::string source;  // "source 'debian'"
  package::Providers providers;
};
Result<SonameAnswer> find_providers(const model::Profile& profile, const std::string& layer,
                                    const std::vector<std::string>& sonames,
                                    const package::Surroundings& around);

// Fills `packages` of the missing libraries of a stack report, required and optional ones.
void add_packages(base::Value& report, const package::Providers& providers);
// The sonames whose `packages` add_packages() would fill.
std::vector<std::string> wanted_sonames(const base::Value& report);

}  // namespace orch::cli
