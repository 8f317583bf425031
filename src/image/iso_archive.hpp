// libarchive's ISO 9660 reader over random access. What it gives out has been checked: names, kinds, sizes.
#pragma once

#include "base/result.hpp"
#include "image/file_tree.hpp"
#include "image/random_access.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace orch::image {

struct IsoEntry {
  std::vector<std::string> components;  // valid names; never empty
  std::string path;                     // the same, joined by '/'
  NodeInfo info;
  std::string target;     // symlinks
  std::string hard_link;  // files: path of an entry that came before and has the same content
};

class IsoArchive {
 public:
  static Result<std::unique_ptr<IsoArchive>> open(std::shared_ptr<const RandomAccess> image);
  ~IsoArchive();
  IsoArchive(const IsoArchive&) = delete;
  IsoArchive& operator=(const IsoArchive&) = delete;

  // The next entry, parents before children, in the image's order; nullopt at the end. The root is left out.
  Result<std::optional<IsoEntry>> next();
  // Bytes of the file that next() gave last, as many as its entry says; 0 at its end.
  Result<std::size_t> read(std::span<std::uint8_t> out);

 private:
  struct Impl;
  explicit IsoArchive(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace orch::image
