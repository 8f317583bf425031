// Images as directories, for callers who may not mount: extracted once per digest and user, kept in the
// cache.
#pragma once

#include "launch/launcher.hpp"

#include <sys/types.h>

#include <optional>
#include <string>

namespace orch::launch {

// The root directory of the extracted image, in CACHE/native/<sha256>/root (<sha256>.uidN where the cache
// belongs to somebody else). On a miss it is extracted by fsck.erofs into a private directory, written to
// disk, and renamed into place, under a lock: a torn one is never used. CACHE/native is 0700, so that set-uid
// files in it serve nobody.
Result<std::string> extracted_image(const model::LaunchImage& image, const Host& host);

// The same where it is there; nothing is made.
std::optional<std::string> extracted_already(const model::LaunchImage& image, const std::string& cache_dir,
                                             uid_t uid);

}  // namespace orch::launch
