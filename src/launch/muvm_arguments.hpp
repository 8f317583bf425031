// [launch] muvm_args: words that muvm is given as they are.
#pragma once

#include "launch/launcher.hpp"
#include "launch/muvm_probe.hpp"

#include <string>
#include <vector>

namespace orch::launch {

// The check "muvm-args". muvm refuses little: an unknown or repeated option, a switch with a value and a word that belongs to
// no option slide into the guest's command line, where the first of them is what it starts. So each word must be a long option
// of this muvm that the tool does not set itself, or the value of the one before it, and the value of the right kind. Paths
// are looked for from `directory`.
Check check_muvm_arguments(const std::vector<std::string>& words, const MuvmFeatures& features,
                           const std::string& directory);

}  // namespace orch::launch
