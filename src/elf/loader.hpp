// The resolver: answers what glibc's x86_64 loader would do with a program in a root file system, without
// running anything. Behaviour: glibc's elf/dl-load.c, dl-deps.c, dl-version.c, dl-cache.c and sysdeps/x86
// (2.36 to 2.42), held against the real loader by tests/integration/test_loader.py.
// docs/design/loader.md says what is not modelled.
#pragma once

#include "base/result.hpp"
#include "elf/facts_source.hpp"
#include "elf/linkage.hpp"
#include "image/file_tree.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace orch::elf {

// What the processor and kernel tell the loader; the same for every program of a root.
struct LoaderOptions {
  // x86-64 level: glibc-hwcaps subdirectories up to it are searched, notes above it refused. FEX offers 3.
  unsigned isa_level = 3;
  std::string platform = "x86_64";  // AT_PLATFORM: what $PLATFORM stands for
  // For relative names and empty elements of search paths; absolute.
  std::string working_directory = "/";
  // The interpreter of libraries that are linked as if they were programs (they have no PT_INTERP).
  std::string default_interpreter = "/lib64/ld-linux-x86-64.so.2";
};

struct LoaderEnvironment {
  std::string library_path{};  // LD_LIBRARY_PATH
  std::string preload{};       // LD_PRELOAD
};

// For one root, which must not change; keeps what it has looked up, so one Loader should answer for all
// programs of a root. One thread at a time. `root` and `facts` must outlive it.
class Loader {
 public:
  Loader(const image::FileTree& root, FactsSource& facts, LoaderOptions options = {});
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // `program`: path of a program or library in the root; links are followed, as for /proc/self/exe. What is
  // wrong with it is in the result; Errors are those of reading the tree.
  Result<Linkage> link(std::string_view program, const LoaderEnvironment& environment = {});
  // The same into the memory of an earlier result.
  Result<> link(std::string_view program, const LoaderEnvironment& environment, Linkage& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace orch::elf
