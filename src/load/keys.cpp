#include "load/keys.hpp"

#include <array>

namespace orch::load {

namespace {

using enum KeyType;
constexpr Variables k_appdir = Variables::with_appdir;

constexpr std::string_view k_source_kinds = "apt|dnf|dir|files";

constexpr std::array k_profile{
    Key{"schema", integer, "1", "", "version of this format; 1"},
    Key{"name", text, "-", "", "name of the profile; the file's name without .toml where absent"},
    Key{"description", text, "-", "", "one line on what it is for"},
    Key{"extends", text, "-", "", "a profile to start from: a name, or a path ending in .toml"},
    Key{"app", table, "{}", "", "the application"},
    Key{"app.appimage", KeyType::app, "-", "", "the AppImage: a path, or { url, sha256 }"},
    Key{"app.args", texts, "[]", "", "arguments, before those of the command line", k_appdir},
    Key{"app.env", text_table, "{}", "", "environment of the application", k_appdir},
    Key{"extract", table, "{}", "", "how the AppImage is unpacked"},
    Key{"extract.backend", text, "auto", "auto|squashfs|unsquashfs", "what reads the payload"},
    Key{"extract.strip_gnu_property", boolean, "false", "",
        "remove .note.gnu.property, as a step of its own"},
    Key{"stack", table, "{}", "", "the image stack, bottom to top: base, gpu, compat, deps, images, finish"},
    Key{"stack.base", layer, "auto", "auto", "the base image; \"auto\" finds what muvm would use"},
    Key{"stack.gpu", layers, "[auto]", "auto", "GPU layers; \"auto\" finds muvm's Mesa overlays"},
    Key{"stack.images", layers, "[]", "", "ready-made layers on top of the built ones"},
    Key{"stack.compat", text, "auto", "auto|off", "an overlay for a missing loader path"},
    Key{"stack.finish", text, "auto", "auto|off", "a last layer with the caches of the whole stack"},
    Key{"stack.allow", texts, "[]", "", "rules that ready-made layers may break: RULE or RULE:PATH"},
    Key{"stack.image_sources", texts, "[]", "", "addresses and folders with images of 'lock --images'"},
    Key{"stack.deps", tables, "[]", "", "overlays that are built from packages"},
    Key{"stack.deps.name", text, "!", "", "name of the overlay, unique in the profile"},
    Key{"stack.deps.source", text, "auto", "", "a [source.NAME], a shipped source, or \"auto\""},
    Key{"stack.deps.packages", texts, "[]", "", "package names"},
    Key{"stack.deps.auto", boolean, "false", "", "add packages for sonames that are found missing"},
    Key{"stack.deps.class", text, "deps", "deps|base-refresh", "base-refresh may change the ABI boundary"},
    Key{"stack.deps.compressor", compressor, k_default_compressor, "", "none, or as mkfs.erofs -z takes it"},
    Key{"stack.deps.cluster", size, "65536", "", "largest compressed cluster in bytes; 0: one block"},
    Key{"stack.deps.documentation", boolean, "false", "", "keep manual pages and the like"},
    Key{"stack.deps.paths", texts, "[]", "", "take only what lies at or below these paths"},
    Key{"stack.deps.allow", texts, "[]", "", "rules for layers that it may break: RULE or RULE:PATH"},
    Key{"fex", table, "{}", "", "the images that FEX publishes"},
    Key{"fex.list", text, "https://rootfs.fex-emu.gg/RootFS_links.json", "", "address of their list"},
    Key{"source", named_tables, "{}", "", "where packages come from"},
    Key{"source.*.kind", text, "!", k_source_kinds, "apt, dnf, dir (a folder), files (a list)"},
    Key{"source.*.description", text, "-", "", "one line on what it is"},
    Key{"source.*.distribution", text, "-", "", "ID of the os-release that it belongs to"},
    Key{"source.*.release", text, "-", "", "VERSION_ID of that os-release"},
    Key{"source.*.host", boolean, "-", "", "apt: this machine's own archives"},
    Key{"source.*.uris", texts, "-", "", "apt, dnf: roots of the archive"},
    Key{"source.*.suites", texts, "-", "", "apt: suites, or paths ending in '/'"},
    Key{"source.*.components", texts, "-", "", "apt: components of the suites"},
    Key{"source.*.metalinks", texts, "-", "", "dnf: metalinks of the archive"},
    Key{"source.*.signed_by", path, "-", "", "key file of the archive"},
    Key{"source.*.fingerprints", texts, "-", "", "fingerprints of all keys that the key file may have"},
    Key{"source.*.trusted", boolean, "-", "", "apt: older name of allow_unsigned"},
    Key{"source.*.allow_unsigned", boolean, "-", "", "accept what is not signed; recorded in the lock file"},
    Key{"source.*.repo_gpgcheck", boolean, "-", "", "dnf: the repository's lists are signed too"},
    Key{"source.*.archive_uris", texts, "-", "",
        "roots that keep old packages under the same paths; '{file}' in one stands for the file's name"},
    Key{"source.*.path", path, "-", "", "dir: the folder"},
    Key{"source.*.files", tables, "-", "", "files: the packages"},
    Key{"source.*.files.url", text, "!", "", "where the package is"},
    Key{"source.*.files.sha256", text, "!", "", "its SHA-256, hex"},
    Key{"verify", table, "{}", "", "what a launch demands of the stack"},
    Key{"verify.mode", text, "stop", "stop|warn|off", "whether missing libraries stop a launch"},
    Key{"verify.require", texts, "[]", "", "sonames or paths whose problems stop it, too"},
    Key{"verify.ignore", texts, "[]", "", "sonames or paths whose problems are not looked at"},
    Key{"launch", table, "{}", "", "how the application is started"},
    Key{"launch.launcher", text, "auto", "auto|muvm|native", "auto: muvm on aarch64, native on x86_64"},
    Key{"launch.gpu_mode", text, "auto", "auto|drm|venus|software", "what muvm gives the guest"},
    Key{"launch.vm", text, "auto", "auto|private|shared", "whether a running VM may be joined"},
    Key{"launch.vm_wait", duration, "5s", "",
        "how long to wait for a VM of another stack to end; 0s: not at all"},
    Key{"launch.script_shell", text, "host", "host|fexbash",
        "muvm: what runs an AppRun that is a script: the host's interpreter, or FEX's emulated shell"},
    Key{"launch.guest_pre", texts, "[]", "", "commands that run in the guest before it", k_appdir},
    Key{"launch.guest_pre_failure", text, "warn", "warn|stop",
        "whether one that fails or calls exit keeps the application from starting; one that replaces the "
        "shell (exec PROGRAM) always does"},
    Key{"launch.exit_wait", duration, "10s", "",
        "muvm: how long it may stay silent after the application; 0s: for ever"},
    Key{"launch.timeout", duration, "0s", "", "end the application after this time; 0s: never"},
    Key{"launch.muvm", path_or_auto, "auto", "", "the muvm program"},
    Key{"launch.muvm_args", texts, "[]", "", "further options for muvm"},
    Key{"preflight", table, "{}", "", "checks before the launch"},
    Key{"preflight.guest_check", boolean, "false", "", "boot once and run a trivial command first"},
    Key{"evidence", table, "{}", "", "what a run leaves"},
    Key{"evidence.dir", path_or_auto, "auto", "", "where runs leave their evidence"},
    Key{"evidence.max_log", size, "1073741824", "",
        "largest run.log in bytes; its beginning and its end are kept; 0: no limit"},
    Key{"evidence.cast", boolean, "true", "", "also run.cast, the output with its timing (asciicast v2)"},
    Key{"evidence.plain", boolean, "false", "", "also run.txt, the output without escape sequences"},
    Key{"origin", table, "-", "", "which AppImage a user profile was written for"},
    Key{"origin.path", text, "-", "", "its path then"},
    Key{"origin.desktop_id", text, "-", "", "its desktop entry's name"},
    Key{"origin.update_information", text, "-", "", "its update information"},
    Key{"step", steps, "[]", "", "steps of your own"},
};

constexpr std::array k_layer{
    Key{"name", text, "-", "", "name of the layer, unique in the profile"},
    Key{"url", text, "-", "", "an image by its address"},
    Key{"sha256", text, "-", "", "its SHA-256, hex"},
    Key{"package", text, "-", "", "an image inside a package"},
    Key{"arch", text, "-", "", "architecture of that package"},
    Key{"path", text, "-", "", "path of the image in it"},
    Key{"packages", texts, "-", "", "an image built from packages"},
    Key{"source", text, "-", "", "where packages come from; auto where absent"},
    Key{"compressor", compressor, "-", "", "as in [[stack.deps]]"},
    Key{"cluster", size, "-", "", "as in [[stack.deps]]"},
    Key{"documentation", boolean, "-", "", "as in [[stack.deps]]"},
    Key{"allow", texts, "-", "", "as in [[stack.deps]]"},
    Key{"fex", text, "-", "", "a FEX RootFS by its name"},
};

constexpr std::array k_app{
    Key{"url", text, "!", "", "where the AppImage is"},
    Key{"sha256", text, "!", "", "its SHA-256, hex"},
};

constexpr std::array k_source{
    Key{"schema", integer, "1", "", "version of this format; 1"},
    Key{"kind", text, "!", k_source_kinds, "apt, dnf, dir (a folder), files (a list)"},
    Key{"description", text, "-", "", "one line on what it is"},
    Key{"distribution", text, "-", "", "ID of the os-release that it belongs to"},
    Key{"release", text, "-", "", "VERSION_ID of that os-release"},
    Key{"host", boolean, "-", "", "apt: this machine's own archives"},
    Key{"uris", texts, "-", "", "apt, dnf: roots of the archive"},
    Key{"suites", texts, "-", "", "apt: suites, or paths ending in '/'"},
    Key{"components", texts, "-", "", "apt: components of the suites"},
    Key{"metalinks", texts, "-", "", "dnf: metalinks of the archive"},
    Key{"signed_by", path, "-", "", "key file of the archive"},
    Key{"fingerprints", texts, "-", "", "fingerprints of all keys that the key file may have"},
    Key{"trusted", boolean, "-", "", "apt: older name of allow_unsigned"},
    Key{"allow_unsigned", boolean, "-", "", "accept what is not signed; recorded in the lock file"},
    Key{"repo_gpgcheck", boolean, "-", "", "dnf: the repository's lists are signed too"},
    Key{"archive_uris", texts, "-", "",
        "roots that keep old packages under the same paths; '{file}' in one stands for the file's name"},
    Key{"path", path, "-", "", "dir: the folder"},
    Key{"files", tables, "-", "", "files: the packages"},
    Key{"files.url", text, "!", "", "where the package is"},
    Key{"files.sha256", text, "!", "", "its SHA-256, hex"},
};

constexpr std::string_view k_pools = "heavy|network|console|";
constexpr std::string_view k_kinds = "image|tree|document|file";

constexpr std::array k_rule{
    Key{"schema", integer, "1", "", "version of this format; 1"},
    Key{"id", text, "!", "", "name of the rule, unique"},
    Key{"replaces", boolean, "false", "", "take the place of a shipped rule of that id"},
    Key{"version", integer, "1", "", "raise it when the action's result changes"},
    Key{"description", text, "-", "", "what a step does; ${profile} and ${item.KEY} expand", Variables::none},
    Key{"apply", text, "named", "named|always", "always: in every profile; named: where a step asks"},
    Key{"for_each", text, "-", "", "a list in the expanded profile; item is bound to each"},
    Key{"when", any, "-", "", "places and the texts they must have, all of them"},
    Key{"action", text, "-", "", "a built-in action"},
    Key{"command", texts, "-", "", "or an argv of your own"},
    Key{"pool", text, "-", k_pools, "which pool limits how many run at once"},
    Key{"cache", text, "content", "content|never", "never: runs every time it is asked for"},
    Key{"inputs", named_tables, "-", "", "what it reads"},
    Key{"inputs.*.value", text, "-", "", "a place in the expanded profile"},
    Key{"inputs.*.step", text, "-", "", "a step of the profile"},
    Key{"inputs.*.output", text, "-", "", "which output of that step; the first where absent"},
    Key{"inputs.*.file", path, "-", "", "a file or folder, relative to this file"},
    Key{"inputs.*.optional", boolean, "-", "", "an absent value is no error"},
    Key{"parameters", any, "-", "", "values that take part in the key"},
    Key{"settings", any, "-", "", "values that reach the action, never the key"},
    Key{"tools", any, "-", "", "programs whose identity takes part in the key"},
    Key{"outputs", named_tables, "-", "", "what it makes; the first is the main one"},
    Key{"outputs.*.kind", text, "-", k_kinds, "what it is in the store"},
    Key{"outputs.*.provides", text, "-", "", "the place in the expanded profile that it becomes"},
};

// A step has the keys of a rule, but `name` for `id`, and `rule`.
constexpr std::array k_step = [] {
  std::array<Key, k_rule.size() - 2> out{};
  std::size_t at = 0;
  out[at++] = Key{"name", text, "!", "", "name of the step, unique in the profile"};
  out[at++] = Key{"rule", text, "-", "", "a rule by its id, to which the keys here are added"};
  for (const Key& key : k_rule)
    if (key.path != "schema" && key.path != "id" && key.path != "replaces" && key.path != "apply")
      out[at++] = key;
  return out;
}();

constexpr std::array k_parameter{
    Key{"value", text, "-", "", "a place in the expanded profile"},
    Key{"literal", any, "-", "", "or a value of its own"},
    Key{"default", any, "-", "", "where the place has no value"},
    Key{"type", text, "-", "string|integer|boolean|strings|any|lock", "what the value has to be"},
};

constexpr std::array k_tool{
    Key{"program", program, "!", "", "a name to look up in PATH, or a path"},
    Key{"identity", text, "digest", "digest|version|erofs-writer", "how its identity is found"},
    Key{"version_args", texts, "-", "", "what makes it print its version"},
    Key{"package", text, "-", "", "what to install where it is missing"},
    Key{"optional", boolean, "false", "", "it may be absent"},
};

}  // namespace

std::span<const Key> profile_keys() {
  return k_profile;
}
std::span<const Key> layer_keys() {
  return k_layer;
}
std::span<const Key> app_keys() {
  return k_app;
}
std::span<const Key> source_keys() {
  return k_source;
}
std::span<const Key> rule_keys() {
  return k_rule;
}
std::span<const Key> step_keys() {
  return k_step;
}
std::span<const Key> parameter_keys() {
  return k_parameter;
}
std::span<const Key> tool_keys() {
  return k_tool;
}

// Built once each, on first use.
const Schema& profile_schema() {
  static const Schema schema(k_profile);
  return schema;
}
const Schema& layer_schema() {
  static const Schema schema(k_layer);
  return schema;
}
const Schema& app_schema() {
  static const Schema schema(k_app);
  return schema;
}
const Schema& source_schema() {
  static const Schema schema(k_source);
  return schema;
}
const Schema& rule_schema() {
  static const Schema schema(k_rule);
  return schema;
}
const Schema& step_schema() {
  static const Schema schema(k_step);
  return schema;
}
const Schema& parameter_schema() {
  static const Schema schema(k_parameter);
  return schema;
}
const Schema& tool_schema() {
  static const Schema schema(k_tool);
  return schema;
}

}  // namespace orch::load
