// index-driver IMAGE OUT: the index of an image or directory, as the rule index-image makes it; for
// tests/bench/stack.py.
#include "elf/index.hpp"
#include "image/open_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <thread>

namespace {

using orch::base::Result;
namespace elf = orch::elf;
namespace image = orch::image;

Result<std::string> make_index(const std::string& source, const std::string& target) {
  ORCH_TRY(const image::OpenedTree opened, image::open_tree(source));
  ORCH_TRY(const auto index, elf::Index::make(*opened.tree, {false, std::thread::hardware_concurrency()}));
  ORCH_CHECK(orch::sys::write_atomic(target, index->bytes()));
  return fmt::format("{} nodes\n", index->size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: index-driver IMAGE OUT\n", stderr);
    return 2;
  }
  const Result<std::string> done = make_index(argv[1], argv[2]);
  std::fputs(done ? done->c_str() : orch::base::render(done.error()).c_str(), done ? stdout : stderr);
  return done ? 0 : 1;
}
