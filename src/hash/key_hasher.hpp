// A key that explains itself: one walk over a step's inputs feeds both the hash and the readable text.
#pragma once

#include "hash/digest.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::hash {

// One item that takes part in a key: kind ("rule", "parameter", "tool", "input", …), name, value as text.
struct KeyItem {
  std::string kind;
  std::string name;
  std::string value;
  friend bool operator==(const KeyItem&, const KeyItem&) = default;
};

// Collects items in call order. Each field is hashed with its length (u64, little-endian) in front, so that
// neighbours cannot run together; the digest starts from a format tag, so a change of this walk changes every
// key.
class KeyHasher {
 public:
  KeyHasher();
  void add(std::string_view kind, std::string_view name, std::string_view value);
  Digest key() const { return hasher_.finish(); }
  const std::vector<KeyItem>& items() const { return items_; }

 private:
  Hasher hasher_;
  std::vector<KeyItem> items_;
};

}  // namespace orch::hash
