#include "package/dnf_source.hpp"

#include "base/text.hpp"
#include "package/apt_contents.hpp"
#include "package/apt_output.hpp"
#include "package/dnf_output.hpp"
#include "package/dnf_root.hpp"
#include "package/download.hpp"
#include "package/rpm_version.hpp"
#include "sys/file.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

// A package of a list, and the repository it is in.
struct Listed {
  RpmMetadata package;
  DnfRepository repository;
};

Result<> check_requests(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (!is_rpm_name(name) || name[0] == '-')
      return base::fail(ErrorKind::profile, "'" + base::printable(name) + "' is no package name",
                        "write NAME, or NAME-VERSION, without patterns");
  return {};
}

bool is_safe_path(std::string_view path) {
  for (std::string_view part : base::split(path, '/'))
    if (part.empty() || part == "." || part == "..") return false;
  return std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 127; });
}

Result<LockedPackage> locked(const Listed& item, const Source& source) {
  const RpmMetadata& package = item.package;
  LockedPackage out;
  out.name = package.name;
  out.version = package.version;
  out.architecture = package.architecture;
  out.size = package.size;
  out.path = is_safe_path(package.location) ? package.location : std::string();
  out.origin = item.repository.id;
  out.allow_unsigned = source.allow_unsigned;
  const auto digest = package.checksum_type == "sha256" ? hash::Sha256::parse(package.checksum)
                                                        : std::optional<hash::Sha256>();
  if (!digest)
    return base::fail(ErrorKind::unsupported,
                      "repository '" + item.repository.id + "' of " + source_label(source) +
                          " gives no SHA-256 for package '" + base::printable(package.name) + "'",
                      "use a repository whose lists have SHA-256 (createrepo_c --checksum sha256)");
  out.sha256 = *digest;
  if (!is_rpm_name(out.name) || !is_package_version(out.version))
    return base::fail(ErrorKind::corrupt, "repository '" + item.repository.id +
                                              "' has a package with the name '" + base::printable(out.name) +
                                              "' and the version '" + base::printable(out.version) + "'");
  return out;
}

// Whether `spec` names this package: by name, or with its version, release or architecture.
bool is_named(const std::string& spec, const RpmMetadata& package) {
  const std::string& version = package.version;
  const std::string plain =
      version.substr(version.find(':') == std::string::npos ? 0 : version.find(':') + 1);
  const std::string& name = package.name;
  return spec == name || spec == name + "." + package.architecture || spec == name + "-" + plain ||
         spec == name + "-" + plain.substr(0, plain.rfind('-')) ||
         spec == name + "-" + plain + "." + package.architecture;
}

bool provides(const RpmMetadata& package, const std::string& capability) {
  return std::find(package.provides.begin(), package.provides.end(), capability) != package.provides.end();
}

class DnfSource final : public PackageSource {
 public:
  explicit DnfSource(DnfRoot root) : root_(std::move(root)) {}

  Result<> refresh() override { return root_.update(); }
  Result<> refresh_if_missing() override { return root_.update_if_missing(); }
  Result<Resolution> resolve(const std::vector<std::string>& names) override;
  Result<LockedPackage> exact(const std::string& name, const std::string& architecture) override;
  Result<Providers> providers(const std::vector<std::string>& sonames) override;
  Result<> download(const std::vector<Download>& wanted) override;

 private:
  Result<> scan(const std::function<Result<>(const Listed&)>& visit) const;
  Result<std::vector<Listed>> listed(const std::vector<RpmName>& transaction) const;
  base::Error unresolved(const sys::Exit& exit) const;
  Result<> name_reasons(const std::vector<std::string>& names, const std::vector<Listed>& found,
                        std::vector<LockedPackage>& packages) const;
  Result<std::map<std::string, std::string>> mirror_urls(const std::vector<Download>& wanted) const;

  DnfRoot root_;
};

// Every package of every repository, repositories in order.
Result<> DnfSource::scan(const std::function<Result<>(const Listed&)>& visit) const {
  ORCH_TRY(const auto lists, root_.package_lists());
  for (const auto& [repository, list] : lists) {
    const DnfRepository& from = repository;
    ORCH_CHECK(read_primary(list, [&](const RpmMetadata& package) { return visit({package, from}); }));
  }
  return {};
}

// The facts of what dnf chose; of several repositories with the same package the first.
Result<std::vector<Listed>> DnfSource::listed(const std::vector<RpmName>& transaction) const {
  using Key = std::pair<std::string, std::string>;  // name and version
  std::map<Key, std::pair<RpmName, std::optional<Listed>>> wanted;
  for (const RpmName& item : transaction) wanted[{item.name, item.version}] = {item, std::nullopt};
  ORCH_CHECK(scan([&](const Listed& item) -> Result<> {
    const auto found = wanted.find({item.package.name, item.package.version});
    if (found == wanted.end() || found->second.second) return {};
    if (found->second.first.architecture == item.package.architecture) found->second.second = item;
    return {};
  }));
  std::vector<Listed> out;
  for (auto& [key, item] : wanted) {
    if (!item.second)
      return base::fail(ErrorKind::tool,
                        "dnf names package '" + key.first + "' " + key.second + ", which no list of " +
                            source_label(root_.source()) + " has",
                        "take the lists anew with 'appimage-orch lock --update'");
    out.push_back(*std::move(item.second));
  }
  return out;
}

