#include "hash/key_hasher.hpp"

#include <array>

namespace orch::hash {

namespace {

void add_field(Hasher& hasher, std::string_view text) {
  std::array<std::uint8_t, 8> length{};
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(text.size()) >> (8 * i));
  hasher.update(length.data(), length.size());
  hasher.update(text);
}

}  // namespace

KeyHasher::KeyHasher() {
  add_field(hasher_, "appimage-orch key 1");
}

void KeyHasher::add(std::string_view kind, std::string_view name, std::string_view value) {
  add_field(hasher_, kind);
  add_field(hasher_, name);
  add_field(hasher_, value);
  items_.push_back({std::string(kind), std::string(name), std::string(value)});
}

}  // namespace orch::hash
