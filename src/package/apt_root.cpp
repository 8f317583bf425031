#include "package/apt_root.hpp"

#include "base/text.hpp"
#include "hash/digest.hpp"
#include "package/apt_entries.hpp"
#include "package/key_file.hpp"
#include "package/tool_environment.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

// Where Debian keeps the programs that apt itself starts; PATH is the caller's otherwise.
constexpr std::string_view k_helper = "/usr/lib/apt/apt-helper";

// A file of the root: update() brings Contents indices too.
constexpr std::string_view k_contents_wanted = "contents";

// A folder of the root: the keys of a source that names its own.
constexpr std::string_view k_key_folder = "etc/keys";

void say(const Surroundings& around, std::string_view text) {
  if (around.log) around.log(text);
}

sys::Environment apt_environment(const Surroundings& around, const std::string& apt_config) {
  sys::Environment environment = tool_environment(around);
  environment["DEBIAN_FRONTEND"] = "noninteractive";
  if (!apt_config.empty()) environment["APT_CONFIG"] = apt_config;
  return environment;
}

Result<std::string> program(const Surroundings& around, std::string_view name) {
  if (name == "apt-helper") {
    if (sys::exists(std::string(k_helper))) return std::string(k_helper);
  } else if (auto path = sys::find_program(name, search_path(around))) {
    return *path;
  }
  return base::fail(ErrorKind::not_found,
                    "'" + std::string(name) +
                        "' is not installed, and the profile has packages "
                        "of kind \"apt\"",
                    "install the package 'apt' (Debian, Ubuntu and Fedora have it)");
}

// Network settings of the host's apt: proxies, retries, certificates, tolerance for frozen archives. They
// decide how files are fetched, never which.
Result<std::string> host_network_settings(const Surroundings& around) {
  std::string settings;
  if (!sys::exists(around.host_apt)) return settings;
  ORCH_TRY(const std::string config, program(around, "apt-config"));
  sys::Command command;
  command.argv = {config, "dump"};
  command.environment = apt_environment(around, {});
  ORCH_TRY(const sys::Exit exit, around.processes->run(command));
  if (!exit.ok()) return settings;
  for (std::string_view line : base::split(exit.output, '\n')) {
    for (const std::string_view prefix :
         {"Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv",
          "Acquire::Max-FutureTime"}) {
      if (line.starts_with(prefix)) settings += std::string(line) + "\n";
    }
  }
  return settings;
}

struct EntryFile {
  std::string name;
  std::string text;
};

Result<std::vector<EntryFile>> host_entries(const Surroundings& around) {
  std::vector<EntryFile> files;
  ORCH_TRY(const std::string os_release, sys::read_file(around.os_release));
  utsname system{};
  ::uname(&system);
  ORCH_CHECK(check_host_serves_amd64(os_release, system.machine));
  const std::string main = around.host_apt + "/sources.list";
  if (sys::exists(main)) {
    ORCH_TRY(const std::string text, sys::read_file(main));
    files.push_back({"sources.list", amd64_list_entries(text)});
  }
  const std::string parts = around.host_apt + "/sources.list.d";
  std::vector<std::string> names;
  if (sys::exists(parts)) {
    ORCH_TRY(names, sys::list_dir(parts));
  }
  for (const std::string& name : names) {
    const bool list = is_apt_entry_file(name, ".list");
    if (!list && !is_apt_entry_file(name, ".sources")) continue;
    ORCH_TRY(const std::string text, sys::read_file(parts + "/" + name));
    files.push_back({name, list ? amd64_list_entries(text) : amd64_sources_entries(text)});
  }
  std::erase_if(files, [](const EntryFile& file) { return file.text.empty(); });
  if (files.empty())
    return base::fail(ErrorKind::not_found, "'" + around.host_apt + "' has no entry that serves amd64",
                      "add one, or name a source with uris and suites in the profile");
  return files;
}

std::vector<EntryFile> own_entries(const Source& source) {
  std::string text = "Types: deb\nURIs: " + base::join(source.uris, " ") +
                     "\nSuites: " + base::join(source.suites, " ") + "\n";
  if (!source.components.empty()) text += "Components: " + base::join(source.components, " ") + "\n";
  if (source.allow_unsigned) text += "Trusted: yes\n";
  return {{"source.sources", text}};
}

