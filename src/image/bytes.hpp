// Numbers out of untrusted bytes, in a given byte order. Callers have checked that enough bytes are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace orch::image {

enum class ByteOrder { little, big };

template <class T>
T load(const void* bytes, ByteOrder order) {
  static_assert(std::is_unsigned_v<T>);
  const auto* at = static_cast<const std::uint8_t*>(bytes);
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    const std::size_t from = order == ByteOrder::little ? sizeof(T) - 1 - i : i;
    number = (number << 8) | at[from];
  }
  return static_cast<T>(number);
}

inline std::uint16_t load_u16(const void* bytes) {
  return load<std::uint16_t>(bytes, ByteOrder::little);
}
inline std::uint32_t load_u32(const void* bytes) {
  return load<std::uint32_t>(bytes, ByteOrder::little);
}
inline std::uint64_t load_u64(const void* bytes) {
  return load<std::uint64_t>(bytes, ByteOrder::little);
}

}  // namespace orch::image
