// User profiles for `run APPIMAGE`: found again by what the AppImage says of itself, written on first use.
#pragma once

#include "base/result.hpp"
#include "load/profile.hpp"

#include <optional>
#include <string>

namespace orch::load {

// What is known of an AppImage; load does not read images. Empty: unknown.
struct AppFacts {
  std::string path;                // absolute
  std::string title;               // as its desktop entry has it, for the comment
  std::string desktop_id;          // "org.example.App" of org.example.App.desktop
  std::string update_information;  // the text of its .upd_info section
};

// The user's profile for that application: one whose [origin] has its path (and no other desktop id), else
// its update information, else its desktop id. Files that cannot be read as TOML are passed over. nullopt:
// there is none.
Result<std::optional<std::string>> find_user_profile(const AppFacts& facts, const Surroundings& surroundings);

// The text of a commented profile that extends `extends` and names the application under `appimage` (a path).
// Fails on paths that are not UTF-8, which TOML cannot hold.
Result<std::string> profile_text(const AppFacts& facts, const std::string& name, const std::string& extends,
                                 const std::string& appimage);

// Writes a new user profile under a free name and gives its path.
Result<std::string> write_user_profile(const AppFacts& facts, const std::string& extends,
                                       const Surroundings& surroundings);

// Adds an overlay to the profile's file, in front of nothing and behind everything that it says: auto = true, so
// that it takes packages for libraries that are missing. The overlays that it extends stay. Errors: a file that
// cannot be written, or whose text leaves no place for it (overlays in one line), which then stays as it is.
Result<> add_auto_overlay(const std::string& path);

// "bambu-studio" for "Bambu Studio": a name for a profile out of a desktop id, or a file's name.
std::string profile_name_for(const AppFacts& facts);

}  // namespace orch::load
