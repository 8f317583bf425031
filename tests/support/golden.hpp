// Comparing text with a file of tests/golden. ORCH_ACCEPT=1 rewrites the files; a missing one fails. The
// names of those read go into the file $ORCH_GOLDEN_LOG, by which tests/runner.py finds those that nobody
// reads.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace orch::test {

// `text` with every `from` replaced: puts a word in the place of a path of this run.
inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

// A file of the source tree that is written from what the program knows: a page of docs, a golden.
inline void check_written(const std::filesystem::path& path, const std::string& text) {
  const char* accept = std::getenv("ORCH_ACCEPT");
  if (accept != nullptr && std::string_view(accept) == "1") {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file.good(), "no file " << path.string() << ": write it with ORCH_ACCEPT=1\n" << text);
  const std::string wanted{std::istreambuf_iterator<char>(file), {}};
  INFO(path.string() << " differs; ORCH_ACCEPT=1 rewrites it");
  CHECK(text == wanted);
}

inline void check_page(const std::string& name, const std::string& text) {
  check_written(std::filesystem::path(ORCH_SOURCE_DIR) / name, text);
}

inline void check_golden(const std::string& name, const std::string& text) {
  if (const char* log = std::getenv("ORCH_GOLDEN_LOG")) std::ofstream(log, std::ios::app) << name + "\n";
  check_written(std::filesystem::path(ORCH_SOURCE_DIR) / "tests/golden" / name, text);
}

}  // namespace orch::test
