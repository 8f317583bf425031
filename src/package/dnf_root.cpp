#include "package/dnf_root.hpp"

#include "base/text.hpp"
#include "hash/digest.hpp"
#include "package/apt_output.hpp"
#include "package/dnf_output.hpp"
#include "package/key_file.hpp"
#include "package/tool_environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <optional>

namespace orch::package {

using base::ErrorKind;

namespace {

struct Program {
  std::string path;
  int generation = 4;
};

// "dnf" is dnf 4 or dnf 5, as the distribution chose; the other names say which.
Result<Program> find_dnf(const Surroundings& around) {
  for (const char* name : {"dnf", "dnf5", "dnf4", "dnf-3"}) {
    const auto path = sys::find_program(name, search_path(around));
    if (!path) continue;
    sys::Command command;
    command.argv = {*path, "--version"};
    command.environment = rpm_environment(around, "/nonexistent");
    ORCH_TRY(const sys::Exit exit, around.processes->run(command));
    const std::optional<int> generation = dnf_generation(exit.output);
    if (exit.ok() && generation) return Program{*path, *generation};
    return base::fail(ErrorKind::unsupported,
                      "'" + *path + "' is no dnf that is known: " +
                          base::printable(base::trim(exit.ok() ? exit.output : exit.errors)),
                      "dnf 4 and dnf 5 are known");
  }
  return base::fail(ErrorKind::not_found,
                    "'dnf' is not installed, and the profile has packages of kind \"dnf\"",
                    "install the package 'dnf' (Debian, Ubuntu and Fedora have it)");
}

bool is_plain(std::string_view text) {
  return !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

// What a metalink's "repo=" says, if it is fit for an id.
std::string metalink_id(std::string_view url) {
  for (const std::string_view start : {"?repo=", "&repo="}) {
    const std::size_t at = url.find(start);
    if (at == std::string_view::npos) continue;
    const std::string_view value = url.substr(at + start.size());
    const std::string_view id = value.substr(0, value.find('&'));
    if (is_plain(id)) return std::string(id);
  }
  return {};
}

// The href of the primary list in a repomd.xml.
std::string primary_location(std::string_view repomd) {
  const std::size_t type = repomd.find("type=\"primary\"");
  if (type == std::string_view::npos) return {};
  const std::string_view rest = repomd.substr(type);
  constexpr std::string_view k_href = "<location href=\"";
  const std::size_t href = rest.find(k_href);
  if (href == std::string_view::npos || href > rest.find("</data>")) return {};
  const std::string_view value = rest.substr(href + k_href.size());
  return std::string(value.substr(0, value.find('"')));
}

}  // namespace

std::vector<DnfRepository> dnf_repositories(const Source& source) {
  std::vector<DnfRepository> out;
  const auto unique = [&](const std::string& wanted) {
    std::string id = wanted;
    for (int n = 2; std::any_of(out.begin(), out.end(), [&](const DnfRepository& r) { return r.id == id; });
         ++n)
      id = wanted + "-" + std::to_string(n);
    return id;
  };
  for (const std::string& uri : source.uris)
    out.push_back(
        {unique("repo-" + std::to_string(out.size() + 1)), uri + (uri.ends_with('/') ? "" : "/"), {}});
  for (const std::string& metalink : source.metalinks) {
    std::string id = metalink_id(metalink);
    if (id.empty()) id = "repo-" + std::to_string(out.size() + 1);
    out.push_back({unique(id), {}, metalink});
  }
  return out;
}

std::string dnf_configuration(const Source& source, int generation, const std::string& key_file) {
  // cachedir and the like are taken from inside the root by both generations. Lists never expire by
  // themselves: when they are renewed is this program's to say. zchunk would bring them in a form that only
  // librepo reads.
  std::string text =
      "[main]\nreposdir=/nonexistent\nplugins=0\ncachedir=/cache\npersistdir=/persist\nlogdir=/log\nvarsdir=/"
      "vars\n"
      "metadata_expire=-1\ninstall_weak_deps=0\nbest=1\nzchunk=0\nskip_if_unavailable=0\nkeepcache=0\n"
      "excludepkgs=*.i?86\n";
  if (generation == 5) text += "system_cachedir=/cache\n";
  text += std::string("gpgcheck=") + (source.allow_unsigned ? "0" : "1") + "\n";
  text += std::string("repo_gpgcheck=") + (source.repo_gpgcheck ? "1" : "0") + "\n";
  for (const DnfRepository& repository : dnf_repositories(source)) {
    text += "\n[" + repository.id + "]\nname=" + repository.id + "\nenabled=1\n";
    text += repository.metalink.empty() ? "baseurl=" + repository.uri + "\n"
                                        : "metalink=" + repository.metalink + "\n";
    if (!source.signed_by.empty()) text += "gpgkey=file://" + percent_encoded(key_file) + "\n";
  }
  return text;
}

std::vector<std::string> dnf_command_line(const std::string& program, const std::string& directory,
                                          const std::string& release, std::vector<std::string> arguments) {
  std::vector<std::string> argv = {program, "--config=" + directory + "/dnf.conf",
                                   "--installroot=" + directory + "/root",
                                   "--releasever=" + (release.empty() ? "0" : release), "--forcearch=x86_64"};
  argv.insert(argv.end(), std::make_move_iterator(arguments.begin()),
              std::make_move_iterator(arguments.end()));
  return argv;
}

Result<DnfRoot> DnfRoot::open(const Source& source, const Surroundings& around) {
  ORCH_TRY(const std::vector<Key> keys, read_key_file(source));
  ORCH_TRY(const Program program, find_dnf(around));
  const std::string identity = "dnf-root/2\n" + source.release + "\n" +
                               hash::digest_of(binary_keys(keys)).hex() + "\n" +
                               dnf_configuration(source, program.generation, {});
  const std::string directory =
      sys::absolute_path(around.cache_dir) + "/dnf/" + hash::digest_of(identity).hex();
  ORCH_CHECK(sys::make_dirs(directory + "/root"));
  ORCH_CHECK(sys::make_dirs(directory + "/home"));
  ORCH_TRY(std::optional<sys::FileLock> lock,
           sys::FileLock::acquire(directory + "/lock", sys::FileLock::Wait::yes));
  if (!lock) return base::fail(ErrorKind::internal, "no lock on '" + directory + "'");
  const std::string key_file = directory + "/keys.asc";
  ORCH_CHECK(sys::write_if_changed(key_file, armoured_keys(keys)));
  ORCH_CHECK(sys::write_if_changed(directory + "/dnf.conf",
                                   dnf_configuration(source, program.generation, key_file)));
  return DnfRoot(source, around, directory, program.path, program.generation, *std::move(lock));
}

Result<> DnfRoot::update() {
  if (around_.log) around_.log("updating the package lists of " + source_label(source_));
  ORCH_CHECK(sys::remove_tree(directory_ + "/complete"));
  std::vector<std::string> arguments = {"--quiet", "--refresh", "makecache"};
  // The key of signed lists is asked for; it is the one that the source names.
  if (source_.repo_gpgcheck) arguments.insert(arguments.begin(), "--assumeyes");
  ORCH_TRY(const sys::Exit exit, run(std::move(arguments)));
  if (!exit.ok())
    return base::fail(
        ErrorKind::tool,
        "the package lists of " + source_label(source_) + " cannot be updated: dnf " + exit.describe() +
            "\n  " + dnf_complaint(exit.errors),
        "check the network and the repository's address and key; a locked profile needs no lists once "
        "its packages are in the cache");
  if (around_.refreshed != nullptr) around_.refreshed->insert(refresh_key(source_));
  return sys::write_atomic(directory_ + "/complete", "");
}

Result<> DnfRoot::update_if_missing() {
  if (sys::exists(directory_ + "/complete")) return {};
  return update();
}

Result<sys::Exit> DnfRoot::run(std::vector<std::string> arguments) const {
  sys::Command command;
  command.argv = dnf_command_line(program_, directory_, source_.release, std::move(arguments));
  if (generation_ == 4 && ::geteuid() != 0) {
    const auto unshare = sys::find_program("unshare", search_path(around_));
    if (!unshare)
      return base::fail(ErrorKind::not_found,
                        "dnf 4 computes only as root, or in a user namespace, and 'unshare' is "
                        "not installed",
                        "install the package 'util-linux', or use dnf 5");
    command.argv.insert(command.argv.begin(), {*unshare, "--map-root-user", "--"});
  }
  command.directory = directory_ + "/home";
  command.environment = rpm_environment(around_, directory_ + "/home");
  ORCH_TRY(sys::Exit exit, around_.processes->run(command));
  if (!exit.ok() && exit.errors.starts_with("unshare: "))
    return base::fail(
        ErrorKind::permission,
        "dnf 4 computes only as root, or in a user namespace, which this machine does not allow: " +
            base::printable(base::trim(exit.errors)),
        "allow user namespaces (sysctl kernel.unprivileged_userns_clone), use dnf 5, or lock as root");
  return exit;
}

Result<std::vector<std::pair<DnfRepository, std::string>>> DnfRoot::package_lists() const {
  std::vector<std::pair<DnfRepository, std::string>> out;
  const std::string cache = directory_ + "/root/cache";
  ORCH_TRY(const std::vector<std::string> folders, sys::list_dir(cache));
  for (const DnfRepository& repository : dnf_repositories(source_)) {
    std::string found;
    for (const std::string& folder : folders) {
      // ID-HASH, with 16 digits that say the address.
      if (!folder.starts_with(repository.id + "-") || folder.size() != repository.id.size() + 17) continue;
      const auto repomd = sys::read_file(cache + "/" + folder + "/repodata/repomd.xml");
      const std::string name = repomd ? sys::file_name(primary_location(*repomd)) : std::string();
      if (!name.empty() && sys::exists(cache + "/" + folder + "/repodata/" + name))
        found = cache + "/" + folder + "/repodata/" + name;
    }
    if (found.empty())
      return base::fail(
          ErrorKind::not_found,
          "dnf has left no package list of repository '" + repository.id + "' of " + source_label(source_),
          "remove the cache's folder 'dnf' and try again");
    out.emplace_back(repository, std::move(found));
  }
  return out;
}

}  // namespace orch::package
