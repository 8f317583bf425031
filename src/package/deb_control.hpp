// Control data of Debian packages: stanzas of "Field: value" lines, as in the control file of a .deb and in
// what `apt-cache show` prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

struct DebControl {
  std::string name;
  std::string version;
  std::string architecture;
  std::string section;
  // Pre-Depends, then Depends: for each, the names of its alternatives. Versions and qualifiers are dropped:
  // whether they fit is the resolver's to say.
  std::vector<std::vector<std::string>> depends;
  std::vector<std::string> provides;
};

// Fields that are absent are empty; what is no field is skipped.
DebControl parse_control(std::string_view stanza);
// The stanzas of a text, parted by empty lines.
std::vector<DebControl> parse_controls(std::string_view text);

// For each package the indices of packages that satisfy one of its dependencies (any alternative, by name or
// by what a package provides). What nobody satisfies is left out, and listed in `open` as "NAME needs 'A |
// B'" where that is given.
std::vector<std::vector<std::size_t>> dependency_indices(const std::vector<DebControl>& packages,
                                                         std::vector<std::string>* open = nullptr);

}  // namespace orch::package
