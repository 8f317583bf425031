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

// What open() checks of the sections once their sizes are known.
class Checker {
 public:
  explicit Checker(const Sections& sections) : sections_(sections), texts_(sections.text_ends.size()) {}

  Result<> run() const {
    std::uint32_t end = 0;
    for (std::size_t i = 0; i < texts_; ++i) {
      if (sections_.text_ends[i] < end) return damaged("has texts that run backwards");
      end = sections_.text_ends[i];
    }
    if (texts_ == 0 || sections_.text_ends[0] != 0 || end != sections_.pool.size())
      return damaged("has texts that do not fill their place");
    if (sections_.nodes.size() == 0 || type_of(sections_.nodes[0]) != NodeType::directory)
      return damaged("has no root directory");
    ORCH_CHECK(check_nodes());
    ORCH_CHECK(check_entries());
    return check_files();
  }

 private:
  Result<> check_nodes() const {
    std::size_t entries = 0;
    std::size_t files = 0;
    for (std::size_t i = 0; i < sections_.nodes.size(); ++i) {
      const NodeRecord node = sections_.nodes[i];
      const NodeType type = type_of(node);
      if (node.mode >= k_mode_bits || type > NodeType::socket)
        return damaged("has a node of an unknown kind");
      if (type == NodeType::directory) {
        if (node.first != entries || node.second > sections_.entries.size() - entries)
          return damaged("has entries that belong to no directory");
        entries += node.second;
      } else if (type == NodeType::file) {
        if (node.first != 0 && node.first != ++files) return damaged("has ELF files in another order");
        if (node.second >= texts_) return damaged("has a content that is not there");
      } else if (type == NodeType::symlink ? node.first >= texts_ : node.first != 0) {
        return damaged("has a link without a target");
      }
    }
    if (entries != sections_.entries.size() || files != sections_.files.size())
      return damaged("has entries or ELF files that belong to nothing");
    return {};
  }

  Result<> check_entries() const {
    bool all = true;
    for (std::size_t i = 0; i < sections_.entries.size(); ++i) {
      const EntryRecord entry = sections_.entries[i];
      all &= entry.name < texts_ && entry.node < sections_.nodes.size();
    }
    if (!all) return damaged("has an entry that leads nowhere");
    return {};
  }

  bool are_texts(std::size_t first, std::size_t count) const {
    bool all = true;
    for (std::size_t i = first; i < first + count; ++i) all &= sections_.words[i] < texts_;
    return all;
  }

  Result<> check_files() const {
    std::size_t words = 0;
    for (std::size_t i = 0; i < sections_.files.size(); ++i) {
      const FileRecord file = sections_.files[i];
      const bool texts = file.interpreter < texts_ && file.soname < texts_ && file.glibc < texts_ &&
                         file.build_id < texts_ && file.defect < texts_;
      if (!texts || file.bits >= k_file_bits || file.reserved != 0 || file.layout == 1 ||
          file.first != words || file.words() > sections_.words.size() - words)
        return damaged("has an ELF file with impossible facts");
      std::size_t at = words + file.needed + file.rpath + file.runpath;
      bool sound = are_texts(words, at - words);
      for (std::size_t need = 0; need < file.versions; ++need, at += 2)
        sound &= sections_.words[at] < texts_ && (sections_.words[at + 1] & ~k_weak) < texts_;
      sound &= are_texts(at, std::size_t{file.definitions} + file.hints);
      at += std::size_t{file.definitions} + file.hints;
      if (file.layout != 0)
        sound &= are_texts(at, 1) && sections_.words[at + 1] <= 1 && are_texts(at + 2, file.layout - 2);
      if (!sound) return damaged("has an ELF file with impossible names");
      words += file.words();
    }
    if (words != sections_.words.size()) return damaged("has names that belong to nothing");
    return {};
  }

  const Sections& sections_;
  std::size_t texts_;
};

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
    record.links = info.links;
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

Result<Sections> open(std::string_view bytes) {
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
  section(out.nodes, header.nodes);
  section(out.files, header.files);
  section(out.entries, header.entries);
  section(out.words, header.words);
  section(out.text_ends, header.texts);
  out.pool = {at, header.pool};
  ORCH_CHECK(Checker(out).run());
  return out;
}

Result<std::string> write(const Draft& draft) {
  return Writer().run(draft);
}

}  // namespace orch::elf::index_form
