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

// Who has these libraries in a source. Needs the source's lists, and brings them where they are missing.
struct SonameAnswer {
  std::string source;  // "source 'fedora-42'", "source 'auto' (debian 12)"
  package::Providers providers;
};
Result<SonameAnswer> find_providers(const package::Source& source, const std::vector<std::string>& sonames,
                                    const package::Surroundings& around);

// The first package for each library that one has; not those of the ABI boundary (C library, loader, compiler
// runtime), which an overlay may not bring.
std::vector<package::AutoPackage> choose_packages(const SonameAnswer& answer,
                                                  const std::vector<std::string>& sonames);

// A message for each library that choose_packages() has nothing for.
std::vector<std::string> unanswered(const SonameAnswer& answer, const std::vector<std::string>& sonames);

// Fills `packages` and `source` of the missing libraries of a stack report, required and optional ones, where they
// are still empty.
void add_packages(base::Value& report, const SonameAnswer& answer);
// The sonames whose `packages` add_packages() would fill.
std::vector<std::string> wanted_sonames(const base::Value& report);

}  // namespace orch::cli
