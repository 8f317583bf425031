// A root file system in memory, named by whole paths.
#pragma once

#include "base/text.hpp"
#include "support/elf_writer.hpp"
#include "unit/image/memory_tree.hpp"

#include <map>
#include <string>

namespace orch::test {

class RootTree {
 public:
  void file(const std::string& path, const std::string& bytes) {
    tree_.file(folder(path), name(path), bytes);
  }
  void elf(const std::string& path, const ElfSpec& spec) { file(path, make_elf(spec)); }
  void link(const std::string& path, const std::string& target) {
    tree_.link(folder(path), name(path), target);
  }
  void directory(const std::string& path) { folder(path + "/x"); }
  const image::FileTree& tree() const { return tree_; }

 private:
  static std::string name(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  image::NodeId folder(const std::string& path) {
    const std::string above = path.substr(0, path.rfind('/'));
    if (above.empty()) return tree_.root();
    if (const auto known = folders_.find(above); known != folders_.end()) return known->second;
    return folders_[above] = tree_.directory(folder(above), name(above));
  }

  MemoryTree tree_;
  std::map<std::string, image::NodeId> folders_;
};

}  // namespace orch::test
