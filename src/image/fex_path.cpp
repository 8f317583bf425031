#include "image/fex_path.hpp"

#include <iterator>
#include <optional>
#include <utility>

namespace orch::image {

namespace {

// The kernel's own limit for links in one path; FEX has none for its rounds.
constexpr int k_max_rounds = 40;

std::string join(std::string_view directory, std::string_view rest) {
  std::string out(directory);
  if (!rest.empty() && !out.ends_with('/')) out += '/';
  return out.append(rest);
}

// What of the host's `path` lies in the directory `root`, as a path in it; nullopt if it lies elsewhere.
std::optional<std::string> below(std::string_view path, std::string_view root) {
  if (!path.starts_with(root)) return std::nullopt;
  path.remove_prefix(root.size());
  if (!path.empty() && path.front() != '/') return std::nullopt;
  return std::string(path);
}

// The host's path that a search has left the RootFS for.
std::string host_path(const Resolution& outside, std::string_view mounted_at) {
  if (outside.path.starts_with('/')) return join(outside.path, outside.rest);
  const std::string_view parent = mounted_at.substr(0, mounted_at.rfind('/'));
  return join(parent.empty() ? "/" : parent, outside.rest);
}

FexPath::Outcome outcome_of(Resolution::Outcome outcome) {
  switch (outcome) {
    case Resolution::Outcome::found:
      return FexPath::Outcome::found;
    case Resolution::Outcome::missing:
      return FexPath::Outcome::missing;
    case Resolution::Outcome::outside:
      return FexPath::Outcome::escapes;
    case Resolution::Outcome::loop:
      return FexPath::Outcome::loop;
  }
  return FexPath::Outcome::missing;
}

void append(std::vector<std::string>& to, std::vector<std::string>&& more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// What the kernel finds for the joined string. An absolute link may name the place of the RootFS itself.
Result<FexPath> joined(const FileTree& rootfs, std::string path, LastLink last, std::string_view mounted_at) {
  FexPath out;
  for (int round = 0; round < k_max_rounds; ++round) {
    ORCH_TRY(Resolution found, resolve(rootfs, path, Links::leave, last));
    out.outcome = outcome_of(found.outcome);
    out.node = found.node;
    out.type = found.type;
    append(out.links, std::move(found.links));
    if (out.outcome != FexPath::Outcome::escapes) {
      out.path = std::move(found.path);
      return out;
    }
    out.path = host_path(found, mounted_at);
    std::optional<std::string> inside = below(out.path, mounted_at);
    if (!inside) return out;
    path = std::move(*inside);
  }
  out.outcome = FexPath::Outcome::loop;
  return out;
}

}  // namespace

Result<FexPath> fex_resolve(const FileTree& rootfs, std::string_view path, FexLookup how,
                            std::string_view mounted_at) {
  if (how == FexLookup::open) {
    ORCH_TRY(Resolution found, resolve(rootfs, path, Links::in_root));
    return FexPath{outcome_of(found.outcome), found.node, found.type, std::move(found.path),
                   std::move(found.links)};
  }
  std::string current(path);
  std::vector<std::string> rounds;
  for (int round = 0; round < k_max_rounds; ++round) {
    ORCH_TRY(FexPath last, joined(rootfs, current, LastLink::keep, mounted_at));
    std::string target;
    if (last.outcome == FexPath::Outcome::found && last.type == NodeType::symlink) {
      ORCH_TRY(target, rootfs.readlink(last.node));
    }
    if (!target.starts_with('/')) {
      ORCH_TRY(FexPath out, joined(rootfs, std::move(current), LastLink::follow, mounted_at));
      append(rounds, std::move(out.links));
      out.links = std::move(rounds);
      return out;
    }
    append(rounds, std::move(last.links));
    rounds.push_back(target);
    current = std::move(target);
  }
  FexPath out;
  out.outcome = FexPath::Outcome::loop;
  out.path = std::move(current);
  out.links = std::move(rounds);
  return out;
}

}  // namespace orch::image
