// Shows a tree as the library sees it, for integration tests:
//   view-driver [--one-layer-overlay] [--user-marks] LAYER…
// The merged view of directories and EROFS images, bottom layer first; one alone is shown as it is.
// Prints one JSON line for each entry, the root first (its path is ""), in the order of walk(), and fails
// where lookup() and list() disagree about a name that any layer has.
#include "format/json.hpp"
#include "hash/digest.hpp"
#include "image/directory_tree.hpp"
#include "image/erofs.hpp"
#include "image/merged_view.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using orch::base::Result;
using orch::base::Value;
namespace hash = orch::hash;
namespace image = orch::image;

struct Options {
  image::OneLayer one = image::OneLayer::bare;
  image::OverlayMarks marks = image::OverlayMarks::trusted;
  std::vector<std::string> layers{};
};

Result<std::shared_ptr<const image::FileTree>> open_layer(const std::string& path,
                                                          image::OverlayMarks marks) {
  if (std::filesystem::is_directory(path)) {
    ORCH_TRY(std::unique_ptr<image::FileTree> tree, image::DirectoryTree::open(path, marks));
    return std::shared_ptr<const image::FileTree>(std::move(tree));
  }
  ORCH_TRY(const auto data, image::FileAccess::open(path));
  ORCH_TRY(std::unique_ptr<image::FileTree> tree, image::ErofsTree::open(data));
  return std::shared_ptr<const image::FileTree>(std::move(tree));
}

Result<std::string> content_digest(const image::FileTree& tree, image::NodeId file) {
  ORCH_TRY(const std::unique_ptr<image::RandomAccess> data, tree.open(file));
  std::array<std::uint8_t, 65536> buffer{};
  hash::Sha256Hasher hasher;
  for (std::uint64_t at = 0;;) {
    ORCH_TRY(const std::size_t got, data->read_at(at, buffer));
    if (got == 0) break;
    hasher.update(buffer.data(), got);
    at += got;
  }
  return hasher.finish().hex();
}

Result<> print(const image::MergedView& view, const std::string& path, image::NodeType type,
               image::NodeId node) {
  Value out = Value::object({{"path", path}, {"type", image::to_string(type)}});
  const Result<image::NodeInfo> info = view.stat(node);
  if (!info) {
    out.set("error", info.error().what);
  } else {
    out.set("mode", info->mode);
    out.set("uid", info->uid);
    out.set("gid", info->gid);
    out.set("mtime", info->mtime);
    out.set("links", info->links);
    out.set("size", info->size);
    out.set("device", std::to_string(info->device_major) + ":" + std::to_string(info->device_minor));
    Value layers = Value::array();
    for (const std::size_t layer : view.layers_of(node)) layers.push(std::uint64_t{layer});
    out.set("layers", std::move(layers));
    if (type == image::NodeType::symlink) {
      ORCH_TRY(const std::string target, view.readlink(node));
      out.set("target", target);
    }
    if (type == image::NodeType::file) {
      ORCH_TRY(const std::string digest, content_digest(view, node));
      out.set("sha256", digest);
      out.set("node", node.value);
    }
  }
  std::puts(orch::format::to_json(out, orch::format::JsonStyle::compact).c_str());
  return {};
}

using Names = std::set<std::string>;

Result<> collect_names(const image::FileTree& tree, Names& names) {
  return image::walk(tree, [&](const image::WalkEntry& entry) -> Result<> {
    names.insert(entry.path.substr(entry.path.rfind('/') + 1));
    return {};
  });
}

Result<> check_lookups(const image::FileTree& tree, const std::string& path, image::NodeId directory,
                       const Names& names) {
  ORCH_TRY(const std::vector<image::DirEntry> listed, tree.list(directory));
  std::map<std::string, image::DirEntry> by_name;
  for (const image::DirEntry& entry : listed) by_name[entry.name] = entry;
  for (const std::string& name : names) {
    ORCH_TRY(const std::optional<image::DirEntry> found, tree.lookup(directory, name));
    const auto at = by_name.find(name);
    const bool same = found ? at != by_name.end() && at->second.node == found->node &&
                                  at->second.type == found->type && found->name == name
                            : at == by_name.end();
    if (!same)
      return orch::base::fail(orch::base::ErrorKind::internal,
                              "list and lookup disagree about '" + name + "' in '" + path + "'");
  }
  return {};
}

Result<> show(const Options& options) {
  std::vector<image::Layer> layers;
  Names names;
  for (const std::string& path : options.layers) {
    ORCH_TRY(auto tree, open_layer(path, options.marks));
    ORCH_CHECK(collect_names(*tree, names));
    layers.push_back({path, std::move(tree)});
  }
  ORCH_TRY(const auto view, image::MergedView::make(std::move(layers), options.one));
  ORCH_CHECK(print(*view, "", image::NodeType::directory, view->root()));
  ORCH_CHECK(check_lookups(*view, "", view->root(), names));
  return image::walk(*view, [&](const image::WalkEntry& entry) -> Result<> {
    ORCH_CHECK(print(*view, entry.path, entry.type, entry.node));
    if (entry.type != image::NodeType::directory) return {};
    return check_lookups(*view, entry.path, entry.node, names);
  });
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--one-layer-overlay")
      options.one = image::OneLayer::overlay;
    else if (word == "--user-marks")
      options.marks = image::OverlayMarks::user;
    else
      options.layers.emplace_back(word);
  }
  if (options.layers.empty()) {
    std::fputs("usage: view-driver [--one-layer-overlay] [--user-marks] LAYER...\n", stderr);
    return 2;
  }
  const Result<> done = show(options);
  if (!done) {
    std::fputs(orch::base::render(done.error()).c_str(), stderr);
    return 1;
  }
  return 0;
}
