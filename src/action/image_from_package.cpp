// image-from-package: one file out of a package's archive, as an image.
//   inputs      archives (tree): the locked archive
//   parameters  packages: the lock's list, of one; path: the file in it
//   outputs     image
#include "action/context.hpp"
#include "base/text.hpp"
#include "package/locked_package.hpp"
#include "package/rpm.hpp"
#include "package/unpacked_cache.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>

#include <array>

namespace orch::action {

using base::ErrorKind;

namespace {

std::string plain_path(std::string_view path) {
  while (path.starts_with("./") || path.starts_with('/')) path.remove_prefix(path.front() == '/' ? 1 : 2);
  return std::string(path);
}

bool looks_like_image(std::string_view path) {
  for (const std::string_view suffix : {".erofs", ".ero", ".sqsh", ".squashfs", ".img"})
    if (path.ends_with(suffix)) return true;
  return false;
}

Result<> write_content(const package::ContentReader& read, std::uint64_t most, const std::string& image) {
  ORCH_TRY(const sys::Fd out, sys::open_file(image, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
  std::array<char, 65536> buffer{};
  while (true) {
    ORCH_TRY(const std::size_t got, read(buffer.data(), buffer.size()));
    if (got == 0) return {};
    if (got > most)
      return base::fail(ErrorKind::corrupt,
                        "the image in the package is far larger than its archive can hold",
                        "the package is damaged, or made to fill disks");
    most -= got;
    ORCH_CHECK(sys::write_all(out.get(), std::string_view(buffer.data(), got), image));
  }
}

}  // namespace

Result<> image_from_package(Context& context) {
  ORCH_TRY(const Input* const archives, context.input("archives"));
  const Value* locked = context.parameters.find("packages");
  ORCH_TRY(const std::vector<package::LockedPackage> packages,
           package::packages_from_value(locked == nullptr ? Value() : *locked));
  if (packages.size() != 1)
    return base::fail(ErrorKind::internal,
                      fmt::format("an image comes out of one package, not {}", packages.size()));
  const std::string wanted = plain_path(context.parameters.string_or("path", ""));
  const std::string& image = context.outputs.at("image");
  bool found = false;
  std::vector<std::string> images;
  const std::string archive = archives->path + "/" + package::archive_file_name(packages.front());
  ORCH_TRY(const std::uint64_t most, package::largest_unpacked(archive));
  ORCH_CHECK(package::read_package(
      archive, [&](const package::ArchiveEntry& entry, const package::ContentReader& read) -> Result<> {
        const std::string path = plain_path(entry.path);
        if (entry.kind == package::EntryKind::file && looks_like_image(path)) images.push_back(path);
        if (found || path != wanted || entry.kind != package::EntryKind::file) return {};
        found = true;
        context.log(fmt::format("'{}', {}", base::printable(path), base::human_size(entry.size)));
        return write_content(read, most, image);
      }));
  if (found) return {};
  const std::string package = base::printable(packages.front().name);
  return base::fail(
      ErrorKind::profile,
      wanted.empty() ? fmt::format("the layer does not say which file of package '{}' is the image", package)
                     : fmt::format("package '{}' has no file '{}'", package, base::printable(wanted)),
      images.empty() ? "nothing in the package has the name of an image"
                     : fmt::format("set 'path' of the layer; the package has: {}",
                                   base::printable(base::join(images, ", "))));
}

}  // namespace orch::action
