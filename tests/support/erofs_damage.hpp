// Damage to EROFS images where it matters: the superblock, inodes, map headers, indexes, directories and the
// beginnings of compressed data, found by the library in the sound image.
#pragma once

#include "base/result.hpp"
#include "image/file_tree.hpp"

#include <array>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orch::test {

// What the bytes at a place are for.
enum class Part : std::uint8_t { super, inode, map_header, index, directory, compressed, anywhere };
inline constexpr std::array k_parts = std::to_array<std::string_view>(
    {"super", "inode", "map header", "index", "directory", "compressed", "anywhere"});

struct Place {
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
};

struct Original {
  std::string name;
  std::string bytes;
  std::vector<image::NodeId> nodes;  // every inode, the hidden ones too
  std::array<std::vector<Place>, k_parts.size()> places;
};

base::Result<Original> load_original(const std::string& path);

struct Damaged {
  std::string bytes;
  std::set<Part> parts;  // what was changed
  bool summed = false;   // the superblock's checksum was made right again
};

// Equal seeds, equal damage.
class ErofsDamage {
 public:
  explicit ErofsDamage(std::uint64_t seed) : random_(seed) {}

  Damaged of(const Original& original);

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  std::size_t place(const Original& original, std::set<Part>& parts);
  void change(std::string& bytes, std::size_t at);
  void cut(std::string& bytes);

  std::mt19937_64 random_;
};

}  // namespace orch::test
