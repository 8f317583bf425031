// Where the resolver takes ELF facts from: the files themselves, or an index that was made of them.
#pragma once

#include "elf/facts.hpp"
#include "elf/loader_layout.hpp"
#include "image/file_tree.hpp"

#include <map>
#include <memory>
#include <string_view>
#include <vector>

namespace orch::elf {

// Calls come from one thread at a time.
class FactsSource {
 public:
  virtual ~FactsSource() = default;
  // Of the regular file `node`, which lies at `path` (relative to the root, without links). nullptr: no ELF
  // file. The facts live as long as the source.
  virtual Result<const Facts*> facts(image::NodeId node, std::string_view path) = 0;
  // Of an interpreter; nullptr where it does not look like glibc's loader.
  virtual Result<const LoaderLayout*> layout(image::NodeId node, std::string_view path) = 0;
};

// Reads the files of a tree, each once. `tree` must outlive it.
class TreeFacts final : public FactsSource {
 public:
  explicit TreeFacts(const image::FileTree& tree) : tree_(tree) {}
  Result<const Facts*> facts(image::NodeId node, std::string_view path) override;
  Result<const LoaderLayout*> layout(image::NodeId node, std::string_view path) override;

 private:
  const image::FileTree& tree_;
  std::map<image::NodeId, std::unique_ptr<const Facts>> facts_;
  std::map<image::NodeId, std::unique_ptr<const LoaderLayout>> layouts_;
};

}  // namespace orch::elf
