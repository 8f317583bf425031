#include "package/deb_control.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <map>

namespace orch::package {

namespace {

// "libx:any (>= 1)" to "libx"
std::string bare_name(std::string_view relation) {
  relation = base::trim(relation);
  return std::string(relation.substr(0, relation.find_first_of(" \t\n(:[<")));
}

std::vector<std::vector<std::string>> relations(std::string_view text) {
  std::vector<std::vector<std::string>> out;
  for (std::string_view group : base::split(text, ',')) {
    std::vector<std::string> alternatives;
    for (std::string_view alternative : base::split(group, '|'))
      if (std::string name = bare_name(alternative); !name.empty()) alternatives.push_back(std::move(name));
    if (!alternatives.empty()) out.push_back(std::move(alternatives));
  }
  return out;
}

void set_field(DebControl& out, std::string_view name, std::string_view value) {
  if (name == "Package") out.name = base::trim(value);
  if (name == "Version") out.version = base::trim(value);
  if (name == "Architecture") out.architecture = base::trim(value);
  if (name == "Section") out.section = base::trim(value);
  if (name == "Depends" || name == "Pre-Depends") {
    auto found = relations(value);
    out.depends.insert(name == "Depends" ? out.depends.end() : out.depends.begin(), found.begin(),
                       found.end());
  }
  if (name == "Provides")
    for (const auto& provided : relations(value)) out.provides.push_back(provided.front());
}

}  // namespace

DebControl parse_control(std::string_view stanza) {
  DebControl out;
  std::string name;
  std::string value;
  for (std::string_view line : base::split(stanza, '\n')) {
    if (!line.empty() && (line[0] == ' ' || line[0] == '\t')) {
      value += line;
      continue;
    }
    set_field(out, name, value);
    const std::size_t colon = std::min(line.find(':'), line.size());
    name = line.substr(0, colon);
    value = colon < line.size() ? line.substr(colon + 1) : std::string_view();
  }
  set_field(out, name, value);
  return out;
}

std::vector<DebControl> parse_controls(std::string_view text) {
  std::vector<DebControl> out;
  std::string stanza;
  const auto take = [&] {
    if (!base::trim(stanza).empty()) out.push_back(parse_control(stanza));
    stanza.clear();
  };
  for (std::string_view line : base::split(text, '\n')) {
    if (line.empty()) {
      take();
    } else {
      stanza.append(line).append("\n");
    }
  }
  take();
  return out;
}

std::vector<std::vector<std::size_t>> dependency_indices(const std::vector<DebControl>& packages,
                                                         std::vector<std::string>* open) {
  std::multimap<std::string, std::size_t> providers;
  for (std::size_t i = 0; i < packages.size(); ++i) {
    providers.emplace(packages[i].name, i);
    for (const std::string& name : packages[i].provides) providers.emplace(name, i);
  }
  std::vector<std::vector<std::size_t>> out(packages.size());
  for (std::size_t i = 0; i < packages.size(); ++i) {
    for (const std::vector<std::string>& alternatives : packages[i].depends) {
      bool satisfied = false;
      for (const std::string& name : alternatives) {
        const auto [first, last] = providers.equal_range(name);
        for (auto it = first; it != last; ++it) {
          satisfied = true;
          if (it->second != i) out[i].push_back(it->second);
        }
      }
      if (!satisfied && open != nullptr)
        open->push_back(packages[i].name + " needs '" + base::join(alternatives, " | ") + "'");
    }
  }
  return out;
}

}  // namespace orch::package
