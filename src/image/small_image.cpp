#include "image/small_image.hpp"

#include "hash/tree.hpp"
#include "image/erofs_writer.hpp"
#include "image/staging.hpp"
#include "sys/file.hpp"

#include <utility>

namespace orch::image {

namespace {

class Stager {
 public:
  Stager(Staging staging, const FileTree& view)
      : staging_(std::move(staging)), view_(view), directories_{{"", DirIndex{0}}} {}

  Result<> write(const SmallTree& tree) {
    ORCH_TRY(const NodeInfo root, view_.stat(view_.root()));
    staging_.set_root(root.mode, 0);
    // All directories first: a writer keeps their descriptors.
    for (const auto& [path, entry] : tree) ORCH_CHECK(directory(parent_of(path)));
    StagingWriter writer(staging_);
    for (const auto& [path, entry] : tree) {
      const DirIndex parent = directories_.at(parent_of(path));
      const std::string name = path.substr(path.rfind('/') + 1);
      if (entry.is_link) {
        ORCH_CHECK(writer.make_symlink(parent, name, entry.text, 0));
        continue;
      }
      ORCH_TRY(sys::Fd file, writer.create_file(parent, name));
      ORCH_CHECK(sys::write_all(file.get(), entry.text, path));
      ORCH_CHECK(writer.finish_file(std::move(file), parent, name, entry.mode, 0));
    }
    return staging_.finish();
  }

 private:
  static std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return path.substr(0, slash == std::string::npos ? 0 : slash);
  }

  Result<DirIndex> directory(const std::string& path) {
    if (const auto known = directories_.find(path); known != directories_.end()) return known->second;
    ORCH_TRY(const DirIndex parent, directory(parent_of(path)));
    std::uint32_t mode = 0755;
    ORCH_TRY(const Resolution there, resolve(view_, path, Links::in_root, LastLink::keep));
    if (there.outcome == Resolution::Outcome::found && there.type == NodeType::directory) {
      ORCH_TRY(const NodeInfo info, view_.stat(there.node));
      mode = info.mode;
    }
    ORCH_TRY(const DirIndex made, staging_.add_directory(parent, path.substr(path.rfind('/') + 1), mode, 0));
    directories_.emplace(path, made);
    return made;
  }

  Staging staging_;
  const FileTree& view_;
  std::map<std::string, DirIndex> directories_;
};

}  // namespace

Result<> write_small_image(const SmallTree& tree, const FileTree& view, const SmallImageOrder& order,
                           sys::ProcessRunner& processes) {
  if (tree.empty()) return sys::write_atomic(order.image, "");
  ORCH_TRY(Staging staging, Staging::create(order.staging));
  ORCH_CHECK(Stager(std::move(staging), view).write(tree));
  ORCH_TRY(const hash::TreeListing listing, hash::list_tree(order.staging, order.jobs));
  ORCH_TRY(const ErofsTool tool, probe_erofs_tool(order.mkfs, processes));
  ErofsOptions options;
  options.compressor = order.compressor;
  options.cluster = order.cluster;
  options.uuid = uuid_from_digest(listing.digest());
  options.workers = order.jobs;
  return write_erofs(tool, options, order.staging, listing, order.image, processes);
}

}  // namespace orch::image
