// What modules of common packages say of themselves, and the form in which the caches of gdk-pixbuf and GTK
// say it.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace orch::action {

// The entries of a loaders.cache or immodules.cache: by the module's file name, the lines below its path,
// each with its end. Comments, the blank at the end of GTK's lines and entries without lines are dropped.
std::map<std::string, std::string> parse_module_cache(std::string_view text);

// The lines of a module by its file name ("im-xim.so"), empty where it is not known. `domain`: of the
// toolkit's own modules, "gtk20" or "gtk30".
std::string known_module(std::string_view file, std::string_view domain);

}  // namespace orch::action
