// Files of muvm and FEX that change what a launch does without being named in a profile.
#pragma once

#include "launch/launcher.hpp"

#include <string>
#include <utility>
#include <vector>

namespace orch::cli {

// muvm's: the first that exists of $XDG_CONFIG_DIR/muvm/config.json (that variable's name, else ~/.config), /etc/muvm and
// /usr/lib/muvm. FEX's, which it reads in the VM: Config.json and AppConfig/*.json in $FEX_APP_CONFIG_LOCATION, else ~/.fex-emu
// if that exists, else $XDG_CONFIG_HOME/fex-emu, else ~/.config/fex-emu, and $FEX_APP_CONFIG; of these variables muvm hands on
// none, so only those that the launch sets (`given`) count, and HOME. Files of more than 1 MiB are not read.
std::vector<launch::Configuration> host_configurations(
    const sys::Environment& environment, const std::vector<std::pair<std::string, std::string>>& given);

}  // namespace orch::cli
