// SquashFS metadata: inodes, directories, fragment table. Decoded metadata blocks are kept, so a walk decodes
// each once.
//
// A metadata block is u16 header (bit 15: stored as is; low 15 bits: size on disk, at most 8192), then the
// bytes; it holds up to 8192 decoded bytes. Tables are streams that run through consecutive blocks.
#pragma once

#include "base/result.hpp"
#include "image/file_tree.hpp"
#include "image/squashfs_codec.hpp"
#include "image/squashfs_super.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace orch::image {

struct SquashfsInode {
  NodeType type = NodeType::file;
  std::uint16_t mode = 0;   // 0..07777
  std::uint32_t mtime = 0;  // seconds
  std::uint16_t owner = 0;  // indexes for SquashfsMeta::id
  std::uint16_t group = 0;
  std::uint32_t device = 0;  // device nodes: as Linux encodes them in 32 bits
  std::uint64_t size = 0;    // files: bytes; directories: bytes of their table entries; symlinks: length
  // Files: where their blocks begin and the size of each on disk (bit 24: stored as is; 0: a hole).
  std::uint64_t blocks_start = 0;
  std::vector<std::uint32_t> blocks;
  std::uint32_t fragment = 0xFFFFFFFF;  // index of the fragment block with the tail; all ones: no tail
  std::uint32_t fragment_offset = 0;    // of the tail in the decoded fragment block
  // Directories: where their entries begin, relative to the directory table.
  std::uint32_t table_block = 0;
  std::uint16_t table_offset = 0;
  std::string target;  // symlinks
  bool has_fragment() const { return fragment != 0xFFFFFFFF; }
};

struct SquashfsFragment {
  std::uint64_t start = 0;
  std::uint32_t size = 0;  // on disk, bit 24: stored as is
};

inline constexpr std::uint32_t k_squashfs_stored =
    1U << 24;  // set in the size of a block that is not compressed

// Limits for what an image may claim. Beyond them it is refused as corrupt.
inline constexpr std::uint64_t k_max_file_size = std::uint64_t{1} << 36;  // 64 GiB

// Reads metadata of one image. Not for several threads at once.
class SquashfsMeta {
 public:
  // `payload` begins with the superblock.
  static Result<std::unique_ptr<SquashfsMeta>> open(std::shared_ptr<const RandomAccess> payload);

  const SquashfsSuper& super() const { return super_; }
  const RandomAccess& payload() const { return *payload_; }

  // `reference`: block << 16 | offset, as in directory entries.
  Result<SquashfsInode> inode(std::uint64_t reference);
  // Entries of a directory inode; sorted, names valid and unique, or it is corrupt. NodeId is the inode
  // reference.
  Result<std::vector<DirEntry>> entries(const SquashfsInode& directory);
  Result<SquashfsFragment> fragment(std::uint32_t index);
  // The number of a user or group.
  Result<std::uint32_t> id(std::uint16_t index);

 private:
  struct Block {
    std::vector<std::uint8_t> bytes;
    std::uint64_t next = 0;  // position of the block after it
  };
  struct Cursor {
    std::uint64_t block = 0;  // position in the payload
    std::size_t offset = 0;
  };

  SquashfsMeta(std::shared_ptr<const RandomAccess> payload, SquashfsSuper super, SquashfsCodec codec)
      : payload_(std::move(payload)), super_(super), codec_(std::move(codec)) {}

  Result<const Block*> block(std::uint64_t position);
  Result<> read(Cursor& cursor, void* out, std::size_t size);
  Result<> read_file(Cursor& cursor, bool extended, SquashfsInode& inode);
  Result<> read_directory(Cursor& cursor, bool extended, SquashfsInode& inode);
  Result<> read_symlink(Cursor& cursor, SquashfsInode& inode);

  std::shared_ptr<const RandomAccess> payload_;
  SquashfsSuper super_;
  SquashfsCodec codec_;
  std::unordered_map<std::uint64_t, Block> blocks_;
  std::vector<std::uint32_t> ids_;  // the table, once it was asked for
};

}  // namespace orch::image
