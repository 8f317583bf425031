// The parts of a verification one by one, for tests/bench/stack.py:
//   stack-driver index IMAGE OUT        the index of an image or directory, as the rule index-image makes it
//   stack-driver resolve ROOT           links each path of standard input (absolute, in ROOT) with its files' own
//                                       ELF facts; prints how many objects were looked at and what is missing
//   stack-driver resolve-index INDEX    the same out of an index
#include "base/text.hpp"
#include "elf/index.hpp"
#include "elf/loader.hpp"
#include "elf/stack_files.hpp"
#include "image/directory_tree.hpp"
#include "image/open_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace {

using orch::base::Result;
namespace elf = orch::elf;
namespace image = orch::image;

Result<std::string> make_index(const std::string& source, const std::string& target) {
  ORCH_TRY(const image::OpenedTree opened, image::open_tree(source));
  ORCH_TRY(const auto index, elf::Index::make(*opened.tree, {false, std::thread::hardware_concurrency()}));
  ORCH_CHECK(orch::sys::write_atomic(target, index->serialise()));
  return fmt::format("{} nodes\n", index->size());
}

Result<std::string> resolve(const image::FileTree& root, elf::FactsSource& facts) {
  elf::Loader loader(root, facts);
  std::size_t programs = 0;
  std::size_t objects = 0;
  std::size_t problems = 0;
  ORCH_TRY(const std::string list, orch::sys::read_file("/dev/stdin"));
  for (const std::string_view path : orch::base::split(list, '\n')) {
    if (path.empty()) continue;
    ORCH_TRY(const elf::Linkage linkage, loader.link(path));
    ++programs;
    objects += linkage.objects.size();
    problems += linkage.problems.size();
  }
  return fmt::format("{} linked, {} objects, {} problems\n", programs, objects, problems);
}

Result<std::string> run(const std::string& what, const std::string& path, const std::string& target) {
  if (what == "index") return make_index(path, target);
  if (what == "resolve") {
    ORCH_TRY(const auto tree, image::DirectoryTree::open(path, image::OverlayMarks::none));
    elf::TreeFacts facts(*tree);
    return resolve(*tree, facts);
  }
  ORCH_TRY(const std::string text, orch::sys::read_file(path));
  ORCH_TRY(const auto index, elf::Index::parse(text));
  ORCH_TRY(auto nothing, elf::Index::parse("appimage-orch index 1\nd\t755\t0\t0\t0\t0\t\t\n"));
  ORCH_TRY(const auto files, elf::StackFiles::make({{"base", index}}, std::move(nothing), "/AppDir"));
  return resolve(files->root(), *files);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: stack-driver index IMAGE OUT | resolve ROOT | resolve-index INDEX\n", stderr);
    return 2;
  }
  const Result<std::string> done = run(argv[1], argv[2], argc > 3 ? argv[3] : "");
  std::fputs(done ? done->c_str() : orch::base::render(done.error()).c_str(), done ? stdout : stderr);
  return done ? 0 : 1;
}
