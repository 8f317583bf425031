// Links programs by the library, for integration tests and benchmarks:
//   loader-driver ROOT [LEVEL [PLATFORM]] < REQUESTS
//   loader-driver --stack LEVEL PLATFORM LAYER... < REQUESTS
//   loader-driver --count ROOT < REQUESTS
//   loader-driver --rewrite-cache IN OUT
// A request is a line: PROGRAM, or PROGRAM, LD_LIBRARY_PATH and LD_PRELOAD with tabs between them. Prints one
// JSON array, one compact document a line; or, for benchmarks, their number. The layers of a stack are
// directories and EROFS images, bottom first; the answers come out of the bytes of their indexes, as in a
// build. The last form reads a library cache and writes it anew.
#include "base/text.hpp"
#include "elf/ld_cache.hpp"
#include "elf/loader.hpp"
#include "elf/stack_files.hpp"
#include "format/json.hpp"
#include "image/directory_tree.hpp"
#include "image/erofs.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace {

using orch::base::Result;
using orch::base::Value;
namespace elf = orch::elf;
namespace image = orch::image;

// `stack`: where the layers of objects are known.
Value object_value(const elf::Linkage& linkage, std::size_t index, const elf::StackFiles* stack) {
  const elf::LinkedObject& object = linkage.objects[index];
  Value needed_by = Value::array();
  for (const std::size_t asker : linkage.needed_by(index)) needed_by.push(static_cast<std::uint64_t>(asker));
  Value skipped = Value::array();
  for (const elf::Skipped& file : object.skipped)
    skipped.push(Value::object({{"path", file.path}, {"why", file.why}}));
  return Value::object({{"name", object.name},
                        {"path", object.path},
                        {"real_path", object.real_path},
                        {"via", elf::to_string(object.via)},
                        {"layer", stack && !object.missing() ? stack->layer_of(object.node) : ""},
                        {"preloaded", object.preloaded},
                        {"needed_by", std::move(needed_by)},
                        {"skipped", std::move(skipped)}});
}

Value linkage_value(const elf::Linkage& linkage, const elf::StackFiles* stack) {
  Value objects = Value::array();
  for (std::size_t i = 0; i < linkage.objects.size(); ++i) objects.push(object_value(linkage, i, stack));
  Value problems = Value::array();
  for (const elf::Problem& problem : linkage.problems)
    problems.push(Value::object({{"kind", elf::to_string(problem.kind)},
                                 {"object", problem.object},
                                 {"needed_by", problem.needed_by},
                                 {"version", problem.version},
                                 {"detail", problem.detail},
                                 {"fatal", elf::is_fatal(problem.kind)}}));
  return Value::object({{"program", linkage.program},
                        {"interpreter", linkage.interpreter},
                        {"static", linkage.is_static},
                        {"starts", linkage.starts()},
                        {"objects", std::move(objects)},
                        {"problems", std::move(problems)}});
}

Result<> answer(elf::Loader& loader, bool count, const elf::StackFiles* stack) {
  std::string line;
  const char* separator = "[";
  std::size_t objects = 0;
  std::size_t problems = 0;
  while (std::getline(std::cin, line)) {
    const auto fields = orch::base::split(line, '\t');
    elf::LoaderEnvironment environment;
    if (fields.size() > 1) environment.library_path = std::string(fields[1]);
    if (fields.size() > 2) environment.preload = std::string(fields[2]);
    ORCH_TRY(const elf::Linkage linkage, loader.link(fields[0], environment));
    objects += linkage.objects.size();
    problems += linkage.problems.size();
    if (count) continue;
    std::fputs(separator, stdout);
    std::fputs(orch::format::to_json(linkage_value(linkage, stack), orch::format::JsonStyle::compact).c_str(),
               stdout);
    separator = ",";
  }
  if (count)
    std::printf("%zu objects, %zu problems\n", objects, problems);
  else
    std::fputs(separator[0] == '[' ? "[]\n" : "]\n", stdout);
  return {};
}

Result<> run(const std::string& root, const elf::LoaderOptions& options, bool count) {
  ORCH_TRY(const auto tree, image::DirectoryTree::open(root));
  elf::TreeFacts facts(*tree);
  elf::Loader loader(*tree, facts, options);
  return answer(loader, count, nullptr);
}

Result<std::shared_ptr<const elf::Index>> index_of(const std::string& path) {
  std::unique_ptr<image::FileTree> tree;
  if (std::filesystem::is_directory(path)) {
    ORCH_TRY(tree, image::DirectoryTree::open(path));
  } else {
    ORCH_TRY(const auto data, image::FileAccess::open(path));
    ORCH_TRY(tree, image::ErofsTree::open(data));
  }
  ORCH_TRY(const auto index, elf::Index::make(*tree));
  return elf::Index::parse(std::string(index->bytes()));
}

Result<> run_stack(const std::vector<std::string>& paths, const elf::LoaderOptions& options) {
  std::vector<elf::IndexedLayer> layers;
  for (const std::string& path : paths) {
    ORCH_TRY(auto index, index_of(path));
    layers.push_back({std::filesystem::path(path).filename(), std::move(index)});
  }
  ORCH_TRY(const auto files, elf::StackFiles::make(layers, elf::Index::empty(), "/run/app"));
  elf::StackFacts facts(*files);
  elf::Loader loader(files->root(), facts, options);
  return answer(loader, false, files.get());
}

Result<> rewrite_cache(const std::string& from, const std::string& to) {
  ORCH_TRY(const auto file, image::FileAccess::open(from));
  ORCH_TRY(const std::string bytes, image::read_exact(*file, 0, static_cast<std::size_t>(file->size())));
  ORCH_TRY(const elf::LdCache cache, elf::LdCache::parse(bytes));
  std::ofstream(to, std::ios::binary) << elf::write_ld_cache(cache.entries(), "loader-driver");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool stack = words.size() > 3 && words[0] == "--stack";
  const bool count = words.size() == 2 && words[0] == "--count";
  const bool rewrite = words.size() == 3 && words[0] == "--rewrite-cache";
  if (words.empty() || (words.size() > 3 && !stack)) {
    std::fputs(
        "usage: loader-driver [--count] ROOT [LEVEL [PLATFORM]] < REQUESTS | --stack LEVEL PLATFORM LAYER... "
        "< REQUESTS | --rewrite-cache IN OUT\n",
        stderr);
    return 2;
  }
  elf::LoaderOptions options;
  if (words.size() > 1 && !count) options.isa_level = static_cast<unsigned>(std::atoi(words[1].c_str()));
  if (words.size() > 2) options.platform = words[2];
  const Result<> done = rewrite ? rewrite_cache(words[1], words[2])
                        : stack ? run_stack({words.begin() + 3, words.end()}, options)
                                : run(words[count ? 1 : 0], options, count);
  if (done) return 0;
  std::fputs(orch::base::render(done.error()).c_str(), stderr);
  return 1;
}
