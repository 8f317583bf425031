// What programs of a package manager are started with: PATH and proxies of the caller, C locale, UTC, nothing else.
#pragma once

#include "package/package_source.hpp"
#include "sys/process.hpp"

#include <string>

namespace orch::package {

// The caller's PATH, and behind it where distributions keep programs of the system.
std::string search_path(const Surroundings& around);

// For apt and its like.
sys::Environment tool_environment(const Surroundings& around);

// For dnf and rpm: texts in UTF-8, as their lists are, tables that are not cut to a terminal's width, and a home
// of their own.
sys::Environment rpm_environment(const Surroundings& around, const std::string& home);

}  // namespace orch::package
