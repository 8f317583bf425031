#include "image/loader_link.hpp"

#include "base/text.hpp"
#include "image/interpreter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

namespace orch::image {

using base::printable;

namespace {

using Decision = LoaderObservation::Decision;

struct LoaderKind {
  std::string_view arch;
  std::string_view path;       // "/lib64/ld-linux-x86-64.so.2"
  std::string_view directory;  // "lib64"
  std::string_view name;       // "ld-linux-x86-64.so.2"
  std::uint16_t machine;
  std::array<std::string_view, 6> places;  // directories that distributions keep it in, best first
};

constexpr std::array k_kinds = {
    LoaderKind{"x86_64",
               "/lib64/ld-linux-x86-64.so.2",
               "lib64",
               "ld-linux-x86-64.so.2",
               62,
               {"usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib", "lib/x86_64-linux-gnu", "lib",
                "usr/x86_64-linux-gnu/lib"}},
    LoaderKind{"i386",
               "/lib/ld-linux.so.2",
               "lib",
               "ld-linux.so.2",
               3,
               {"usr/lib", "usr/lib32", "usr/lib/i386-linux-gnu", "lib32", "lib/i386-linux-gnu",
                "usr/i386-linux-gnu/lib"}},
};

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(path.substr(0, slash == std::string_view::npos ? 0 : slash));
}

std::string join(std::string_view directory, std::string_view name) {
  return directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
}

class Observer {
 public:
  Observer(const FileTree& view, const LoaderKind& kind) : view_(view), kind_(kind) {}

  Result<LoaderObservation> run() {
    out_.arch = kind_.arch;
    out_.path = kind_.path;
    ORCH_TRY(out_.found, fex_resolve(view_, kind_.path, FexLookup::loader));
    if (out_.found.outcome == FexPath::Outcome::found) {
      ORCH_TRY(out_.found_kind, kind_at(view_, out_.found));
      if (out_.found_kind == kind_.arch)
        return decide(Decision::resolves, fmt::format("it leads to '{}'", printable(out_.found.path)));
      if (out_.found.type != NodeType::directory)
        return decide(
            Decision::other_machine,
            fmt::format("it leads to '{}', which is {} and not replaced", printable(out_.found.path),
                        out_.found_kind == "no ELF file" ? out_.found_kind : "for " + out_.found_kind));
    }
    ORCH_CHECK(look_elsewhere());
    if (out_.elsewhere.empty())
      return decide(Decision::no_loader,
                    fmt::format("no directory of the view has a '{}' for {}", kind_.name, kind_.arch));
    return plan();
  }

 private:
  LoaderObservation decide(Decision decision, std::string reason) {
    out_.decision = decision;
    out_.reason = std::move(reason);
    return std::move(out_);
  }

  Result<> look_elsewhere() {
    for (const std::string_view place : kind_.places) {
      const std::string path = join(place, kind_.name);
      ORCH_TRY(const FexPath found, fex_resolve(view_, "/" + path, FexLookup::loader));
      if (found.outcome != FexPath::Outcome::found) continue;
      ORCH_TRY(const std::string what, kind_at(view_, found));
      if (what != kind_.arch) continue;
      // By the real directory: the link must not depend on links that another layer may change.
      ORCH_TRY(const Resolution directory, resolve(view_, place, Links::leave));
      const std::string real =
          directory.outcome == Resolution::Outcome::found ? join(directory.path, kind_.name) : found.path;
      if (std::find(out_.elsewhere.begin(), out_.elsewhere.end(), real) == out_.elsewhere.end())
        out_.elsewhere.push_back(real);
    }
    return {};
  }

  void add_link(std::string path, std::string_view to) {
    std::string target = relative_target(path, to);
    out_.links.push_back({std::move(path), std::move(target)});
  }

