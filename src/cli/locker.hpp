// From a profile to the exact packages of its layers: reads its lock file, and resolves and writes it where the
// policy says so. What build, run, verify and lock share.
#pragma once

#include "base/result.hpp"
#include "cli/base_facts.hpp"
#include "cli/command.hpp"
#include "model/profile.hpp"
#include "package/lock_file.hpp"
#include "package/resolve.hpp"
#include "sys/process.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace orch::cli {

// What to do about layers of packages whose lock is missing or does not match.
enum class LockPolicy {
  leave,    // their steps are unresolved (plan)
  resolve,  // resolve and write the lock file (build, run, lock)
  update,   // the same, and take the newest of everything (lock --update)
  demand,   // an error (--locked)
};

class Locker {
 public:
  struct Parts {
    const Session& session;
    sys::ProcessRunner& processes;
    // Builds, where they are not there, the indexes of the ready-made layers below the packages.
    std::function<Result<std::vector<LayerIndex>>(const model::Profile&)> lower_indexes;
    std::function<void(std::string_view)> log;
    std::set<std::string>& refreshed;  // see package::Surroundings
  };
  explicit Locker(Parts parts) : parts_(std::move(parts)) {}

  // Brings the lock file up to date as the policy says, and puts `locked` into the profile's layers. `autos`:
  // packages to add for missing libraries, by layer.
  Result<> lock(model::Profile& profile, LockPolicy policy,
                const std::map<std::string, std::vector<package::AutoPackage>>& autos);

  // The source of that layer, or, for an empty name, of one that the profile could have more: the distribution
  // of the base, else this machine's own archives.
  Result<package::Source> source_for(const model::Profile& profile, const std::string& layer,
                                     const package::BaseIdentity& base) const;

  // Those of the profile's layers, each once, but for the one that source_for() gives.
  Result<std::vector<package::Source>> further_sources(const model::Profile& profile,
                                                       const package::Source& first) const;

  // Refers to this object.
  package::Surroundings surroundings() const;

 private:
  // The table of a source for the distribution of the base; null for this machine's own.
  Result<base::Value> base_source(const model::Profile& profile, const package::BaseIdentity& base) const;
  Result<> resolve_auto_sources(model::Profile& profile, const package::BaseIdentity& base) const;
  Result<BaseFacts> facts_of(const model::Profile& profile);
  // Images of FEX's list that the profile names: the lock with those that it lacks. Nothing where it may not.
  Result<std::optional<package::LockFile>> lock_fex_images(const model::Profile& profile,
                                                           std::optional<package::LockFile> lock,
                                                           LockPolicy policy, const std::string& path) const;
  // Images that the profile takes out of packages: the lock with what they need, so that they can be looked at
  // before the packages of other layers are chosen. Not saved.
  Result<std::optional<package::LockFile>> lock_packaged_images(const model::Profile& profile,
                                                                std::optional<package::LockFile> lock,
                                                                LockPolicy policy) const;
  Result<package::LockFile> resolve(model::Profile& profile, const std::optional<package::LockFile>& old,
                                    std::vector<package::LayerRequest> requests, LockPolicy policy);
  std::vector<package::LayerRequest> with_autos(
      std::vector<package::LayerRequest> requests,
      const std::map<std::string, std::vector<package::AutoPackage>>& autos) const;

  Parts parts_;
  std::map<std::string, BaseFacts> facts_;  // by profile
};

}  // namespace orch::cli
