// What can be said of an image file before anything is mounted: is it EROFS, and can a 4 KiB kernel mount it, or the
// kernel of muvm's guest, which has no decompressor but LZ4.
#pragma once

#include "launch/launcher.hpp"

#include <string>
#include <vector>

namespace orch::launch {

// An Error names the file, what was expected and found, and what to do: not there, not readable, no EROFS
// (SquashFS is recognised), blocks of more than 4096 bytes.
Result<> check_image(const std::string& path);

// An Error if an EROFS image announces another compressor than LZ4.
Result<> check_compressors(const std::string& path);

// One Check ("images") for a whole stack; failed with the first image that is. `only_lz4`: for muvm's guest.
Check check_images(const std::vector<model::LaunchImage>& images, bool only_lz4);

}  // namespace orch::launch
