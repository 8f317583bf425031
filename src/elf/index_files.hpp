// The ELF files of an index.
#pragma once

#include "elf/index.hpp"
#include "image/layer_rules.hpp"

#include <string>
#include <vector>

namespace orch::elf {

struct IndexedFile {
  std::string path;  // relative to the root; a file with several names has the first of them
  image::NodeId node;
  Facts facts;
};

// Sorted by path; without relocatable files (.o), which nothing loads.
Result<std::vector<IndexedFile>> elf_files(const Index& index);

// Those that are started by an interpreter; libraries that can be started, too (libc.so.6), are left out.
std::vector<image::LayerProgram> programs_of(const std::vector<IndexedFile>& files);

}  // namespace orch::elf
