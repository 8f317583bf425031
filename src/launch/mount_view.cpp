#include "launch/mount_view.hpp"

#include "launch/loop_device.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

// <sys/mount.h> and <linux/mount.h> cannot both be included with every glibc; these are all that is used of
// the former.
extern "C" {
int mount(const char*, const char*, const char*, unsigned long, const void*) noexcept;
int umount2(const char*, int) noexcept;
}

namespace orch::launch {

namespace {

using sys::Fd;
using Failure = std::optional<SetupFailure>;

constexpr int k_detach = 2;               // MNT_DETACH
constexpr unsigned k_recursive = 0x8000;  // AT_RECURSIVE
constexpr char k_separator = '\0';

SetupFailure failed(std::string step, std::string path) {
  return {std::move(step), errno, std::move(path), {}};
}

// System calls that glibc has no wrapper for in every supported version.
int open_tree(const char* path) {
  return static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | k_recursive));
}
int move_mount(int from, int to) {
  return static_cast<int>(
      ::syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}
// As if `root` were the root directory: no link in the view can lead out of it.
int open_in(int root, const std::string& path, unsigned long long flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  return static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
}

bool write_text(const char* path, std::string_view text) {
  const Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Makes PATH below the directory `base` of our own tmpfs: a directory, or an empty file. Present ones stay.
bool make_target(const std::string& base, const std::string& path, Bind::Kind kind) {
  const mode_t k_mode = 0755;
  std::size_t slash = 0;
  while ((slash = path.find('/', slash + 1)) != std::string::npos)
    if (::mkdir((base + path.substr(0, slash)).c_str(), k_mode) != 0 && errno != EEXIST) return false;
  const std::string full = base + path;
  if (kind != Bind::Kind::file) return ::mkdir(full.c_str(), k_mode) == 0 || errno == EEXIST;
  return static_cast<bool>(Fd(::open(full.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
}

class View {
 public:
  explicit View(const ViewPlan& plan) : plan_(plan) {}

  Failure enter() {
    Failure failure = enter_namespace(plan_);
    if (!failure) failure = open_sources();
    if (!failure) failure = open_scratch();
    if (!failure) failure = mount_layers();
    if (!failure) failure = lay_over();
    if (!failure) failure = bind_all();
    if (!failure) failure = pivot();
    return failure;
  }

 private:
  struct Source {
    Bind bind;
    Fd tree;  // not open for an empty directory
  };

  // Before anything is mounted, so that every path means what it means to the caller.
  Failure open_sources() {
    for (const ViewLayer& layer : plan_.layers) {
      const bool image = layer.kind == ViewLayer::Kind::image;
      Fd fd(image ? ::open(layer.path.c_str(), O_RDONLY | O_CLOEXEC) : open_tree(layer.path.c_str()));
      if (!fd) return failed("open-image", layer.path);
      layers_.push_back(std::move(fd));
    }
    for (const Bind& bind : plan_.binds) {
      Source source{bind, Fd()};
      if (bind.kind != Bind::Kind::empty) source.tree.reset(open_tree(bind.path.c_str()));
      if (!source.tree && bind.kind != Bind::Kind::empty) {
        if (bind.need == Bind::Need::required) return failed("bind", bind.path);
        continue;
      }
      sources_.push_back(std::move(source));
    }
    return {};
  }

  // A tmpfs of our own over some directory that is on every machine; nobody else sees it.
  Failure open_scratch() {
    for (const char* path : {"/tmp", "/mnt", "/run", "/var/tmp"})
      if (::mount("scratch", path, "tmpfs", 0, "mode=0755,size=16m") == 0) {
        if (::chdir(path) != 0) return failed("scratch", path);
        return {};
      }
    return failed("scratch", "/tmp");
  }

  Failure mount_layers() {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const std::string name = fmt::format("{}", i);
      if (::mkdir(name.c_str(), 0755) != 0) return failed("scratch", name);
      const ViewLayer& layer = plan_.layers[i];
      if (layer.kind == ViewLayer::Kind::directory) {
        const Fd target(::open(name.c_str(), O_PATH | O_CLOEXEC));
        if (move_mount(layers_[i].get(), target.get()) != 0) return failed("mount-directory", layer.path);
      } else if (!mount_image(layers_[i].get(), name)) {
        return failed("mount-image", layer.path);
      }
    }
    return {};
  }

  // File-backed where the kernel can (6.12, and not from tmpfs: ENOTBLK), through a loop device otherwise.
  static bool mount_image(int image, const std::string& target) {
    const std::string source = fmt::format("/proc/self/fd/{}", image);
    if (::mount(source.c_str(), target.c_str(), "erofs", MS_RDONLY | MS_NODEV, "") == 0) return true;
    if (errno != ENOTBLK) return false;
    const sys::Result<LoopDevice> loop = LoopDevice::attach(image);
    return loop && ::mount(loop->path().c_str(), target.c_str(), "erofs", MS_RDONLY | MS_NODEV, "") == 0;
  }

  // The overlay of all layers. Targets of the binds that no layer has come from an empty skeleton at the
  // bottom, so that it hides nothing of the stack; those that cannot be reached there (a dangling link, a
  // file in the place of a directory) from a second one on top.
  Failure lay_over() {
    if (::mkdir("bottom", 0755) != 0 || ::mkdir("top", 0755) != 0 || ::mkdir("view", 0755) != 0)
      return failed("scratch", "bottom");
    for (const Source& source : sources_)
      if (!make_target("bottom", source.bind.path, source.bind.kind))
        return failed("scratch", source.bind.path);
    std::string lower = "bottom";
    for (std::size_t i = 0; i < layers_.size(); ++i) lower.insert(0, fmt::format("{}:", i));
    if (!mount_overlay(lower)) return failed("overlay", lower);
    bool covered = false;
    for (const Source& source : sources_) {
      if (usable_target(source.bind)) continue;
      covered = true;
      if (!make_target("top", source.bind.path, source.bind.kind)) return failed("scratch", source.bind.path);
    }
    if (!covered) return {};
    ::umount2("view", k_detach);
    return mount_overlay("top:" + lower) ? Failure() : failed("overlay", lower);
  }

  static bool mount_overlay(const std::string& lower) {
    const std::string options = "lowerdir=" + lower;
    return ::mount("overlay", "view", "overlay", MS_RDONLY, options.c_str()) == 0;
  }

  static bool usable_target(const Bind& bind) {
    const Fd view(::open("view", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const Fd target(open_in(view.get(), bind.path, O_PATH));
    struct stat info {};
    if (!target || ::fstat(target.get(), &info) != 0) return false;
    return S_ISDIR(info.st_mode) != (bind.kind == Bind::Kind::file);
  }

  Failure bind_all() {
    const Fd view(::open("view", O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (const Source& source : sources_) {
      const Bind& bind = source.bind;
      Fd target(open_in(view.get(), bind.path, O_PATH));
      if (!target && errno == ENOENT && make_target("view", bind.path, bind.kind))  // below a tmpfs of ours
        target.reset(open_in(view.get(), bind.path, O_PATH));
      if (!target) return failed("bind", bind.path);
      const bool bound = bind.kind == Bind::Kind::empty ? mount_empty(target.get())
                                                        : move_mount(source.tree.get(), target.get()) == 0;
      if (!bound) return failed("bind", bind.path);
    }
    return {};
  }

  static bool mount_empty(int target) {
    const std::string path = fmt::format("/proc/self/fd/{}", target);
    return ::mount("empty", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") == 0;
  }

  // pivot_root(".", ".") stacks the old root on the new one, from where it is taken away (pivot_root(2),
  // NOTES).
  Failure pivot() {
    if (::chdir("view") != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0) return failed("pivot", "/");
    if (::umount2(".", k_detach) != 0 || ::chdir("/") != 0) return failed("pivot", "/");
    const std::string directory = plan_.directory.empty() ? "/" : plan_.directory;
    if (::chdir(directory.c_str()) != 0) return failed("directory", directory);
    return {};
  }

  const ViewPlan& plan_;
  std::vector<Fd> layers_;
  std::vector<Source> sources_;
};

}  // namespace

std::string encode(const SetupFailure& failure) {
  std::string out = failure.step;
  for (const std::string& field : {fmt::format("{}", failure.number), failure.path, failure.detail}) {
    out += k_separator;
    out += field;
  }
  return out;
}

std::optional<SetupFailure> decode(std::string_view text) {
  std::array<std::string, 4> fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::size_t end = i + 1 < fields.size() ? text.find(k_separator) : text.size();
    if (end == std::string_view::npos) return std::nullopt;
    fields[i] = std::string(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  int number = 0;
  for (const char digit : fields[1]) number = number * 10 + (digit - '0');
  return SetupFailure{fields[0], number, fields[2], fields[3]};
}

std::optional<SetupFailure> enter_namespace(const ViewPlan& plan) {
  const bool user = plan.privilege == ViewPlan::Privilege::user_namespace;
  if (::unshare(CLONE_NEWNS | (user ? CLONE_NEWUSER : 0)) != 0) return failed("namespace", "");
  if (user) {
    write_text("/proc/self/setgroups", "deny");
    if (!write_text("/proc/self/uid_map", fmt::format("{0} {0} 1", plan.uid)) ||
        !write_text("/proc/self/gid_map", fmt::format("{0} {0} 1", plan.gid)))
      return failed("id-map", "/proc/self/uid_map");
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return failed("private", "/");
  return std::nullopt;
}

std::optional<SetupFailure> enter_view(const ViewPlan& plan) {
  return View(plan).enter();
}

}  // namespace orch::launch
