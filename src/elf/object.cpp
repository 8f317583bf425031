#include "elf/object.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace orch::elf {

namespace {

constexpr std::size_t k_max_providers = 1024;  // that the version table of one object names

}  // namespace

std::span<const Object::Versions> Objects::by_library(std::span<const Need> needs) {
  groups_.clear();
  strong_.clear();
  for (const Need& need : needs) {
    // Tables come library by library, so it is the last one nearly always.
    auto group = std::find_if(groups_.rbegin(), groups_.rend(),
                              [&](const Object::Versions& one) { return one.library == need.library; });
    if (group == groups_.rend()) {
      if (groups_.size() == k_max_providers) continue;
      groups_.push_back({need.library, need.version});
      group = groups_.rbegin();
    }
    if (!need.weak) strong_.emplace_back(static_cast<std::size_t>(groups_.rend() - group) - 1, need.version);
  }
  const auto by_group = [](const auto& a, const auto& b) { return a.first < b.first; };
  if (!std::is_sorted(strong_.begin(), strong_.end(), by_group))
    std::stable_sort(strong_.begin(), strong_.end(), by_group);
  versions_.clear();
  for (const auto& [group, version] : strong_) versions_.push_back(version);
  const std::span<const std::uint32_t> versions = arena_.copy(std::span<const std::uint32_t>(versions_));
  for (std::size_t first = 0, at = 0; at < strong_.size(); ++at) {
    if (at + 1 < strong_.size() && strong_[at + 1].first == strong_[at].first) continue;
    groups_[strong_[at].first].needs = versions.subspan(first, at + 1 - first);
    first = at + 1;
  }
  return arena_.copy(std::span<const Object::Versions>(groups_));
}

const Object* Objects::add(Object object, const Lists& lists) {
  object.number = count_++;
  object.needed = arena_.copy(lists.needed);
  object.any_dollar = std::any_of(lists.needed.begin(), lists.needed.end(),
                                  [&](std::uint32_t name) { return names_.has_dollar(name); });
  object.search = arena_.copy(lists.search);
  object.versions = by_library(lists.versions);
  const std::span<std::uint32_t> definitions = arena_.copy(lists.definitions);
  std::sort(definitions.begin(), definitions.end());
  object.definitions = definitions;
  return arena_.keep(object);
}

const Object* Objects::add(const Facts& facts) {
  Object object;
  object.is_64 = facts.is_64;
  object.dynamic = facts.dynamic;
  object.versioned = facts.versioned;
  object.has_runpath = facts.has_runpath;
  object.machine = facts.machine;
  object.type = facts.type;
  object.isa_needed = facts.isa_needed;
  object.flags_1 = facts.flags_1;
  if (!facts.soname.empty()) object.soname = names_.number(facts.soname);
  object.interpreter = facts.interpreter;
  object.defect = facts.defect;
  std::vector<std::uint32_t> needed;
  std::vector<Need> versions;
  std::vector<std::uint32_t> definitions;
  for (const std::string& name : facts.needed) needed.push_back(names_.number(name));
  for (const VersionNeed& need : facts.versions)
    versions.push_back({names_.number(need.library), names_.number(need.version), need.weak});
  for (const std::string& name : facts.definitions) definitions.push_back(names_.number(name));
  const std::vector<std::string>& elements = facts.has_runpath ? facts.runpath : facts.rpath;
  const std::vector<std::string_view> search(elements.begin(), elements.end());
  return add(object, {needed, search, versions, definitions});
}

std::span<const std::uint32_t> Objects::find_lacking(const Object::Versions& wanted, const Object& provider) {
  std::vector<std::uint32_t> out;
  for (const std::uint32_t version : wanted.needs)
    if (!std::binary_search(provider.definitions.begin(), provider.definitions.end(), version))
      out.push_back(version);
  wanted.checked = &provider;
  wanted.lacking = arena_.copy(std::span<const std::uint32_t>(out));
  return wanted.lacking;
}

}  // namespace orch::elf
