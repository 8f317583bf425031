// The JSON document that lies beside every image made from packages. No times and no paths of this machine
// are in it.
#pragma once

#include "base/value.hpp"
#include "image/layer_rules.hpp"
#include "package/locked_package.hpp"
#include "package/unpack.hpp"

#include <string>
#include <vector>

namespace orch::package {

using base::Value;

struct ImageFacts {
  std::string role;  // "base", "deps"
  std::string layer_class;
  std::string sha256;
  std::uint64_t size = 0;
  std::string uuid;
  std::string compressor;
  std::uint64_t cluster = 0;
  std::string tool;  // identity of the image writer
  Value provided =
      Value::array();  // packages left out because the stack has them below: [{name, layer, why}]
};

// schema "appimage-orch/image-manifest/1": docs/schemas/image-manifest-1.schema.json. `allow_unsigned` of a package:
// its source's packages need no signature. `findings`: layer_check.hpp. The files, which may be many thousand, stand last, so that
// who only wants to know what the image is need not read them.
Value image_manifest(const ImageFacts& facts, const std::vector<LockedPackage>& packages,
                     const UnpackedTree& tree, const std::vector<image::Finding>& findings);

}  // namespace orch::package
