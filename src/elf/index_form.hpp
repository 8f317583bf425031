// The bytes of an index (index.hpp): fixed records that are used where they lie, so an index of many files costs
// little to open. All numbers are little-endian. One section after the other, without gaps:
//   header    k_magic, filled with NUL to 24 bytes; the counts of Header
//   nodes     NodeRecord for each; breadth first, the root first
//   files     FileRecord for each ELF file, in the order of their nodes
//   entries   EntryRecord; those of a directory together, sorted by name; directories in the order of nodes
//   words     u32; the lists of the ELF files, one file after the other
//   text ends u32 for each text: where it ends in the pool. Text 0 is empty; each text stands there once
//   pool      the bytes of all texts
#pragma once

#include "base/result.hpp"
#include "elf/facts.hpp"
#include "elf/loader_layout.hpp"
#include "image/file_tree.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::elf::index_form {

using base::Result;

static_assert(std::endian::native == std::endian::little, "records are used as they lie in the file");

inline constexpr std::string_view k_magic = "appimage-orch index 2\n";
inline constexpr std::size_t k_magic_size = 24;

struct Header {
  std::uint32_t nodes;
  std::uint32_t files;
  std::uint32_t entries;
  std::uint32_t words;
  std::uint32_t texts;
  std::uint32_t pool;  // bytes
};
static_assert(sizeof(Header) == 24);

struct NodeRecord {
  std::uint64_t size;
  std::uint32_t mode;  // permission bits, k_type_shift, marks
  std::uint32_t links;
  std::uint32_t device_major;
  std::uint32_t device_minor;
  std::uint32_t first;   // directory: its first entry; symlink: text of the target; file: ELF file, from 1
  std::uint32_t second;  // directory: how many entries; file: text of its content, where that is kept
};
static_assert(sizeof(NodeRecord) == 32);
inline constexpr unsigned k_type_shift = 12;  // 3 bits: image::NodeType
inline image::NodeType type_of(const NodeRecord& node) {
  return static_cast<image::NodeType>(node.mode >> k_type_shift & 7U);
}
inline constexpr std::uint32_t k_opaque = 1U << 15;
inline constexpr std::uint32_t k_redirected = 1U << 16;
inline constexpr std::uint32_t k_whiteout = 1U << 17;
inline constexpr std::uint32_t k_content = 1U << 18;  // file: its content is kept
inline constexpr std::uint32_t k_mode_bits = 1U << 19;

struct EntryRecord {
  std::uint32_t name;  // text
  std::uint32_t node;
};
static_assert(sizeof(EntryRecord) == 8);

// elf::Facts, hints and layout. Lists are words, one list behind the other: texts of `needed`, `rpath`, `runpath`;
// two words for each of `versions` (library, version with k_weak); texts of `definitions` and `hints`; of a
// layout, if it has one, the text of $LIB, legacy_hwcap, and texts of the directories.
struct FileRecord {
  std::uint64_t flags;
  std::uint64_t flags_1;
  std::uint16_t machine;
  std::uint16_t type;
  std::uint32_t bits;
  std::uint32_t isa_needed;
  std::uint32_t isa_used;
  std::uint32_t interpreter;  // texts
  std::uint32_t soname;
  std::uint32_t glibc;
  std::uint32_t build_id;
  std::uint32_t defect;
  std::uint32_t first;  // of its words
  std::uint32_t needed;
  std::uint32_t rpath;
  std::uint32_t runpath;
  std::uint32_t versions;
  std::uint32_t definitions;
  std::uint32_t hints;
  std::uint32_t layout;  // words: 0, or 2 and more
  std::uint32_t reserved;
  std::size_t words() const {
    return std::size_t{needed} + rpath + runpath + 2 * std::size_t{versions} + definitions + hints + layout;
  }
};
static_assert(sizeof(FileRecord) == 88);
inline constexpr std::uint32_t k_weak = 1U << 31;
// FileRecord::bits
inline constexpr std::uint32_t k_is_64 = 1;
inline constexpr std::uint32_t k_dynamic = 2;
inline constexpr std::uint32_t k_has_runpath = 4;
inline constexpr std::uint32_t k_versioned = 8;
inline constexpr std::uint32_t k_ibt = 16;
inline constexpr std::uint32_t k_shstk = 32;
inline constexpr std::uint32_t k_executable_stack = 64;
inline constexpr std::uint32_t k_file_bits = 128;

// Records in bytes, wherever those lie.
template <class T>
class Records {
 public:
  Records() = default;
  Records(const char* bytes, std::size_t count) : bytes_(bytes), count_(count) {}
  std::size_t size() const { return count_; }
  // `at` < size().
  T operator[](std::size_t at) const {
    T out;
    std::memcpy(&out, bytes_ + at * sizeof(T), sizeof(T));
    return out;
  }

 private:
  const char* bytes_ = nullptr;
  std::size_t count_ = 0;
};

// The sections of an index; refers to its bytes. That sections and the words of files
// follow each other is checked at once, all else when it is asked for: an index costs little to open. Errors are of kind
// corrupt.
class Sections {
 public:
  // Errors where the sections do not fill the bytes.
  static Result<Sections> open(std::string_view bytes);

  std::size_t nodes() const { return nodes_.size(); }
  std::size_t files() const { return files_.size(); }
  std::size_t texts() const { return text_ends_.size(); }
  // What it leads to is there: entries, file and texts.
  Result<NodeRecord> node(std::size_t number) const;
  Result<EntryRecord> entry(std::size_t number) const;
  // All of its words are there, and texts where they should be.
  Result<FileRecord> file(std::size_t number) const;
  // Of a file.
  std::uint32_t word(std::size_t number) const { return words_[number]; }
  // Of a record or word.
  std::string_view text(std::uint32_t number) const {
    const std::uint32_t begin = number == 0 ? 0 : text_ends_[number - 1];
    return pool_.substr(begin, text_ends_[number] - begin);
  }

 private:
  bool are_texts(std::size_t first, std::size_t count) const;

  Records<NodeRecord> nodes_;
  Records<FileRecord> files_;
  Records<EntryRecord> entries_;
  Records<std::uint32_t> words_;
  Records<std::uint32_t> text_ends_;
  std::string_view pool_;
};

// "an index WHAT"
tl::unexpected<base::Error> damaged(std::string_view what);

// What an index is made of.
struct Draft {
  struct ElfFile {
    Facts facts;
    std::vector<std::string> hints;
    std::optional<LoaderLayout> layout;
  };
  struct Entry {
    std::string name;
    std::size_t node = 0;
  };
  struct Node {
    image::NodeInfo info;
    std::string target;
    std::vector<Entry> entries;
    std::optional<std::string> content;
    std::unique_ptr<ElfFile> elf;
  };
  std::vector<Node> nodes;  // as the records
};

// Errors: of kind unsupported for what has no place in 32 bits.
Result<std::string> write(const Draft& draft);

}  // namespace orch::elf::index_form
