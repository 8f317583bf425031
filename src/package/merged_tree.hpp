// The tree that several packages make together, as a plan: pure, no file is touched here. Names come from
// untrusted archives; every rule about where an entry may land is in this file.
#pragma once

#include "base/result.hpp"
#include "hash/tree.hpp"
#include "image/layer_rules.hpp"
#include "package/archive_entry.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::package {

using image::LayerClass;

// What is left out of a layer. What must not be in it is not decided here: package/layer_check.hpp.
struct TreeRules {
  LayerClass layer_class = LayerClass::deps;
  bool documentation = false;      // keep usr/share/{doc,man,info,…}; copyright files are always kept
  std::vector<std::string> paths;  // if not empty: only what lies at or below one of these ("usr/lib/foo")
  // Findings that the profile allows (image::is_allowed): executables of a deps overlay are kept where
  // "executable-directory" is among them.
  std::set<std::string> overrides;
};

struct SkippedEntry {
  std::string path;
  std::size_t package = 0;
  std::string reason;
};

// Something that was done differently from what the archive says, or a choice between packages.
struct TreeNote {
  std::string path;
  std::size_t package = 0;
  std::string text;
};

// A regular file's bytes, stored by the caller under this number.
struct Blob {
  std::size_t number = 0;
  std::uint64_t size = 0;
  hash::Digest digest;
};

// A device, FIFO or socket: never unpacked, but known, so that a layer that has one can be refused.
struct SpecialEntry {
  std::string path;
  std::size_t package = 0;
  image::NodeType type = image::NodeType::fifo;
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
};

// The place of an entry of a package: relative, without "." and ".."; top-level bin, sbin, lib, lib32, lib64
// and libx32 become usr/…: every tree is in merged-/usr form. Empty for the root itself. Absolute names and
// ".." are errors.
Result<std::string> entry_place(std::string_view raw);

// The mode that a file of an archive gets: readable for who builds, nothing set-uid.
std::uint32_t unpacked_mode(std::uint32_t mode);

// Why the rules leave out an entry at that place; empty if they do not.
std::string skip_reason(const TreeRules& rules, std::string_view place);

class MergedTree {
 public:
  static constexpr std::size_t k_no_package = static_cast<std::size_t>(-1);

  struct Node {
    hash::EntryType type = hash::EntryType::directory;
    std::uint32_t mode = 0755;
    Blob blob;                           // files; names of one file (hard links) have the same number
    std::string target;                  // symlinks
    std::size_t package = k_no_package;  // who shipped it; k_no_package for directories that nobody named
    bool implied = false;                // a directory that no archive has an entry for
    std::uint32_t set_id = 0;            // 06000 of a file's mode as the archive has it; never unpacked
    EntryMarks marks{};                  // likewise
  };

  // `names`: the packages, in the order in which they will be added; used in messages.
  // A base gets the merged-/usr links and the directories that a root file system has.
  MergedTree(TreeRules rules, std::vector<std::string> names);

  // Adds one entry of package `package`. Directories are never replaced, and a directory over a symlink keeps
  // the link (what is below it lands where the link points, resolved inside the tree); of two packages with
  // the same file the later wins, with a note. Errors: hostile names, a file where a directory is needed.
  Result<> add(std::size_t package, const ArchiveEntry& entry, const Blob& blob);

  // Makes the absolute symlink at `path` relative, with a note. For links to directories: FEX's loader would
  // follow an absolute one out of the guest's root file system.
  void make_link_relative(const std::string& path);

  // Sorted by path bytes; every parent directory is there.
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  // In the order in which they were added.
  const std::vector<SpecialEntry>& specials() const { return specials_; }
  const std::vector<SkippedEntry>& skipped() const { return skipped_; }
  const std::vector<TreeNote>& notes() const { return notes_; }

 private:
  Result<std::string> resolve_parent(std::size_t package, std::string_view place);
  Result<std::string> resolve_link(std::size_t package, const std::string& link, std::string_view rest,
                                   int& budget);
  Result<> add_directory(std::size_t package, const std::string& path, const ArchiveEntry& entry);
  void leave_out(std::size_t package, const std::string& path, std::string reason);
  Result<> add_hard_link(std::size_t package, const std::string& path, const ArchiveEntry& entry);
  Result<> put(std::size_t package, const std::string& path, Node node);
  void add_special(std::size_t package, const std::string& path, const ArchiveEntry& entry);
  std::string owner(const Node& node) const;
  void note(std::size_t package, const std::string& path, std::string text);

  TreeRules rules_;
  std::vector<std::string> names_;
  std::map<std::string, Node> nodes_;
  std::vector<SpecialEntry> specials_;
  std::vector<SkippedEntry> skipped_;
  std::set<std::pair<std::size_t, std::string>> left_out_;  // package and path of those
  std::vector<TreeNote> notes_;
};

}  // namespace orch::package
