// Bytes that can be read at any place: a file, a part of one, memory, a decompressed file inside an image.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace orch::image {

using base::Result;

class RandomAccess {
 public:
  virtual ~RandomAccess() = default;
  virtual std::uint64_t size() const = 0;
  // Fills `out` from `offset` on; fewer bytes only where the data ends. Returns how many.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const = 0;
};

// Exactly `size` bytes; an Error of kind corrupt ("ends at …") where the data is shorter. `size` is the
// caller's bound: nothing is allocated beyond what the data holds.
Result<std::string> read_exact(const RandomAccess& data, std::uint64_t offset, std::size_t size);
// Fills `out` completely, or fails like read_exact.
Result<> read_full(const RandomAccess& data, std::uint64_t offset, std::span<std::uint8_t> out);

// A regular file by pread(2). May be used by several threads at once.
class FileAccess final : public RandomAccess {
 public:
  // Errors: not found, permission, not a regular file. `name` is kept for messages.
  static Result<std::shared_ptr<FileAccess>> open(const std::string& path);
  FileAccess(sys::Fd fd, std::uint64_t size, std::string name)
      : fd_(std::move(fd)), size_(size), name_(std::move(name)) {}
  std::uint64_t size() const override { return size_; }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override;
  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }

 private:
  sys::Fd fd_;
  std::uint64_t size_;
  std::string name_;
};

// A window of other data. As safe for threads as what it looks at.
class SliceAccess final : public RandomAccess {
 public:
  // Cut down to what `whole` has.
  SliceAccess(std::shared_ptr<const RandomAccess> whole, std::uint64_t offset, std::uint64_t size);
  std::uint64_t size() const override { return size_; }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override;

 private:
  std::shared_ptr<const RandomAccess> whole_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

class MemoryAccess final : public RandomAccess {
 public:
  explicit MemoryAccess(std::string bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override;

 private:
  std::string bytes_;
};

}  // namespace orch::image
