// Whether an application can start on a stack, for integration tests:
//   verify-driver APPDIR LAYER…     directories, bottom layer first; prints "appimage-orch/linkage/1"
// Everything goes through the text form of the indexes, as in a build.
#include "elf/linkage_report.hpp"
#include "format/json.hpp"
#include "image/directory_tree.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace {

using orch::base::Result;
namespace elf = orch::elf;
namespace image = orch::image;

Result<std::shared_ptr<const elf::Index>> index_of(const std::string& directory, bool hints) {
  ORCH_TRY(const auto tree, image::DirectoryTree::open(directory));
  ORCH_TRY(const auto index, elf::Index::make(*tree, {hints}));
  return elf::Index::parse(std::string(index->bytes()));
}

Result<std::string> report(const std::vector<std::string>& words) {
  ORCH_TRY(const auto app, index_of(words[0], true));
  std::vector<elf::IndexedLayer> layers;
  for (std::size_t i = 1; i < words.size(); ++i) {
    ORCH_TRY(auto index, index_of(words[i], false));
    layers.push_back({"layer" + std::to_string(i), std::move(index)});
  }
  ORCH_TRY(const auto files, elf::StackFiles::make(layers, app, "/run/app"));
  ORCH_TRY(const elf::LinkageReport found, elf::report_linkage(*files, {}));
  return orch::format::to_json(elf::to_value(found));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: verify-driver APPDIR LAYER...\n", stderr);
    return 2;
  }
  const Result<std::string> done = report({argv + 1, argv + argc});
  if (!done) {
    std::fputs(orch::base::render(done.error()).c_str(), stderr);
    return 1;
  }
  std::fwrite(done->data(), 1, done->size(), stdout);
  return 0;
}
