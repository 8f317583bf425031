// What the resolver does for a verification, for tests/bench/stack.py:
//   resolve-driver tree ROOT     links each path of standard input (absolute, in ROOT) with its files' own ELF
//                                facts; prints how many objects were looked at and what is missing
//   resolve-driver index INDEX   the same out of an index, by all processors
#include "base/text.hpp"
#include "elf/index.hpp"
#include "elf/link_programs.hpp"
#include "elf/stack_files.hpp"
#include "image/directory_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using orch::base::Result;
namespace elf = orch::elf;
namespace image = orch::image;

struct Count {
  std::atomic<std::size_t> objects = 0;
  std::atomic<std::size_t> problems = 0;
  void add(const elf::Linkage& linkage) {
    objects += linkage.objects.size();
    problems += linkage.problems.size();
  }
};

Result<> resolve_tree(const std::string& path, const std::vector<std::string>& programs, Count& count) {
  ORCH_TRY(const auto tree, image::DirectoryTree::open(path, image::OverlayMarks::none));
  elf::TreeFacts facts(*tree);
  elf::Loader loader(*tree, facts);
  elf::Linkage linkage;
  for (const std::string& program : programs) {
    ORCH_CHECK(loader.link(program, {}, linkage));
    count.add(linkage);
  }
  return {};
}

Result<> resolve_index(const std::string& path, const std::vector<std::string>& programs, Count& count) {
  ORCH_TRY(const auto file, orch::sys::MappedFile::open(path));
  ORCH_TRY(const auto index, elf::Index::parse(file->bytes(), file));
  ORCH_TRY(const auto files, elf::StackFiles::make({{"base", index}}, elf::Index::empty(), "/AppDir"));
  elf::ProgramLinker linker(*files, {}, std::thread::hardware_concurrency());
  return linker.link(programs, {}, [&](std::size_t, elf::Linkage& linkage) { count.add(linkage); });
}

Result<std::string> run(std::string_view what, const std::string& path) {
  ORCH_TRY(const std::string list, orch::sys::read_file("/dev/stdin"));
  std::vector<std::string> programs;
  for (const std::string_view line : orch::base::split(list, '\n'))
    if (!line.empty()) programs.emplace_back(line);
  Count count;
  ORCH_CHECK(what == "tree" ? resolve_tree(path, programs, count) : resolve_index(path, programs, count));
  return fmt::format("{} linked, {} objects, {} problems\n", programs.size(), count.objects.load(),
                     count.problems.load());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: resolve-driver tree ROOT | index INDEX, paths on standard input\n", stderr);
    return 2;
  }
  const Result<std::string> done = run(argv[1], argv[2]);
  std::fputs(done ? done->c_str() : orch::base::render(done.error()).c_str(), done ? stdout : stderr);
  return done ? 0 : 1;
}
