// Parallel extraction of SquashFS: threads take pieces in the order of the payload, decode, hash and write
// them. docs/design/extraction.md has the reasons and the measurements.
#include "base/text.hpp"
#include "image/extract.hpp"
#include "image/squashfs_blocks.hpp"
#include "image/squashfs_plan.hpp"
#include "image/staging.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

// Decoded pieces of a large file that wait to be hashed: at most that many per file, then their threads wait.
constexpr std::size_t k_parked_pieces = 16;

Result<> write_at(int fd, std::span<const std::uint8_t> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return fail(base::errno_error(errno, "write", "the extracted file"));
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    offset += static_cast<std::uint64_t>(done);
  }
  return {};
}

// A large file while several threads work on it. Bytes are hashed in order, whoever decoded them.
struct LargeFile {
  std::mutex guard;
  std::condition_variable turn;
  sys::Fd fd;
  hash::Hasher hasher;
  std::uint32_t next_block = 0;           // the first that is not hashed yet
  std::map<std::uint32_t, Bytes> parked;  // decoded pieces whose turn has not come, by first block
  bool failed = false;
};

// State that all threads share.
struct Shared {
  const SquashfsMeta& meta;
  SquashfsPlan& plan;
  const Staging& staging;
  FragmentCache fragments;
  std::vector<std::unique_ptr<LargeFile>> large;  // by position in plan.order; only for large files
  std::atomic<std::size_t> next_piece{0};
  std::atomic<bool> stop{false};
  std::mutex guard;
  std::size_t failed_piece;
  base::Error error;

  Shared(const SquashfsMeta& m, SquashfsPlan& p, const Staging& s)
      : meta(m), plan(p), staging(s), fragments(m.super().block_size), failed_piece(p.pieces.size()) {}

  // Pieces are taken in order and the ones taken are finished, so the first failure in order is always the
  // same one.
  void fail_at(std::size_t piece, base::Error what) {
    stop = true;
    const std::lock_guard lock(guard);
    if (piece < failed_piece) {
      failed_piece = piece;
      error = std::move(what);
    }
  }
};

class Worker {
 public:
  Worker(Shared& shared, SquashfsBlocks blocks)
      : shared_(shared),
        blocks_(std::move(blocks)),
        writer_(shared.staging),
        block_size_(shared.meta.super().block_size),
        buffer_(block_size_) {}

  void run() {
    while (!shared_.stop) {
      const std::size_t at = shared_.next_piece++;
      if (at >= shared_.plan.pieces.size()) return;
      const PlannedPiece& piece = shared_.plan.pieces[at];
      const Result<> done = piece.blocks != 0 ? large_piece(piece) : whole_files(piece);
      if (!done) shared_.fail_at(at, done.error());
    }
  }

 private:
  std::string path_of(const PlannedFile& file) const {
    return shared_.staging.path_of(file.directory, file.name);
  }
  // Errors from below do not know the file.
  base::Error named(base::Error error, const PlannedFile& file) const {
    return std::move(error).while_doing(fmt::format("extracting '{}'", base::printable(path_of(file))));
  }

  Result<> whole_files(const PlannedPiece& piece);
  Result<> whole_file(PlannedFile& file);
  Result<> fill(PlannedFile& file, int fd);
  Result<std::span<const std::uint8_t>> tail(const PlannedFile& file);
  Result<> large_piece(const PlannedPiece& piece);
  Result<> open_large(LargeFile& large, const PlannedFile& file);
  Result<Bytes> decode_piece(const PlannedPiece& piece, const PlannedFile& file, int fd);
  Result<> hash_piece(LargeFile& large, const PlannedPiece& piece, Bytes bytes, PlannedFile& file);
  // Decodes a data block, which must have exactly `length` bytes, into `out`.
  Result<> decode(std::uint64_t place, std::uint32_t size_word, std::span<std::uint8_t> out);

  Shared& shared_;
  SquashfsBlocks blocks_;
  StagingWriter writer_;
  std::size_t block_size_;
  Bytes buffer_;
  std::shared_ptr<const Bytes> fragment_;
  std::uint32_t fragment_index_ = 0xFFFFFFFF;
  hash::Hasher hasher_;
};

Result<> Worker::decode(std::uint64_t place, std::uint32_t size_word, std::span<std::uint8_t> out) {
  ORCH_TRY(const std::size_t length, blocks_.read(place, size_word, out));
  if (length != out.size())
    return fail(ErrorKind::corrupt,
                fmt::format("a data block has {} bytes, expected {}", length, out.size()));
  return {};
}

