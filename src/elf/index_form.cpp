#include "elf/index_form.hpp"

#include <fmt/format.h>

#include <type_traits>
#include <unordered_map>
#include <utility>

namespace orch::elf::index_form {

using base::ErrorKind;
using base::fail;
using image::NodeType;

namespace {

class Writer {
 public:
  Result<std::string> run(const Draft& draft) {
    text("");
    for (const Draft::Node& node : draft.nodes) add(node);
    constexpr std::size_t k_most = 0x7fffffff;  // below k_weak
    for (const std::size_t count : {draft.nodes.size(), entries_.size(), words_.size(), pool_.size()})
      if (count > k_most)
        return fail(ErrorKind::unsupported, fmt::format("an index cannot have more than {} numbers or bytes "
                                                        "of one kind, this tree has {}",
                                                        k_most, count));
    std::string out(k_magic);
    out.resize(k_magic_size);
    append(out, std::vector<Header>{{size_of(nodes_), size_of(files_), size_of(entries_), size_of(words_),
                                     size_of(text_ends_), size_of(pool_)}});
    append(out, nodes_);
    append(out, files_);
    append(out, entries_);
    append(out, words_);
    append(out, text_ends_);
    return out + pool_;
  }

 private:
  template <class T>
  static std::uint32_t size_of(const T& list) {
    return static_cast<std::uint32_t>(list.size());
  }
  template <class T>
  static void append(std::string& out, const std::vector<T>& records) {
    static_assert(std::has_unique_object_representations_v<T>);
    const std::size_t before = out.size();
    out.resize(before + records.size() * sizeof(T));
    if (!records.empty()) std::memcpy(out.data() + before, records.data(), records.size() * sizeof(T));
  }

  // `bytes` must live as long as this object.
  std::uint32_t text(std::string_view bytes) {
    const auto [known, is_new] = texts_.try_emplace(bytes, size_of(text_ends_));
    if (is_new) {
      pool_ += bytes;
      text_ends_.push_back(size_of(pool_));
    }
    return known->second;
  }
  std::uint32_t list(const std::vector<std::string>& texts) {
    for (const std::string& one : texts) words_.push_back(text(one));
    return size_of(texts);
  }

  void add(const Draft::Node& node) {
    const image::NodeInfo& info = node.info;
    NodeRecord record{};
    record.size = info.size;
    record.mode = (info.mode & 07777U) | static_cast<std::uint32_t>(info.type) << k_type_shift |
                  (info.opaque ? k_opaque : 0) | (info.redirected ? k_redirected : 0) |
                  (info.whiteout_mark ? k_whiteout : 0) | (node.content ? k_content : 0);
    record.links = info.type == NodeType::directory ? 0 : info.links;  // differs with the file system
    record.device_major = info.device_major;
    record.device_minor = info.device_minor;
    if (info.type == NodeType::directory) {
      record.first = size_of(entries_);
      record.second = size_of(node.entries);
      for (const Draft::Entry& entry : node.entries)
        entries_.push_back({text(entry.name), static_cast<std::uint32_t>(entry.node)});
    } else if (info.type == NodeType::symlink) {
      record.first = text(node.target);
    }
    if (node.content) record.second = text(*node.content);
    if (node.elf) {
      add(*node.elf);
      record.first = size_of(files_);
    }
    nodes_.push_back(record);
  }

  void add(const Draft::ElfFile& file) {
    const Facts& facts = file.facts;
    FileRecord record{};
    record.flags = facts.flags;
    record.flags_1 = facts.flags_1;
    record.machine = facts.machine;
    record.type = facts.type;
    record.bits = (facts.is_64 ? k_is_64 : 0) | (facts.dynamic ? k_dynamic : 0) |
                  (facts.has_runpath ? k_has_runpath : 0) | (facts.versioned ? k_versioned : 0) |
                  (facts.ibt ? k_ibt : 0) | (facts.shstk ? k_shstk : 0) |
                  (facts.executable_stack ? k_executable_stack : 0);
    record.isa_needed = facts.isa_needed;
    record.isa_used = facts.isa_used;
    record.interpreter = text(facts.interpreter);
    record.soname = text(facts.soname);
    record.glibc = text(facts.glibc);
    record.build_id = text(facts.build_id);
    record.defect = text(facts.defect);
    record.first = size_of(words_);
    record.needed = list(facts.needed);
    record.rpath = list(facts.rpath);
    record.runpath = list(facts.runpath);
    record.versions = size_of(facts.versions);
    for (const VersionNeed& need : facts.versions) {
      words_.push_back(text(need.library));
      words_.push_back(text(need.version) | (need.weak ? k_weak : 0));
    }
    record.definitions = list(facts.definitions);
    record.hints = list(file.hints);
    if (file.layout) {
      words_.push_back(text(file.layout->lib));
      words_.push_back(file.layout->legacy_hwcap ? 1 : 0);
      record.layout = 2 + list(file.layout->system_directories);
    }
    files_.push_back(record);
  }

