// What is to be extracted from a SquashFS payload, and in which pieces: the metadata is walked once, by one
// thread, then the pieces are independent.
#pragma once

#include "base/result.hpp"
#include "image/extract.hpp"
#include "image/listing.hpp"
#include "image/squashfs_meta.hpp"
#include "image/staging.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orch::image {

struct PlannedLink {
  std::string name;
  DirIndex directory = 0;
  std::int64_t mtime = 0;
  std::string target;
};

// A regular file with the name that it is written under; its other names become links to that one.
struct PlannedFile {
  std::string name;
  DirIndex directory = 0;
  std::uint32_t mode = 0;
  SquashfsInode inode;
  SquashfsFragment fragment;  // if the inode has one
  hash::Digest digest;        // filled in by the extraction
};

struct PlannedHardLink {
  std::string name;
  DirIndex directory = 0;
  std::uint32_t file = 0;  // index into files
};

// A piece of work: `count` whole files from `first` (indices into `order`), or, if `blocks` is not 0, that
// many blocks from `block` on of the one large file at `first`.
struct PlannedPiece {
  std::uint32_t first = 0;
  std::uint32_t count = 1;
  std::uint32_t block = 0;
  std::uint32_t blocks = 0;
  std::uint64_t place = 0;  // of the first block on disk
};

struct SquashfsPlan {
  std::vector<PlannedFile> files;
  std::vector<PlannedLink> symlinks;
  std::vector<PlannedHardLink> hard_links;
  std::vector<std::uint32_t> order;  // files by their place on disk
  std::vector<PlannedPiece> pieces;
  ListingBuilder listing;  // sorted; its file numbers are indices into files
  Extraction result;       // skipped nodes and special bits
};

// Walks the image and makes the directories in `staging`. Fails on anything that must not be extracted.
Result<SquashfsPlan> plan_squashfs(SquashfsMeta& meta, Staging& staging, const ExtractLimits& limits);

}  // namespace orch::image
