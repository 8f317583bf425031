// What apt's programs print, read. Text in, values out; nothing here runs anything.
#pragma once

#include "base/result.hpp"
#include "package/locked_package.hpp"
#include "sys/process.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// A line of `apt-get --print-uris`: 'URI' NAME_VERSION_ARCH.deb SIZE SHA256:HEX.
struct AptUri {
  std::string uri;
  LockedPackage package;  // path, origin and reason are empty
};
Result<std::vector<AptUri>> parse_print_uris(std::string_view text);

// `apt-cache policy NAME…`: for each NAME and version the first list that has it, as policy describes it
// ("URI SUITE/COMPONENT ARCH Packages").
std::map<std::pair<std::string, std::string>, std::string> parse_policy(std::string_view text);

// Where a URI's file lies below its archive's root, without "." components (flat repositories have them);
// empty if there is none. `roots`: archive roots, longest first, each ending in '/'.
std::string path_in_archive(const std::string& uri, const std::vector<std::string>& roots);

// A path as apt writes it into a URI, and back; nullopt where a '%' stands wrong.
std::string percent_encoded(std::string_view text);
std::optional<std::string> percent_decoded(std::string_view text);

// The first complaints of an apt program, without their "E: " and with nothing a terminal would act on.
std::string apt_complaint(const sys::Exit& exit);

}  // namespace orch::package
