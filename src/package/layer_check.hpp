// The rules for layers, held against what packages will make, before anything is made.
#pragma once

#include "base/value.hpp"
#include "image/layer_rules.hpp"
#include "package/unpack.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

struct LayerCheckOrder {
  std::string layer_name;  // for messages
  image::ReadElf read_elf;
};

// Every breach of a rule that concerns the layer alone (image::check_layer): refused ones, overridden or not,
// and what is only noted. Refusing is the caller's: image::is_refused, image::refusal.
Result<std::vector<image::Finding>> check_packages(const UnpackOrder& order, const PlannedLayer& layer,
                                                   const LayerCheckOrder& check);

// The findings as a manifest has them: [{rule, path, package, severity: "refused" | "noted", overridden,
// detail, reason}].
base::Value findings_value(const std::vector<image::Finding>& findings);

}  // namespace orch::package
