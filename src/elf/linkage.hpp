// What the dynamic loader makes of a program: the objects that it loads, where it finds them, and what goes
// wrong. Plain values, but for views and spans, which live as long as the Loader that gave them and its source of
// facts.
#pragma once

#include "elf/names.hpp"
#include "image/file_tree.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orch::elf {

// How an object was found.
enum class Via {
  program,       // what was started
  interpreter,   // the loader itself: it is there before anything is searched
  path,          // the name has a '/'
  rpath,         // DT_RPATH of the object that asked, of one that loaded it, or of the program
  library_path,  // LD_LIBRARY_PATH
  runpath,       // DT_RUNPATH of the object that asked
  cache,         // ld.so.cache
  system,        // default directories
  nowhere,
};
// "program", "interpreter", "path", "rpath", "LD_LIBRARY_PATH", "runpath", "cache", "default", "missing"
std::string_view to_string(Via via);

// A file that was found under the name and not used: the search went on behind it.
struct Skipped {
  std::string_view path;
  std::string_view why;  // "is for aarch64", "wrong ELF class: ELFCLASS32"
  friend bool operator==(const Skipped&, const Skipped&) = default;
};

inline constexpr std::size_t k_no_object = static_cast<std::size_t>(-1);

// One name that an object asks for (DT_NEEDED), see Linkage::name_of(); and which object answers: an index into
// Linkage::objects.
struct LinkedNeed {
  std::uint32_t name = 0;
  std::uint32_t object = 0;
};

struct LinkedObject {
  std::string_view name;       // as it was asked for first
  std::string_view path;       // as the loader knows it ("/app/bin/../lib/libfoo.so"); empty if missing
  std::string_view real_path;  // where that lies in the root: absolute, without links; empty if missing
  image::NodeId node;          // unless missing
  Via via = Via::nowhere;
  bool preloaded = false;
  std::size_t loaded_by = k_no_object;  // which object's search found it
  std::size_t asked_by = k_no_object;   // the first that needs it
  std::size_t first_need = 0;           // see Linkage::needs_of()
  std::size_t need_count = 0;
  std::span<const Skipped> skipped{};
  bool missing() const { return via == Via::nowhere; }
};

enum class ProblemKind {
  missing_program,      // there is no such file
  wrong_program,        // no ELF file, or one of another machine
  missing_interpreter,  // PT_INTERP leads nowhere
  wrong_interpreter,    // no ELF file, of another machine, or with an interpreter of its own
  foreign_loader,       // not glibc's: what it searches is not known
  missing_library,
  bad_library,       // found, and the loader stops with an error there
  missing_version,   // the provider has no such symbol version
  isa_level,         // demands more of the processor than there is
  no_version_table,  // versions are asked of a provider that has none; the loader warns
  bad_cache,         // ld.so.cache is there and cannot be read
  preload,           // an object of LD_PRELOAD or ld.so.preload cannot be loaded; the loader goes on
};
// "missing library", …
std::string_view to_string(ProblemKind kind);
// Whether the program does not start for it.
bool is_fatal(ProblemKind kind);

struct Problem {
  ProblemKind kind = ProblemKind::missing_library;
  std::string object;     // what is missing or wrong: a soname, or a path in the root
  std::string needed_by;  // path of the object that asks; empty where nothing does
  std::string version;    // missing_version and no_version_table: the version asked for
  std::string detail;     // in the words of the loader, where it has some
  friend bool operator==(const Problem&, const Problem&) = default;
};

struct Linkage {
  std::string program;      // as given
  std::string interpreter;  // PT_INTERP; empty for libraries and static programs
  bool is_static = false;   // no loader is involved
  // In the order in which they are loaded: the program, what is preloaded, then breadth-first by need. The
  // loader itself stands where it is asked for first; absent if nothing asks.
  std::vector<LinkedObject> objects;
  std::vector<LinkedNeed> needs;  // of all objects
  const Names* names = nullptr;   // of all needs
  std::vector<Problem> problems;  // in the order of the objects that they concern

  bool starts() const;  // no fatal problem
  void clear();         // keeps memory for the next
  std::string_view name_of(const LinkedNeed& need) const { return names->text(need.name); }
  // What an object needs, in the order of DT_NEEDED.
  std::span<const LinkedNeed> needs_of(const LinkedObject& object) const {
    return std::span(needs).subspan(object.first_need, object.need_count);
  }
  // Indexes of all objects that need the one of that index, ascending.
  std::vector<std::size_t> needed_by(std::size_t index) const;
};

}  // namespace orch::elf
