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

base::Error no_image(const std::string& path, const RandomAccess& file) {
  std::string found = "something else";
  if (const Result<Identity> identity = identify(file)) {
    if (identity->kind != FileKind::unknown)
      found = identity->kind == FileKind::appimage ? "an AppImage"
                                                   : "of the kind " + std::string(to_string(identity->kind));
    else if (!identity->looks_like.empty())
      found = identity->looks_like;
  }
  return {ErrorKind::unsupported,
          "'" + base::printable(path) +
              "' is no image of a stack: expected EROFS, SquashFS or a directory, found " + found,
          "name an image in the profile's [stack]"};
}

Result<OpenedTree> open_file(const std::string& path) {
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
  if (magic != "hsqs") return base::fail(no_image(path, *file));
  ORCH_TRY(std::unique_ptr<FileTree> tree, SquashfsTree::open(std::move(file)));
  return OpenedTree{ImageFormat::squashfs, std::move(tree)};
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

Result<OpenedTree> open_tree(const std::string& path) {
  ORCH_TRY(const struct stat info, sys::stat_file(path));
  if (S_ISDIR(info.st_mode)) {
    ORCH_TRY(std::unique_ptr<FileTree> tree, DirectoryTree::open(path));
    return OpenedTree{ImageFormat::directory, std::move(tree)};
  }
  Result<OpenedTree> opened = open_file(path);
  if (!opened && opened.error().what.find(base::printable(path)) == std::string::npos)
    return base::fail(std::move(opened).error().while_doing("opening '" + base::printable(path) + "'"));
  return opened;
}

Result<std::vector<Layer>> open_layers(const std::vector<std::string>& paths,
                                       const std::vector<std::string>& names) {
  std::vector<Layer> layers;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    ORCH_TRY(const struct stat info, sys::stat_file(paths[i]));
    if (S_ISREG(info.st_mode) && info.st_size == 0) continue;
    ORCH_TRY(OpenedTree opened, open_tree(paths[i]));
    layers.push_back({i < names.size() ? names[i] : paths[i], std::move(opened.tree)});
  }
  return layers;
}

}  // namespace orch::image
