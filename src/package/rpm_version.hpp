// RPM's order of versions, for picking the newest of several: digits by value, letters by alphabet, '~'
// before everything, '^' after the same text and before more of it.
#pragma once

#include <string_view>

namespace orch::package {

// Less than, equal to or greater than 0, for "[EPOCH:]VERSION-RELEASE" each; no epoch is 0.
int compare_rpm_versions(std::string_view a, std::string_view b);

}  // namespace orch::package