base::Error DnfSource::unresolved(const sys::Exit& exit) const {
  const std::string source = source_label(root_.source());
  const std::vector<std::string> unknown = unmatched_names(exit.errors + exit.output);
  if (unknown.empty())
    return {ErrorKind::tool,
            "the packages cannot be resolved in " + source + ": " + dnf_complaint(exit.errors),
            "the full reasoning is shown by 'dnf install --assumeno' with these names"};
  base::Error error(ErrorKind::profile, source + " has no package '" + base::printable(unknown.front()) + "'",
                    "package names change between releases; search with 'dnf search WORD'");
  std::vector<std::string> names;
  const auto scanned = scan([&](const Listed& item) -> Result<> {
    names.push_back(item.package.name);
    return {};
  });
  std::sort(names.begin(), names.end());
  if (scanned)
    if (const auto near = base::nearest(unknown.front(), names)) error.hint = "did you mean '" + *near + "'?";
  return error;
}

Result<> DnfSource::name_reasons(const std::vector<std::string>& names, const std::vector<Listed>& found,
                                 std::vector<LockedPackage>& packages) const {
  for (LockedPackage& package : packages) package.reason = "required";
  for (const std::string& name : names) {
    bool there = false;
    for (const bool by_name : {true, false}) {
      for (std::size_t i = 0; i < found.size() && !there; ++i) {
        if (!(by_name ? is_named(name, found[i].package) : provides(found[i].package, name))) continue;
        packages[i].reason = "asked";
        there = true;
      }
    }
    if (!there)
      return base::fail(ErrorKind::profile, "dnf left '" + name + "' out of its answer",
                        "name the package that provides it ('dnf repoquery --whatprovides " + name + "')");
  }
  std::vector<RpmMetadata> metadata;
  for (const Listed& item : found) metadata.push_back(item.package);
  explain_closure(packages, requirement_indices(metadata));
  return {};
}

Result<Resolution> DnfSource::resolve(const std::vector<std::string>& names) {
  ORCH_CHECK(check_requests(names));
  Resolution out;
  if (names.empty()) return out;
  std::vector<std::string> arguments = {"install", "--assumeno"};
  if (root_.generation() == 4) arguments.insert(arguments.begin(), "--verbose");
  arguments.insert(arguments.end(), names.begin(), names.end());
  ORCH_TRY(const sys::Exit exit, root_.run(std::move(arguments)));
  ORCH_TRY(const std::vector<RpmName> transaction, parse_transaction(root_.generation(), exit.output));
  // "No" to the question is a failure for dnf: an answer is known by its packages.
  if (transaction.empty() || !unmatched_names(exit.errors).empty()) return base::fail(unresolved(exit));
  ORCH_TRY(const std::vector<Listed> found, listed(transaction));
  for (const Listed& item : found) {
    ORCH_TRY(LockedPackage package, locked(item, root_.source()));
    out.packages.push_back(std::move(package));
  }
  ORCH_CHECK(name_reasons(names, found, out.packages));
  sort_packages(out.packages);
  return out;
}

Result<LockedPackage> DnfSource::exact(const std::string& name, const std::string& architecture) {
  ORCH_CHECK(check_requests({name}));
  std::string wanted = architecture.empty() || architecture == "amd64" ? "x86_64" : architecture;
  if (wanted == "arm64") wanted = "aarch64";
  if (wanted != "x86_64" && wanted != "aarch64" && wanted != "noarch")
    return base::fail(ErrorKind::profile,
                      "'" + base::printable(architecture) + "' is no architecture that packages are taken of",
                      "use \"x86_64\", \"aarch64\" or \"noarch\"");
  std::optional<Listed> best;
  ORCH_CHECK(scan([&](const Listed& item) -> Result<> {
    const RpmMetadata& package = item.package;
    if (package.name != name || (package.architecture != wanted && package.architecture != "noarch"))
      return {};
    if (!best || compare_rpm_versions(best->package.version, package.version) < 0) best = item;
    return {};
  }));
  if (!best)
    return base::fail(ErrorKind::profile,
                      source_label(root_.source()) + " has no package '" + name + "' for " + wanted,
                      "name a source whose repositories are of that architecture");
  ORCH_TRY(LockedPackage package, locked(*best, root_.source()));
  package.reason = "asked";
  return package;
}

