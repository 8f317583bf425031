// Extraction of ISO 9660 payloads: one pass through the image, hashing while writing.
#include "base/text.hpp"
#include "image/extract.hpp"
#include "image/iso_archive.hpp"
#include "image/listing.hpp"
#include "image/staging.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

struct Place {
  DirIndex directory = 0;  // where it lies; for directories: its own number
  std::string name;
  NodeType type = NodeType::file;
  std::uint32_t file = k_no_file;
};

struct LaterLink {
  DirIndex directory = 0;
  std::string name;
  std::string target;
  std::int64_t mtime = 0;
};

class IsoExtractor {
 public:
  IsoExtractor(IsoArchive& archive, Staging& staging, const ExtractLimits& limits)
      : archive_(archive), staging_(staging), writer_(staging), limits_(limits), buffer_(1U << 18) {}

  Result<Extraction> run() {
    staging_.set_root(0755, 0);
    places_.emplace("", Place{0, "", NodeType::directory, k_no_file});
    while (true) {
      ORCH_TRY(const std::optional<IsoEntry> entry, archive_.next());
      if (!entry) break;
      ORCH_CHECK(add(*entry));
    }
    for (const LaterLink& link : links_)
      ORCH_CHECK(writer_.make_symlink(link.directory, link.name, link.target, link.mtime));
    ORCH_CHECK(staging_.finish());
    listing_.sort();
    std::sort(result_.skipped.begin(), result_.skipped.end(),
              [](const SkippedNode& a, const SkippedNode& b) { return a.path < b.path; });
    std::sort(result_.special_bits.begin(), result_.special_bits.end());
    result_.listing = listing_.take(digests_);
    return std::move(result_);
  }

 private:
  Result<> add(const IsoEntry& entry);
  Result<> add_file(const IsoEntry& entry, Place& place, hash::TreeEntry listed);
  Result<> add_hard_link(const IsoEntry& entry, Place& place, hash::TreeEntry listed);
  Result<> copy(const IsoEntry& entry, int fd);

  IsoArchive& archive_;
  Staging& staging_;
  StagingWriter writer_;
  const ExtractLimits& limits_;
  std::vector<std::uint8_t> buffer_;
  std::unordered_map<std::string, Place> places_;  // by path
  std::vector<LaterLink> links_;
  ListingBuilder listing_;
  std::vector<hash::Digest> digests_;
  std::vector<std::uint64_t> sizes_;
  std::vector<std::uint32_t> modes_;
  std::uint64_t total_bytes_ = 0;
  Extraction result_;
};

Result<> IsoExtractor::add(const IsoEntry& entry) {
  if (places_.size() > limits_.entries || entry.components.size() > limits_.depth)
    return fail(ErrorKind::corrupt, fmt::format("the image has more than {} entries or {} levels",
                                                limits_.entries, limits_.depth));
  const std::string& name = entry.components.back();
  const std::size_t parent_size = entry.path.size() - std::min(entry.path.size(), name.size() + 1);
  const auto parent = places_.find(entry.path.substr(0, parent_size));
  if (parent == places_.end() || parent->second.type != NodeType::directory)
    return fail(ErrorKind::corrupt,
                fmt::format("'{}' comes before its directory", base::printable(entry.path)));
  Place place{parent->second.directory, name, entry.info.type, k_no_file};
  if (places_.contains(entry.path))
    return fail(ErrorKind::corrupt,
                fmt::format("'{}' stands in the image twice", base::printable(entry.path)));
  hash::TreeEntry listed;
  listed.path = entry.path;
  listed.mode = entry.info.mode & 0777;
  const bool kept = entry.info.type == NodeType::file || entry.info.type == NodeType::directory;
  if (kept && (entry.info.mode & 07000) != 0) result_.special_bits.push_back(entry.path);
  if (entry.info.type == NodeType::directory) {
    listed.type = hash::EntryType::directory;
    listed.mode |= 0700;
    listing_.add(std::move(listed), k_no_file);
    ORCH_TRY(place.directory,
             staging_.add_directory(place.directory, name, entry.info.mode, entry.info.mtime));
  } else if (entry.info.type == NodeType::symlink) {
    listed.type = hash::EntryType::symlink;
    listed.mode = 0777;
    listed.size = entry.target.size();
    listed.target = entry.target;
    listing_.add(std::move(listed), k_no_file);
    links_.push_back({place.directory, name, entry.target, entry.info.mtime});
  } else if (entry.info.type != NodeType::file) {
    result_.skipped.push_back({entry.path, entry.info.type});
  } else if (!entry.hard_link.empty()) {
    ORCH_CHECK(add_hard_link(entry, place, std::move(listed)));
  } else {
    ORCH_CHECK(add_file(entry, place, std::move(listed)));
  }
  places_.emplace(entry.path, std::move(place));
  return {};
}

