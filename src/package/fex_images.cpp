#include "package/fex_images.hpp"

#include "base/text.hpp"
#include "format/json.hpp"
#include "package/archive_cache.hpp"
#include "package/download.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace orch::package {

using base::ErrorKind;
using base::fail;
using base::printable;

namespace {

constexpr std::size_t k_max_list = 4U << 20;
constexpr std::size_t k_max_images = 1000;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// FEX reads a number: leading zeros may be missing.
std::optional<std::string> sum_of(std::string_view text) {
  std::string digits = lower_case(text);
  if (digits.starts_with("0x")) digits.erase(0, 2);
  const bool hex = std::all_of(digits.begin(), digits.end(),
                               [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (!hex || digits.empty() || digits.size() > 16) return std::nullopt;
  return std::string(16 - digits.size(), '0') + digits;
}

Result<FexImage> image_of(const std::string& name, const Value& entry, std::string_view where) {
  FexImage image;
  image.name = name;
  image.distribution = entry.string_or("DistroMatch", "");
  image.release = entry.string_or("DistroVersion", "");
  image.url = entry.string_or("URL", "");
  image.type = entry.string_or("Type", "");
  const std::optional<std::string> sum = sum_of(entry.string_or("Hash", ""));
  const bool usable = is_address(image.url) && (is_local_address(where) || !is_local_address(image.url));
  if (!usable || !sum)
    return fail(ErrorKind::corrupt, fmt::format("the image '{}' in '{}' has no usable {}", printable(name),
                                                printable(where), sum ? "URL" : "Hash"));
  image.xxh3 = *sum;
  return image;
}

// Of the images that a name may mean the one that needs no conversion.
const FexImage& preferred(const std::vector<const FexImage*>& among) {
  for (const FexImage* image : among)
    if (image->type == "erofs") return *image;
  return *among.front();
}

Result<bool> has_sum(const std::string& file, const std::string& xxh3) {
  if (!sys::exists(file)) return false;
  ORCH_TRY(const sys::Fd fd, sys::open_file(file, O_RDONLY | O_NOFOLLOW));
  ORCH_TRY(const std::string found, hash::xxh3_64_fd(fd.get(), file));
  return found == xxh3;
}

// What a broken download left may be the beginning of another file: then everything is brought once more.
Result<> bring_image(const FexImage& image, const std::string& file, const Surroundings& around) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (around.log) around.log("downloading " + image.url);
    ORCH_CHECK(download_to(image.url, file, k_largest_download));
    ORCH_TRY(const bool right, has_sum(file, image.xxh3));
    if (right) return {};
    ORCH_CHECK(sys::remove_tree(file));
  }
  return fail(ErrorKind::corrupt,
              fmt::format("'{}' is not what FEX's list names: its XXH3-64 is not {}", printable(image.url),
                          image.xxh3),
              "try again later, or name the image in the profile: { url, sha256 }");
}

Result<std::vector<FexImage>> fetch_list(const std::string& url, const std::string& folder) {
  if (!is_address(url))
    return fail(ErrorKind::profile, fmt::format("'{}' is no address that can be fetched", printable(url)),
                "use https://, http:// or file:///");
  ORCH_TRY(const std::string scratch, sys::make_temp_dir(folder + "/list-"));
  const std::string file = scratch + "/list.json";
  const auto read = [&]() -> Result<std::string> {
    ORCH_CHECK(download_to(url, file, k_max_list));
    return sys::read_file(file);
  };
  const Result<std::string> text = read();
  ORCH_CHECK(sys::remove_tree(scratch));
  if (!text) return fail(text.error());
  return parse_fex_images(*text, url);
}

}  // namespace

Result<std::vector<FexImage>> parse_fex_images(std::string_view json, std::string_view where) {
  ORCH_TRY(const Value document, format::parse_json(json, where));
  const Value* list = document.find("v1");
  if (list == nullptr || !list->is_object() || list->as_object().size() > k_max_images)
    return fail(ErrorKind::corrupt,
                fmt::format("'{}' is no list of FEX images: expected an object 'v1'", printable(where)),
                "check [fex] list in the profile; this version knows the first form of the list only");
  std::vector<FexImage> images;
  for (const Value::Member& member : list->as_object()) {
    ORCH_TRY(FexImage image, image_of(member.key, member.value, where));
    images.push_back(std::move(image));
  }
  return images;
}

Result<FexImage> find_fex_image(const std::vector<FexImage>& images, std::string_view name) {
  const std::string wanted = lower_case(name);
  std::vector<const FexImage*> begins;
  std::vector<std::string> names;
  for (const FexImage& image : images) {
    if (image.name == name) return image;
    names.push_back(image.name);
    const std::string found = lower_case(image.name);
    // "Fedora 4" is not "Fedora 42".
    if (wanted.empty() || !found.starts_with(wanted)) continue;
    if (found.size() == wanted.size() || found[wanted.size()] == ' ') begins.push_back(&image);
  }
  const auto same_release = [&](const FexImage* image) {
    return image->distribution == begins.front()->distribution && image->release == begins.front()->release;
  };
  if (!begins.empty() && std::all_of(begins.begin(), begins.end(), same_release)) return preferred(begins);
  const std::optional<std::string> near = base::nearest(name, names);
  if (names.empty())
    return fail(
        ErrorKind::not_found,
        fmt::format("FEX publishes no image '{}': its list names none at all", printable(name)),
        "look at the list that fex.list of the profile names, or take an image of your own as stack.base");
  return fail(ErrorKind::not_found, fmt::format("FEX publishes no image '{}'", printable(name)),
              near ? fmt::format("did you mean '{}'?", printable(*near))
                   : fmt::format("it publishes: {}", printable(base::join(names, ", "))));
}

Result<LockedImage> lock_fex_image(const std::string& layer, const std::string& fex,
                                   const std::string& list_url, const std::optional<LockedImage>& old,
                                   const Surroundings& around) {
  const std::string folder = around.cache_dir + "/downloads/partial";
  ORCH_CHECK(sys::make_dirs(folder));
  ORCH_TRY(const std::vector<FexImage> images, fetch_list(list_url, folder));
  ORCH_TRY(const FexImage image, find_fex_image(images, fex));
  if (old && old->fex == fex && old->xxh3 == image.xxh3 && old->url == image.url) {
    LockedImage same = *old;
    same.name = layer;
    return same;
  }
  const std::string file = folder + "/fex-" + image.xxh3;
  ORCH_TRY(const auto lock, sys::FileLock::acquire(file + ".lock", sys::FileLock::Wait::yes));
  ORCH_CHECK(bring_image(image, file, around));
  LockedImage locked;
  locked.name = layer;
  locked.fex = fex;
  locked.url = image.url;
  locked.xxh3 = image.xxh3;
  {
    ORCH_TRY(const sys::Fd fd, sys::open_file(file, O_RDONLY | O_NOFOLLOW));
    ORCH_TRY(locked.sha256, hash::sha256_fd(fd.get(), file));
  }
  ORCH_TRY(const struct stat info, sys::stat_file(file));
  locked.size = static_cast<std::uint64_t>(info.st_size);
  const std::string cached = download_path(around.cache_dir, locked.sha256);
  ORCH_CHECK(sys::make_dirs(sys::parent_path(cached)));
  ORCH_CHECK(sys::rename_file(file, cached));
  return locked;
}

}  // namespace orch::package
