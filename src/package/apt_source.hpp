// Sources of kind "apt": apt in a private root resolves, says where archives lie, and brings them.
#pragma once

#include "base/result.hpp"
#include "package/package_source.hpp"

#include <memory>

namespace orch::package {

// Locks the private root (apt_root.hpp) for the lifetime of the object.
Result<std::unique_ptr<PackageSource>> open_apt_source(const Source& source, const Surroundings& around);

}  // namespace orch::package