  // The loader's directory has to be a directory of the view: a real one, or what a relative link leads to.
  Result<LoaderObservation> plan() {
    const std::string& loader = out_.elsewhere.front();
    ORCH_TRY(const std::optional<DirEntry> top, view_.lookup(view_.root(), kind_.directory));
    if (top && top->type != NodeType::directory && top->type != NodeType::symlink)
      return decide(Decision::blocked, fmt::format("'{}' is a {}, expected a directory or a link to one",
                                                   kind_.directory, to_string(top->type)));
    ORCH_TRY(const Resolution directory, resolve(view_, kind_.directory, Links::leave));
    if (directory.outcome == Resolution::Outcome::found && directory.type == NodeType::directory)
      return link_inside(directory, loader);
    // Absent, dangling, or absolute, which FEX follows to the host: a link over nothing or over a link.
    ORCH_TRY(const std::string target, real_directory(top.has_value()));
    std::optional<DirEntry> inside;
    if (!target.empty()) {
      ORCH_TRY(const Resolution real, resolve(view_, target, Links::in_root));
      ORCH_TRY(inside, view_.lookup(real.node, kind_.name));
    }
    // What the name should lead to cannot take a link: it leads to the loader's own directory.
    if (target.empty() || join(target, kind_.name) == loader ||
        (inside && inside->type != NodeType::symlink)) {
      add_link(std::string(kind_.directory), parent_of(loader));
      return decide(
          Decision::linked,
          fmt::format("'{}' {}, and the loader is '{}'", kind_.directory,
                      top ? "is a link that FEX does not follow there" : "is absent", printable(loader)));
    }
    add_link(std::string(kind_.directory), target);
    add_link(join(target, kind_.name), loader);
    return decide(Decision::linked, fmt::format("'{}' does not lead to '{}', and the loader is '{}'",
                                                kind_.directory, printable(target), printable(loader)));
  }

  Result<LoaderObservation> link_inside(const Resolution& directory, const std::string& loader) {
    ORCH_TRY(const std::optional<DirEntry> inside, view_.lookup(directory.node, kind_.name));
    const std::string path = join(directory.path, kind_.name);
    if (inside && inside->type != NodeType::symlink)
      return decide(Decision::blocked, fmt::format("'{}' is a {}", printable(path), to_string(inside->type)));
    add_link(path, loader);
    return decide(Decision::linked,
                  fmt::format("'{}' {}, and the loader is '{}'", printable(path),
                              inside ? "is a link that leads to no loader" : "is absent", printable(loader)));
  }

  // The directory that the top directory's name should lead to: where its link points within the root, or
  // usr/NAME. Empty: neither is there.
  Result<std::string> real_directory(bool has_link) const {
    if (has_link) {
      ORCH_TRY(const Resolution in_root, resolve(view_, kind_.directory, Links::in_root));
      if (in_root.outcome == Resolution::Outcome::found && in_root.type == NodeType::directory)
        return in_root.path;
    }
    ORCH_TRY(const Resolution merged, resolve(view_, fmt::format("usr/{}", kind_.directory), Links::in_root));
    if (merged.outcome == Resolution::Outcome::found && merged.type == NodeType::directory)
      return merged.path;
    return std::string();
  }

  const FileTree& view_;
  const LoaderKind& kind_;
  LoaderObservation out_;
};

}  // namespace

std::string_view to_string(LoaderObservation::Decision decision) {
  switch (decision) {
    case Decision::resolves:
      return "resolves";
    case Decision::linked:
      return "linked";
    case Decision::no_loader:
      return "no-loader";
    case Decision::other_machine:
      return "other-machine";
    case Decision::blocked:
      return "blocked";
  }
  return "unknown";
}

Result<std::vector<LoaderObservation>> observe_loaders(const FileTree& view) {
  std::vector<LoaderObservation> out;
  for (const LoaderKind& kind : k_kinds) {
    ORCH_TRY(LoaderObservation one, Observer(view, kind).run());
    out.push_back(std::move(one));
  }
  return out;
}

std::string relative_target(std::string_view link, std::string_view to) {
  std::vector<std::string_view> from = base::split(link, '/');
  from.pop_back();
  const std::vector<std::string_view> target = base::split(to, '/');
  std::size_t common = 0;
  while (common < from.size() && common + 1 < target.size() && from[common] == target[common]) ++common;
  std::string out;
  for (std::size_t i = common; i < from.size(); ++i) out += "../";
  for (std::size_t i = common; i < target.size(); ++i) out.append(i == common ? "" : "/").append(target[i]);
  return out;
}

}  // namespace orch::image
