// One search of the loader for one file: which paths it tries, which of them are there, and whether it takes
// what it finds. Part of the resolver (loader.hpp).
#pragma once

#include "elf/facts_source.hpp"
#include "elf/ld_cache.hpp"
#include "elf/linkage.hpp"
#include "elf/loader.hpp"
#include "elf/names.hpp"
#include "elf/object.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
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
  std::string_view why{};  // skipped, refused
  bool other_class = false;
  image::NodeId node;
  std::string_view real_path{};    // absolute, without links
  const Object* object = nullptr;  // nullptr: no ELF file
};

// `path` from the working directory, if it is relative.
std::string absolute_path(std::string_view path, const LoaderOptions& options);

// Replaces $ORIGIN, $LIB and $PLATFORM, in braces or not; other dollars stay.
std::string expand_tokens(std::string_view text, std::string_view origin, std::string_view lib,
                          std::string_view platform);

// Looks up files and directories of a root, each path once. What it gives lives as long as it.
class RootFiles {
 public:
  struct Directory {
    bool there = false;
    image::NodeId node;
    std::string real_path;                      // relative to the root, without links
    std::vector<image::DirEntry> entries{};     // by name, once something in it was asked for
    std::vector<const Candidate*> looked_at{};  // by entry; nullptr: not yet
    bool listed = false;
  };

  RootFiles(const image::FileTree& root, FactsSource& facts) : root_(root), facts_(facts) {}
  // Of an absolute path that ends in '/'.
  Result<Directory*> directory(std::string_view path);
  // Relative paths: from the working directory.
  Result<const Candidate*> at(std::string_view path, const LoaderOptions& options);
  // Of a name in a directory that is there.
  Result<const Candidate*> in(Directory& directory, std::string_view name);
  // The bytes of a file of at most `limit` bytes; nullopt if there is none.
  Result<std::optional<std::string>> read(std::string_view path, std::size_t limit) const;
  FactsSource& facts() const { return facts_; }
  const image::FileTree& tree() const { return root_; }
  Objects& objects() const { return facts_.objects(); }
  Names& names() const { return facts_.objects().names(); }

 private:
  struct PathHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view path) const { return std::hash<std::string_view>()(path); }
  };

  Result<std::size_t> find(Directory& directory, std::string_view name);
  Result<Candidate> look(Directory& directory, std::size_t entry);
  Result<> judge(Candidate& candidate);
  Result<const Candidate*> at(std::string_view path);  // absolute

  const image::FileTree& root_;
  FactsSource& facts_;
  std::string scratch_;  // a path while it is put together
  std::unordered_map<std::string, Directory, PathHash, std::equal_to<>> directories_;
};

struct SearchList;

// What the loader found for a name, and by which of its rules.
struct Found {
  // As a program that finds it gets it; without a name where several lead here.
  LinkedObject linked{};
  const Candidate* candidate = nullptr;  // nullptr: nothing; else usable, or refused
  const Object* object = nullptr;        // of a candidate that is usable
  bool other_class = false;
  // The search path of the object itself, if it has one, once it is known.
  mutable const SearchList* own = nullptr;
  mutable bool own_known = false;
};

// Directories to search, for one object or for all: those that are there, with their glibc-hwcaps
// subdirectories before them; and what was found in them.
struct SearchList {
  struct Place {
    std::string prefix;  // as the loader knows it: ends in '/', or is empty, which is the working directory
    RootFiles::Directory* directory = nullptr;
  };
  Via via = Via::nowhere;
  std::vector<Place> places{};
  mutable NumberMap<const Found*> found{};  // by name
};

// Splits and expands as the loader does: empty elements stand for the working directory, one slash ends each,
// repeated ones are dropped.
std::vector<std::string> search_directories(std::span<const std::string_view> elements,
                                            std::string_view origin, const LoaderLayout& layout,
                                            std::string_view platform);

// The searches of one loader. What it gives lives as long as it.
class LibrarySearch {
 public:
  // The subdirectories depend on the loader's age, which the layout tells.
  LibrarySearch(RootFiles& files, const LoaderOptions& options, const LoaderLayout& layout);

  // Of search_directories(), or the loader's own.
  Result<const SearchList*> list(Via via, const std::vector<std::string>& directories);
  // What the list alone leads to; without places nothing.
  Result<const Found*> in_list(std::uint32_t name, const SearchList& list);
  Result<const Found*> at_path(std::string_view path, Via via);
  // Where nothing was found.
  const Found* nothing() const { return &nothing_; }
  // A copy that lives on.
  const Found* keep(const Found& found) { return files_.objects().arena().keep(found); }

 private:
  // Whether the search ends there (found, or refused).
  bool take(const Candidate& candidate, std::string_view path, Via via, Found& found);

  RootFiles& files_;
  const LoaderOptions& options_;
  std::vector<std::string> subdirectories_;  // "glibc-hwcaps/x86-64-v3/", …, ""
  std::map<std::pair<Via, std::vector<std::string>>, SearchList> lists_;
  std::vector<Skipped> skipped_;  // while a search goes on
  std::string scratch_;
  NumberMap<const Found*> at_paths_;
  Found nothing_;
};

}  // namespace orch::elf
