// Writing EROFS images with mkfs.erofs: which options the installed one has, and a call that gives equal
// bytes for equal trees (fixed times, owner, block size and UUID; no extended attributes).
#pragma once

#include "base/result.hpp"
#include "hash/tree.hpp"
#include "sys/process.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

using base::Result;

using Uuid = std::array<std::uint8_t, 16>;

// A UUID (version 8, RFC 9562) made of the listing's digest: equal trees get equal UUIDs, and different ones
// different.
Uuid uuid_from_digest(const hash::Digest& digest);
std::string to_string(const Uuid& uuid);

// What an installed mkfs.erofs is and can do, as its version and its usage text say.
struct ErofsTool {
  std::string path;
  std::string version;                   // "1.5", "1.8.6"
  bool block_size = false;               // knows -b (from 1.7); its default is then the host's page size
  bool workers = false;                  // knows --workers
  std::vector<std::string> compressors;  // "lz4", "lz4hc", …
};

// Error of kind not_found, naming the package, where `path` is empty or does not exist.
Result<ErofsTool> probe_erofs_tool(const std::string& path, sys::ProcessRunner& processes);
// The same from what the program printed; for tests.
Result<ErofsTool> parse_erofs_tool(const std::string& path, std::string_view version_text,
                                   std::string_view usage);

// "mkfs.erofs 1.5 + liblz4 1.9.4": its version, and those of the compressor libraries that the dynamic loader
// gives it. Never a digest of the binary: a rebuilt package with the same versions writes the same bytes.
Result<std::string> erofs_writer_identity(const std::string& path, sys::ProcessRunner& processes);
// From the loader's trace (lines "liblz4.so.1 => /path (0x…)") with links resolved by `real_path`; for tests.
std::string compressor_libraries(std::string_view trace,
                                 const std::vector<std::pair<std::string, std::string>>& real_paths);

struct ErofsOptions {
  // As for mkfs.erofs -z: "lz4", "lz4hc,9"; empty for none. muvm's guest kernel reads lz4 and lz4hc only.
  std::string compressor = "lz4";
  // The largest compressed cluster in bytes, a multiple of 4096 and at most 1 MiB; 0 for one block. Measured
  // on a 490 MB tree: lz4 with 64 KiB is as small as lz4hc with 4 KiB at a quarter of its time; a random 4
  // KiB read costs 40 us, not 15.
  std::uint64_t cluster = 65536;
  Uuid uuid{};
  unsigned workers = 1;  // the bytes do not depend on it
};

// The full argv for a tree; errors name the option that this mkfs.erofs has not, and a listing that it would
// fail on.
Result<std::vector<std::string>> erofs_command(const ErofsTool& tool, const ErofsOptions& options,
                                               const std::string& tree, const std::string& image);

// Writes `image` (which must not exist) from the directory `tree`. Modes are taken as they are on disk. On
// failure no file is left.
Result<> write_erofs(const ErofsTool& tool, const ErofsOptions& options, const std::string& tree,
                     const hash::TreeListing& listing, const std::string& image,
                     sys::ProcessRunner& processes);

}  // namespace orch::image
