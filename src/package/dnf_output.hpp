// What dnf prints, read. Text in, values out; nothing here runs anything.
#pragma once

#include "base/result.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

using base::Result;

struct RpmName {
  std::string name;
  std::string version;  // "[EPOCH:]VERSION-RELEASE"; an epoch of 0 is left out
  std::string architecture;
  friend bool operator==(const RpmName&, const RpmName&) = default;
};

// 4 or 5 from `dnf --version`; nullopt where it is something else.
std::optional<int> dnf_generation(std::string_view version_text);

// dnf 4: `dnf --verbose install --assumeno`, lines "---> Package NAME.ARCH EVR will be installed".
// dnf 5: `dnf5 install --assumeno`, the rows of its table "Package Arch Version Repository Size".
// An error of kind tool where a line is not understood; empty where nothing is to be installed.
Result<std::vector<RpmName>> parse_transaction(int generation, std::string_view text);

// The words that dnf could not match to any package: "Unable to find a match: A B" (4), "No match for
// argument: A" (5).
std::vector<std::string> unmatched_names(std::string_view errors);

// The complaint of dnf without its "Error: ", at most some lines, with nothing a terminal would act on.
std::string dnf_complaint(std::string_view errors);

}  // namespace orch::package
