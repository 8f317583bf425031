// One program being linked: breadth first over what it needs, then the checks of versions and levels. Part of
// the resolver (loader.hpp).
#pragma once

#include "elf/ld_cache.hpp"
#include "elf/library_search.hpp"
#include "elf/linkage.hpp"
#include "elf/loader.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::elf {

// What is the same for all programs with one interpreter.
struct Machine {
  Machine(RootFiles& files, const LoaderOptions& options, LoaderLayout how)
      : layout(std::move(how)), search(files, options, layout) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  bool there = false;
  Candidate file;
  LoaderLayout layout;
  LibrarySearch search;
  const SearchList* system = nullptr;  // the default directories
  // What the cache and they lead to, for objects that want the default directories, and that do not.
  std::vector<const Found*> common[2];  // by name; nullptr: not asked for yet
  std::vector<Problem> problems;        // of the interpreter; their needed_by is the program
};

// Which of some numbers one program has met, and with which value; cleared in no time for the next program.
class Marks {
 public:
  void clear() {
    if (++now_ != 0) return;
    marks_.clear();
    now_ = 1;
  }
  // The value of the number; k_no_object if it has none.
  std::size_t at(std::uint32_t number) const {
    return number < marks_.size() && marks_[number].when == now_ ? marks_[number].value : k_no_object;
  }
  // The first value of a number counts.
  void set(std::uint32_t number, std::size_t value) {
    if (number >= marks_.size()) marks_.resize(std::max(2 * marks_.size(), number + std::size_t{64}));
    if (marks_[number].when != now_) marks_[number] = {now_, static_cast<std::uint32_t>(value)};
  }

 private:
  struct Mark {
    std::uint32_t when = 0;
    std::uint32_t value = 0;
  };
  std::vector<Mark> marks_;
  std::uint32_t now_ = 1;
};

// What is known of an object of a program beside what the result has.
struct LinkState {
  const Object* object = nullptr;   // nullptr: missing
  const SearchList* own = nullptr;  // DT_RPATH or, where the object has that, DT_RUNPATH
  bool any_rpath = false;           // of this object or of those that loaded it
};

// Used by one program after the other.
struct LinkMemory {
  Marks names;    // asked for, and sonames: index of the object that answers
  Marks missing;  // names that nothing answers to
  Marks objects;  // numbers of objects
  std::vector<LinkState> states;
};

// One program being linked.
class Link {
 public:
  Link(RootFiles& files, const LoaderOptions& options, Machine& machine, const LdCache& cache,
       LinkMemory& memory, Linkage& out);

  // `library_path`: LD_LIBRARY_PATH.
  Result<> run(const Candidate& program, const std::string& library_path,
               const std::vector<std::string>& preloads);

 private:
  Result<std::size_t> settle(std::uint32_t name, const Object& known, const Found* found);
  Result<const SearchList*> own_list(const LinkedObject& object, const Object& known);
  std::string origin_of(const LinkedObject& object) const;
  std::uint32_t expanded(std::uint32_t name, std::size_t loader);
  std::size_t loaded_as(std::uint32_t name) const;
  Result<std::size_t> add_interpreter();
  Result<const Found*> find(std::uint32_t name, std::size_t loader);
  Result<const Found*> search(std::uint32_t name, std::size_t loader);
  Result<const Found*> search_common(std::uint32_t name, bool no_default);
  // Puts what one place of a search gave to what the ones before it gave; whether the search ends there.
  Result<bool> gather(Result<const Found*> found, const Found*& all);
  Result<std::size_t> map(std::uint32_t name, std::size_t loader, bool preloaded);
  std::size_t add_missing(std::uint32_t name, std::size_t loader, const Found& found, const std::string& why);
  Result<> map_needs(std::size_t at);
  Result<> set_library_path(const std::string& library_path);
  // The object that a version table means; no object if there is none.
  struct Provider {
    const Object* object = nullptr;
    std::string_view path{};
  };
  Provider provider_of(std::uint32_t library) const;
  bool is_interpreter(std::uint32_t name) const {
    return machine_.there && (name == machine_.file.object->soname || name == interpreter_name_);
  }
  void check_versions(std::size_t index);
  void check_provider(const Object::Versions& wanted, std::size_t index);
  void check_isa_level(std::size_t index);
  void problem(ProblemKind kind, std::string object, std::size_t by, std::string detail,
               std::string version = {}) {
    out_.problems.push_back({kind, std::move(object),
                             by == k_no_object ? std::string() : std::string(out_.objects[by].path),
                             std::move(version), std::move(detail)});
  }
  std::string_view text(std::uint32_t name) const { return names_.text(name); }

  RootFiles& files_;
  Names& names_;
  const LoaderOptions& options_;
  const LoaderLayout& layout_;
  Machine& machine_;
  const LdCache& cache_;
  LinkMemory& memory_;
  std::vector<LinkState>& states_;  // of out_.objects
  Linkage& out_;
  const SearchList* library_path_ = nullptr;  // LD_LIBRARY_PATH
  std::uint32_t interpreter_name_ = k_no_name;
  std::size_t interpreter_ = k_no_object;
};

}  // namespace orch::elf
