// How the images of a launch were made, for its evidence.
#pragma once

#include "base/value.hpp"
#include "model/launch.hpp"

#include <vector>

namespace orch::cli {

// For each image that a step made, bottom first: [{role, image: its SHA-256, sha256: of the document, content}]. `content` is the
// document that the step left (image-manifest, conversion, …) without its list of files, which is as long as the
// image has files; null where that is no JSON object.
base::Value image_manifests(const std::vector<model::LaunchImage>& images);

}  // namespace orch::cli
