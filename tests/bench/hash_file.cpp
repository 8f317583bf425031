// Prints the digest of a file as the stat cache computes it; tests/bench/hashing.py holds it against xxhsum.
#include "hash/digest.hpp"
#include "sys/file.hpp"

#include <fcntl.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto file = orch::sys::open_file(argv[1], O_RDONLY);
  if (!file) return 1;
  const auto digest = orch::hash::digest_fd(file->get(), argv[1]);
  if (!digest) return 1;
  std::puts(digest->hex().c_str());
  return 0;
}
