// The data of EROFS inodes as bytes that can be read at any place, for all layouts.
#pragma once

#include "base/result.hpp"
#include "image/erofs_cache.hpp"
#include "image/erofs_codec.hpp"
#include "image/erofs_inode.hpp"
#include "image/erofs_super.hpp"
#include "image/random_access.hpp"

#include <memory>
#include <utility>

namespace orch::image {

// An open image. Everything in it may be used by several threads at once.
struct ErofsVolume {
  ErofsVolume(std::shared_ptr<const RandomAccess> bytes, ErofsSuper superblock,
              const ErofsAlgorithms& algorithms)
      : image(std::move(bytes)),
        super(std::move(superblock)),
        pages(*image),
        codec(algorithms, super.has(k_erofs_zero_padding)),
        extents(k_kept_bytes) {}

  static constexpr std::size_t k_kept_bytes = 32U << 20;

  std::shared_ptr<const RandomAccess> image;
  ErofsSuper super;
  PageCache pages;  // of the image
  ErofsCodec codec;
  mutable ExtentCache extents;
  std::unique_ptr<RandomAccess> packed;   // contents of the packed inode; null: none
  std::unique_ptr<RandomAccess> metabox;  // contents of the metabox; null: none
  std::unique_ptr<PageCache> metabox_pages;

  // Where the inode lives, through the page cache. Precondition: a nid in the metabox only if there is one.
  const RandomAccess& home(std::uint64_t nid) const {
    return (nid & k_erofs_in_metabox) != 0 ? *metabox_pages : pages;
  }
  Result<ErofsInode> inode(std::uint64_t nid) const;
};

// The inode's data. It refers to the volume and may be used by several threads at once. Errors of kind
// corrupt name the nid. Devices, FIFOs and sockets have none: their inode must not be given.
Result<std::unique_ptr<RandomAccess>> open_erofs_data(const ErofsVolume& volume, const ErofsInode& inode);

// Layouts compressed_full and compressed_compact (erofs_compressed.cpp).
Result<std::unique_ptr<RandomAccess>> open_erofs_compressed(const ErofsVolume& volume,
                                                            const ErofsInode& inode);

// Whether `size` bytes from `offset` on are inside of `data`.
bool erofs_has(const RandomAccess& data, std::uint64_t offset, std::uint64_t size);

}  // namespace orch::image
