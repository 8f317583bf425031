// Sources that are a heap of packages without an index: "dir" (a folder of .deb or .rpm files) and "files"
// (addresses with SHA-256). Of every package the headers are read to see what it is and needs, and no more: to bring
// one, nothing but that one.
//
// The rule by which dependencies are found: of what was asked for, every dependency is looked up among the
// packages of the heap, by name and by what they provide (.rpm: by file too), without versions, and so on for what
// is taken. Of alternatives the first that anybody has counts. Of several packages that provide a thing one is
// taken: the one that has it as its name; else one that is taken anyway, for another reason; else the one with the
// shortest name, then by alphabet. What nobody has, and expressions of RPM ("(a if b)"), are notes, not errors: a
// base below may have it. Where a name stands several times, only its newest version counts (.rpm by RPM's order,
// .deb by Debian's). A heap holds one format.
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
  std::vector<std::string> rich_needs;          // expressions of RPM, which are not looked at
  std::vector<std::string> provides;            // its own name among them
};

// Reads a package's headers.
Result<HeapPackage> read_heap_package(const std::string& file);

// Names of the package's files in default library directories: of an .rpm what its header says, a .deb is read
// to its end.
Result<std::vector<std::string>> libraries_of(const HeapPackage& package);

// The closure of `names` by the rule above. Errors: a name that the heap has not (with the nearest).
Result<Resolution> resolve_in_heap(const std::string& label, const std::vector<HeapPackage>& heap,
                                   const std::vector<std::string>& names);

}  // namespace orch::package
