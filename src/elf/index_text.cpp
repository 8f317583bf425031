// The text form of an index, both ways.
#include "base/text.hpp"
#include "elf/facts_codec.hpp"
#include "elf/index.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace orch::elf {

using base::ErrorKind;
using base::fail;
using image::NodeInfo;
using image::NodeType;

namespace {

constexpr std::string_view k_first_line = "appimage-orch index 1";

constexpr std::array<std::pair<NodeType, char>, 7> k_types = {{{NodeType::file, 'f'},
                                                               {NodeType::directory, 'd'},
                                                               {NodeType::symlink, 'l'},
                                                               {NodeType::char_device, 'c'},
                                                               {NodeType::block_device, 'b'},
                                                               {NodeType::fifo, 'p'},
                                                               {NodeType::socket, 's'}}};

void append_field(std::string& out, std::string_view bytes) {
  out += '\t';
  for (const char c : bytes) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
}

void append_list(std::string& out, std::string_view kind, const std::vector<std::string>& values) {
  if (values.empty()) return;
  out += kind;
  for (const std::string& value : values) append_field(out, value);
  out += '\n';
}

char letter_of(NodeType type) {
  for (const auto& [known, letter] : k_types)
    if (known == type) return letter;
  return '?';
}

}  // namespace

std::string Index::serialise() const {
  std::string out(k_first_line);
  out += '\n';
  for (const Node& node : nodes_) {
    const NodeInfo& info = node.info;
    out += fmt::format("{}\t{:o}\t{}\t{}\t{}\t{}\t{}{}{}", letter_of(info.type), info.mode, info.size,
                       info.links, info.device_major, info.device_minor, info.opaque ? "o" : "",
                       info.redirected ? "r" : "", info.whiteout_mark ? "w" : "");
    append_field(out, node.target);
    out += '\n';
    for (const Entry& entry : node.entries) {
      out += fmt::format(">\t{}", entry.node);
      append_field(out, entry.name);
      out += '\n';
    }
    if (node.content) append_list(out, "=", {*node.content});
    if (!node.elf) continue;
    append_list(out, "E", {encode_facts(node.elf->facts)});
    append_list(out, "H", node.elf->hints);
    if (node.elf->layout) append_list(out, "L", {encode_layout(*node.elf->layout)});
  }
  return out;
}

// Reads the lines in order; what they say belongs to the node that came last.
class IndexReader {
 public:
  Result<std::shared_ptr<const Index>> run(std::string_view text) {
    bool first = true;
    while (!text.empty()) {
      ++line_;
      const std::size_t end = text.find('\n');
      if (end == std::string_view::npos) return damaged("is cut off");
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(end + 1);
      if (first && line != k_first_line) return damaged("is no index of this version");
      if (!first) ORCH_CHECK(record(line));
      first = false;
    }
    if (index_->nodes_.empty() || index_->nodes_.front().info.type != NodeType::directory)
      return damaged("has no root directory");
    ORCH_CHECK(check_entries());
    return std::shared_ptr<const Index>(std::move(index_));
  }

 private:
  tl::unexpected<base::Error> damaged(std::string_view what) const {
    return fail(ErrorKind::corrupt, fmt::format("line {} of an index {}", line_, what));
  }

  // The next field; empty at the end of the line. `fields_` is what is left of it.
  std::string next() {
    const std::size_t end = std::min(fields_.find('\t'), fields_.size());
    const std::string_view raw = fields_.substr(0, end);
    fields_.remove_prefix(std::min(end + 1, fields_.size()));
    if (raw.find('\\') == std::string_view::npos) return std::string(raw);
    std::string out;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '\\' || i + 1 == raw.size()) {
        out += raw[i];
        continue;
      }
      const char kind = raw[++i];
      out += kind == 't' ? '\t' : kind == 'n' ? '\n' : kind;
    }
    return out;
  }
  template <class T>
  void number(T& out, int base = 10) {
    const std::size_t end = std::min(fields_.find('\t'), fields_.size());
    const auto [stop, error] = std::from_chars(fields_.data(), fields_.data() + end, out, base);
    if (error != std::errc() || stop != fields_.data() + end) bad_number_ = true;
    fields_.remove_prefix(std::min(end + 1, fields_.size()));
  }
  std::vector<std::string> rest() {
    std::vector<std::string> out;
    bool more = true;
    while (more) {
      more = fields_.find('\t') != std::string_view::npos;
      out.push_back(next());
    }
    return out;
  }

  Result<> record(std::string_view line) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos || tab == 0) return damaged("is damaged");
    const std::string_view kind = line.substr(0, tab);
    fields_ = line.substr(tab + 1);
    const bool known = kind.size() == 1 && read_node(kind.front());
    if (!known && index_->nodes_.empty()) return damaged("is damaged");
    if (!known && !read_detail(kind)) return damaged("is damaged");
    if (bad_number_) return damaged("has a field that should be a number");
    return {};
  }

  bool read_node(char letter) {
    for (const auto& [type, known] : k_types) {
      if (known != letter) continue;
      Index::Node& node = index_->nodes_.emplace_back();
      NodeInfo& info = node.info;
      info.type = type;
      number(info.mode, 8);
      number(info.size);
      number(info.links);
      number(info.device_major);
      number(info.device_minor);
      const std::string marks = next();
      info.opaque = marks.find('o') != std::string::npos;
      info.redirected = marks.find('r') != std::string::npos;
      info.whiteout_mark = marks.find('w') != std::string::npos;
      node.target = next();
      return true;
    }
    return false;
  }

  bool read_detail(std::string_view kind) {
    Index::Node& node = index_->nodes_.back();
    if (kind == ">") {
      Index::Entry entry;
      number(entry.node);
      entry.name = next();
      node.entries.push_back(std::move(entry));
      return true;
    }
    if (kind == "=") {
      node.content = next();
      return true;
    }
    if (kind == "E") {
      Result<Facts> facts = decode_facts(next());
      if (!facts) return false;
      node.elf = std::make_unique<Index::ElfFile>();
      node.elf->facts = *std::move(facts);
      return true;
    }
    if (!node.elf) return false;
    if (kind == "H") {
      node.elf->hints = rest();
      return true;
    }
    if (kind != "L") return false;
    Result<LoaderLayout> layout = decode_layout(next());
    if (!layout) return false;
    node.elf->layout = *std::move(layout);
    return true;
  }

  // Entries lead to nodes that there are, in byte order, and a directory has one name.
  Result<> check_entries() const {
    std::vector<bool> named(index_->nodes_.size());
    named[0] = true;
    for (const Index::Node& node : index_->nodes_) {
      const std::string* before = nullptr;
      for (const Index::Entry& entry : node.entries) {
        const bool fits = node.info.type == NodeType::directory && image::is_valid_name(entry.name) &&
                          (before == nullptr || *before < entry.name) && entry.node < named.size();
        if (!fits || (named[entry.node] && index_->nodes_[entry.node].info.type == NodeType::directory))
          return fail(ErrorKind::corrupt, "a directory in an index has an impossible entry");
        named[entry.node] = true;
        before = &entry.name;
      }
    }
    return {};
  }

  std::shared_ptr<Index> index_{new Index()};
  std::string_view fields_;
  std::size_t line_ = 0;
  bool bad_number_ = false;
};

Result<std::shared_ptr<const Index>> Index::parse(std::string_view text) {
  return IndexReader().run(text);
}

}  // namespace orch::elf
