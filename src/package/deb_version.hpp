// Debian's order of versions (policy, section 5.6.12), for picking the newest of several.
#pragma once

#include <string_view>

namespace orch::package {

// Less than, equal to or greater than 0, for "[EPOCH:]UPSTREAM[-REVISION]" each.
int compare_deb_versions(std::string_view a, std::string_view b);

}  // namespace orch::package
