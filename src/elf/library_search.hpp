// One search of the loader for one file: which paths it tries, which of them are there, and whether it takes
// what it finds. Part of the resolver (loader.hpp).
#pragma once

#include "elf/facts_source.hpp"
#include "elf/ld_cache.hpp"
#include "elf/linkage.hpp"
#include "elf/loader.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orch::elf {

// What lies at a path, and what the loader thinks of it as a library.
struct Candidate {
  enum class Verdict {
    absent,
    usable,
    skipped,  // another class or machine: the search goes on
    refused,  // the loader stops with an error
  };
  Verdict verdict = Verdict::absent;
  std::string why;  // skipped, refused
  bool other_class = false;
  image::NodeId node;
  std::string real_path;         // absolute, without links
  const Facts* facts = nullptr;  // nullptr: no ELF file
};

// Replaces $ORIGIN, $LIB and $PLATFORM, in braces or not; other dollars stay.
std::string expand_tokens(std::string_view text, std::string_view origin, std::string_view lib,
                          std::string_view platform);

// Looks up files and directories of a root, each path once.
class RootFiles {
 public:
  RootFiles(const image::FileTree& root, FactsSource& facts) : root_(root), facts_(facts) {}
  // Of an absolute path. The reference holds as long as this object.
  Result<const Candidate*> at(const std::string& path);
  // The bytes of a file of at most `limit` bytes; nullopt if there is none.
  Result<std::optional<std::string>> read(std::string_view path, std::size_t limit) const;
  FactsSource& facts() const { return facts_; }
  const image::FileTree& tree() const { return root_; }

 private:
  struct Directory {
    bool there = false;
    image::NodeId node;
    std::string real_path;  // relative to the root, without links
  };
  Result<const Directory*> directory(const std::string& path);
  Result<Candidate> look(const std::string& path);
  Result<> judge(Candidate& candidate);

  const image::FileTree& root_;
  FactsSource& facts_;
  std::unordered_map<std::string, Directory> directories_;
  std::unordered_map<std::string, Candidate> candidates_;
};

// What the loader found for a name, and by which of its rules.
struct Found {
  Via via = Via::nowhere;
  std::string path;  // as the loader knows it
  const Candidate* candidate = nullptr;
  std::vector<Skipped> skipped;
  bool other_class = false;
};

// A list of directories to search, for one object or for all.
struct SearchList {
  Via via;
  std::vector<std::string> directories;  // each ends in '/', or is empty: the working directory
};

// Splits and expands as the loader does: empty elements stand for the working directory, one slash ends each,
// repeated ones are dropped.
std::vector<std::string> search_directories(std::span<const std::string> elements, std::string_view origin,
                                            const LoaderLayout& layout, std::string_view platform);

// Tries the directories of the lists in order, each with its glibc-hwcaps subdirectories before it. `true`:
// the search ends here (found, or refused).
class LibrarySearch {
 public:
  LibrarySearch(RootFiles& files, const LoaderOptions& options) : files_(files), options_(options) {}
  // The subdirectories depend on the loader's age.
  void use(const LoaderLayout& layout);

  Result<bool> in_list(std::string_view name, const SearchList& list, Found& found);
  Result<bool> at_path(const std::string& path, Via via, Found& found);
  // `path` from the working directory, if it is relative.
  std::string absolute(std::string_view path) const;

 private:
  RootFiles& files_;
  const LoaderOptions& options_;
  std::vector<std::string> subdirectories_;  // "glibc-hwcaps/x86-64-v3/", …, ""
};

}  // namespace orch::elf
