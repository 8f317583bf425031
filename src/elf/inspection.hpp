// Everything that can be said of an AppImage, image or ELF file without extracting or executing anything:
// what `inspect` prints and what extraction leaves as facts.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "elf/facts.hpp"
#include "image/appimage.hpp"
#include "image/entry.hpp"
#include "image/file_tree.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orch::elf {

// The first *.desktop file in the root, in byte order. Values as they stand in the file; empty where absent.
struct DesktopEntry {
  std::string file;
  std::string name;
  std::string exec;
  std::string icon;
  std::string version;  // X-AppImage-Version
  std::string startup_wm_class;
};

// Keys outside of [Desktop Entry], comments and repeated keys (the first counts) are ignored.
DesktopEntry parse_desktop_entry(std::string_view text);

// The one of an application's tree (also of its index); nothing where there is none.
Result<std::optional<DesktopEntry>> find_desktop_entry(const image::FileTree& app);

struct Inspection {
  image::Identity identity;
  std::string arch;                        // of the runtime or ELF file; empty where there is none
  std::vector<std::string> payload_archs;  // of the ELF files inside, sorted
  std::optional<image::Entry> entry;       // payloads only
  std::optional<DesktopEntry> desktop;
  std::string update_information;
  std::vector<std::string> bundled;  // sonames provided inside, sorted
  std::vector<std::string> needed;   // DT_NEEDED that nothing inside satisfies, sorted
  std::string glibc;                 // the highest GLIBC_ version that is required
  unsigned isa_needed = 0;           // x86-64 level, 0 where no file says one
  std::vector<std::string> notes;    // what a user should know, as sentences without a full stop
};

// The part that needs headers only.
Result<Inspection> inspect_outside(const image::RandomAccess& file);
// The part that needs the payload's tree: entry point, desktop entry, ELF files. Adds to `inspection`.
Result<> inspect_inside(const image::FileTree& tree, Inspection& inspection);
// Both, and the payload opened in place. A payload that cannot be read is an Error (image::payload_problem)
// for AppImages; other files are described by their headers. LZO payloads and EROFS images with unknown
// features give no inside, and a note that says so. Of an EROFS image only the ELF files are looked at: it
// has no entry point.
Result<Inspection> inspect(std::shared_ptr<const image::RandomAccess> file, std::string_view name);

// "appimage-orch/inspect/1", without "files".
base::Value to_value(const Inspection& inspection);

}  // namespace orch::elf