Result<> IsoExtractor::add_hard_link(const IsoEntry& entry, Place& place, hash::TreeEntry listed) {
  const auto first = places_.find(entry.hard_link);
  if (first == places_.end() || first->second.file == k_no_file)
    return fail(ErrorKind::corrupt,
                fmt::format("'{}' links to '{}', which is no file of the image", base::printable(entry.path),
                            base::printable(entry.hard_link)));
  const Place& file = first->second;
  place.file = file.file;
  listed.size = sizes_[file.file];
  listed.mode = modes_[file.file];
  listing_.add(std::move(listed), file.file);
  return writer_.make_hard_link(file.directory, file.name, place.directory, place.name);
}

Result<> IsoExtractor::add_file(const IsoEntry& entry, Place& place, hash::TreeEntry listed) {
  total_bytes_ += entry.info.size;
  if (entry.info.size > limits_.file_bytes || total_bytes_ > limits_.total_bytes)
    return fail(ErrorKind::corrupt,
                fmt::format("the image unpacks to more than {}",
                            base::human_size(std::min(limits_.total_bytes, limits_.file_bytes))),
                "this looks like a decompression bomb; do not use it");
  place.file = static_cast<std::uint32_t>(digests_.size());
  listed.size = entry.info.size;
  sizes_.push_back(listed.size);
  modes_.push_back(listed.mode);
  listing_.add(std::move(listed), place.file);
  ORCH_TRY(sys::Fd fd, writer_.create_file(place.directory, place.name));
  ORCH_CHECK(copy(entry, fd.get()));
  return writer_.finish_file(std::move(fd), place.directory, place.name, entry.info.mode, entry.info.mtime);
}

Result<> IsoExtractor::copy(const IsoEntry& entry, int fd) {
  hash::Hasher hasher;
  std::uint64_t done = 0;
  while (done < entry.info.size) {
    ORCH_TRY(const std::size_t got, archive_.read(buffer_));
    if (got == 0 || got > entry.info.size - done)
      return fail(ErrorKind::corrupt, fmt::format("'{}' has {} bytes, expected {}",
                                                  base::printable(entry.path), done + got, entry.info.size));
    hasher.update(buffer_.data(), got);
    ORCH_CHECK(sys::write_all(fd, {reinterpret_cast<const char*>(buffer_.data()), got}, entry.path));
    done += got;
  }
  digests_.push_back(hasher.finish());
  return {};
}

}  // namespace

Result<Extraction> extract_iso(std::shared_ptr<const RandomAccess> image, const std::string& target,
                               const ExtractOptions& options) {
  ORCH_TRY(const std::unique_ptr<IsoArchive> archive, IsoArchive::open(std::move(image)));
  ORCH_TRY(Staging staging, Staging::create(target));
  Result<Extraction> done = IsoExtractor(*archive, staging, options.limits).run();
  if (!done) static_cast<void>(sys::remove_tree(target));
  return done;
}

}  // namespace orch::image
