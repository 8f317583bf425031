// One program being linked: breadth first over what it needs, then the checks of versions and levels. Part of
// the resolver (loader.hpp).
#pragma once

#include "elf/ld_cache.hpp"
#include "elf/library_search.hpp"
#include "elf/linkage.hpp"
#include "elf/loader.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
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
  SearchList system{};            // the default directories
  std::vector<Problem> problems;  // of the interpreter; their needed_by is the program
};

// Which of some numbers one program has met, and with which value; cleared in no time for the next program.
class Marks {
 public:
  void clear() { ++now_; }
  // The value of the number; k_no_object if it has none.
  std::size_t at(std::uint32_t number) const {
    return number < marks_.size() && marks_[number].when == now_ ? marks_[number].value : k_no_object;
  }
  // The first value of a number counts.
  void set(std::uint32_t number, std::size_t value) {
    if (number >= marks_.size()) marks_.resize(number + std::size_t{64});
    if (marks_[number].when != now_) marks_[number] = {now_, value};
  }

 private:
  struct Mark {
    std::uint64_t when = 0;
    std::size_t value = 0;
  };
  std::vector<Mark> marks_;
  std::uint64_t now_ = 1;
};

// Answers that do not depend on the program, kept for the next ones.
struct SharedAnswers {
  // For objects without search paths of their own: where LD_LIBRARY_PATH leads, and what a name, by its
  // number, leads to.
  struct Common {
    SearchList library_path{};
    std::unordered_map<std::uint32_t, Found> found{};
  };
  std::map<std::pair<const Machine*, std::vector<std::string>>, Common> common;
  // Texts of results that nothing else holds.
  std::deque<std::string> texts;
  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
  Marks names;    // asked for, and sonames: index of the object that answers
  Marks missing;  // names that nothing answers to
  Marks objects;  // numbers of objects
};

// One program being linked.
class Link {
 public:
  Link(RootFiles& files, const LoaderOptions& options, Machine& machine, const LdCache& cache,
       SharedAnswers& shared, Linkage& out);

  // `library_path`: LD_LIBRARY_PATH.
  Result<> run(const Candidate& program, const std::string& library_path,
               const std::vector<std::string>& preloads);

 private:
  // What is known of an object beside what the result has.
  struct State {
    const Object* object = nullptr;     // nullptr: missing
    std::unique_ptr<SearchList> own{};  // DT_RPATH or, where the object has that, DT_RUNPATH
    bool any_rpath = false;             // of this object or of those that loaded it
  };
  // A name that is asked for.
  struct Name {
    std::string_view text;  // lives as long as the Loader
    std::uint32_t number;
  };

  Result<std::size_t> add(const Name& name, LinkedObject object, const Object* known);
  std::string origin_of(const LinkedObject& object) const;
  Name expanded(const std::string& name, std::size_t loader);
  std::size_t loaded_as(const Name& name) const;
  Result<std::size_t> add_interpreter();
  // What is found: shared with other programs, or `own`.
  Result<const Found*> find(const Name& name, std::size_t loader, Found& own);
  Result<const Found*> search(const Name& name, std::size_t loader, Found& own);
  Result<bool> search_own(std::string_view name, std::size_t loader, Found& found);
  Result<> search_common(std::string_view name, bool no_default, Found& found);
  Result<std::size_t> map(const Name& name, std::size_t loader, bool preloaded);
  std::size_t add_missing(const Name& name, std::size_t loader, const Found& found, const std::string& why);
  Result<> map_needs(std::size_t at);
  // The object that a version table means; no object if there is none.
  struct Provider {
    const Object* object = nullptr;
    std::string_view path{};
  };
  Provider provider_of(std::uint32_t library) const;
  bool is_interpreter(std::uint32_t name) const {
    return machine_.there && (name == machine_.file.object->soname || name == interpreter_name_);
  }
  static const std::vector<const VersionNeed*>& lacking(const Object::Versions& wanted,
                                                        const Object& provider);
  void check_versions(std::size_t index);
  void check_isa_level(std::size_t index);
  void problem(ProblemKind kind, std::string object, std::size_t by, std::string detail,
               std::string version = {}) {
    out_.problems.push_back({kind, std::move(object),
                             by == k_no_object ? std::string() : std::string(out_.objects[by].path),
                             std::move(version), std::move(detail)});
  }

  RootFiles& files_;
  const LoaderOptions& options_;
  const LoaderLayout& layout_;
  Machine& machine_;
  const LdCache& cache_;
  SharedAnswers& shared_;
  Linkage& out_;
  SharedAnswers::Common* common_ = nullptr;  // of shared_, for LD_LIBRARY_PATH
  std::vector<State> states_;                // of out_.objects
  std::uint32_t interpreter_name_ = k_no_name;
  std::size_t interpreter_ = k_no_object;
};

}  // namespace orch::elf
