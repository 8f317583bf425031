// Whether the dynamic loader's path leads to a loader in a merged view, as FEX looks for it, and which
// relative links would make it so. Pure: nothing is written. docs/design/layers.md
#pragma once

#include "base/result.hpp"
#include "image/fex_path.hpp"
#include "image/file_tree.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

// A symbolic link to make: `path` relative to the root, `target` relative to where the link lies.
struct LoaderLink {
  std::string path;
  std::string target;
  friend bool operator==(const LoaderLink&, const LoaderLink&) = default;
};

struct LoaderObservation {
  enum class Decision {
    resolves,       // the path leads to a loader of the machine: nothing to do
    linked,         // it does not, a loader lies elsewhere: `links` make it so
    no_loader,      // there is no loader of that machine in the view
    other_machine,  // the path leads to a file of another kind, which is left alone
    blocked,        // something that is neither directory nor link stands in the way
  };
  std::string_view arch;               // "x86_64", "i386"
  std::string_view path;               // of the loader, as programs name it: absolute
  FexPath found;                       // what FEX finds there
  std::string found_kind;              // found: "x86_64", "aarch64", "no ELF file", "directory"
  std::vector<std::string> elsewhere;  // other places of a loader of that machine, as FEX finds them
  Decision decision = Decision::no_loader;
  std::string reason;             // a sentence without full stop
  std::vector<LoaderLink> links;  // linked
};

// "resolves", "linked", "no-loader", "other-machine", "blocked".
std::string_view to_string(LoaderObservation::Decision decision);

// One observation for x86_64, then one for i386. Links never lie over a directory, and every directory that
// they lie in is a real directory of the view. Errors only where the view cannot be read.
Result<std::vector<LoaderObservation>> observe_loaders(const FileTree& view);

// `to` as a path relative to the directory that `link` lies in ("lib64/ld.so", "usr/lib64/ld.so" give
// "../usr/lib64/ld.so"). Both relative to the root and without links.
std::string relative_target(std::string_view link, std::string_view to);

}  // namespace orch::image
