// Downloads by address: http, https and file. CACHE/downloads/sha256/HEX holds what was verified,
// CACHE/downloads/partial/HEX what has come so far: a broken download goes on where it stopped.
//
// libcurl is loaded when a download starts, and not linked: it brings some forty libraries, which cost each
// start of this program 7 ms (measured), and ninja starts it once for every step.
//
// No server decides how much is written: each download has a largest size, and ends as soon as more arrives. One that
// begins with https never leaves it; what begins with http has no protection to lose.
#pragma once

#include "base/result.hpp"
#include "hash/digest.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

using base::Result;

// For files whose size nobody says: root file systems by address. None comes near it.
inline constexpr std::uint64_t k_largest_download = std::uint64_t{16} << 30U;

// Whether it is of a kind that is fetched: https://, http://, file:/// or file:/, in letters of any case.
bool is_address(std::string_view url);

// Whether it is one of a file of this machine. A list that is none itself must not name one.
bool is_local_address(std::string_view url);

// Brings the file into the cache, unless it is there, and gives its path. Safe against other processes. What
// comes is decided by the digest, not by the address. Errors: not_found where the server says so, corrupt
// where other bytes came.
// The addresses are tried in their order; the first that has the file counts. None is needed for what is in the cache
// already. The error is that of the last one.
// `most`: the file's size, or a bound of it, in bytes; more is an error of kind corrupt.
Result<std::string> download_verified(const std::vector<std::string>& urls, const hash::Sha256& sha256,
                                      const std::string& cache_dir,
                                      const std::function<void(std::string_view)>& log,
                                      std::uint64_t most = k_largest_download);
Result<std::string> download_verified(const std::string& url, const hash::Sha256& sha256,
                                      const std::string& cache_dir,
                                      const std::function<void(std::string_view)>& log,
                                      std::uint64_t most = k_largest_download);

// Brings a file that nobody knows the digest of, going on from what `file` holds. The caller verifies it in
// its own way. `most`: as above. Errors: as above, and profile for what is no address.
Result<> download_to(const std::string& url, const std::string& file, std::uint64_t most);

}  // namespace orch::package
