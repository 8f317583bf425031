// run --auto-deps: where libraries are missing and the profile takes no packages for them, an overlay that does is
// added to the profile, because somebody said so, on the command line or at the terminal.
#pragma once

#include "base/result.hpp"
#include "cli/project.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::cli {

// A profile's file and its lock as they were before an overlay was added. The overlay stays only if it can be made.
class AddedOverlay {
 public:
  // Adds it. Errors: as load::add_auto_overlay().
  static Result<AddedOverlay> add(const Session& session, const model::Profile& profile);
  // Both files again as they were; false: somebody else has changed the profile since, and both are left alone. What
  // could not be put back is an Error.
  Result<bool> take_back() const;

 private:
  struct File {
    std::string path;
    std::optional<std::string> before;  // nullopt: there was none
  };
  File profile_;
  std::string after_;  // the profile's text with the overlay
  File lock_;
};

struct AutoDeps {
  std::optional<AddedOverlay> overlay;         // the profile was changed: it has to be opened again
  std::vector<package::AutoPackage> packages;  // and takes these
};

// `told`: --auto-deps was given; without it the user is asked, if there is a terminal to ask at. Where nobody can be
// asked the packages that would help are only named, in `report`. The profile stays as it is where no package has
// what is missing.
Result<AutoDeps> offer_auto_deps(const Session& session, Project& project, base::Value& report, bool told,
                                 BuildView& view);

}  // namespace orch::cli
