// The entry point of an application: what AppRun is, and what starts it.
#pragma once

#include "base/result.hpp"
#include "image/file_tree.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

// missing: no AppRun, or a link that leads nowhere. outside: a link that leaves the tree (an absolute target
// is a path of the host at run time). unknown: a file that the kernel would not start (neither ELF nor "#!").
enum class EntryKind { elf, script, missing, outside, unknown };

std::string_view to_string(EntryKind kind);

// A script's first line, as Linux reads it (fs/binfmt_script.c): the interpreter and at most one argument,
// which is everything after the first word.
struct Shebang {
  std::string interpreter;
  std::string argument;  // empty: none
  friend bool operator==(const Shebang&, const Shebang&) = default;
};

// `head`: the first 256 bytes of the file, or all of a shorter one. nullopt where the kernel would refuse it
// (ENOEXEC): no "#!", no interpreter, or an interpreter's path cut off by the limit of 256 bytes.
std::optional<Shebang> parse_shebang(std::string_view head);

struct Entry {
  EntryKind kind = EntryKind::missing;
  std::string path = "AppRun";
  std::string target;  // where AppRun's links lead: a path in the tree; `path` itself where it is no link
  std::vector<std::string> links;  // targets of the links on the way
  bool executable = false;         // has an x bit
  // kind script:
  std::string interpreter;
  std::string argument;
  // kind elf; interpreter is PT_INTERP, empty for static programs:
  std::uint16_t machine = 0;
  bool is_64 = false;
};

// Looks at `path` ("AppRun") in the tree. Errors only where the tree cannot be read.
Result<Entry> find_entry(const FileTree& tree, std::string_view path = "AppRun");

// The part of find_entry() that reads no file: where the path leads (path, target, links, executable).
// `file`: the regular file there; nothing where there is none, and then `entry.kind` says why.
struct FollowedEntry {
  Entry entry;
  std::optional<NodeId> file;
};
Result<FollowedEntry> follow_entry(const FileTree& tree, std::string_view path = "AppRun");
// Sets what the first bytes of a script say: kind script, or unknown.
void set_script(Entry& entry, std::string_view head);

}  // namespace orch::image