  std::vector<NodeRecord> nodes_;
  std::vector<FileRecord> files_;
  std::vector<EntryRecord> entries_;
  std::vector<std::uint32_t> words_;
  std::vector<std::uint32_t> text_ends_;
  std::string pool_;
  std::unordered_map<std::string_view, std::uint32_t> texts_;
};

}  // namespace

tl::unexpected<base::Error> damaged(std::string_view what) {
  return fail(ErrorKind::corrupt, fmt::format("an index {}", what),
              "remove it from the cache and build again");
}

Result<Sections> Sections::open(std::string_view bytes) {
  if (bytes.size() < k_magic_size + sizeof(Header) || !bytes.starts_with(k_magic))
    return damaged("is cut off, or of another version");
  const Header header = Records<Header>(bytes.data() + k_magic_size, 1)[0];
  const std::uint64_t size =
      k_magic_size + sizeof(Header) + std::uint64_t{header.nodes} * sizeof(NodeRecord) +
      std::uint64_t{header.files} * sizeof(FileRecord) + std::uint64_t{header.entries} * sizeof(EntryRecord) +
      (std::uint64_t{header.words} + header.texts) * 4 + header.pool;
  if (size != bytes.size()) return damaged(fmt::format("has {} bytes, expected {}", bytes.size(), size));
  const char* at = bytes.data() + k_magic_size + sizeof(Header);
  const auto section = [&]<class T>(Records<T>& out, std::size_t count) {
    out = {at, count};
    at += count * sizeof(T);
  };
  Sections out;
  section(out.nodes_, header.nodes);
  section(out.files_, header.files);
  section(out.entries_, header.entries);
  section(out.words_, header.words);
  section(out.text_ends_, header.texts);
  out.pool_ = {at, header.pool};
  std::uint32_t end = 0;
  for (std::size_t i = 0; i < out.texts(); ++i) {
    if (out.text_ends_[i] < end) return damaged("has texts that run backwards");
    end = out.text_ends_[i];
  }
  if (out.texts() == 0 || out.text_ends_[0] != 0 || end != out.pool_.size())
    return damaged("has texts that do not fill their place");
  std::uint64_t words = 0;
  for (std::size_t i = 0; i < out.files(); ++i) {
    const FileRecord file = out.files_[i];
    if (file.first != words) return damaged("has ELF files that share their facts");
    words += file.words();
  }
  if (words != out.words_.size()) return damaged("has facts of no ELF file");
  if (out.nodes() == 0 || type_of(out.nodes_[0]) != NodeType::directory)
    return damaged("has no root directory");
  return out;
}

Result<NodeRecord> Sections::node(std::size_t number) const {
  if (number >= nodes()) return damaged(fmt::format("has {} nodes, asked for number {}", nodes(), number));
  const NodeRecord node = nodes_[number];
  const NodeType type = type_of(node);
  if (node.mode >= k_mode_bits || type > NodeType::socket) return damaged("has a node of an unknown kind");
  if (type == NodeType::directory) {
    if (std::uint64_t{node.first} + node.second > entries_.size())
      return damaged("has a directory without its entries");
  } else if (type == NodeType::file) {
    if (node.first > files()) return damaged("has an ELF file without facts");
    if (node.second >= texts()) return damaged("has a file without its content");
  } else if (type == NodeType::symlink && node.first >= texts()) {
    return damaged("has a link without a target");
  }
  return node;
}

Result<EntryRecord> Sections::entry(std::size_t number) const {
  const EntryRecord entry = entries_[number];
  if (entry.name >= texts() || entry.node >= nodes()) return damaged("has an entry that leads nowhere");
  return entry;
}

bool Sections::are_texts(std::size_t first, std::size_t count) const {
  bool all = true;
  for (std::size_t i = first; i < first + count; ++i) all &= words_[i] < texts();
  return all;
}

Result<FileRecord> Sections::file(std::size_t number) const {
  const FileRecord file = files_[number];
  for (const std::uint32_t text : {file.interpreter, file.soname, file.glibc, file.build_id, file.defect})
    if (text >= texts()) return damaged("has an ELF file with impossible names");
  if (file.bits >= k_file_bits || file.reserved != 0 || file.layout == 1)
    return damaged("has an ELF file with impossible facts");
  std::size_t at = std::size_t{file.first} + file.needed + file.rpath + file.runpath;
  bool sound = are_texts(file.first, at - file.first);
  for (std::size_t need = 0; need < file.versions; ++need, at += 2)
    sound &= words_[at] < texts() && (words_[at + 1] & ~k_weak) < texts();
  const std::size_t names = std::size_t{file.definitions} + file.hints;
  sound &= are_texts(at, names);
  at += names;
  if (file.layout != 0)
    sound &= are_texts(at, 1) && words_[at + 1] <= 1 && are_texts(at + 2, file.layout - 2);
  if (!sound) return damaged("has an ELF file with impossible names");
  return file;
}

Result<std::string> write(const Draft& draft) {
  return Writer().run(draft);
}

}  // namespace orch::elf::index_form
