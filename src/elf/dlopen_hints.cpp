// Sonames that stand as strings in a file's read-only data: what it may load by dlopen.
#include "elf/facts.hpp"

#include <algorithm>
#include <set>

namespace orch::elf {

namespace {

constexpr std::uint64_t k_max_read = 64U << 20;  // of one file
constexpr std::size_t k_chunk = 1U << 20;
constexpr std::size_t k_max_hint = 128;
constexpr std::size_t k_max_hints = 1024;

// "libNAME.so", "libNAME.so.1", "libNAME.so.1.2.3"
bool looks_like_soname(std::string_view text) {
  if (!text.starts_with("lib") || text.size() > k_max_hint) return false;
  const std::size_t so = text.find(".so");
  if (so == std::string_view::npos || so <= 3) return false;
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-' || c == '+' || c == '.';
  };
  if (!std::all_of(text.begin() + 3, text.begin() + static_cast<std::ptrdiff_t>(so), plain)) return false;
  bool dot = true;  // the version: numbers behind dots
  for (const char c : text.substr(so + 3)) {
    if (dot ? c != '.' : (c != '.' && (c < '0' || c > '9'))) return false;
    dot = false;
  }
  return text.back() != '.';
}

}  // namespace

Result<std::vector<std::string>> read_dlopen_hints(const image::RandomAccess& file, const Facts& facts) {
  ORCH_TRY(const std::optional<image::ElfHeader> header, image::read_elf_header(file));
  std::set<std::string> found;
  if (!header) return std::vector<std::string>();
  std::uint64_t left = k_max_read;
  const auto take = [&](std::string_view text) {
    if (looks_like_soname(text) && found.size() < k_max_hints) found.emplace(text);
  };
  for (const image::ElfSegment& segment : header->segments) {
    if (segment.type != image::k_pt_load || (segment.flags & 2) != 0 || segment.offset >= file.size())
      continue;
    const std::uint64_t size = std::min({segment.file_size, file.size() - segment.offset, left});
    left -= size;
    std::string carried;  // the beginning of a string that the next chunk ends
    for (std::uint64_t done = 0; done < size; done += k_chunk) {
      ORCH_TRY(const std::string chunk,
               image::read_exact(file, segment.offset + done,
                                 static_cast<std::size_t>(std::min<std::uint64_t>(k_chunk, size - done))));
      std::size_t start = 0;
      for (std::size_t end = chunk.find('\0'); end != std::string::npos; end = chunk.find('\0', start)) {
        const std::string_view text = std::string_view(chunk).substr(start, end - start);
        take(carried.empty() ? text : std::string_view(carried.append(text)));
        carried.clear();
        start = end + 1;
      }
      if (carried.size() + chunk.size() - start <= k_max_hint || start == chunk.size())
        carried.append(chunk, start);
      else
        carried.assign(k_max_hint + 1, ' ');  // too long whatever follows
    }
  }
  for (const std::string& name : facts.needed) found.erase(name);
  found.erase(facts.soname);
  return std::vector<std::string>(found.begin(), found.end());
}

}  // namespace orch::elf
