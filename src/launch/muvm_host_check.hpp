// What of the host muvm and FEX need, apart from the stack: each as far as it can be known before a boot.
#pragma once

#include "launch/launcher.hpp"
#include "launch/muvm_check.hpp"

#include <vector>

namespace orch::launch {

// Failed only where muvm is sure to end; where an unusual installation may well work it is a warning, for a wrong guess
// must not keep muvm from trying.
std::vector<Check> check_muvm_host(const model::LaunchSpec& spec, const Host& host, const MuvmState& state);

}  // namespace orch::launch
