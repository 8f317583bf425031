#include "package/apt_source.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

// apt-helper takes URI, file and hash of many archives in one call; this keeps the command line short of any
// limit.
constexpr std::size_t k_batch = 100;

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (error != std::errc() || end != text.data() + i + 3) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

// As apt writes a path into a URI.
std::string percent_encoded(std::string_view text) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '.' || c == '-' || c == '_';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += k_digits[byte >> 4U];
      out += k_digits[byte & 15U];
    }
  }
  return out;
}

// apt's own messages, without their "E: " and with nothing a terminal would act on.
std::string apt_complaint(const sys::Exit& exit) {
  constexpr std::size_t k_complaints = 2;  // apt says the same of each file that it cannot have
  std::vector<std::string> lines;
  for (std::string_view line : base::split(exit.errors, '\n'))
    if (line.starts_with("E: ") && lines.size() < k_complaints)
      lines.push_back(base::printable(line.substr(3)));
  return lines.empty() ? "apt-get " + exit.describe() : base::join(lines, "; ");
}

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

// The path below its archive's root, without "." components (flat repositories have them); empty if there is
// none.
std::string path_in_archive(const std::string& uri, const std::vector<std::string>& roots) {
  for (const std::string& prefix : roots) {
    if (uri.size() <= prefix.size() || !uri.starts_with(prefix)) continue;
    const std::string decoded = percent_decoded(std::string_view(uri).substr(prefix.size())).value_or("");
    std::string path;
    for (std::string_view part : base::split(decoded, '/')) {
      if (part == "..") return {};
      if (part.empty() || part == ".") continue;
      path += (path.empty() ? "" : "/") + std::string(part);
    }
    return path;
  }
  return {};
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
    // No hash: the caller holds every file against the lock and can say more than "mismatch".
    argv.emplace_back("");
  }
  return root.run(std::move(argv));
}

// A version that the lists have no more may still lie in the pool for a while.
Result<bool> download_from_pool(const AptRoot& root, const Download& download) {
  if (download.package.path.empty()) return false;
  ORCH_TRY(const std::vector<std::string> roots, repository_uris(root));
  for (const std::string& prefix : roots) {
    ORCH_TRY(const sys::Exit exit,
             run_helper(root, {{&download, prefix + percent_encoded(download.package.path)}}));
    if (exit.ok()) return true;
  }
  return false;
}

}  // namespace

Result<std::vector<AptUri>> parse_print_uris(std::string_view text) {
  std::vector<AptUri> found;
  for (std::string_view line : base::split(text, '\n')) {
    if (!line.starts_with('\'')) continue;
    const std::size_t quote = line.find("' ", 1);
    const std::vector<std::string_view> words = quote == std::string_view::npos
                                                    ? std::vector<std::string_view>()
                                                    : base::split(line.substr(quote + 2), ' ');
    AptUri item;
    if (words.size() >= 3 && words[0].ends_with(".deb")) {
      item.uri = std::string(line.substr(1, quote - 1));
      const std::vector<std::string_view> parts = base::split(words[0].substr(0, words[0].size() - 4), '_');
      if (parts.size() == 3) {
        item.package.name = percent_decoded(parts[0]).value_or("");
        item.package.version = percent_decoded(parts[1]).value_or("");
        item.package.architecture = percent_decoded(parts[2]).value_or("");
      }
      std::from_chars(words[1].data(), words[1].data() + words[1].size(), item.package.size);
    }
    if (!is_package_name(item.package.name) || !is_package_version(item.package.version))
      return base::fail(ErrorKind::tool,
                        "apt-get printed a line that is not understood: '" + base::printable(line) + "'");
    const auto sha256 =
        words[2].starts_with("SHA256:") ? hash::Sha256::parse(words[2].substr(7)) : std::nullopt;
    if (!sha256)
      return base::fail(ErrorKind::unsupported,
                        "the archive gives no SHA-256 for package '" + item.package.name + "'",
                        "use an archive whose package lists have SHA256 fields");
    item.package.sha256 = *sha256;
    found.push_back(std::move(item));
  }
  return found;
}

Result<std::vector<LockedPackage>> resolve_packages(const AptRoot& root,
                                                    const std::vector<std::string>& names) {
  ORCH_CHECK(check_requests(names));
  std::vector<LockedPackage> packages;
  if (names.empty()) return packages;
  std::vector<std::string> argv = {"apt-get", "-qq", "-y", "--print-uris", "install", "--"};
  argv.insert(argv.end(), names.begin(), names.end());
  ORCH_TRY(const sys::Exit exit, root.run(std::move(argv)));
  if (!exit.ok()) return base::fail(unresolved(root, exit));
  ORCH_TRY(std::vector<AptUri> found, parse_print_uris(exit.output));
  ORCH_TRY(const std::vector<std::string> roots, repository_uris(root));
  for (AptUri& item : found) {
    item.package.path = path_in_archive(item.uri, roots);
    item.package.reason = is_asked(item.package.name, names) ? "asked" : "required";
    packages.push_back(std::move(item.package));
  }
  ORCH_CHECK(check_answer(names, packages));
  sort_packages(packages);
  return packages;
}

Result<> download_packages(const AptRoot& root, const std::vector<Download>& wanted) {
  ORCH_TRY(const UriMap uris, listed_uris(root, wanted));
  std::vector<std::pair<const Download*, std::string>> listed;
  for (const Download& download : wanted) {
    const auto found = uris.find(archive_file_name(download.package));
    if (found != uris.end()) {
      listed.emplace_back(&download, found->second);
      continue;
    }
    ORCH_TRY(const bool there, download_from_pool(root, download));
    if (!there)
      return base::fail(
          ErrorKind::not_found,
          "source '" + base::printable(root.source().name) + "' no longer has package '" +
              download.package.name + "' " + download.package.version,
          "the archive has moved on: take its present versions with 'appimage-orch lock --update'");
  }
  for (std::size_t start = 0; start < listed.size(); start += k_batch) {
    const auto first = listed.begin() + static_cast<std::ptrdiff_t>(start);
    const auto last = listed.begin() + static_cast<std::ptrdiff_t>(std::min(start + k_batch, listed.size()));
    ORCH_TRY(const sys::Exit exit, run_helper(root, {first, last}));
    if (exit.ok()) continue;
    // Which one it was is found out by the caller, who holds each file against the lock; only without any
    // file is the program's own complaint all there is.
    for (auto it = first; it != last; ++it) {
      if (sys::exists(it->first->file)) continue;
      return base::fail(ErrorKind::tool,
                        "package '" + it->first->package.name + "' " + it->first->package.version +
                            " cannot be downloaded: " + apt_complaint(exit),
                        "check the network; if the archive has moved on, use 'appimage-orch lock --update'");
    }
  }
  return {};
}

}  // namespace orch::package
