// An index of a tree: every path with type, mode and link target, the ELF facts of its files, and the few
// small files that the loader reads. It answers as the tree itself does, except for the contents of files,
// owners and times (which depend on who unpacked a tree, and when), so a stack can be looked at without its
// images. Written once per content (rules index-image, index-tree).
//
// Text, one record a line, fields separated by tabs; in them '\' is "\\", a tab "\t", a line feed "\n". The
// first line is "appimage-orch index 1". Then for each node, in breadth-first order, the root first:
//   TYPE mode size links major minor marks target
//                                                TYPE: f d l c b p s; mode octal; marks: of "orw", opaque,
//                                                redirected, whiteout mark; 0 links for directories
//   > node name                                  entries of a directory, sorted by name; node counts from 0
//   = bytes                                      the content of a file that is kept
//   E bytes                                      an ELF file's facts (facts_codec.hpp)
//   H name…                                      what it may load by dlopen
//   L bytes                                      what a dynamic loader has built in
#pragma once

#include "base/result.hpp"
#include "elf/facts.hpp"
#include "elf/facts_source.hpp"
#include "elf/loader_layout.hpp"
#include "image/file_tree.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::elf {

struct IndexOptions {
  // Also the names that each file may load by dlopen: reads all of its read-only data.
  bool dlopen_hints = false;
  // How many threads read files; more than 1 only for trees whose files may be opened and read by several
  // threads at once (image/erofs.hpp, image/directory_tree.hpp).
  unsigned threads = 1;
};

// Immutable, so safe for several threads.
class Index final : public image::FileTree {
 public:
  // Reads `tree`. Errors: those of reading it, and of kind corrupt where a directory stands in it twice.
  static Result<std::shared_ptr<const Index>> make(const image::FileTree& tree,
                                                   const IndexOptions& options = {});
  // Of what serialise() gave; anything else is corrupt, with the line.
  static Result<std::shared_ptr<const Index>> parse(std::string_view text);
  std::string serialise() const;

  image::NodeId root() const override { return image::NodeId{0}; }
  Result<image::NodeInfo> stat(image::NodeId node) const override;
  Result<std::vector<image::DirEntry>> list(image::NodeId directory) const override;
  Result<std::optional<image::DirEntry>> lookup(image::NodeId directory,
                                                std::string_view name) const override;
  Result<std::string> readlink(image::NodeId symlink) const override;
  // Only files that are kept (etc/ld.so.*, os-release, desktop entries, small start scripts); unsupported for
  // all others.
  Result<std::unique_ptr<image::RandomAccess>> open(image::NodeId file) const override;

  // nullptr: no ELF file.
  const Facts* facts(image::NodeId file) const;
  // nullptr: not glibc's loader.
  const LoaderLayout* layout(image::NodeId file) const;
  const std::vector<std::string>& dlopen_hints(image::NodeId file) const;
  std::size_t size() const { return nodes_.size(); }

 private:
  struct Entry {
    std::string name;
    std::size_t node = 0;
  };
  struct ElfFile {
    Facts facts;
    std::vector<std::string> hints;
    std::optional<LoaderLayout> layout;
  };
  struct Node {
    image::NodeInfo info;
    std::string target;
    std::vector<Entry> entries;
    std::optional<std::string> content;
    std::unique_ptr<ElfFile> elf;
  };
  friend class IndexBuilder;
  friend class IndexReader;

  Index() = default;
  const Node& at(image::NodeId node) const { return nodes_.at(node.value); }

  std::vector<Node> nodes_;
};

}  // namespace orch::elf
