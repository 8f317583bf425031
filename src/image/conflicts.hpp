// What a layer does to the layers below it, as plain facts: what it overrides, what it hides, what in it has
// no business in an overlay. No policy: that is layer_rules.
#pragma once

#include "image/merged_view.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

enum class FactKind {
  // A path that the layers below have, too (neither mode nor owner is compared, but for directories).
  same_content,       // files with equal bytes, links with equal targets, equal device nodes
  different_content,  // the same type, but not that
  type_conflict,      // a directory over a symlink, a file over a directory, …: hides all that lies below
  directory_attributes,  // a united directory that changes mode or owner

  // What concerns the layer alone. `layer_below` says what it hides, if anything.
  whiteout,
  opaque_directory,
  redirect_mark,  // overlayfs redirect or metacopy
  device_node,
  fifo_or_socket,
  set_id_bits,              // set-uid or set-gid on a file
  absolute_directory_link,  // an absolute symlink to a directory: FEX's loader leaves the RootFS there
};

// "same content", "whiteout", …; type conflicts are better named by name_of(fact).
std::string_view to_string(FactKind kind);

struct LayerFact {
  std::string path;  // relative, without leading '/'
  FactKind kind = FactKind::same_content;
  NodeType type = NodeType::file;          // in the layer
  std::optional<NodeType> type_below;      // nothing: the path does not exist below
  std::optional<std::size_t> layer_below;  // index of the layer that the path is from
  std::string
      above;  // "file of 5 bytes, sha256 …", "symlink to 'usr/lib64'", "directory, mode 0755, owner 0:0"
  std::string below;  // likewise; empty where nothing is below
};

// The kind in words: "directory over symlink", "different content", "whiteout", …
std::string name_of(const LayerFact& fact);
// Whether the fact depends on the layers below (such facts change with the base, the others do not).
bool concerns_stack(FactKind kind);

// `below`: bottom first, without `top`; may be empty, then only facts about the layer alone come out. Paths
// are compared as overlayfs does, name by name, without following links. Files that stand in both are read in
// full. Sorted by path (bytes), then kind.
Result<std::vector<LayerFact>> compare_layers(const std::vector<Layer>& below, const Layer& top);

}  // namespace orch::image
