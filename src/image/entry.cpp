#include "image/entry.hpp"

#include "image/elf_header.hpp"

#include <algorithm>
#include <array>

namespace orch::image {

namespace {

constexpr std::size_t k_head_size = 256;  // BINPRM_BUF_SIZE

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool ends_word(char c) {
  return is_blank(c) || c == '\0';
}

}  // namespace

std::string_view to_string(EntryKind kind) {
  switch (kind) {
    case EntryKind::elf:
      return "elf";
    case EntryKind::script:
      return "script";
    case EntryKind::missing:
      return "missing";
    case EntryKind::outside:
      return "outside";
    case EntryKind::unknown:
      return "unknown";
  }
  return "unknown";
}

std::optional<Shebang> parse_shebang(std::string_view head) {
  if (head.substr(0, 2) != "#!") return std::nullopt;
  // As the kernel's buffer: padded with NUL bytes, its last byte not looked at.
  std::array<char, k_head_size> buffer{};
  std::copy_n(head.begin(), std::min(head.size(), buffer.size()), buffer.begin());
  const std::string_view text(buffer.data() + 2, k_head_size - 3);
  std::size_t end = text.find('\n');
  if (end == std::string_view::npos && buffer.back() == '\n') end = text.size();
  if (end == std::string_view::npos) {
    // No end of line: fine if the interpreter's name ends within the buffer, for the rest is only its
    // argument.
    const std::size_t name = text.find_first_not_of(" \t");
    if (name == std::string_view::npos) return std::nullopt;
    if (std::none_of(text.begin() + static_cast<std::ptrdiff_t>(name), text.end(), ends_word))
      return std::nullopt;
    end = text.size();
  }
  std::string_view line = text.substr(0, end);
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  const auto name_end = std::find_if(line.begin(), line.end(), ends_word);
  Shebang shebang;
  shebang.interpreter.assign(line.begin(), name_end);
  if (shebang.interpreter.empty()) return std::nullopt;
  if (name_end != line.end() && *name_end != '\0') {
    const auto argument = std::find_if_not(name_end, line.end(), is_blank);
    shebang.argument.assign(argument, std::find(argument, line.end(), '\0'));
  }
  return shebang;
}

Result<FollowedEntry> follow_entry(const FileTree& tree, std::string_view path) {
  FollowedEntry out;
  Entry& entry = out.entry;
  entry.path = std::string(path);
  ORCH_TRY(Resolution resolution, resolve(tree, path));
  entry.links = std::move(resolution.links);
  entry.target = std::move(resolution.path);
  if (resolution.outcome == Resolution::Outcome::outside) entry.kind = EntryKind::outside;
  if (resolution.outcome != Resolution::Outcome::found) return out;
  entry.kind = EntryKind::unknown;
  if (resolution.type != NodeType::file) return out;
  ORCH_TRY(const NodeInfo info, tree.stat(resolution.node));
  entry.executable = (info.mode & 0111) != 0;
  out.file = resolution.node;
  return out;
}

void set_script(Entry& entry, std::string_view head) {
  std::optional<Shebang> shebang = parse_shebang(head.substr(0, k_head_size));
  entry.kind = shebang ? EntryKind::script : EntryKind::unknown;
  if (!shebang) return;
  entry.interpreter = std::move(shebang->interpreter);
  entry.argument = std::move(shebang->argument);
}

Result<Entry> find_entry(const FileTree& tree, std::string_view path) {
  ORCH_TRY(FollowedEntry followed, follow_entry(tree, path));
  Entry& entry = followed.entry;
  if (!followed.file) return std::move(entry);
  ORCH_TRY(const std::unique_ptr<RandomAccess> file, tree.open(*followed.file));
  ORCH_TRY(const std::optional<ElfHeader> elf, read_elf_header(*file));
  if (elf) {
    entry.kind = EntryKind::elf;
    entry.machine = elf->machine;
    entry.is_64 = elf->is_64;
    ORCH_TRY(entry.interpreter, read_elf_interpreter(*file, *elf));
    return std::move(entry);
  }
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(file->size(), k_head_size));
  ORCH_TRY(const std::string head, read_exact(*file, 0, size));
  set_script(entry, head);
  return std::move(entry);
}

}  // namespace orch::image
