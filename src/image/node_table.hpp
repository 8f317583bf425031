// Numbers for the nodes of a tree that is made of other trees: each key gets one id, for good. Thread-safe.
#pragma once

#include "image/file_tree.hpp"

#include <cstdint>
#include <deque>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

namespace orch::image {

// Where a node of a composed tree comes from: which of the trees, and which of its nodes.
struct SourceNode {
  std::size_t tree = 0;
  NodeId node;
  friend auto operator<=>(const SourceNode&, const SourceNode&) = default;
};

inline std::size_t hash_of(const SourceNode& source) {
  std::uint64_t x = source.node.value * 0x9e3779b97f4a7c15U + source.tree;
  x ^= x >> 29;
  return static_cast<std::size_t>(x * 0xbf58476d1ce4e5b9U);
}

template <class Key, class Hash>
class NodeTable {
 public:
  NodeId intern(const Key& key) {
    {
      const std::shared_lock lock(mutex_);
      const auto at = ids_.find(key);
      if (at != ids_.end()) return NodeId{at->second};
    }
    const std::unique_lock lock(mutex_);
    const auto [at, is_new] = ids_.try_emplace(key, keys_.size());
    if (is_new) keys_.push_back(&at->first);
    return NodeId{at->second};
  }
  // Stays valid as long as the table; std::out_of_range for an id that it never gave.
  const Key& key(NodeId id) const {
    const std::shared_lock lock(mutex_);
    return *keys_.at(static_cast<std::size_t>(id.value));
  }

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<Key, std::uint64_t, Hash> ids_;
  std::deque<const Key*> keys_;
};

}  // namespace orch::image