Result<Providers> DnfSource::providers(const std::vector<std::string>& sonames) {
  std::map<std::string, std::string> capabilities;  // to sonames
  std::map<std::string, std::map<std::string, bool>> found;
  for (const std::string& soname : sonames) {
    capabilities[soname_capability(soname)] = soname;
    found[soname];
  }
  if (sonames.empty()) return Providers();
  ORCH_CHECK(scan([&](const Listed& item) -> Result<> {
    if (item.package.architecture != "x86_64" || !is_rpm_name(item.package.name)) return {};
    for (const std::string& capability : item.package.provides) {
      const auto soname = capabilities.find(capability);
      if (soname != capabilities.end())
        found[soname->second][item.package.name] = item.package.name.starts_with("compat-");
    }
    return {};
  }));
  Providers out;
  for (const auto& [soname, names] : found) out[soname] = best_first(names);
  return out;
}

// File name to address, for packages of metalinks and of repositories that keep their packages elsewhere: dnf
// knows a mirror. Only where all repositories are folders of this machine their lists may name files of it.
Result<std::map<std::string, std::string>> DnfSource::mirror_urls(const std::vector<Download>& wanted) const {
  std::map<std::string, std::string> out;
  const std::vector<DnfRepository> all = dnf_repositories(root_.source());
  const bool local = std::all_of(all.begin(), all.end(), [](const DnfRepository& one) {
    return is_local_address(one.uri.empty() ? one.metalink : one.uri);
  });
  std::vector<std::string> arguments = {"--quiet", "repoquery", "--location"};
  for (const Download& item : wanted)
    arguments.push_back(item.package.name + "-" + item.package.version + "." + item.package.architecture);
  ORCH_TRY(const sys::Exit exit, root_.run(std::move(arguments)));
  for (std::string_view line : base::split(exit.output, '\n'))
    if (is_address(line) && (local || !is_local_address(line))) out[sys::file_name(std::string(line))] = line;
  return out;
}

// True if the file is there now; false if the address has it no more.
Result<bool> fetch_archive(const std::string& url, const Download& wanted) {
  const std::string part = wanted.file + ".part";
  ORCH_CHECK(sys::remove_tree(part));
  const Result<> fetched = download_to(url, part, wanted.package.size);
  if (!fetched && fetched.error().kind == ErrorKind::not_found) return false;
  if (!fetched)
    return base::fail(
        base::Error(fetched.error())
            .while_doing("downloading package '" + wanted.package.name + "' " + wanted.package.version));
  ORCH_CHECK(sys::rename_file(part, wanted.file));
  return true;
}

Result<> DnfSource::download(const std::vector<Download>& wanted) {
  ORCH_CHECK(refresh_if_missing());
  std::map<std::string, std::string> uris;  // repository to its root
  for (const DnfRepository& repository : dnf_repositories(root_.source()))
    uris[repository.id] = repository.uri;
  std::vector<Download> elsewhere;
  for (const Download& item : wanted) {
    const auto uri = uris.find(item.package.origin);
    bool there = false;
    if (uri != uris.end() && !uri->second.empty() && !item.package.path.empty()) {
      std::string root = uri->second;
      if (root.starts_with("file:/") && !root.starts_with("file:///")) root.insert(5, "//");
      ORCH_TRY(there, fetch_archive(root + percent_encoded(item.package.path), item));
    }
    if (!there) elsewhere.push_back(item);
  }
  if (elsewhere.empty()) return {};
  ORCH_TRY(const auto urls, mirror_urls(elsewhere));
  for (const Download& item : elsewhere) {
    const auto url = urls.find(sys::file_name(item.package.path));
    if (url == urls.end()) continue;
    ORCH_CHECK(fetch_archive(url->second, item));
  }
  return {};
}

}  // namespace

std::string soname_capability(const std::string& soname) {
  return soname + "()(64bit)";
}

std::vector<std::vector<std::size_t>> requirement_indices(const std::vector<RpmMetadata>& packages) {
  std::multimap<std::string, std::size_t> providers;
  for (std::size_t i = 0; i < packages.size(); ++i) {
    for (const std::string& capability : packages[i].provides) providers.emplace(capability, i);
    for (const std::string& file : packages[i].files) providers.emplace(file, i);
  }
  std::vector<std::vector<std::size_t>> out(packages.size());
  for (std::size_t i = 0; i < packages.size(); ++i) {
    for (const std::string& requirement : packages[i].requirements) {
      const auto [first, last] = providers.equal_range(requirement);
      for (auto it = first; it != last; ++it)
        if (it->second != i) out[i].push_back(it->second);
    }
  }
  return out;
}

Result<std::unique_ptr<PackageSource>> open_dnf_source(const Source& source, const Surroundings& around) {
  ORCH_TRY(DnfRoot root, DnfRoot::open(source, around));
  return std::make_unique<DnfSource>(std::move(root));
}

}  // namespace orch::package
