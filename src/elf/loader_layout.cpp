#include "elf/loader_layout.hpp"

#include "image/elf_header.hpp"

#include <algorithm>

namespace orch::elf {

namespace {

constexpr std::uint64_t k_max_read = 8U << 20;
constexpr std::size_t k_max_directory = 512;

bool is_directory_text(std::string_view text) {
  return text.size() >= 3 && text.size() <= k_max_directory && text.front() == '/' && text.back() == '/' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool names_lib(const std::vector<std::string>& run) {
  return std::any_of(run.begin(), run.end(), [](const std::string& directory) {
    return directory.find("/lib") != std::string::npos;
  });
}

// "/usr/lib/x86_64-linux-gnu/" gives "lib/x86_64-linux-gnu", "/lib64/" "lib64", "/opt/glibc/lib/" "lib".
std::string lib_of(std::string_view directory) {
  directory.remove_suffix(1);
  for (const std::string_view prefix : {"/usr/lib", "/lib"})
    if (directory.starts_with(prefix)) return "lib" + std::string(directory.substr(prefix.size()));
  return std::string(directory.substr(directory.rfind('/') + 1));
}

// Takes the runs of one segment into the layout.
void scan(std::string_view bytes, LoaderLayout& layout) {
  std::vector<std::string> run;
  const auto finish = [&] {
    if (run.size() > layout.system_directories.size() && names_lib(run)) layout.system_directories = run;
    run.clear();
  };
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\0', at), bytes.size());
    const std::string_view text = bytes.substr(at, end - at);
    if (is_directory_text(text))
      run.emplace_back(text);
    else
      finish();
    if (text == "tls") layout.legacy_hwcap = true;
    at = end + 1;
  }
  finish();
}

}  // namespace

LoaderLayout debian_layout() {
  return {{"/lib/x86_64-linux-gnu/", "/usr/lib/x86_64-linux-gnu/", "/lib/", "/usr/lib/"},
          "lib/x86_64-linux-gnu",
          false};
}

LoaderLayout fedora_layout() {
  return {{"/lib64/", "/usr/lib64/"}, "lib64", false};
}

Result<std::optional<LoaderLayout>> read_loader_layout(const image::RandomAccess& interpreter) {
  ORCH_TRY(const std::optional<image::ElfHeader> header, image::read_elf_header(interpreter));
  LoaderLayout layout;
  std::uint64_t left = k_max_read;
  if (header)
    for (const image::ElfSegment& segment : header->segments) {
      if (segment.type != image::k_pt_load || (segment.flags & 2) != 0 ||
          segment.offset >= interpreter.size())
        continue;
      const std::uint64_t size = std::min({segment.file_size, interpreter.size() - segment.offset, left});
      left -= size;
      ORCH_TRY(const std::string bytes,
               image::read_exact(interpreter, segment.offset, static_cast<std::size_t>(size)));
      scan(bytes, layout);
    }
  if (layout.system_directories.empty()) return std::optional<LoaderLayout>();
  layout.lib = lib_of(layout.system_directories.front());
  return std::optional<LoaderLayout>(std::move(layout));
}

}  // namespace orch::elf
