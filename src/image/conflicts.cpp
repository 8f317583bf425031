#include "image/conflicts.hpp"

#include "base/text.hpp"
#include "hash/digest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace orch::image {

std::string_view to_string(FactKind kind) {
  switch (kind) {
    case FactKind::same_content:
      return "same content";
    case FactKind::different_content:
      return "different content";
    case FactKind::type_conflict:
      return "type conflict";
    case FactKind::directory_attributes:
      return "directory attributes";
    case FactKind::whiteout:
      return "whiteout";
    case FactKind::opaque_directory:
      return "opaque directory";
    case FactKind::redirect_mark:
      return "redirect mark";
    case FactKind::device_node:
      return "device node";
    case FactKind::fifo_or_socket:
      return "fifo or socket";
    case FactKind::set_id_bits:
      return "set-id bits";
    case FactKind::absolute_directory_link:
      return "absolute link to a directory";
  }
  return "unknown";
}

std::string name_of(const LayerFact& fact) {
  if (fact.kind == FactKind::type_conflict && fact.type_below)
    return fmt::format("{} over {}", to_string(fact.type), to_string(*fact.type_below));
  return std::string(to_string(fact.kind));
}

bool concerns_stack(FactKind kind) {
  return kind == FactKind::same_content || kind == FactKind::different_content ||
         kind == FactKind::type_conflict || kind == FactKind::directory_attributes ||
         kind == FactKind::absolute_directory_link;
}

namespace {

struct Described {
  NodeInfo info;
  std::string text;
  std::string identity;  // equal exactly where the contents are
};

Result<std::string> file_digest(const FileTree& tree, NodeId file) {
  ORCH_TRY(const std::unique_ptr<RandomAccess> data, tree.open(file));
  std::vector<std::uint8_t> buffer(std::size_t{1} << 18);
  hash::Sha256Hasher hasher;
  for (std::uint64_t at = 0;;) {
    ORCH_TRY(const std::size_t got, data->read_at(at, buffer));
    if (got == 0) break;
    hasher.update(buffer.data(), got);
    at += got;
  }
  return hasher.finish().hex();
}

enum class Contents { read, skip };

Result<Described> describe(const FileTree& tree, NodeId node, Contents contents) {
  Described out;
  ORCH_TRY(out.info, tree.stat(node));
  switch (out.info.type) {
    case NodeType::file:
      out.text = fmt::format("file of {} bytes", out.info.size);
      if (contents == Contents::read) {
        ORCH_TRY(out.identity, file_digest(tree, node));
        out.text += ", sha256 " + out.identity;
      }
      break;
    case NodeType::directory:
      out.text =
          fmt::format("directory, mode {:04o}, owner {}:{}", out.info.mode, out.info.uid, out.info.gid);
      out.identity = out.text;
      break;
    case NodeType::symlink: {
      ORCH_TRY(out.identity, tree.readlink(node));
      out.text = fmt::format("symlink to '{}'", base::printable(out.identity));
      break;
    }
    case NodeType::char_device:
    case NodeType::block_device:
      out.identity = fmt::format("{}:{}", out.info.device_major, out.info.device_minor);
      out.text = fmt::format("{} {}", to_string(out.info.type), out.identity);
      break;
    case NodeType::fifo:
    case NodeType::socket:
      out.text = to_string(out.info.type);
      break;
  }
  return out;
}

// The layer `top` beside the view of what is below, and above it.
class Comparison {
 public:
  Comparison(const Layer& top, const MergedView* below, const MergedView& all)
      : top_(*top.tree), below_(below), all_(all) {
    if (below_ != nullptr) directories_below_[""] = below_->root();
  }

