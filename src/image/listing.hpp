// Puts a listing together while a tree is walked or written, in any order.
#pragma once

#include "hash/tree.hpp"

#include <cstdint>
#include <vector>

namespace orch::image {

inline constexpr std::uint32_t k_no_file = ~std::uint32_t{0};

class ListingBuilder {
 public:
  // `file`: which file it is a name of (the caller's numbers, from 0 without gaps), k_no_file for everything
  // else.
  void add(hash::TreeEntry entry, std::uint32_t file);
  std::size_t size() const { return entries_.size(); }

  // Sorts by path. Of several names of a file the first becomes the file, the others its hard links.
  void sort();
  // Sets the content digest of all names of files, by number, and gives the listing away.
  hash::TreeListing take(const std::vector<hash::Digest>& digests);

 private:
  std::vector<hash::TreeEntry> entries_;
  std::vector<std::uint32_t> file_of_;
  std::uint32_t files_ = 0;
};

}  // namespace orch::image
