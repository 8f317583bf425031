// A read-only tree of files, whatever holds it: a SquashFS or ISO payload, an EROFS image, a directory, the
// merged view of a stack. Nothing is extracted and no link is followed unless asked for.
#pragma once

#include "base/result.hpp"
#include "image/random_access.hpp"

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

enum class NodeType { file, directory, symlink, char_device, block_device, fifo, socket };

// "file", "directory", "symlink", "character device", …
std::string_view to_string(NodeType type);
// The type in the bits of st_mode; nullopt if they name none.
std::optional<NodeType> type_of_mode(mode_t mode);

// Names a node within its tree; two names of one file (hard links) have the same id.
struct NodeId {
  std::uint64_t value = 0;
  friend auto operator<=>(const NodeId&, const NodeId&) = default;
};

struct NodeInfo {
  NodeType type = NodeType::file;
  std::uint32_t mode = 0;  // permission bits, 0..07777, as stored
  std::uint64_t size = 0;  // files: bytes; symlinks: length of the target; otherwise 0
  std::int64_t mtime = 0;  // seconds since the epoch
  // What not every kind of tree tells; 0 where it does not.
  std::uint32_t mtime_nsec = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t links = 0;         // names of this node; directories: as stored
  std::uint32_t device_major = 0;  // device nodes: what they stand for
  std::uint32_t device_minor = 0;
  // Directories: overlayfs shows nothing of the layers below (xattr trusted.overlay.opaque = "y").
  bool opaque = false;
  // Files: with size 0 a whiteout in place of a 0:0 device (xattr trusted.overlay.whiteout).
  bool whiteout_mark = false;
  // Content or entries lie elsewhere in the layers below (xattr trusted.overlay.redirect or .metacopy).
  bool redirected = false;
};

// Whether overlayfs takes the node for "removed here": a 0:0 character device, or the mark on an empty file.
bool is_whiteout(const NodeInfo& info);

struct DirEntry {
  std::string name;
  NodeType type = NodeType::file;
  NodeId node;
};

// Implementations answer with Errors of kind corrupt where the image contradicts itself. Calls come from one
// thread at a time, unless an implementation says more. What open() returned must not outlive the tree.
class FileTree {
 public:
  virtual ~FileTree() = default;
  // Whether several threads may call every function, and read what open() gave, at the same time.
  virtual bool is_thread_safe() const { return false; }
  virtual NodeId root() const = 0;
  virtual Result<NodeInfo> stat(NodeId node) const = 0;
  // Sorted by the bytes of the names; every name is valid (is_valid_name) and stands there once.
  virtual Result<std::vector<DirEntry>> list(NodeId directory) const = 0;
  // One entry of list(); nullopt if the directory has no such name.
  virtual Result<std::optional<DirEntry>> lookup(NodeId directory, std::string_view name) const;
  virtual Result<std::string> readlink(NodeId symlink) const = 0;
  virtual Result<std::unique_ptr<RandomAccess>> open(NodeId file) const = 0;
};

// Whether `name` may be a directory entry: 1 to 255 bytes, no '/', no NUL, not "." or "..".
bool is_valid_name(std::string_view name);

struct WalkEntry {
  std::string path;  // relative, without leading '/'
  NodeType type = NodeType::file;
  NodeId node;
};

struct WalkLimits {
  std::size_t entries = 4'000'000;
  std::size_t depth = 256;
};

// Every entry below the root, parents before children, names of a directory in byte order (not the order of
// whole paths: "a/b" comes before "a-"). A directory that is reached twice (a cycle) is an Error of kind
// corrupt.
Result<> walk(const FileTree& tree, const std::function<Result<>(const WalkEntry&)>& visit,
              const WalkLimits& limits = {});

// Where the links in a tree lead.
enum class Links {
  leave,    // the tree is mounted somewhere: absolute targets and ".." above its root lead out of it
  in_root,  // the tree is the root file system (chroot, openat2's RESOLVE_IN_ROOT): nothing leads out
};

// What happens to a link that is the last component (AT_SYMLINK_NOFOLLOW); links before it are followed.
enum class LastLink { follow, keep };

// What a path leads to when symbolic links are followed.
struct Resolution {
  enum class Outcome { found, missing, outside, loop };
  Outcome outcome = Outcome::missing;
  NodeId node;                     // found
  NodeType type = NodeType::file;  // found
  std::string path;  // found: where it lies; missing: the path that is not there; outside: the target
  std::vector<std::string> links;  // the targets followed, in order
  std::string rest;  // missing, outside: the components that would have come after `path`, "a/b"
};

// `path`: absolute or relative, from the root either way. Errors only where the image itself cannot be read.
Result<Resolution> resolve(const FileTree& tree, std::string_view path, Links links = Links::leave,
                           LastLink last = LastLink::follow);

}  // namespace orch::image
