#include "package/dnf_output.hpp"

#include "base/text.hpp"
#include "package/locked_package.hpp"

#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::string_view word : base::split(text, ' '))
    if (!word.empty()) out.push_back(word);
  return out;
}

std::string without_zero_epoch(std::string_view version) {
  return std::string(version.starts_with("0:") ? version.substr(2) : version);
}

tl::unexpected<base::Error> not_understood(std::string_view line) {
  return base::fail(ErrorKind::tool,
                    "dnf printed a line that is not understood: '" + base::printable(line) + "'");
}

Result<RpmName> checked(RpmName found, std::string_view line) {
  const bool known = found.architecture == "x86_64" || found.architecture == "noarch";
  if (!is_rpm_name(found.name) || !is_package_version(found.version) || !known) return not_understood(line);
  return found;
}

Result<std::vector<RpmName>> parse_dnf4(std::string_view text) {
  constexpr std::string_view k_start = "---> Package ";
  constexpr std::string_view k_end = " will be installed";
  std::vector<RpmName> out;
  for (std::string_view line : base::split(text, '\n')) {
    if (!line.starts_with(k_start)) continue;
    if (!line.ends_with(k_end)) return not_understood(line);
    const std::string_view rest = line.substr(k_start.size(), line.size() - k_start.size() - k_end.size());
    const std::size_t space = rest.find(' ');
    const std::size_t dot = rest.substr(0, space).rfind('.');
    if (space == std::string_view::npos || dot == std::string_view::npos) return not_understood(line);
    ORCH_TRY(RpmName found,
             checked({std::string(rest.substr(0, dot)), without_zero_epoch(rest.substr(space + 1)),
                      std::string(rest.substr(dot + 1, space - dot - 1))},
                     line));
    out.push_back(std::move(found));
  }
  return out;
}

// Sections have a headline that ends in ':'; their rows begin with a space. Only what is installed is taken:
// in an empty system there is nothing to replace.
Result<std::vector<RpmName>> parse_dnf5(std::string_view text) {
  std::vector<RpmName> out;
  bool in_table = false;
  bool installing = false;
  for (std::string_view line : base::split(text, '\n')) {
    const std::vector<std::string_view> found = words(line);
    if (found.size() >= 4 && found[0] == "Package" && found[1] == "Arch" && found[2] == "Version")
      in_table = true;
    if (!in_table || found.empty()) continue;
    if (line.starts_with("Transaction Summary")) break;
    if (line[0] != ' ') {
      installing = line.starts_with("Installing");
    } else if (installing) {
      if (found.size() < 4) return not_understood(line);
      ORCH_TRY(RpmName row,
               checked({std::string(found[0]), without_zero_epoch(found[2]), std::string(found[1])}, line));
      out.push_back(std::move(row));
    }
  }
  return out;
}

}  // namespace

std::optional<int> dnf_generation(std::string_view version_text) {
  const std::string_view line = version_text.substr(0, version_text.find('\n'));
  for (std::string_view word : words(line)) {
    if (word.starts_with("4.")) return 4;
    if (word.starts_with("5.")) return 5;
  }
  return std::nullopt;
}

Result<std::vector<RpmName>> parse_transaction(int generation, std::string_view text) {
  return generation == 4 ? parse_dnf4(text) : parse_dnf5(text);
}

std::vector<std::string> unmatched_names(std::string_view errors) {
  std::vector<std::string> out;
  for (std::string_view line : base::split(errors, '\n')) {
    for (const std::string_view start : {"Unable to find a match: ", "No match for argument: "}) {
      const std::size_t at = line.find(start);
      if (at == std::string_view::npos) continue;
      for (std::string_view word : words(line.substr(at + start.size()))) out.emplace_back(word);
    }
  }
  return out;
}

std::string dnf_complaint(std::string_view errors) {
  constexpr std::size_t k_lines = 6;
  std::vector<std::string> lines;
  for (std::string_view line : base::split(errors, '\n')) {
    line = base::trim(line);
    if (line.starts_with("Error: ")) line.remove_prefix(7);
    if (line.empty() || line == "Error:" || line == "Operation aborted." || line.starts_with("(try to add"))
      continue;
    if (lines.size() < k_lines) lines.push_back(base::printable(line));
  }
  return base::join(lines, "\n  ");
}

}  // namespace orch::package
