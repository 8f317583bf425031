// The root file systems that FEX publishes: a list in JSON, each image with an XXH3-64. They are downloaded when a
// profile is locked, held against the list's sum, and recorded with their SHA-256, which is what builds trust.
// Format of the list: FEX, Source/Tools/FEXRootFSFetcher; object "v1": display name to an object of DistroMatch,
// DistroVersion, URL, Hash (hexadecimal XXH3-64, seed 0) and Type ("squashfs", "erofs").
#pragma once

#include "base/result.hpp"
#include "package/lock_file.hpp"
#include "package/package_source.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// Where FEX has the list; [fex] list in a profile names another one.
inline constexpr std::string_view k_fex_list = "https://rootfs.fex-emu.gg/RootFS_links.json";

struct FexImage {
  std::string name;          // "Fedora 42 (EroFS)"
  std::string distribution;  // "fedora"
  std::string release;       // "42"
  std::string url;
  std::string xxh3;  // 16 hexadecimal digits, lower case
  std::string type;
  friend bool operator==(const FexImage&, const FexImage&) = default;
};

// In the order of the list. `where`: its address, for messages. Errors: corrupt.
Result<std::vector<FexImage>> parse_fex_images(std::string_view json, std::string_view where);

// The image of that name: the display name, or a text that one display name alone begins with or equals but for
// case; of an EROFS and a SquashFS image the EROFS one. Errors of kind not_found name the nearest, or all.
Result<FexImage> find_fex_image(const std::vector<FexImage>& images, std::string_view name);

// Fetches the list, and the image unless `old` is it, into the cache (CACHE/downloads/sha256/HEX); what comes is
// verified by its XXH3-64. `layer`: the name of the lock's entry.
Result<LockedImage> lock_fex_image(const std::string& layer, const std::string& fex,
                                   const std::string& list_url, const std::optional<LockedImage>& old,
                                   const Surroundings& around);

}  // namespace orch::package