// A source's own keys are all that its root trusts. Signed-By would say the same, but takes no path with spaces.
std::string configuration(const Source& source, const Surroundings& around, const std::string& directory,
                          const std::string& network) {
  const bool own = !source.signed_by.empty();
  return network + "Dir \"" + directory +
         "\";\n"
         "Dir::State \"state\";\n"
         "Dir::State::status \"status\";\n"
         "Dir::State::extended_states \"extended_states\";\n"
         "Dir::Cache \"cache\";\n"
         "Dir::Cache::srcpkgcache \"\";\n"
         "Dir::Etc \"etc\";\n"
         "Dir::Etc::trusted \"" +
         (own ? "/dev/null" : around.host_apt + "/trusted.gpg") +
         "\";\n"
         "Dir::Etc::trustedparts \"" +
         (own ? directory + "/" + std::string(k_key_folder) : around.host_apt + "/trusted.gpg.d") +
         "\";\n"
         "Dir::Log \"log\";\n"
         "APT::Architecture \"amd64\";\n"
         "APT::Architectures { \"amd64\"; };\n"
         "APT::Install-Recommends \"false\";\n"
         "APT::Install-Suggests \"false\";\n"
         "APT::Sandbox::User \"\";\n"
         "APT::Cmd::Pattern-Only \"true\";\n"
         "APT::Update::Error-Mode \"any\";\n"
         "Acquire::Languages \"none\";\n"
         "Acquire::ForceHash \"SHA256\";\n";
}

// The directories and files that apt expects; rewritten each time, because a cache may be cleaned at any
// moment.
Result<> lay_out(const std::string& directory, const std::string& config,
                 const std::vector<EntryFile>& entries, const std::vector<Key>& keys) {
  for (const char* name : {"etc/sources.list.d", "etc/apt.conf.d", "etc/preferences.d", "state/lists/partial",
                           "cache/archives/partial", "log", "empty"})
    ORCH_CHECK(sys::make_dirs(directory + "/" + name));
  ORCH_CHECK(sys::write_if_changed(directory + "/status", ""));
  ORCH_CHECK(sys::write_if_changed(directory + "/apt.conf", config));
  if (!keys.empty()) {
    const std::string folder = directory + "/" + std::string(k_key_folder);
    ORCH_CHECK(sys::make_dirs(folder));
    ORCH_CHECK(sys::write_if_changed(folder + "/source.gpg", binary_keys(keys)));
  }
  for (const EntryFile& entry : entries) {
    const std::string folder = entry.name == "sources.list" ? "/etc/" : "/etc/sources.list.d/";
    ORCH_CHECK(sys::write_if_changed(directory + folder + entry.name, entry.text));
  }
  return {};
}

// Contents indices of an archive: below each component (Debian) or beside the Release file (Ubuntu, flat
// repositories). apt fetches those that the Release file lists, checks them against it, and keeps them
// compressed.
std::string contents_targets() {
  const auto target = [](std::string_view name, std::string_view key) {
    return "Acquire::IndexTargets::deb::" + std::string(name) + " {\n  MetaKey \"" + std::string(key) +
           "\";\n  flatMetaKey \"Contents-$(ARCHITECTURE)\";\n  ShortDescription \"Contents\";\n"
           "  Description \"$(SITE) $(RELEASE) $(ARCHITECTURE) " +
           std::string(key) +
           "\";\n  flatDescription \"$(SITE) $(RELEASE) Contents\";\n"
           "  KeepCompressed \"true\";\n  DefaultEnabled \"true\";\n};\n";
  };
  return target("Contents-deb", "$(COMPONENT)/Contents-$(ARCHITECTURE)") +
         target("Contents-deb-legacy", "Contents-$(ARCHITECTURE)");
}

std::string last_lines(const std::string& text, std::size_t count) {
  std::vector<std::string> kept;
  for (std::string_view line : base::split(text, '\n'))
    if (!base::trim(line).empty()) kept.push_back(base::printable(base::trim(line)));
  if (kept.size() > count) kept.erase(kept.begin(), kept.end() - static_cast<std::ptrdiff_t>(count));
  return base::join(kept, "\n  ");
}

// A signature was there and could not be verified; apt's words with gpgv, and with sqv.
bool has_wrong_signature(std::string_view errors) {
  return errors.find("GPG error: ") != std::string_view::npos ||
         errors.find("OpenPGP signature verification failed: ") != std::string_view::npos;
}

base::Error update_error(const Source& source, const sys::Exit& exit) {
  const auto said = [&](std::string_view words) { return exit.errors.find(words) != std::string::npos; };
  const std::string lists = "the package lists of " + source_label(source);
  const std::string details = "\n  " + last_lines(exit.errors, 6);
  if (has_wrong_signature(exit.errors)) {
    const std::string keys = source.signed_by.empty()
                                 ? "a key that this machine's apt trusts"
                                 : "a key of '" + base::printable(source.signed_by) + "'";
    if (said("NO_PUBKEY ") || said("Missing key "))
      return {ErrorKind::tool, lists + " are not signed by " + keys + details,
              "name the archive's own key file in signed_by, from a place that you trust"};
    return {ErrorKind::tool, lists + " have no valid signature by " + keys + details,
            "do not use them: they were changed behind the signature, or the key has expired; name another "
            "mirror in uris, or a newer key file in signed_by"};
  }
  // apt says the same of lists that it could not get.
  const bool fetched = !said("E: Failed to fetch ");
  if (fetched && said(" is not signed."))
    return {ErrorKind::tool, lists + " are not signed" + details,
            "name an archive that is, with its key file in signed_by; for one that you vouch for yourself "
            "write allow_unsigned = true, which the lock file and the manifest record"};
  return {ErrorKind::tool, lists + " cannot be updated: apt-get " + exit.describe() + details,
          "check the network and the archive's address and key; a locked profile needs no lists once its "
          "packages are in the cache"};
}

}  // namespace

