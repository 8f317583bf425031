// What readers of package archives hand out: one entry after the other, with its content on demand. Knows
// nothing of where things go.
#pragma once

#include "base/result.hpp"
#include "image/file_tree.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace orch::package {

using base::Result;

// other: devices, FIFOs and sockets.
enum class EntryKind { file, directory, symlink, hard_link, other };

// What overlayfs would read from an entry's extended attributes (trusted.overlay.* and user.overlay.*).
struct EntryMarks {
  bool opaque = false;
  bool whiteout = false;
  bool redirected = false;  // redirect or metacopy
  friend bool operator==(const EntryMarks&, const EntryMarks&) = default;
};

// As the archive has it: nothing here is checked, paths may be hostile.
struct ArchiveEntry {
  std::string path;
  EntryKind kind = EntryKind::other;
  std::uint32_t mode = 0;                           // all twelve bits
  std::uint64_t size = 0;                           // files
  std::string target;                               // symlinks and hard links
  image::NodeType special = image::NodeType::fifo;  // what an entry of kind other is
  std::uint32_t device_major = 0;                   // devices
  std::uint32_t device_minor = 0;
  EntryMarks marks{};
};

// The mark that this attribute is, if any; `name` as getfattr writes it ("trusted.overlay.opaque").
void add_mark(EntryMarks& marks, std::string_view name, std::string_view value);

// Fills the buffer with content of the entry that is being visited; 0 at its end.
using ContentReader = std::function<Result<std::size_t>(char* buffer, std::size_t size)>;
using EntryVisitor = std::function<Result<>(const ArchiveEntry&, const ContentReader&)>;

}  // namespace orch::package
