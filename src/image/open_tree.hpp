// Opens whatever an image of a stack may be as a tree of files: an EROFS or SquashFS image, told apart by
// what their first bytes say and never by the name, or a directory.
#pragma once

#include "base/result.hpp"
#include "image/file_tree.hpp"
#include "image/merged_view.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

enum class ImageFormat { erofs, squashfs, directory };

// "erofs", "squashfs", "directory".
std::string_view to_string(ImageFormat format);

struct OpenedTree {
  ImageFormat format = ImageFormat::erofs;
  std::unique_ptr<FileTree> tree;
};

// Errors: not found, permission; unsupported for a file that is neither (and for LZO, which cannot be read in
// place); corrupt where the image contradicts itself. All name `path`, or say `called` in its place.
Result<OpenedTree> open_tree(const std::string& path, const std::string& called = {});

// What an image is called in messages: by its layer, and by its path unless it lies below `hidden` (the tool's own
// cache, whose names say nothing to anybody).
std::string image_of_layer(const std::string& path, const std::string& layer, const std::string& hidden);

// The layers of a stack, bottom first, named by `names` (which has as many elements as `paths`). Images of
// zero bytes stand for layers that are not needed: they are left out. `hidden`: as in image_of_layer().
Result<std::vector<Layer>> open_layers(const std::vector<std::string>& paths,
                                       const std::vector<std::string>& names, const std::string& hidden);

}  // namespace orch::image
