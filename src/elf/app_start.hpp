// What an application's entry point starts, and the library path that it sets, as far as that can be read off
// without running anything. Source for AppRun's habits: AppImageKit's AppRun.c, and scripts as
// linuxdeploy, appimage-builder and hand-made AppImages have them.
#pragma once

#include "base/result.hpp"
#include "image/entry.hpp"
#include "image/file_tree.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::elf {

using base::Result;

struct AppStart {
  // ELF programs in the tree that the entry point is, or leads to; relative paths, in the order found, each
  // once. Empty where nothing could be read off: then every executable has to be taken for one.
  std::vector<std::string> programs;
  // What the entry point prepends to LD_LIBRARY_PATH, absolute for an application that lies at `appdir`;
  // without what it takes over from outside.
  std::vector<std::string> library_path;
  // What was read off and what was not, as sentences without a full stop.
  std::vector<std::string> notes;
};

// `appdir`: the absolute path where the tree will lie. `exec`: the Exec line of the desktop entry, or empty.
// Errors only where the tree cannot be read.
Result<AppStart> read_app_start(const image::FileTree& app, const image::Entry& entry, std::string_view exec,
                                std::string_view appdir);

// What a start script says, without a tree: the words that begin with `appdir` after its variables were put
// in, as they stand in places of commands (first words, and after exec), and the parts of LD_LIBRARY_PATH.
struct ScriptReading {
  std::vector<std::string> commands;
  std::vector<std::string> library_path;
  std::vector<std::string> unknown;  // parts of LD_LIBRARY_PATH that could not be read off
};
ScriptReading read_start_script(std::string_view script, std::string_view appdir);

}  // namespace orch::elf
