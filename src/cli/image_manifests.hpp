// How the images of a launch were made, for its evidence.
#pragma once

#include "base/value.hpp"
#include "model/launch.hpp"

#include <vector>

namespace orch::cli {

// For each image whose step left a document with it, bottom first: [{role, image: its SHA-256, sha256: of the document, content}].
// `content` is the document; of an image-manifest without its files, which are as many as the image has. null: it
// cannot be read, is no JSON object that names its schema, or is larger than 1 MiB.
base::Value image_manifests(const std::vector<model::LaunchImage>& images);

}  // namespace orch::cli
