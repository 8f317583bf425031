// Extraction of a payload into a directory, with everything hashed while it is written.
//
// What arrives: files, directories, symbolic links, hard links, empty files, holes, modification times,
// permission bits. What does not: owners, extended attributes, set-uid, set-gid and sticky bits, devices,
// FIFOs, sockets. An image whose names would leave the directory is refused. Symbolic links are made after
// all files, and nothing is ever written through one.
#pragma once

#include "base/result.hpp"
#include "hash/tree.hpp"
#include "image/file_tree.hpp"
#include "image/random_access.hpp"
#include "sys/process.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

// Bounds for what an image may hold; more is refused before it is written.
struct ExtractLimits {
  std::uint64_t entries = 4'000'000;
  std::uint64_t file_bytes = std::uint64_t{1} << 36;   // 64 GiB
  std::uint64_t total_bytes = std::uint64_t{1} << 38;  // 256 GiB, hard links counted once, holes included
  std::size_t depth = 256;
};

struct ExtractOptions {
  unsigned threads = 1;
  ExtractLimits limits{};
};

struct SkippedNode {
  std::string path;
  NodeType type = NodeType::fifo;
};

struct Extraction {
  hash::TreeListing listing;              // sorted; the root itself is not in it
  std::vector<SkippedNode> skipped;       // sorted by path
  std::vector<std::string> special_bits;  // paths that lost a set-uid, set-gid or sticky bit, sorted
};

// `target` must not exist; it is removed again where extraction fails. Directories get u+rwx in any case.
Result<Extraction> extract_squashfs(std::shared_ptr<const RandomAccess> payload, const std::string& target,
                                    const ExtractOptions& options);

// ISO 9660 with Rock Ridge and zisofs, through libarchive. `image` begins with the system area.
Result<Extraction> extract_iso(std::shared_ptr<const RandomAccess> image, const std::string& target,
                               const ExtractOptions& options);

// The same result by the program `unsquashfs` (4.5.1 or newer: older ones can be made to write elsewhere).
// `file` is the whole file, `offset` where the payload begins in it.
Result<Extraction> extract_with_unsquashfs(sys::ProcessRunner& processes, const std::string& unsquashfs,
                                           const std::string& file, std::uint64_t offset,
                                           const std::string& target, const ExtractOptions& options);

// automatic: in process, and by unsquashfs only what libsquashfs cannot decode (LZO).
enum class Backend { automatic, squashfs, unsquashfs };
// "auto", "squashfs", "unsquashfs"; an Error of kind profile for anything else.
Result<Backend> parse_backend(std::string_view text);

struct BackendTool {
  std::string path;  // of unsquashfs; empty where it is not installed
  sys::ProcessRunner* processes = nullptr;
};

struct Identity;

// Extracts the payload of the file at `path`, of which `identity` was found. The result does not depend on
// the backend.
Result<Extraction> extract_payload(const std::string& path, const Identity& identity,
                                   const std::string& target, Backend backend, const BackendTool& tool,
                                   const ExtractOptions& options);

}  // namespace orch::image