  Result<> visit(const WalkEntry& entry) {
    ORCH_TRY(const std::optional<DirEntry> under, below(entry.path));
    const bool both_files = under && under->type == NodeType::file && entry.type == NodeType::file;
    const Contents contents = both_files ? Contents::read : Contents::skip;
    ORCH_TRY(const Described above, describe(top_, entry.node, contents));
    LayerFact fact;
    fact.path = entry.path;
    fact.type = entry.type;
    fact.above = above.text;
    Described hidden;
    if (under) {
      ORCH_TRY(hidden, describe(*below_, under->node, contents));
      fact.type_below = under->type;
      fact.layer_below = below_->layer_of(under->node);
      fact.below = hidden.text;
      if (under->type == NodeType::directory) directories_below_[entry.path] = under->node;
    }
    ORCH_CHECK(add_own(fact, above));
    if (under && !is_whiteout(above.info)) add_overlap(fact, above, hidden);
    return {};
  }

  std::vector<LayerFact> take() && {
    std::sort(facts_.begin(), facts_.end(), [](const LayerFact& a, const LayerFact& b) {
      return std::tie(a.path, a.kind) < std::tie(b.path, b.kind);
    });
    return std::move(facts_);
  }

 private:
  // What the layers below have at a path of the top layer.
  Result<std::optional<DirEntry>> below(const std::string& path) const {
    const std::size_t slash = path.rfind('/');
    const auto parent = directories_below_.find(slash == std::string::npos ? "" : path.substr(0, slash));
    if (parent == directories_below_.end()) return std::optional<DirEntry>();
    return below_->lookup(parent->second, path.substr(slash + 1));
  }

  void add(const LayerFact& fact, FactKind kind) {
    facts_.push_back(fact);
    facts_.back().kind = kind;
  }

  Result<> add_own(const LayerFact& fact, const Described& above) {
    const NodeInfo& info = above.info;
    if (info.redirected) add(fact, FactKind::redirect_mark);
    if (info.opaque) add(fact, FactKind::opaque_directory);
    if (is_whiteout(info)) {
      add(fact, FactKind::whiteout);
      return {};
    }
    if (info.type == NodeType::char_device || info.type == NodeType::block_device)
      add(fact, FactKind::device_node);
    if (info.type == NodeType::fifo || info.type == NodeType::socket) add(fact, FactKind::fifo_or_socket);
    if (info.type == NodeType::file && (info.mode & 06000U) != 0) {
      LayerFact bits = fact;
      bits.above += fmt::format(", mode {:04o}", info.mode);
      add(bits, FactKind::set_id_bits);
    }
    if (info.type == NodeType::symlink && above.identity.starts_with('/')) {
      ORCH_TRY(const Resolution leads, resolve(all_, above.identity, Links::in_root));
      if (leads.outcome == Resolution::Outcome::found && leads.type == NodeType::directory)
        add(fact, FactKind::absolute_directory_link);
    }
    return {};
  }

  void add_overlap(const LayerFact& fact, const Described& above, const Described& hidden) {
    if (above.info.type != hidden.info.type)
      add(fact, FactKind::type_conflict);
    else if (above.info.type != NodeType::directory)
      add(fact, above.identity == hidden.identity ? FactKind::same_content : FactKind::different_content);
    else if (above.identity != hidden.identity)
      add(fact, FactKind::directory_attributes);
  }

  const FileTree& top_;
  const MergedView* below_;
  const MergedView& all_;
  std::map<std::string, NodeId> directories_below_;  // those that a directory of the top is united with
  std::vector<LayerFact> facts_;
};

}  // namespace

Result<std::vector<LayerFact>> compare_layers(const std::vector<Layer>& below, const Layer& top) {
  std::unique_ptr<MergedView> view;
  if (!below.empty()) {
    ORCH_TRY(view, MergedView::make(below, OneLayer::overlay));
  }
  std::vector<Layer> stack = below;
  stack.push_back(top);
  ORCH_TRY(const std::unique_ptr<MergedView> all, MergedView::make(std::move(stack), OneLayer::overlay));
  Comparison comparison(top, view.get(), *all);
  ORCH_CHECK(walk(*top.tree, [&](const WalkEntry& entry) { return comparison.visit(entry); }));
  return std::move(comparison).take();
}

}  // namespace orch::image
