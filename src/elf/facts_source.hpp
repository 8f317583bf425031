// Where the resolver takes ELF facts from: the files themselves, or an index that was made of them.
#pragma once

#include "elf/facts.hpp"
#include "elf/loader_layout.hpp"
#include "elf/object.hpp"
#include "image/file_tree.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace orch::elf {

// Calls come from one thread at a time. What is given lives as long as the source.
class FactsSource {
 public:
  virtual ~FactsSource() = default;
  // Of the regular file `node`, which lies at `path` (relative to the root, without links). nullptr: no ELF
  // file.
  virtual Result<const Object*> object(image::NodeId node, std::string_view path) = 0;
  // Of an interpreter; nullptr where it does not look like glibc's loader.
  virtual Result<const LoaderLayout*> layout(image::NodeId node, std::string_view path) = 0;
  Objects& objects() { return objects_; }

 protected:
  Objects objects_;
};

// Reads the files of a tree, each once. `tree` must outlive it.
class TreeFacts final : public FactsSource {
 public:
  explicit TreeFacts(const image::FileTree& tree) : tree_(tree) {}
  Result<const Object*> object(image::NodeId node, std::string_view path) override;
  Result<const LoaderLayout*> layout(image::NodeId node, std::string_view path) override;
  // All of them, as for object().
  Result<const Facts*> facts(image::NodeId node, std::string_view path);

 private:
  struct File {
    std::optional<Facts> facts;
    const Object* object = nullptr;
  };
  Result<File*> file(image::NodeId node, std::string_view path);

  const image::FileTree& tree_;
  std::unordered_map<std::uint64_t, File> files_;  // by node
  std::map<image::NodeId, std::unique_ptr<const LoaderLayout>> layouts_;
};

}  // namespace orch::elf