Result<std::span<const std::uint8_t>> Worker::tail(const PlannedFile& file) {
  const std::size_t length = static_cast<std::size_t>(file.inode.size % block_size_);
  if (fragment_index_ != file.inode.fragment) {
    fragment_index_ = 0xFFFFFFFF;
    ORCH_TRY(fragment_, shared_.fragments.get(file.inode.fragment, file.fragment, blocks_));
    fragment_index_ = file.inode.fragment;
  }
  if (file.inode.fragment_offset > fragment_->size() ||
      length > fragment_->size() - file.inode.fragment_offset)
    return fail(ErrorKind::corrupt, "the end of a file lies outside of its fragment block");
  return std::span<const std::uint8_t>(*fragment_).subspan(file.inode.fragment_offset, length);
}

// Writes and hashes the content of a file that one thread handles alone.
Result<> Worker::fill(PlannedFile& file, int fd) {
  const SquashfsInode& inode = file.inode;
  std::uint64_t disk_size = 0;
  for (const std::uint32_t size : inode.blocks) disk_size += size & (k_squashfs_stored - 1);
  blocks_.expect(inode.blocks_start, disk_size);
  hasher_.reset();
  std::uint64_t place = inode.blocks_start;
  std::uint64_t offset = 0;
  for (const std::uint32_t size : inode.blocks) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(block_size_, inode.size - offset));
    const std::span<std::uint8_t> block = std::span(buffer_).first(length);
    if (size == 0) {
      std::fill(block.begin(), block.end(), std::uint8_t{0});
    } else {
      ORCH_CHECK(decode(place, size, block));
      ORCH_CHECK(write_at(fd, block, offset));
    }
    hasher_.update(block.data(), block.size());
    place += size & (k_squashfs_stored - 1);
    offset += length;
  }
  if (inode.has_fragment()) {
    ORCH_TRY(const std::span<const std::uint8_t> bytes, tail(file));
    ORCH_CHECK(write_at(fd, bytes, offset));
    hasher_.update(bytes.data(), bytes.size());
  }
  file.digest = hasher_.finish();
  if (!inode.blocks.empty() && inode.blocks.back() == 0 && !inode.has_fragment() &&
      ::ftruncate(fd, static_cast<off_t>(inode.size)) != 0)
    return fail(base::errno_error(errno, "write", "the extracted file"));
  return {};
}

Result<> Worker::whole_file(PlannedFile& file) {
  ORCH_TRY(sys::Fd fd, writer_.create_file(file.directory, file.name));
  ORCH_CHECK(fill(file, fd.get()));
  return writer_.finish_file(std::move(fd), file.directory, file.name, file.mode, file.inode.mtime);
}

Result<> Worker::whole_files(const PlannedPiece& piece) {
  for (std::uint32_t i = 0; i < piece.count; ++i) {
    PlannedFile& file = shared_.plan.files[shared_.plan.order[piece.first + i]];
    Result<> done = whole_file(file);
    if (!done) return fail(named(std::move(done).error(), file));
  }
  return {};
}

Result<> Worker::open_large(LargeFile& large, const PlannedFile& file) {
  const std::lock_guard lock(large.guard);
  if (large.fd) return {};
  ORCH_TRY(large.fd, writer_.create_file(file.directory, file.name));
  if (::ftruncate(large.fd.get(), static_cast<off_t>(file.inode.size)) != 0)
    return fail(base::errno_error(errno, "write", "the extracted file"));
  return {};
}

// Decodes and writes the blocks of a piece, and the file's tail if the piece is the last; returns all the
// bytes.
Result<Bytes> Worker::decode_piece(const PlannedPiece& piece, const PlannedFile& file, int fd) {
  const SquashfsInode& inode = file.inode;
  const std::uint64_t start = std::uint64_t{piece.block} * block_size_;
  const bool last = piece.block + piece.blocks == inode.blocks.size();
  const std::uint64_t end = last ? inode.size : start + std::uint64_t{piece.blocks} * block_size_;
  Bytes bytes(static_cast<std::size_t>(end - start));
  std::uint64_t place = piece.place;
  std::uint64_t disk_size = 0;
  for (std::uint32_t i = 0; i < piece.blocks; ++i)
    disk_size += inode.blocks[piece.block + i] & (k_squashfs_stored - 1);
  blocks_.expect(place, disk_size);
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < piece.blocks; ++i) {
    const std::uint32_t size = inode.blocks[piece.block + i];
    const std::span<std::uint8_t> block =
        std::span(bytes).subspan(at, std::min(block_size_, bytes.size() - at));
    if (size != 0) {
      ORCH_CHECK(decode(place, size, block));
      ORCH_CHECK(write_at(fd, block, start + at));
    }
    place += size & (k_squashfs_stored - 1);
    at += block.size();
  }
  if (last && inode.has_fragment()) {
    ORCH_TRY(const std::span<const std::uint8_t> from, tail(file));
    std::memcpy(bytes.data() + at, from.data(), from.size());
    ORCH_CHECK(write_at(fd, from, start + at));
  }
  return bytes;
}

