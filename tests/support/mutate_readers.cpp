#include "support/mutate_readers.hpp"

#include "base/text.hpp"
#include "package/apt_output.hpp"
#include "package/deb_control.hpp"
#include "package/fex_images.hpp"
#include "package/file_sources.hpp"
#include "package/key_file.hpp"
#include "package/rpm_metadata.hpp"
#include "support/damage.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdio>
#include <map>
#include <utility>

namespace orch::test {

namespace {

using base::ErrorKind;
using base::Result;

tl::unexpected<base::Error> unsafe(const std::string& what) {
  return base::fail(ErrorKind::internal, "accepted: " + base::printable(what));
}

// A name that was accepted becomes a file's and goes into command lines.
Result<> read_heap(const std::string& file) {
  ORCH_TRY(const package::HeapPackage found, package::read_heap_package(file));
  const std::string name = archive_file_name(found.package);
  if (name.empty() || name.find('/') != std::string::npos || name.front() == '.' || name.front() == '-')
    return unsafe(name);
  ORCH_TRY(const std::vector<std::string> libraries, package::libraries_of(found));
  for (const std::string& library : libraries)
    if (library.find('/') != std::string::npos) return unsafe(library);
  ORCH_CHECK(package::resolve_in_heap("heap", {found, found}, {found.package.name}));
  return {};
}

Result<> read_control(const std::string& text) {
  const auto controls = package::parse_controls(text);
  for (const auto& needs : package::dependency_indices(controls))
    for (const std::size_t index : needs)
      if (index >= controls.size()) return unsafe("an index");
  return {};
}

Result<> read_images(const std::string& text) {
  ORCH_TRY(const std::vector<package::FexImage> images, package::parse_fex_images(text, "list"));
  for (const package::FexImage& image : images) {
    if (image.xxh3.size() != 16) return unsafe(image.xxh3);
    const auto found = package::find_fex_image(images, image.name);
    if (!found) return base::fail(found.error());
  }
  return {};
}

Result<> read_keys(const std::string& text) {
  ORCH_TRY(const std::vector<package::Key> keys, package::parse_key_file("key", text));
  for (const package::Key& key : keys)
    if (key.fingerprint.size() != 40 && key.fingerprint.size() != 64) return unsafe(key.fingerprint);
  // What the package managers get reads as the same keys.
  for (const std::string& copy : {package::binary_keys(keys), package::armoured_keys(keys)}) {
    const auto again = package::parse_key_file("copy", copy);
    if (!again || package::binary_keys(*again) != package::binary_keys(keys))
      return unsafe("the copy of the keys");
  }
  return {};
}

Result<> read_uris(const std::string& text) {
  const auto uris = package::parse_print_uris(text);
  // It is the program that is to blame, not the bytes.
  if (!uris) return base::fail(base::Error(ErrorKind::corrupt, uris.error().what));
  for (const auto& item : *uris) {
    const std::string name = archive_file_name(item.package);
    if (name.empty() || name.find('/') != std::string::npos || name.front() == '-') return unsafe(name);
  }
  return {};
}

Result<> read_one(const std::string& kind, const std::string& bytes, const std::string& file) {
  if (kind == "control") return read_control(bytes);
  if (kind == "json") return read_images(bytes);
  if (kind == "gpg" || kind == "asc") return read_keys(bytes);
  if (kind == "uris") return read_uris(bytes);
  if (kind == "policy") {
    (void)package::parse_policy(bytes);
    return {};
  }
  ORCH_CHECK(sys::write_atomic(file, bytes));
  if (kind == "rpm" || kind == "deb") return read_heap(file);
  return package::read_primary(file, [](const package::RpmMetadata&) { return Result<>(); });
}

std::string ending(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

}  // namespace

Result<int> mutate_readers(std::uint64_t seed, int count, const std::string& directory,
                           const std::vector<std::string>& paths) {
  constexpr unsigned k_seconds = 20;
  std::vector<std::string> originals;
  for (const std::string& path : paths) {
    ORCH_TRY(originals.emplace_back(), sys::read_file(path));
    ORCH_CHECK(read_one(ending(path), originals.back(), directory + "/sound"));
  }
  std::map<std::string, std::pair<int, int>> counts;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t own = seed + static_cast<std::uint64_t>(i);
    std::fprintf(stderr, "\rseed %llu ", static_cast<unsigned long long>(own));
    ::alarm(k_seconds);
    Damage damage(own);
    const std::size_t which = static_cast<std::size_t>(i) % originals.size();
    const std::string kind = ending(paths[which]);
    const Result<> done = read_one(kind, damage.of(originals[which]), directory + "/damaged");
    ++(done ? counts[kind].first : counts[kind].second);
    if (!done && !is_expected(done.error()))
      return base::fail(ErrorKind::internal, fmt::format("seed {}: {}", own, base::render(done.error())));
  }
  ::alarm(0);
  std::string out;
  for (const auto& [kind, both] : counts)
    out += fmt::format("{}\"{}\": {{\"opened\": {}, \"refused\": {}}}", out.empty() ? "{" : ", ", kind,
                       both.first, both.second);
  fmt::print("{}}}\n", out);
  return 0;
}

}  // namespace orch::test
