// Where FEX looks for an absolute path of the guest. It knows nothing of ELF files and does not touch the
// host. Source: FEX, Source/Tools/FEXInterpreter (loader) and Source/Tools/LinuxEmulation/LinuxSyscalls/
// FileManagement.cpp (system calls).
#pragma once

#include "image/file_tree.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

// Where muvm mounts the merged view.
inline constexpr std::string_view k_fex_rootfs = "/run/fex-emu/rootfs";

enum class FexLookup {
  // The ELF loader (the program and its PT_INTERP), and stat(), access(), readlink(): the path is appended to
  // the RootFS's as a string. The kernel follows links in the middle from the real root, so an absolute one
  // leads to the host; a last component that is an absolute link is looked up in the RootFS again,
  // repeatedly.
  loader,
  // open() since FEX-2501: openat2 with RESOLVE_IN_ROOT, nothing leads out.
  open,
};

struct FexPath {
  enum class Outcome {
    found,    // in the RootFS, at `path`
    missing,  // not in the RootFS: `path` is the first name that is not there; FEX then tries the host
    escapes,  // leads out of the RootFS, to `path` of the host
    loop,
  };
  Outcome outcome = Outcome::missing;
  NodeId node;                     // found
  NodeType type = NodeType::file;  // found
  std::string path;                // relative to the RootFS; escapes: absolute
  std::vector<std::string> links;  // the targets followed, in order
};

// `path`: absolute. Errors only where the image itself cannot be read.
Result<FexPath> fex_resolve(const FileTree& rootfs, std::string_view path, FexLookup how,
                            std::string_view mounted_at = k_fex_rootfs);

}  // namespace orch::image
