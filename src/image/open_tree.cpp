#include "image/open_tree.hpp"

#include "base/text.hpp"
#include "image/appimage.hpp"
#include "image/directory_tree.hpp"
#include "image/erofs.hpp"
#include "image/squashfs.hpp"
#include "sys/file.hpp"

#include <utility>

namespace orch::image {

using base::ErrorKind;

namespace {

base::Error no_image(const std::string& called, const RandomAccess& file) {
  std::string found = "something else";
  if (const Result<Identity> identity = identify(file)) {
    if (identity->kind != FileKind::unknown)
      found = identity->kind == FileKind::appimage ? "an AppImage"
                                                   : "of the kind " + std::string(to_string(identity->kind));
    else if (!identity->looks_like.empty())
      found = identity->looks_like;
  }
  return {ErrorKind::unsupported,
          called + " is no image of a stack: expected EROFS, SquashFS or a directory, found " + found,
          "name an image in the profile's [stack]"};
}

Result<OpenedTree> open_file(const std::string& path, const std::string& called) {
  ORCH_TRY(std::shared_ptr<const FileAccess> file, FileAccess::open(path));
  ORCH_TRY(const std::optional<ErofsSuper> erofs, read_erofs_super(*file));
  if (erofs) {
    ORCH_TRY(std::unique_ptr<FileTree> tree, ErofsTree::open(std::move(file)));
    return OpenedTree{ImageFormat::erofs, std::move(tree)};
  }
  std::string magic(4, '\0');
  if (file->size() >= k_squashfs_super_size) {
    ORCH_TRY(magic, read_exact(*file, 0, magic.size()));
  }
  if (magic != "hsqs") return base::fail(no_image(called, *file));
  ORCH_TRY(std::unique_ptr<FileTree> tree, SquashfsTree::open(std::move(file)));
  return OpenedTree{ImageFormat::squashfs, std::move(tree)};
}

// The text with what the image is called in the place of its path.
std::string with_name(std::string text, const std::string& path, const std::string& called) {
  if (text.find(called) != std::string::npos) return text;
  const std::string plain = base::printable(path);
  for (const std::string& shown : {"'" + plain + "'", plain})
    if (const std::size_t at = text.find(shown); at != std::string::npos)
      return text.replace(at, shown.size(), called);
  return text;
}

}  // namespace

std::string_view to_string(ImageFormat format) {
  switch (format) {
    case ImageFormat::erofs:
      return "erofs";
    case ImageFormat::squashfs:
      return "squashfs";
    case ImageFormat::directory:
      return "directory";
  }
  return "unknown";
}

Result<OpenedTree> open_tree(const std::string& path, const std::string& called) {
  const std::string name = called.empty() ? "'" + base::printable(path) + "'" : called;
  ORCH_TRY(const struct stat info, sys::stat_file(path));
  if (S_ISDIR(info.st_mode)) {
    ORCH_TRY(std::unique_ptr<FileTree> tree, DirectoryTree::open(path));
    return OpenedTree{ImageFormat::directory, std::move(tree)};
  }
  Result<OpenedTree> opened = open_file(path, name);
  if (opened) return opened;
  base::Error error = std::move(opened).error();
  error.what = with_name(std::move(error.what), path, name);
  if (error.what.find(name) == std::string::npos)
    return base::fail(std::move(error).while_doing("opening " + name));
  return base::fail(std::move(error));
}

std::string image_of_layer(const std::string& path, const std::string& layer, const std::string& hidden) {
  const std::string of_layer = "layer '" + base::printable(layer) + "'";
  if (path.starts_with(hidden + "/")) return "the image of " + of_layer;
  return "'" + base::printable(path) + "' (" + of_layer + ")";
}

Result<std::vector<Layer>> open_layers(const std::vector<std::string>& paths,
                                       const std::vector<std::string>& names, const std::string& hidden) {
  std::vector<Layer> layers;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    ORCH_TRY(const struct stat info, sys::stat_file(paths[i]));
    if (S_ISREG(info.st_mode) && info.st_size == 0) continue;
    const std::string name = i < names.size() ? names[i] : paths[i];
    ORCH_TRY(OpenedTree opened, open_tree(paths[i], image_of_layer(paths[i], name, hidden)));
    layers.push_back({name, std::move(opened.tree)});
  }
  return layers;
}

}  // namespace orch::image
