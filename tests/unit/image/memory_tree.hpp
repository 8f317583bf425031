// A tree of files in memory, for tests.
#pragma once

#include "image/file_tree.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace orch::test {

class MemoryTree final : public image::FileTree {
 public:
  MemoryTree() : nodes_(1) { nodes_[0].info.type = image::NodeType::directory; }

  image::NodeId directory(image::NodeId parent, const std::string& name) {
    return add(parent, name, image::NodeType::directory, 0755, "");
  }
  image::NodeId file(image::NodeId parent, const std::string& name, const std::string& text,
                     unsigned mode = 0755) {
    return add(parent, name, image::NodeType::file, mode, text);
  }
  image::NodeId link(image::NodeId parent, const std::string& name, const std::string& target) {
    return add(parent, name, image::NodeType::symlink, 0777, target);
  }
  image::NodeId device(image::NodeId parent, const std::string& name, std::uint32_t major,
                       std::uint32_t minor) {
    const image::NodeId node = add(parent, name, image::NodeType::char_device, 0600, "");
    info(node).device_major = major;
    info(node).device_minor = minor;
    return node;
  }
  image::NodeId whiteout(image::NodeId parent, const std::string& name) { return device(parent, name, 0, 0); }
  // To be changed by the test: owner, marks, …
  image::NodeInfo& info(image::NodeId node) { return nodes_.at(node.value).info; }
  // A second name for a node; for directories, a cycle.
  void name(image::NodeId parent, const std::string& name, image::NodeId node) {
    nodes_[parent.value].entries.push_back({name, nodes_[node.value].info.type, node});
  }

  image::NodeId root() const override { return {0}; }
  image::Result<image::NodeInfo> stat(image::NodeId node) const override {
    return nodes_.at(node.value).info;
  }
  image::Result<std::vector<image::DirEntry>> list(image::NodeId directory) const override {
    std::vector<image::DirEntry> out = nodes_.at(directory.value).entries;
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return out;
  }
  image::Result<std::string> readlink(image::NodeId symlink) const override {
    return nodes_.at(symlink.value).text;
  }
  image::Result<std::unique_ptr<image::RandomAccess>> open(image::NodeId file) const override {
    return std::unique_ptr<image::RandomAccess>(
        std::make_unique<image::MemoryAccess>(nodes_.at(file.value).text));
  }

 private:
  struct Node {
    image::NodeInfo info;
    std::string text;
    std::vector<image::DirEntry> entries;
  };
  image::NodeId add(image::NodeId parent, const std::string& name, image::NodeType type, unsigned mode,
                    const std::string& text) {
    const image::NodeId id{nodes_.size()};
    Node node;
    node.info.type = type;
    node.info.mode = mode;
    node.info.size = text.size();
    node.text = text;
    nodes_.push_back(std::move(node));
    this->name(parent, name, id);
    return id;
  }
  std::vector<Node> nodes_;
};

}  // namespace orch::test
