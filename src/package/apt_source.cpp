#include "package/apt_source.hpp"

#include "base/text.hpp"
#include "package/apt_contents.hpp"
#include "package/apt_output.hpp"
#include "package/apt_root.hpp"
#include "package/deb_control.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

// apt-helper takes URI, file and hash of many archives in one call; this keeps the command line short of any
// limit.
constexpr std::size_t k_batch = 100;

std::optional<std::string> quoted_after(std::string_view text, std::string_view start) {
  const std::size_t at = text.find(start);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + start.size());
  return std::string(text.substr(0, text.find_first_of("' \n")));
}

Result<std::vector<std::string>> all_names(const AptRoot& root) {
  ORCH_TRY(const sys::Exit exit, root.run({"apt-cache", "pkgnames"}));
  std::vector<std::string> names;
  for (std::string_view line : base::split(exit.output, '\n'))
    if (!line.empty()) names.emplace_back(line);
  std::sort(names.begin(), names.end());
  return names;
}

base::Error unresolved(const AptRoot& root, const sys::Exit& exit) {
  const std::string source = "source '" + base::printable(root.source().name) + "'";
  if (const auto name = quoted_after(exit.errors, "E: Unable to locate package ")) {
    base::Error error(ErrorKind::profile, source + " has no package '" + base::printable(*name) + "'",
                      "package names change between releases; search with 'apt-cache search WORD'");
    if (const auto names = all_names(root)) {
      const std::string bare = name->substr(0, name->find_first_of("=:"));
      if (const auto near = base::nearest(bare, *names)) error.hint = "did you mean '" + *near + "'?";
    }
    return error;
  }
  if (const auto name = quoted_after(exit.errors, "E: Package '"))
    return {ErrorKind::profile, "'" + base::printable(*name) + "' is no package of its own in " + source,
            "it is provided by others: name one of them ('apt-cache showpkg " + base::printable(*name) +
                "' lists them)"};
  return {ErrorKind::tool, "the packages cannot be resolved in " + source + ": " + apt_complaint(exit),
          "the full reasoning is shown by 'apt-get -s install' with these names"};
}

