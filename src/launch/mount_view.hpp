// The merged view of a native run, made by system calls in the process that becomes the application: mount
// namespace, layers, overlayfs, binds, pivot_root. Everything vanishes with the process.
// docs/design/native-launcher.md has why.
#pragma once

#include "launch/binds.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::launch {

struct ViewLayer {
  std::string path;  // absolute
  enum class Kind { image, directory } kind = Kind::image;
};

struct ViewPlan {
  std::vector<ViewLayer> layers;  // bottom first, at least one
  std::vector<Bind> binds;        // as plan_binds() gives them
  std::string directory;          // working directory inside
  enum class Privilege {
    own,             // the caller may mount
    user_namespace,  // a user namespace with the caller's own ids and nothing else in it
  } privilege = Privilege::own;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Why a child could not become the application. Travels through a pipe as text.
struct SetupFailure {
  std::string
      step;  // "namespace", "open-image", "mount-image", "overlay", "bind", "pivot", "directory", "exec", …
  int number = 0;      // errno
  std::string path;    // what it was about
  std::string detail;  // for "exec": what is wrong with the program, as explain_exec() words it
};
std::string encode(const SetupFailure& failure);
std::optional<SetupFailure> decode(std::string_view text);

// Puts this process into the view. It must have one thread, and be about to exec: on failure it is left in
// between.
std::optional<SetupFailure> enter_view(const ViewPlan& plan);

// Makes a namespace as the plan's privilege says and tries a mount in it; nullopt if that works. Changes the
// process: call it in a child.
std::optional<SetupFailure> enter_namespace(const ViewPlan& plan);

}  // namespace orch::launch
