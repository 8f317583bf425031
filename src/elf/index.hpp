// An index of a tree: every path with type, mode and link target, the ELF facts of its files, and the few
// small files that the loader reads. It answers as the tree itself does, except for the contents of files,
// owners and times (which depend on who unpacked a tree, and when), so a stack can be looked at without its
// images. Written once per content (rules index-image, index-tree).
// The bytes: index_form.hpp.
#pragma once

#include "base/result.hpp"
#include "elf/facts.hpp"
#include "elf/index_form.hpp"
#include "elf/loader_layout.hpp"
#include "image/file_tree.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::elf {

struct IndexOptions {
  // Also the names that each file may load by dlopen: reads all of its read-only data.
  bool dlopen_hints = false;
  // How many threads read files, and directories of trees that are thread-safe; more than 1 only for trees
  // whose files may be opened and read by several threads at once (image/erofs.hpp, image/directory_tree.hpp).
  unsigned threads = 1;
  // Names in all directories; a tree with more is refused as corrupt, like one that is nested deeper than walk() goes.
  // A node may have any number of names, so this is what bounds the memory.
  std::size_t most_entries = 4'000'000;
};

// Immutable, so safe for several threads.
class Index final : public image::FileTree {
 public:
  // Reads `tree`. Errors: those of reading it, and of kind corrupt where a directory stands in it twice.
  static Result<std::shared_ptr<const Index>> make(const image::FileTree& tree,
                                                   const IndexOptions& options = {});
  // Of what bytes() gave. Anything else is an Error of kind corrupt, here or where the damage is met. `owner` keeps
  // the bytes where they are.
  static Result<std::shared_ptr<const Index>> parse(std::string_view bytes,
                                                    std::shared_ptr<const void> owner);
  static Result<std::shared_ptr<const Index>> parse(std::string bytes);
  // Of a tree without files.
  static std::shared_ptr<const Index> empty();
  std::string_view bytes() const { return bytes_; }

  bool is_thread_safe() const override { return true; }
  image::NodeId root() const override { return image::NodeId{0}; }
  Result<image::NodeInfo> stat(image::NodeId node) const override;
  Result<std::vector<image::DirEntry>> list(image::NodeId directory) const override;
  Result<std::optional<image::DirEntry>> lookup(image::NodeId directory,
                                                std::string_view name) const override;
  Result<std::string> readlink(image::NodeId symlink) const override;
  // Only files that are kept (etc/ld.so.*, os-release, desktop entries, small start scripts); unsupported for
  // all others.
  Result<std::unique_ptr<image::RandomAccess>> open(image::NodeId file) const override;
  std::size_t size() const { return sections_.nodes(); }

  // What is known of ELF files; nullopt, or nothing, for all others.
  Result<std::optional<Facts>> facts(image::NodeId file) const;
  Result<std::optional<LoaderLayout>> layout(image::NodeId file) const;  // nullopt: not glibc's loader
  Result<std::vector<std::string>> dlopen_hints(image::NodeId file) const;

  // For IndexObjects: the number of an ELF file, counted from 0, and the records themselves.
  Result<std::optional<std::size_t>> elf_file(image::NodeId file) const;
  const index_form::Sections& sections() const { return sections_; }

 private:
  Index(std::string_view bytes, std::shared_ptr<const void> owner, const index_form::Sections& sections)
      : bytes_(bytes), owner_(std::move(owner)), sections_(sections) {}
  Result<image::DirEntry> entry(const index_form::EntryRecord& record) const;
  Result<std::optional<index_form::FileRecord>> file(image::NodeId node) const;
  std::vector<std::string> texts(std::size_t first, std::size_t count) const;

  std::string_view bytes_;
  std::shared_ptr<const void> owner_;
  index_form::Sections sections_;
};

}  // namespace orch::elf