// Archive roots of the lists, longest first, each ending in '/'.
Result<std::vector<std::string>> repository_uris(const AptRoot& root) {
  ORCH_TRY(const sys::Exit exit,
           root.run({"apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"}));
  std::vector<std::string> uris;
  for (std::string_view line : base::split(exit.output, '\n'))
    if (!line.empty()) uris.emplace_back(line);
  std::sort(uris.begin(), uris.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  uris.erase(std::unique(uris.begin(), uris.end()), uris.end());
  return uris;
}

bool is_asked(const std::string& name, const std::vector<std::string>& requests) {
  return std::any_of(requests.begin(), requests.end(), [&](const std::string& request) {
    return request.substr(0, request.find('=')) == name;
  });
}

Result<> check_requests(const std::vector<std::string>& names) {
  for (const std::string& request : names) {
    const std::size_t equals = request.find('=');
    if (!is_package_name(request.substr(0, equals)) ||
        (equals != std::string::npos && !is_package_version(request.substr(equals + 1))))
      return base::fail(ErrorKind::profile, "'" + base::printable(request) + "' is no package name",
                        "write NAME or NAME=VERSION, in lower case");
  }
  return {};
}

// In an empty system everything asked for must be in the answer; a name that is not was a virtual one.
Result<> check_answer(const std::vector<std::string>& names, const std::vector<LockedPackage>& packages) {
  for (const std::string& request : names) {
    const std::string name = request.substr(0, request.find('='));
    const bool there = std::any_of(packages.begin(), packages.end(),
                                   [&](const LockedPackage& package) { return package.name == name; });
    if (!there)
      return base::fail(ErrorKind::profile,
                        "apt-get left '" + name + "' out of its answer, which names another package for it",
                        "name the package that provides it ('apt-cache showpkg " + name + "')");
  }
  return {};
}

using UriMap = std::map<std::string, std::string>;  // archive file name to URI

Result<UriMap> listed_uris(const AptRoot& root, const std::vector<Download>& wanted) {
  UriMap uris;
  for (std::size_t start = 0; start < wanted.size(); start += k_batch) {
    std::vector<std::string> argv = {"apt-get", "download", "--print-uris", "-qq"};
    for (std::size_t i = start; i < std::min(start + k_batch, wanted.size()); ++i)
      argv.push_back(wanted[i].package.name + "=" + wanted[i].package.version);
    // Status 100 where one is unknown; the others are printed all the same.
    ORCH_TRY(const sys::Exit exit, root.run(std::move(argv)));
    ORCH_TRY(const std::vector<AptUri> found, parse_print_uris(exit.output));
    for (const AptUri& item : found) uris[archive_file_name(item.package)] = item.uri;
  }
  return uris;
}

Result<sys::Exit> run_helper(const AptRoot& root,
                             const std::vector<std::pair<const Download*, std::string>>& batch) {
  std::vector<std::string> argv = {"apt-helper", "-q", "download-file"};
  for (const auto& [download, uri] : batch) {
    argv.push_back(uri);
    argv.push_back(download->file);
    // No more hash than the size, which ends what a server sends: the caller holds every file against the lock and
    // can say more than "mismatch". Of files of this machine nothing is copied.
    const bool local = uri.starts_with("file:") || uri.starts_with("copy:");
    argv.push_back(local ? "" : "Checksum-FileSize:" + std::to_string(download->package.size));
  }
  return root.run(std::move(argv));
}

// Fails where apt stopped because the archive sends something of another size.
Result<> check_size(const sys::Exit& exit, const Download& download, const std::string& uri) {
  const std::string start = "Failed to fetch " + uri + "  ";
  const std::size_t at = exit.errors.find(start);
  if (at == std::string::npos) return {};
  std::string_view why = std::string_view(exit.errors).substr(at + start.size());
  why = why.substr(0, why.find('\n'));
  if (!why.starts_with("File has unexpected size (") && !why.starts_with("Hash Sum mismatch")) return {};
  return base::fail(ErrorKind::corrupt,
                    "package '" + download.package.name + "' " + download.package.version +
                        " is not what the lock file names: expected " +
                        std::to_string(download.package.size) +
                        " bytes, and apt says: " + base::printable(why),
                    "if the archive has rebuilt it on purpose, take it with 'appimage-orch lock --update'");
}

// A version that the lists have no more may still lie in the pool for a while. Where it does not, no file is
// there.
Result<> download_from_pool(const AptRoot& root, const Download& download) {
  if (download.package.path.empty()) return {};
  ORCH_TRY(const std::vector<std::string> roots, repository_uris(root));
  for (const std::string& prefix : roots) {
    ORCH_TRY(const sys::Exit exit,
             run_helper(root, {{&download, prefix + percent_encoded(download.package.path)}}));
    if (exit.ok()) return {};
  }
  return {};
}

// "Origin/Codename" of each list, by the description that policy prints.
Result<std::map<std::string, std::string>> list_origins(const AptRoot& root) {
  ORCH_TRY(const sys::Exit exit,
           root.run({"apt-get", "indextargets", "--format",
                     "$(DESCRIPTION)\t$(ORIGIN)\t$(CODENAME)\t$(SUITE)", "Created-By: Packages"}));
  std::map<std::string, std::string> out;
  for (std::string_view line : base::split(exit.output, '\n')) {
    const std::vector<std::string_view> fields = base::split(line, '\t');
    if (fields.size() != 4) continue;
    // A field that the Release file lacks stays as it was written.
    const auto known = [](std::string_view field) {
      return field.starts_with("$(") ? std::string_view() : field;
    };
    const std::string_view suite = known(fields[2]).empty() ? known(fields[3]) : known(fields[2]);
    std::string origin(known(fields[1]));
    if (!suite.empty()) origin += (origin.empty() ? "" : "/") + std::string(suite);
    const bool plain = std::all_of(origin.begin(), origin.end(), [](char c) { return c >= ' ' && c < 127; });
    out.emplace(fields[0], plain && origin.size() <= 200 ? origin : std::string());
  }
  return out;
}

// Runs `program` with NAME=VERSION (or NAME) of every package, in batches, and gives all that it printed.
Result<std::string> about(const AptRoot& root, const std::vector<std::string>& program,
                          const std::vector<LockedPackage>& packages, bool with_version) {
  std::string text;
  for (std::size_t start = 0; start < packages.size(); start += k_batch) {
    std::vector<std::string> argv = program;
    for (std::size_t i = start; i < std::min(start + k_batch, packages.size()); ++i)
      argv.push_back(packages[i].name + (with_version ? "=" + packages[i].version : ""));
    ORCH_TRY(const sys::Exit exit, root.run(std::move(argv)));
    if (!exit.ok())
      return base::fail(ErrorKind::tool, "the packages of " + source_label(root.source()) +
                                             " cannot be examined: " + apt_complaint(exit));
    text += exit.output;
  }
  return text;
}

// Fills origin, and the reasons of what was not asked for.
Result<> explain(const AptRoot& root, std::vector<LockedPackage>& packages) {
  ORCH_TRY(const auto origins, list_origins(root));
  ORCH_TRY(const std::string policy, about(root, {"apt-cache", "policy"}, packages, false));
  const auto lists = parse_policy(policy);
  for (LockedPackage& package : packages) {
    const auto list = lists.find({package.name, package.version});
    const auto origin = list == lists.end() ? origins.end() : origins.find(list->second);
    if (origin != origins.end()) package.origin = origin->second;
    package.allow_unsigned = root.source().allow_unsigned;
  }
  ORCH_TRY(const std::string shown, about(root, {"apt-cache", "show"}, packages, true));
  std::map<std::string, DebControl> by_name;
  for (DebControl& control : parse_controls(shown)) by_name.emplace(control.name, std::move(control));
  std::vector<DebControl> controls;
  for (const LockedPackage& package : packages) {
    controls.push_back(by_name[package.name]);
    controls.back().name = package.name;
  }
  explain_closure(packages, dependency_indices(controls));
  return {};
}

class AptSource final : public PackageSource {
 public:
  explicit AptSource(AptRoot root) : root_(std::move(root)) {}

  Result<> refresh() override { return root_.update(); }
  Result<> refresh_if_missing() override { return root_.update_if_missing(); }
  Result<Resolution> resolve(const std::vector<std::string>& names) override;
  Result<LockedPackage> exact(const std::string& name, const std::string& architecture) override;
  Result<Providers> providers(const std::vector<std::string>& sonames) override {
    return apt_providers(root_, sonames);
  }
  Result<> download(const std::vector<Download>& wanted) override;

 private:
  Result<std::vector<LockedPackage>> located(const sys::Exit& exit) const;

  AptRoot root_;
};

// The packages that `--print-uris` printed, with their paths, sorted.
Result<std::vector<LockedPackage>> AptSource::located(const sys::Exit& exit) const {
  std::vector<LockedPackage> packages;
  ORCH_TRY(std::vector<AptUri> found, parse_print_uris(exit.output));
  ORCH_TRY(const std::vector<std::string> roots, repository_uris(root_));
  for (AptUri& item : found) {
    item.package.path = path_in_archive(item.uri, roots);
    packages.push_back(std::move(item.package));
  }
  sort_packages(packages);
  return packages;
}

Result<Resolution> AptSource::resolve(const std::vector<std::string>& names) {
  ORCH_CHECK(check_requests(names));
  Resolution out;
  if (names.empty()) return out;
  std::vector<std::string> argv = {"apt-get", "-qq", "-y", "--print-uris", "install", "--"};
  argv.insert(argv.end(), names.begin(), names.end());
  ORCH_TRY(const sys::Exit exit, root_.run(std::move(argv)));
  if (!exit.ok()) return base::fail(unresolved(root_, exit));
  ORCH_TRY(out.packages, located(exit));
  for (LockedPackage& package : out.packages)
    package.reason = is_asked(package.name, names) ? "asked" : "required";
  ORCH_CHECK(check_answer(names, out.packages));
  ORCH_CHECK(explain(root_, out.packages));
  return out;
}

Result<LockedPackage> AptSource::exact(const std::string& name, const std::string& architecture) {
  ORCH_CHECK(check_requests({name}));
  if (!architecture.empty() && architecture != "x86_64" && architecture != "amd64" && architecture != "all")
    return base::fail(ErrorKind::unsupported,
                      source_label(root_.source()) + " is read for amd64, and package '" + name +
                          "' is wanted for '" + base::printable(architecture) + "'",
                      "leave 'arch' out, or name a source of kind \"dnf\"");
  ORCH_TRY(const sys::Exit exit, root_.run({"apt-get", "-qq", "download", "--print-uris", "--", name}));
  if (!exit.ok()) return base::fail(unresolved(root_, exit));
  ORCH_TRY(std::vector<LockedPackage> packages, located(exit));
  if (packages.size() != 1)
    return base::fail(ErrorKind::tool, "apt-get names " + std::to_string(packages.size()) +
                                           " packages for '" + name + "', expected one");
  packages.front().reason = "asked";
  ORCH_CHECK(explain(root_, packages));
  return packages.front();
}

Result<> AptSource::download(const std::vector<Download>& wanted) {
  ORCH_CHECK(refresh_if_missing());
  ORCH_TRY(const UriMap uris, listed_uris(root_, wanted));
  std::vector<std::pair<const Download*, std::string>> listed;
  for (const Download& download : wanted) {
    const auto found = uris.find(archive_file_name(download.package));
    if (found != uris.end()) {
      listed.emplace_back(&download, found->second);
    } else {
      ORCH_CHECK(download_from_pool(root_, download));
    }
  }
  for (std::size_t start = 0; start < listed.size(); start += k_batch) {
    const auto first = listed.begin() + static_cast<std::ptrdiff_t>(start);
    const auto last = listed.begin() + static_cast<std::ptrdiff_t>(std::min(start + k_batch, listed.size()));
    ORCH_TRY(const sys::Exit exit, run_helper(root_, {first, last}));
    if (exit.ok()) continue;
    // Which one it was is found out by the caller, who holds each file against the lock; only without any
    // file is the program's own complaint all there is.
    for (auto it = first; it != last; ++it) {
      if (sys::exists(it->first->file)) continue;
      ORCH_CHECK(check_size(exit, *it->first, it->second));
      return base::fail(ErrorKind::tool,
                        "package '" + it->first->package.name + "' " + it->first->package.version +
                            " cannot be downloaded: " + apt_complaint(exit),
                        "check the network; if the archive has moved on, use 'appimage-orch lock --update'");
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<PackageSource>> open_apt_source(const Source& source, const Surroundings& around) {
  ORCH_TRY(AptRoot root, AptRoot::open(source, around));
  return std::make_unique<AptSource>(std::move(root));
}

}  // namespace orch::package
