#include "elf/index_files.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace orch::elf {

Result<std::vector<IndexedFile>> elf_files(const Index& index) {
  std::vector<IndexedFile> out;
  std::set<image::NodeId> known;
  ORCH_CHECK(image::walk(index, [&](const image::WalkEntry& entry) -> Result<> {
    if (entry.type != image::NodeType::file) return {};
    ORCH_TRY(std::optional<Facts> facts, index.facts(entry.node));
    if (facts && facts->type != k_type_relocatable && known.insert(entry.node).second)
      out.push_back({entry.path, entry.node, *std::move(facts)});
    return {};
  }));
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

std::vector<image::LayerProgram> programs_of(const std::vector<IndexedFile>& files) {
  std::vector<image::LayerProgram> out;
  for (const IndexedFile& file : files)
    if (!file.facts.interpreter.empty() && file.facts.soname.empty())
      out.push_back({file.path, file.facts.machine, file.facts.interpreter});
  return out;
}

}  // namespace orch::elf
