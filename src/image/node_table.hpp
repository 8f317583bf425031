// Numbers for the nodes of a tree that is made of other trees: each key gets one id, for good. Thread-safe.
#pragma once

#include "image/file_tree.hpp"

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
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

// Ids that say themselves what they stand for; only what has no room in them needs a table. Ids of a table have no
// tree in them, and stay below 2^node_bits.
template <unsigned tree_bits, unsigned node_bits>
struct PackedId {
  static_assert(tree_bits + node_bits <= 64);
  static std::optional<NodeId> pack(const SourceNode& source) {
    constexpr std::uint64_t k_most = (std::uint64_t{1} << tree_bits) - 1;
    if (source.tree >= k_most || source.node.value >> node_bits != 0) return std::nullopt;
    return NodeId{(std::uint64_t{source.tree} + 1) << node_bits | source.node.value};
  }
  static std::optional<SourceNode> unpack(NodeId id) {
    const std::uint64_t tree = id.value >> node_bits;
    if (tree == 0) return std::nullopt;
    return SourceNode{static_cast<std::size_t>(tree - 1),
                      NodeId{id.value & ((std::uint64_t{1} << node_bits) - 1)}};
  }
};

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
