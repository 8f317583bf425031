// One search of the loader for one file: which paths it tries, which of them are there, and whether it takes
// what it finds. Part of the resolver (loader.hpp).
#pragma once

#include "elf/facts_source.hpp"
#include "elf/ld_cache.hpp"
#include "elf/linkage.hpp"
#include "elf/loader.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orch::elf {

// Names of objects as numbers, counted from 0.
class Names {
 public:
  std::uint32_t number(std::string_view name);
  std::size_t size() const { return texts_.size(); }

 private:
  std::deque<std::string> texts_;
  std::unordered_map<std::string_view, std::uint32_t> numbers_;
};
inline constexpr std::uint32_t k_no_name = 0xffffffff;

// What is kept of an ELF file beside its facts, so that programs are linked without comparing texts.
struct Object {
  struct Versions {
    std::uint32_t library = k_no_name;
    std::string_view name{};
    std::vector<const VersionNeed*> needs{};  // never empty
    // By number of a provider: what it lacks of them.
    mutable std::vector<std::pair<std::uint32_t, std::vector<const VersionNeed*>>> lacking{};
  };
  const Facts* facts = nullptr;
  std::uint32_t number = 0;  // of all objects of a root
  std::uint32_t soname = k_no_name;
  std::vector<std::uint32_t> needed{};  // k_no_name: has a '$', and depends on where the object lies
  std::vector<Versions> versions{};     // by library, in the order of the version table
};

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
  const Object* object = nullptr;
};

// `path` from the working directory, if it is relative.
std::string absolute_path(std::string_view path, const LoaderOptions& options);

// Replaces $ORIGIN, $LIB and $PLATFORM, in braces or not; other dollars stay.
std::string expand_tokens(std::string_view text, std::string_view origin, std::string_view lib,
                          std::string_view platform);

// Looks up files and directories of a root, each path once.
class RootFiles {
 public:
  struct Directory {
    bool there = false;
    image::NodeId node;
    std::string real_path;                   // relative to the root, without links
    std::vector<image::DirEntry> entries{};  // by name, once has() has asked
    bool listed = false;
  };

  RootFiles(const image::FileTree& root, FactsSource& facts) : root_(root), facts_(facts) {}
  // Of an absolute path that ends in '/'; the reference holds as long as this object.
  Result<Directory*> directory(const std::string& path);
  Result<bool> has(Directory& directory, std::string_view name) const;
  // Of an absolute path. The reference holds as long as this object.
  Result<const Candidate*> at(const std::string& path);
  // The bytes of a file of at most `limit` bytes; nullopt if there is none.
  Result<std::optional<std::string>> read(std::string_view path, std::size_t limit) const;
  FactsSource& facts() const { return facts_; }
  const image::FileTree& tree() const { return root_; }
  Names& names() { return names_; }
  std::size_t objects() const { return objects_.size(); }

 private:
  const Object* object_of(const Facts* facts);
  Result<Candidate> look(const std::string& path);
  Result<> judge(Candidate& candidate);

  const image::FileTree& root_;
  FactsSource& facts_;
  std::unordered_map<std::string, Directory> directories_;
  std::unordered_map<std::string, Candidate> candidates_;
  Names names_;
  std::unordered_map<const Facts*, Object> objects_;
};

// What the loader found for a name, and by which of its rules.
struct Found {
  Via via = Via::nowhere;
  std::string path;  // as the loader knows it
  const Candidate* candidate = nullptr;
  std::vector<Skipped> skipped;
  bool other_class = false;
};

// Directories to search, for one object or for all: those that are there, with their glibc-hwcaps
// subdirectories before them.
struct SearchList {
  struct Place {
    std::string prefix;  // as the loader knows it: ends in '/', or is empty, which is the working directory
    RootFiles::Directory* directory = nullptr;
  };
  Via via = Via::nowhere;
  std::vector<Place> places{};
};

// Splits and expands as the loader does: empty elements stand for the working directory, one slash ends each,
// repeated ones are dropped.
std::vector<std::string> search_directories(std::span<const std::string> elements, std::string_view origin,
                                            const LoaderLayout& layout, std::string_view platform);

// For one loader. Searches give `true` where the search ends there (found, or refused).
class LibrarySearch {
 public:
  // The subdirectories depend on the loader's age, which the layout tells.
  LibrarySearch(RootFiles& files, const LoaderOptions& options, const LoaderLayout& layout);

  // Of search_directories(), or the loader's own.
  Result<SearchList> list(Via via, std::span<const std::string> directories) const;
  Result<bool> in_list(std::string_view name, const SearchList& list, Found& found);
  Result<bool> at_path(const std::string& path, Via via, Found& found);

 private:
  RootFiles& files_;
  const LoaderOptions& options_;
  std::vector<std::string> subdirectories_;  // "glibc-hwcaps/x86-64-v3/", …, ""
};

}  // namespace orch::elf
