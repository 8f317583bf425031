// The files that a program of the application sees: the merged view of the stack's layers, with the
// application at its directory; all of it out of indexes.
#pragma once

#include "base/result.hpp"
#include "elf/facts_source.hpp"
#include "elf/index.hpp"
#include "elf/index_objects.hpp"
#include "image/bound_tree.hpp"
#include "image/merged_view.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orch::elf {

using base::Result;

struct IndexedLayer {
  std::string name;  // as reports name it: "base", "webkit"
  std::shared_ptr<const Index> index;
  bool is_overlay = false;  // made for this application: what lies in it has to work, too
};

// Immutable, and safe for several threads.
class StackFiles {
 public:
  // Bottom layer first; at least one. `appdir`: absolute.
  static Result<std::unique_ptr<StackFiles>> make(const std::vector<IndexedLayer>& layers,
                                                  std::shared_ptr<const Index> app,
                                                  const std::string& appdir);

  const image::FileTree& root() const { return *tree_; }
  const Index& app() const { return *app_; }
  const std::string& appdir() const { return appdir_; }
  const std::vector<IndexedLayer>& layers() const { return layers_; }
  // "app", or the name of the layer that a node of root() is from.
  std::string layer_of(image::NodeId node) const;

  // A node of root() within its index; without an index for directories that were made up.
  struct Place {
    const Index* index = nullptr;
    image::NodeId node;
    std::size_t layer = 0;  // of indexes()
  };
  Place place_of(image::NodeId node) const;
  // Of each layer, and of the application.
  std::vector<std::shared_ptr<const Index>> indexes() const;

 private:
  StackFiles() = default;

  std::vector<IndexedLayer> layers_;
  std::shared_ptr<const image::MergedView> view_;
  std::unique_ptr<image::BoundTree> tree_;
  std::shared_ptr<const Index> app_;
  std::string appdir_;
};

// The ELF facts of these files, for one thread. `files` must outlive it.
class StackFacts final : public FactsSource {
 public:
  explicit StackFacts(const StackFiles& files);
  Result<const Object*> object(image::NodeId node, std::string_view path) override;
  Result<const LoaderLayout*> layout(image::NodeId node, std::string_view path) override;

 private:
  const StackFiles& files_;
  std::vector<IndexObjects> indexed_;
  std::unordered_map<std::uint64_t, std::optional<LoaderLayout>> layouts_;  // by node
};

}  // namespace orch::elf