// Hashes the piece if its turn has come, and then those that waited for it; parks it otherwise.
Result<> Worker::hash_piece(LargeFile& large, const PlannedPiece& piece, Bytes bytes, PlannedFile& file) {
  std::unique_lock lock(large.guard);
  large.turn.wait(lock, [&] {
    return large.failed || large.next_block == piece.block || large.parked.size() < k_parked_pieces;
  });
  if (large.failed) return {};  // whoever failed has said why
  large.parked.emplace(piece.block, std::move(bytes));
  const auto step = large.parked.begin()->first;
  if (step != large.next_block) return {};
  while (!large.parked.empty() && large.parked.begin()->first == large.next_block) {
    const Bytes& ready = large.parked.begin()->second;
    large.hasher.update(ready.data(), ready.size());
    large.next_block += static_cast<std::uint32_t>((ready.size() + block_size_ - 1) / block_size_);
    large.parked.erase(large.parked.begin());
  }
  large.turn.notify_all();
  // A tail in a fragment counts as one block more.
  if (large.next_block < file.inode.blocks.size()) return {};
  file.digest = large.hasher.finish();
  return writer_.finish_file(std::move(large.fd), file.directory, file.name, file.mode, file.inode.mtime);
}

Result<> Worker::large_piece(const PlannedPiece& piece) {
  PlannedFile& file = shared_.plan.files[shared_.plan.order[piece.first]];
  LargeFile& large = *shared_.large[piece.first];
  Result<> done = [&]() -> Result<> {
    ORCH_CHECK(open_large(large, file));
    ORCH_TRY(Bytes bytes, decode_piece(piece, file, large.fd.get()));
    return hash_piece(large, piece, std::move(bytes), file);
  }();
  if (done) return {};
  {
    const std::lock_guard lock(large.guard);
    large.failed = true;
  }
  large.turn.notify_all();
  return fail(named(std::move(done).error(), file));
}

Result<> extract_files(const SquashfsMeta& meta, SquashfsPlan& plan, const Staging& staging,
                       unsigned threads) {
  Shared shared(meta, plan, staging);
  shared.large.resize(plan.order.size());
  for (const PlannedPiece& piece : plan.pieces)
    if (piece.blocks != 0 && !shared.large[piece.first])
      shared.large[piece.first] = std::make_unique<LargeFile>();
  const std::size_t useful =
      std::clamp<std::size_t>(threads, 1, std::max<std::size_t>(1, plan.pieces.size()));
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::size_t i = 0; i < useful; ++i) {
    ORCH_TRY(SquashfsBlocks blocks, SquashfsBlocks::create(meta.super(), meta.payload()));
    workers.push_back(std::make_unique<Worker>(shared, std::move(blocks)));
  }
  std::vector<std::thread> pool;
  for (std::size_t i = 1; i < useful; ++i) pool.emplace_back([&, i] { workers[i]->run(); });
  workers[0]->run();
  for (std::thread& thread : pool) thread.join();
  if (shared.failed_piece != plan.pieces.size()) return fail(std::move(shared.error));
  return {};
}

Result<Extraction> extract_into(SquashfsMeta& meta, Staging& staging, const ExtractOptions& options) {
  ORCH_TRY(SquashfsPlan plan, plan_squashfs(meta, staging, options.limits));
  ORCH_CHECK(extract_files(meta, plan, staging, options.threads));
  StagingWriter writer(staging);
  for (const PlannedHardLink& link : plan.hard_links) {
    const PlannedFile& file = plan.files[link.file];
    ORCH_CHECK(writer.make_hard_link(file.directory, file.name, link.directory, link.name));
  }
  for (const PlannedLink& link : plan.symlinks)
    ORCH_CHECK(writer.make_symlink(link.directory, link.name, link.target, link.mtime));
  ORCH_CHECK(staging.finish());
  std::vector<hash::Digest> digests;
  digests.reserve(plan.files.size());
  for (const PlannedFile& file : plan.files) digests.push_back(file.digest);
  plan.result.listing = plan.listing.take(digests);
  return std::move(plan.result);
}

}  // namespace

Result<Extraction> extract_squashfs(std::shared_ptr<const RandomAccess> payload, const std::string& target,
                                    const ExtractOptions& options) {
  ORCH_TRY(const std::unique_ptr<SquashfsMeta> meta, SquashfsMeta::open(std::move(payload)));
  ORCH_TRY(Staging staging, Staging::create(target));
  Result<Extraction> done = extract_into(*meta, staging, options);
  if (!done) static_cast<void>(sys::remove_tree(target));
  return done;
}

}  // namespace orch::image
