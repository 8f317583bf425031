#include "launch/binds.hpp"

#include "sys/file.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace orch::launch {

namespace {

constexpr std::array k_stack_folders = {"/usr",   "/bin",    "/sbin", "/lib", "/lib32",
                                        "/lib64", "/libx32", "/etc",  "/boot"};
constexpr std::array k_trees = {"/dev",  "/proc",  "/sys", "/tmp", "/var/tmp",
                                "/home", "/media", "/mnt", "/srv"};
constexpr std::array k_files = {"/etc/resolv.conf", "/etc/passwd",    "/etc/group",
                                "/etc/hosts",       "/etc/localtime", "/etc/machine-id"};

class Plan {
 public:
  void add(const std::string& path, Bind::Kind kind, Bind::Need need = Bind::Need::optional) {
    if (path.empty() || path[0] != '/') return;
    wanted_.push_back({sys::absolute_path(path), kind, need});
  }

  // The user's own places; those inside of the stack's folders are the stack's.
  void add_place(const std::string& path, Bind::Need need = Bind::Need::optional) {
    if (path.empty() || path == "/run" || belongs_to_stack(sys::absolute_path(path))) return;
    add(path, Bind::Kind::tree, need);
  }

  std::vector<Bind> take() {
    const auto before = [](const Bind& a, const Bind& b) { return a.path < b.path; };
    std::stable_sort(wanted_.begin(), wanted_.end(), before);
    std::vector<Bind> out;
    for (Bind& bind : wanted_) {
      const auto shows = [&bind](const Bind& earlier) {
        if (earlier.path == bind.path) return true;
        return earlier.kind == Bind::Kind::tree && sys::path_within(bind.path, earlier.path).has_value();
      };
      // What has to be there is kept even where an optional parent may be absent: binding it twice does no
      // harm.
      const auto same = std::find_if(out.begin(), out.end(), shows);
      if (same == out.end())
        out.push_back(std::move(bind));
      else if (bind.need == Bind::Need::required && same->path == bind.path)
        same->need = Bind::Need::required;
    }
    return out;
  }

 private:
  std::vector<Bind> wanted_;
};

}  // namespace

bool belongs_to_stack(const std::string& path) {
  if (path == "/") return true;
  return std::any_of(k_stack_folders.begin(), k_stack_folders.end(),
                     [&path](const char* folder) { return sys::path_within(path, folder).has_value(); });
}

std::vector<Bind> plan_binds(const model::LaunchSpec& spec, const sys::Environment& host) {
  const auto variable = [&host](const char* name) {
    const auto found = host.find(name);
    return found == host.end() ? std::string() : found->second;
  };
  Plan plan;
  for (const char* path : k_trees) plan.add(path, Bind::Kind::tree);
  for (const char* path : k_files) plan.add(path, Bind::Kind::file);
  plan.add("/run", Bind::Kind::empty);
  plan.add_place(variable("HOME"));
  plan.add_place(variable("XDG_RUNTIME_DIR"));
  plan.add_place(spec.directory);
  if (!spec.appdir.empty()) plan.add(spec.appdir, Bind::Kind::tree, Bind::Need::required);
  if (!spec.appimage.empty()) {
    if (belongs_to_stack(sys::parent_path(spec.appimage)))
      plan.add(spec.appimage, Bind::Kind::file);
    else
      plan.add_place(sys::parent_path(spec.appimage));
  }
  return plan.take();
}

}  // namespace orch::launch
