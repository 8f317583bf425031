// The host's apt entries (sources.list and *.sources) cut down to what an amd64 root may use. Text in, text
// out.
#pragma once

#include <string>
#include <string_view>

namespace orch::package {

// One-line format: keeps "deb" lines that admit amd64 (no arch= option, or one that names it) and drops the
// arch option, so that the private root's own architecture list decides. Everything else is left out.
std::string amd64_list_entries(std::string_view text);

// deb822 format: keeps enabled stanzas whose Types name deb and whose Architectures, if any, name amd64;
// writes "Types: deb" and drops Architectures. Embedded keys (continuation lines) are kept.
std::string amd64_sources_entries(std::string_view text);

// Whether apt reads a file of that name in sources.list.d: letters, digits, '_', '-', '.', ending in
// `extension`.
bool is_apt_entry_file(std::string_view name, std::string_view extension);

}  // namespace orch::package
