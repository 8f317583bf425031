// What of the host a native run sees besides the stack. Pure: which paths, not whether they exist.
#pragma once

#include "model/launch.hpp"
#include "sys/process.hpp"

#include <string>
#include <vector>

namespace orch::launch {

struct Bind {
  std::string path;  // absolute and normal; the same on both sides
  enum class Kind {
    tree,   // the host's directory with all that is mounted in it
    file,   // one file of the host
    empty,  // a fresh tmpfs
  } kind = Kind::tree;
  enum class Need { optional, required } need = Need::optional;
  friend bool operator==(const Bind&, const Bind&) = default;
};

// True for what belongs to the stack alone: /, /usr, /lib*, /bin, /sbin, /etc, /boot and all below. The
// host's are never shown as a directory, so that nothing in them can stand in for a missing overlay.
bool belongs_to_stack(const std::string& path);

// Parents before what lies in them; what an earlier tree shows already is left out:
// /dev /proc /sys /tmp /var/tmp /home /media /mnt /srv, $HOME, an empty /run with $XDG_RUNTIME_DIR, the files
// resolv.conf passwd group hosts localtime machine-id of /etc, the AppDir, the AppImage's directory (only the
// file, where the directory belongs to the stack) and the working directory.
std::vector<Bind> plan_binds(const model::LaunchSpec& spec, const sys::Environment& host);

}  // namespace orch::launch
