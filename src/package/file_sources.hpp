// Sources that are a heap of packages without an index: "dir" (a folder of .deb or .rpm files) and "files"
// (addresses with SHA-256). Every package is opened to see what it is and needs.
//
// The rule by which dependencies are found: of what was asked for, every dependency is looked up among the
// packages of the heap, by name and by what they provide (.rpm: by file too), without versions; all that fit
// are taken, and so on for those. What nobody has is a note, not an error: a base below may have it. Where a
// name stands several times, only its newest version counts (.rpm by RPM's order, .deb by Debian's). A heap
// holds one format.
#pragma once

#include "base/result.hpp"
#include "package/package_source.hpp"

#include <memory>
#include <string>
#include <vector>

namespace orch::package {

// Opens nothing yet: refresh() lists the folder, or fetches the files.
std::unique_ptr<PackageSource> open_file_source(const Source& source, const Surroundings& around);

// One package of a heap.
struct HeapPackage {
  LockedPackage package;                        // without reason
  std::string file;                             // where it lies
  std::vector<std::vector<std::string>> needs;  // alternatives
  std::vector<std::string> provides;            // its own name among them
  std::vector<std::string> sonames;             // names of files in default library directories
};

// Reads a package's headers and the names in it.
Result<HeapPackage> read_heap_package(const std::string& file);

// The closure of `names` by the rule above. Errors: a name that the heap has not (with the nearest).
Result<Resolution> resolve_in_heap(const std::string& label, const std::vector<HeapPackage>& heap,
                                   const std::vector<std::string>& names);

}  // namespace orch::package
