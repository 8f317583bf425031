#include "package/package_source.hpp"

#include "base/text.hpp"
#include "package/apt_source.hpp"
#include "package/dnf_source.hpp"
#include "package/file_sources.hpp"

#include <algorithm>

namespace orch::package {

Result<std::unique_ptr<PackageSource>> open_source(const Source& source, const Surroundings& around) {
  switch (source.kind) {
    case SourceKind::apt:
      return open_apt_source(source, around);
    case SourceKind::dnf:
      return open_dnf_source(source, around);
    case SourceKind::dir:
    case SourceKind::files:
      return open_file_source(source, around);
  }
  return base::fail(base::ErrorKind::internal, source_label(source) + " is of no kind");
}

std::string source_label(const Source& source) {
  return "source '" + base::printable(source.name) + "'";
}

std::string refresh_key(const Source& source) {
  return source.identity() + source.signed_by + source.path;
}

void explain_closure(std::vector<LockedPackage>& packages,
                     const std::vector<std::vector<std::size_t>>& needs) {
  std::vector<std::size_t> wave;
  std::vector<bool> seen(packages.size());
  const auto by_name = [&](std::size_t a, std::size_t b) { return packages[a].name < packages[b].name; };
  for (std::size_t i = 0; i < packages.size(); ++i)
    if (packages[i].reason == "asked") wave.push_back(i);
  for (const std::size_t i : wave) seen[i] = true;
  while (!wave.empty()) {
    std::sort(wave.begin(), wave.end(), by_name);
    std::vector<std::size_t> next;
    for (const std::size_t from : wave) {
      for (const std::size_t to : needs[from]) {
        if (seen[to]) continue;
        seen[to] = true;
        packages[to].reason = "required by " + packages[from].name;
        next.push_back(to);
      }
    }
    wave = std::move(next);
  }
}

}  // namespace orch::package