Result<AptRoot> AptRoot::open(const Source& source, const Surroundings& around) {
  ORCH_CHECK(program(around, "apt-get"));
  ORCH_TRY(const std::vector<Key> keys, read_key_file(source));
  std::vector<EntryFile> entries = own_entries(source);
  if (source.host) {
    ORCH_TRY(entries, host_entries(around));
  }
  std::string identity = "apt-root/2\n" + hash::digest_of(binary_keys(keys)).hex() + "\n";
  for (const EntryFile& entry : entries) identity += entry.name + "\n" + entry.text + "\n";
  const std::string directory =
      sys::absolute_path(around.cache_dir) + "/apt/" + hash::digest_of(identity).hex();
  if (directory.find_first_of("\"\n\\") != std::string::npos)
    return base::fail(ErrorKind::unsupported, "apt cannot work below '" + base::printable(directory) + "'",
                      "choose a cache directory without quotes and backslashes: --cache-dir DIR");
  ORCH_CHECK(sys::make_dirs(directory));
  ORCH_TRY(std::optional<sys::FileLock> lock,
           sys::FileLock::acquire(directory + "/lock", sys::FileLock::Wait::yes));
  if (!lock) return base::fail(ErrorKind::internal, "no lock on '" + directory + "'");
  ORCH_TRY(const std::string network, host_network_settings(around));
  ORCH_CHECK(lay_out(directory, configuration(source, around, directory, network), entries, keys));
  return AptRoot(source, around, directory, *std::move(lock));
}

Result<> AptRoot::update(std::string_view doing) {
  say(around_, std::string(doing) + " of " + source_label(source_));
  ORCH_CHECK(sys::remove_tree(directory_ + "/complete"));
  ORCH_TRY(const sys::Exit exit, run({"apt-get", "-q", "update"}));
  // Unsigned lists may be allowed; a wrong signature is refused wherever there is a key to hold it against.
  const bool wrong = !source_.signed_by.empty() && has_wrong_signature(exit.errors);
  if (!exit.ok() || wrong) return base::fail(update_error(source_, exit));
  if (around_.refreshed != nullptr) around_.refreshed->insert(refresh_key(source_));
  return sys::write_atomic(directory_ + "/complete", "");
}

Result<> AptRoot::update_if_missing() {
  if (sys::exists(directory_ + "/complete")) return {};
  return update();
}

Result<sys::Command> AptRoot::command(std::vector<std::string> argv, const std::string& directory) const {
  ORCH_TRY(argv[0], program(around_, argv[0]));
  sys::Command command;
  command.argv = std::move(argv);
  command.directory = directory.empty() ? directory_ + "/empty" : directory;
  command.environment = apt_environment(around_, directory_ + "/apt.conf");
  return command;
}

Result<sys::Exit> AptRoot::run(std::vector<std::string> argv, const std::string& directory) const {
  ORCH_TRY(const sys::Command made, command(std::move(argv), directory));
  return around_.processes->run(made);
}

Result<sys::Child> AptRoot::start(std::vector<std::string> argv, int stdout_fd) const {
  ORCH_TRY(sys::Command made, command(std::move(argv), {}));
  made.stdout_fd = stdout_fd;
  return around_.processes->start(made);
}

Result<std::vector<std::string>> AptRoot::contents() {
  const std::string wanted = directory_ + "/" + std::string(k_contents_wanted);
  if (!sys::exists(wanted)) {
    const std::string targets = directory_ + "/etc/apt.conf.d/contents.conf";
    ORCH_CHECK(sys::write_atomic(targets, contents_targets()));
    if (Result<> brought = update("fetching the indices of what the packages hold"); !brought) {
      // A source without such lists must not fail in everything that comes after.
      ORCH_CHECK(sys::remove_tree(targets));
      return base::fail(std::move(brought).error());
    }
    ORCH_CHECK(sys::write_atomic(wanted, ""));
  }
  ORCH_TRY(const sys::Exit exit, run({"apt-get", "indextargets", "--format", "$(FILENAME)"}));
  std::vector<std::string> files;
  for (std::string_view line : base::split(exit.output, '\n'))
    if (line.find("Contents-") != std::string_view::npos && sys::exists(std::string(line)))
      files.emplace_back(line);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace orch::package
