#include "image/listing.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace orch::image {

void ListingBuilder::add(hash::TreeEntry entry, std::uint32_t file) {
  entries_.push_back(std::move(entry));
  file_of_.push_back(file);
  if (file != k_no_file) files_ = std::max(files_, file + 1);
}

void ListingBuilder::sort() {
  std::vector<std::uint32_t> order(entries_.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return entries_[a].path < entries_[b].path; });
  std::vector<hash::TreeEntry> entries;
  std::vector<std::uint32_t> file_of;
  std::vector<std::uint32_t> first_name(files_, k_no_file);
  entries.reserve(order.size());
  file_of.reserve(order.size());
  for (const std::uint32_t at : order) {
    const std::uint32_t file = file_of_[at];
    entries.push_back(std::move(entries_[at]));
    file_of.push_back(file);
    if (file == k_no_file) continue;
    if (first_name[file] == k_no_file)
      first_name[file] = static_cast<std::uint32_t>(entries.size() - 1);
    else
      entries.back().hard_link = entries[first_name[file]].path;
  }
  entries_ = std::move(entries);
  file_of_ = std::move(file_of);
}

hash::TreeListing ListingBuilder::take(const std::vector<hash::Digest>& digests) {
  for (std::size_t i = 0; i < entries_.size(); ++i)
    if (file_of_[i] != k_no_file) entries_[i].digest = digests[file_of_[i]];
  hash::TreeListing listing;
  listing.entries = std::move(entries_);
  return listing;
}

}  // namespace orch::image
