// What the ready-made images at the bottom of a stack are: which distribution, and which files they have. Known
// from their indexes, before any layer is built from packages.
#pragma once

#include "base/result.hpp"
#include "image/merged_view.hpp"
#include "model/profile.hpp"
#include "package/lock_file.hpp"

#include <memory>
#include <string>
#include <vector>

namespace orch::cli {

using base::Result;

// The index of one layer, as step index-image left it.
struct LayerIndex {
  std::string layer;
  std::string path;
  std::string sha256;
};

struct BaseFacts {
  package::BaseIdentity identity;
  std::shared_ptr<const image::MergedView> view;  // of the indexes; null without layers
};

// Names of the layers below the first that takes packages, without those that are made from what is below
// them; empty where the base itself is made from packages.
std::vector<std::string> image_layers_below(const model::Profile& profile);

// The same, and all image layers where no layer takes packages.
std::vector<std::string> image_layers_at_bottom(const model::Profile& profile);

// A digest of what the indexes say: which packages a base has is seen in its files only.
std::string package_set_of(const std::vector<LayerIndex>& indexes);

// `indexes`: bottom first; those of zero bytes are left out.
Result<BaseFacts> read_base_facts(const std::vector<LayerIndex>& indexes);

}  // namespace orch::cli
