// One program being linked: breadth first over what it needs, then the checks of versions and levels. Part of
// the resolver (loader.hpp).
#pragma once

#include "elf/ld_cache.hpp"
#include "elf/library_search.hpp"
#include "elf/linkage.hpp"
#include "elf/loader.hpp"

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orch::elf {

// What is the same for all programs with one interpreter.
struct Machine {
  bool there = false;
  Candidate file;
  LoaderLayout layout;
  std::vector<Problem> problems;  // of the interpreter; their needed_by is the program
};

// Answers that do not depend on the program, kept for the next ones.
struct SharedAnswers {
  // By interpreter and LD_LIBRARY_PATH: what a name leads to for objects without search paths of their own.
  std::map<std::pair<const Machine*, std::vector<std::string>>, std::unordered_map<std::string, Found>>
      common;
  // By object, provider and the name that the object has for it: the versions that are not there.
  std::map<std::tuple<const Facts*, const Facts*, std::string_view>, std::vector<const VersionNeed*>>
      versions;
};

// One program being linked.
class Link {
 public:
  Link(RootFiles& files, const LoaderOptions& options, const Machine& machine, const LdCache& cache,
       SharedAnswers& shared, Linkage& out)
      : options_(options),
        machine_(machine),
        cache_(cache),
        shared_(shared),
        search_(files, options),
        out_(out) {
    search_.use(machine.layout);
  }

  // `library_path`: LD_LIBRARY_PATH.
  Result<> run(const Candidate& program, const std::string& library_path,
               const std::vector<std::string>& preloads);

 private:
  // What is known of an object beside what the result has.
  struct State {
    const Facts* facts = nullptr;
    SearchList rpath{Via::rpath, {}};
    SearchList runpath{Via::runpath, {}};
    bool any_rpath = false;  // of this object or of those that loaded it
  };

  std::size_t add(std::string_view name, LinkedObject object, const Facts* facts);
  std::string origin_of(const LinkedObject& object) const;
  const std::string& expanded(const std::string& name, std::size_t loader);
  std::size_t loaded_as(const std::string& name) const;
  std::size_t add_interpreter();
  // What is found: shared with other programs, or `own`.
  Result<const Found*> find(const std::string& name, std::size_t loader, Found& own);
  Result<const Found*> search(const std::string& name, std::size_t loader, Found& own);
  Result<bool> search_own(const std::string& name, std::size_t loader, Found& found);
  Result<> search_common(const std::string& name, bool no_default, Found& found);
  Result<std::size_t> map(const std::string& name, std::size_t loader, bool preloaded);
  // The object that a version table means; no facts if there is none.
  struct Provider {
    const Facts* facts = nullptr;
    std::string_view path{};
  };
  Provider provider_of(const std::string& library) const;
  bool is_interpreter(std::string_view name) const {
    return machine_.there && (name == machine_.file.facts->soname || name == out_.interpreter);
  }
  const std::vector<const VersionNeed*>& lacking(const Facts& facts, const Facts& provider,
                                                 const std::string& library);
  void check_versions(std::size_t index);
  void problem(ProblemKind kind, std::string object, std::size_t by, std::string detail,
               std::string version = {}) {
    out_.problems.push_back({kind, std::move(object), by == k_no_object ? "" : out_.objects[by].path,
                             std::move(version), std::move(detail)});
  }

  const LoaderOptions& options_;
  const Machine& machine_;
  const LdCache& cache_;
  SharedAnswers& shared_;
  LibrarySearch search_;
  Linkage& out_;
  SearchList library_path_{Via::library_path, {}};
  std::unordered_map<std::string, Found>* common_ = nullptr;  // of shared_, for library_path_
  std::vector<State> states_;                                 // of out_.objects
  std::unordered_map<std::string_view, std::size_t> names_;   // asked for, and sonames: the first counts
  std::unordered_map<std::string_view, std::size_t> missing_;
  std::deque<std::string> expanded_;  // names that `names_` and `missing_` refer to
  std::size_t interpreter_ = k_no_object;
};

}  // namespace orch::elf
