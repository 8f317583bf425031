#include "image/erofs_directory.hpp"

#include "base/text.hpp"
#include "image/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::image {

namespace {

constexpr std::size_t k_entry = 12;
constexpr std::uint64_t k_largest_directory = 1U << 30;  // bytes; some 40 million names
constexpr std::size_t k_most_entries = 4'000'000;        // as a walk allows

// A name in a block that is held by somebody else.
struct RawEntry {
  std::string_view name;
  std::uint64_t nid = 0;
  std::uint8_t type = 0;
};

// The number that an entry has for its type.
std::uint8_t type_number(NodeType type) {
  switch (type) {
    case NodeType::file:
      return 1;
    case NodeType::directory:
      return 2;
    case NodeType::char_device:
      return 3;
    case NodeType::block_device:
      return 4;
    case NodeType::fifo:
      return 5;
    case NodeType::socket:
      return 6;
    case NodeType::symlink:
      return 7;
  }
  return 0;
}

class Directory {
 public:
  static Result<Directory> open(const ErofsVolume& volume, const ErofsInode& inode) {
    if (inode.size > k_largest_directory)
      return bad_erofs_inode(inode.nid, fmt::format("a directory of {} bytes", inode.size));
    ORCH_TRY(std::unique_ptr<RandomAccess> data, open_erofs_data(volume, inode));
    return Directory(volume, inode, std::move(data));
  }

  std::uint64_t blocks() const { return (data_->size() + block_size_ - 1) / block_size_; }

  // The entries of one block, which live until the next call; at least one, ascending.
  Result<std::vector<RawEntry>> block(std::uint64_t number) {
    const std::uint64_t at = number * block_size_;
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(block_size_, data_->size() - at)));
    ORCH_CHECK(read_full(*data_, at, buffer_));
    if (buffer_.size() < k_entry) return bad(number, "it ends before its first entry");
    const std::size_t names = load_u16(buffer_.data() + 8);
    if (names < k_entry || names % k_entry != 0 || names >= buffer_.size())
      return bad(number, fmt::format("its names begin at byte {}", names));
    std::vector<RawEntry> entries(names / k_entry);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::uint8_t* raw = buffer_.data() + i * k_entry;
      const bool last = i + 1 == entries.size();
      const std::size_t from = load_u16(raw + 8);
      std::size_t to = last ? buffer_.size() : load_u16(raw + k_entry + 8);
      if (from >= to || to > buffer_.size()) return bad(number, fmt::format("name {} has no place", i));
      std::string_view name(reinterpret_cast<const char*>(buffer_.data()) + from, to - from);
      if (last) name = name.substr(0, name.find('\0'));
      entries[i] = {name, load_u64(raw), raw[10]};
      if (name != "." && name != ".." && !is_valid_name(name))
        return bad(number, fmt::format("'{}' is no name", base::printable(name)));
      if (i != 0 && entries[i - 1].name >= name)
        return bad(number, fmt::format("'{}' is not in its place", base::printable(name)));
    }
    return entries;
  }

  // nullopt for "." and "..".
  Result<std::optional<DirEntry>> entry(const RawEntry& raw) const {
    if (raw.name == "." && raw.nid != inode_.nid)
      return bad_erofs_inode(inode_.nid, "its entry '.' is another inode");
    if (raw.name == "." || raw.name == "..") return std::optional<DirEntry>();
    ORCH_TRY(const ErofsInode found, volume_.inode(raw.nid));
    if (raw.type != 0 && raw.type != type_number(found.info.type))
      return bad_erofs_inode(inode_.nid,
                             fmt::format("its entry '{}' is of type {}, the inode is a {}",
                                         base::printable(raw.name), raw.type, to_string(found.info.type)));
    return std::optional<DirEntry>(DirEntry{std::string(raw.name), found.info.type, NodeId{raw.nid}});
  }

  tl::unexpected<base::Error> bad(std::uint64_t block, std::string_view what) const {
    return bad_erofs_inode(inode_.nid, fmt::format("block {} of the directory: {}", block, what));
  }

 private:
  Directory(const ErofsVolume& volume, const ErofsInode& inode, std::unique_ptr<RandomAccess> data)
      : volume_(volume), inode_(inode), block_size_(volume.super.block_size), data_(std::move(data)) {}

  const ErofsVolume& volume_;
  const ErofsInode& inode_;
  std::uint64_t block_size_;
  std::unique_ptr<RandomAccess> data_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace

Result<std::vector<DirEntry>> list_erofs_directory(const ErofsVolume& volume, const ErofsInode& directory) {
  ORCH_TRY(Directory open, Directory::open(volume, directory));
  std::vector<DirEntry> out;
  std::string before;
  for (std::uint64_t number = 0; number < open.blocks(); ++number) {
    ORCH_TRY(const std::vector<RawEntry> entries, open.block(number));
    if (number != 0 && before >= entries.front().name)
      return open.bad(number, fmt::format("'{}' is not in its place", base::printable(entries.front().name)));
    before = entries.back().name;
    for (const RawEntry& raw : entries) {
      ORCH_TRY(std::optional<DirEntry> entry, open.entry(raw));
      if (entry) out.push_back(*std::move(entry));
    }
    if (out.size() > k_most_entries) return open.bad(number, "there are too many entries");
  }
  return out;
}

Result<std::optional<DirEntry>> find_erofs_entry(const ErofsVolume& volume, const ErofsInode& directory,
                                                 std::string_view name) {
  if (!is_valid_name(name)) return std::optional<DirEntry>();
  ORCH_TRY(Directory open, Directory::open(volume, directory));
  std::uint64_t low = 0;
  std::uint64_t high = open.blocks();
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    ORCH_TRY(const std::vector<RawEntry> entries, open.block(middle));
    if (name < entries.front().name) {
      high = middle;
    } else if (name > entries.back().name) {
      low = middle + 1;
    } else {
      const auto at =
          std::lower_bound(entries.begin(), entries.end(), name,
                           [](const RawEntry& entry, std::string_view key) { return entry.name < key; });
      if (at == entries.end() || at->name != name) return std::optional<DirEntry>();
      return open.entry(*at);
    }
  }
  return std::optional<DirEntry>();
}

}  // namespace orch::image
