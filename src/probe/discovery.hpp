// What a host has that may stand for "auto" in a profile: muvm, FEX, a base image, GPU overlays. Each candidate that was looked
// at is told, and why it was taken or was not. Order of places: docs/design/discovery.md. Nothing is started, and nothing
// but the given tree is read.
#pragma once

#include "base/value.hpp"
#include "sys/host_tree.hpp"
#include "sys/process.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::probe {

using base::Value;

struct Candidate {
  enum class Verdict { taken, passed_over, absent };
  std::string what;  // "muvm" | "FEX" | "FEXServer" | "FEXBash" | "base" | "gpu"
  std::string path;  // as the host names it
  std::string
      found_by;  // "profile" | "$APPIMAGE_ORCH_MUVM" | "PATH" | "usual place" | "muvm's images" | "FEX's configuration" | "FEX's images"
  Verdict verdict = Verdict::absent;
  std::string reason;
  bool broken =
      false;  // where an image should be is something that cannot be read as one; not in the document
};
std::string_view to_string(Candidate::Verdict verdict);
// A list of {"what","path","found_by","verdict","reason"}.
Value to_value(const std::vector<Candidate>& candidates);

struct Places {
  sys::HostTree tree;
  sys::Environment environment;  // HOME, PATH, XDG_*, FEX_*, APPIMAGE_ORCH_MUVM
};

// `wanted`: a path, or a name on PATH; empty or "auto": found. What was asked for by name and is not there is not replaced by
// anything else.
std::vector<Candidate> discover_muvm(const std::string& wanted, const Places& places);
// FEX (or FEXInterpreter, as it was called up to FEX-2607), FEXServer, FEXBash; one of each.
std::vector<Candidate> discover_fex(const Places& places);
// The base image that muvm would use by itself, or else one of FEX's own images: by what the file is, not by its name. What
// muvm cannot mount (SquashFS, a directory) counts, because it can be converted; what cannot be read (cut short, damaged) does not.
std::vector<Candidate> discover_base(const Places& places);
// muvm's Mesa overlays in its order, bottom first: from the folder of the base image that was found; with `own_base`, the
// profile's, whatever it is, from the first folder that has some.
enum class OwnBase { no, yes };
std::vector<Candidate> discover_gpu(const std::optional<std::string>& base, OwnBase own_base,
                                    const Places& places);

// The images of one kind that a profile names.
struct NamedImages {
  struct Image {
    std::string path;
    std::string
        reason;  // why it is taken, where `path` is none of this host (an address, a package); else empty
  };
  std::vector<Image> images;
  bool automatic = true;  // what is found on the host is wanted, too
};
struct Wanted {
  std::string muvm;  // as for discover_muvm()
  NamedImages base;
  NamedImages gpu;
};

// All of these, in this order. What the profile names is taken (found by "profile"), and what it does not want of the host is
// passed over.
std::vector<Candidate> discover_all(const Wanted& wanted, const Places& places);

std::vector<std::string> taken(const std::vector<Candidate>& candidates);

}  // namespace orch::probe
