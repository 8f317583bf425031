#include "probe/discovery.hpp"

#include "base/text.hpp"
#include "format/json.hpp"
#include "image/open_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace orch::probe {

namespace {

// muvm's own, then the same of an installation by hand: muvm's sources, bin/muvm.rs.
constexpr std::array<const char*, 2> k_image_folders = {"/usr/share/fex-emu", "/usr/local/share/fex-emu"};
constexpr const char* k_default_base = "/RootFS/default.erofs";
constexpr const char* k_of_fex = "FEX's images";  // whatever lies in FEX's folder of images
// In the order in which muvm stacks them.
constexpr std::array<const char*, 2> k_default_overlays = {"/overlays/mesa-i386.erofs",
                                                           "/overlays/mesa-x86_64.erofs"};

std::string home_of(const Places& places) {
  return sys::variable(places.environment, "HOME", "");
}

// Adds candidates of one thing, of which only the first that is usable is taken.
class Search {
 public:
  explicit Search(std::string what) : what_(std::move(what)) {}

  // `why_not`: empty where it is usable; then `why` is the reason to take it.
  void look(const std::string& path, std::string found_by, const std::string& why_not, std::string why,
            bool broken = false) {
    if (!why_not.empty())
      add(path, std::move(found_by), Candidate::Verdict::passed_over, why_not, broken);
    else if (taken_.empty())
      add(taken_ = path, std::move(found_by), Candidate::Verdict::taken, std::move(why));
    else
      add(path, std::move(found_by), Candidate::Verdict::passed_over,
          fmt::format("'{}' comes first", taken_));
  }
  void absent(const std::string& path, std::string found_by, std::string reason) {
    add(path, std::move(found_by), Candidate::Verdict::absent, std::move(reason));
  }
  bool knows(const std::string& path) const {
    return std::any_of(out_.begin(), out_.end(), [&](const Candidate& c) { return c.path == path; });
  }
  bool found() const { return !taken_.empty(); }
  std::vector<Candidate> take() { return std::move(out_); }

 private:
  void add(const std::string& path, std::string found_by, Candidate::Verdict verdict, std::string reason,
           bool broken = false) {
    out_.push_back({what_, path, std::move(found_by), verdict, std::move(reason), broken});
  }
  std::string what_;
  std::string taken_;
  std::vector<Candidate> out_;
};

// ---- programs

// Why it cannot be started; empty if it can.
std::string not_a_program(const std::string& path, const Places& places) {
  return places.tree.is_program(path) ? "" : "it is not a program that can be run";
}

void look_at_program(Search& search, const std::string& path, const std::string& found_by, std::string why,
                     const Places& places) {
  if (search.knows(path)) return;
  if (!places.tree.exists(path))
    search.absent(path, found_by, "it is not there");
  else
    search.look(path, found_by, not_a_program(path, places), std::move(why));
}

void look_on_path(Search& search, const std::string& name, const Places& places,
                  const std::string& found_by = "PATH") {
  const std::string folders = sys::variable(places.environment, "PATH");
  for (const std::string_view folder : base::split(folders, ':')) {
    const std::string path = sys::absolute_path(name, std::string(folder));
    if (folder.starts_with('/') && places.tree.exists(path))
      look_at_program(search, path, found_by, "the first on PATH", places);
  }
}

void look_in_usual_places(Search& search, const std::string& name, const Places& places) {
  std::vector<std::string> folders = {"/usr/bin", "/usr/local/bin"};
  if (const std::string home = home_of(places); !home.empty())
    folders.insert(folders.end(), {home + "/.local/bin", home + "/.cargo/bin"});
  for (const std::string& folder : folders)
    look_at_program(search, folder + "/" + name, "usual place", "where such programs lie; PATH has none",
                    places);
}

// ---- images

struct ImageKind {
  std::string name;     // "EROFS", …; empty: no image
  std::string problem;  // why it is none
  int rank = 0;         // smaller is better: what needs no conversion first
};

// Formats: Linux, fs/erofs/erofs_fs.h and fs/squashfs/squashfs_fs.h.
ImageKind image_kind(const std::string& path, const Places& places) {
  constexpr std::uint64_t k_erofs_super = 1024;
  constexpr std::string_view k_erofs_magic = "\xE2\xE1\xF5\xE0";
  constexpr std::size_t k_block_bits = 12;  // offset of the field in the superblock
  constexpr int k_guest_block_bits = 12;    // 4096 bytes
  if (places.tree.is_directory(path)) {
    const bool is_root = places.tree.is_directory(path + "/usr") && places.tree.is_directory(path + "/etc");
    return is_root ? ImageKind{"a directory, to be converted", "", 3}
                   : ImageKind{"", "a directory without usr and etc", 0};
  }
  const auto super = places.tree.read(path, k_block_bits + 1, k_erofs_super);
  const auto head = places.tree.read(path, 4);
  if (!head) return {"", head.error().what, 0};
  if (super && super->size() > k_block_bits && super->starts_with(k_erofs_magic)) {
    const int bits = static_cast<unsigned char>((*super)[k_block_bits]);
    return bits <= k_guest_block_bits
               ? ImageKind{"EROFS", "", 0}
               : ImageKind{"EROFS with blocks larger than 4 KiB, to be converted", "", 1};
  }
  if (*head == "hsqs") return {"SquashFS, to be converted", "", 2};
  return {"", "it is neither EROFS nor SquashFS", 0};
}

// Superblock and root directory, and nothing else: this is done at each start.
base::Result<> read_root(const std::string& path, const Places& places) {
  ORCH_TRY(const std::string real, places.tree.real_path(path));
  ORCH_TRY(const image::OpenedTree opened, image::open_tree(real, "it"));
  ORCH_CHECK(opened.tree->stat(opened.tree->root()));
  return {};
}

// Why it cannot be read as a tree of files; empty if it can.
std::string unreadable(const std::string& path, const Places& places) {
  const base::Result<> read = read_root(path, places);
  return read ? "" : "it cannot be read: " + read.error().what;
}

void look_at_image(Search& search, const std::string& path, const std::string& found_by, std::string_view why,
                   const Places& places) {
  if (search.knows(path)) return;
  if (!places.tree.exists(path)) return search.absent(path, found_by, "it is not there");
  const ImageKind kind = image_kind(path, places);
  const bool is_next = kind.problem.empty() && !search.found();
  const std::string why_not = is_next ? unreadable(path, places) : kind.problem;
  const bool broken = !why_not.empty() && (is_next || found_by != k_of_fex);
  search.look(path, found_by, why_not, fmt::format("{} ({})", why, kind.name), broken);
}

struct FexFolders {
  std::string config;
  std::string data;
};

// FEX's sources, Source/Common/Config.cpp. The variables are those of this environment: what an emulator outside of a VM would do.
FexFolders fex_folders(const Places& places) {
  const sys::Environment& environment = places.environment;
  const std::string home = home_of(places);
  const std::string old = home + "/.fex-emu";
  const bool has_old = places.tree.is_directory(old);
  FexFolders out;
  out.config = has_old ? old : sys::variable(environment, "XDG_CONFIG_HOME", home + "/.config") + "/fex-emu";
  out.config = sys::absolute_path(sys::variable(environment, "FEX_APP_CONFIG_LOCATION", out.config), home);
  out.data = sys::variable(environment, "XDG_DATA_HOME", home + "/.local/share") + "/fex-emu";
  out.data = sys::absolute_path(sys::variable(environment, "FEX_APP_DATA_LOCATION", out.data), home);
  if (has_old) out.data = old;
  return out;
}

// The root image that a configuration file names; empty where there is none.
std::string configured_root(const std::string& file, const Places& places) {
  constexpr std::size_t k_most_bytes = 1 << 20;
  const auto text = places.tree.read(file, k_most_bytes);
  const auto content = text ? format::parse_json(*text, file) : base::Result<Value>(Value());
  const Value* image = content && content->is_object() ? content->find_path("Config.RootFS") : nullptr;
  return image != nullptr && image->is_string() ? image->as_string() : std::string();
}

// Where FEX would find it: a path, or a name below RootFS of its folders.
std::string path_of_root(const std::string& name, const FexFolders& folders, const Places& places) {
  if (name.starts_with('/')) return name;
  if (name.starts_with("~/")) return home_of(places) + name.substr(1);
  for (const std::string& folder : {folders.data, folders.config})
    if (places.tree.exists(folder + "/RootFS/" + name)) return folder + "/RootFS/" + name;
  return folders.data + "/RootFS/" + name;
}

void look_at_fex_images(Search& search, const Places& places) {
  if (home_of(places).empty()) return;
  const FexFolders folders = fex_folders(places);
  const std::string file = folders.config + "/Config.json";
  if (const std::string name = configured_root(file, places); !name.empty())
    look_at_image(search, path_of_root(name, folders, places), "FEX's configuration",
                  fmt::format("'{}' names it", file), places);
  const std::string root = folders.data + "/RootFS";
  std::vector<std::pair<int, std::string>> order;
  for (const std::string& name : places.tree.list(root).value_or(std::vector<std::string>()))
    order.emplace_back(image_kind(root + "/" + name, places).rank, root + "/" + name);
  std::sort(order.begin(), order.end());
  if (order.empty()) search.absent(root, k_of_fex, "there is no image in it");
  for (const auto& [rank, path] : order)
    look_at_image(search, path, k_of_fex, "the first of FEX's own root images", places);
}

}  // namespace

std::string_view to_string(Candidate::Verdict verdict) {
  switch (verdict) {
    case Candidate::Verdict::taken:
      return "taken";
    case Candidate::Verdict::passed_over:
      return "passed over";
    case Candidate::Verdict::absent:
      break;
  }
  return "absent";
}

Value to_value(const std::vector<Candidate>& candidates) {
  Value out = Value::array();
  for (const Candidate& candidate : candidates)
    out.push(Value::object({{"what", candidate.what},
                            {"path", candidate.path},
                            {"found_by", candidate.found_by},
                            {"verdict", std::string(to_string(candidate.verdict))},
                            {"reason", candidate.reason}}));
  return out;
}

std::vector<Candidate> discover_muvm(const std::string& wanted, const Places& places) {
  Search search("muvm");
  const auto named = [&](const std::string& name, const std::string& found_by) {
    if (name.find('/') != std::string::npos) {
      look_at_program(search, name, found_by, "it was asked for", places);
      return search.take();
    }
    look_on_path(search, name, places, found_by);
    std::vector<Candidate> out = search.take();
    if (out.empty()) out.push_back({"muvm", name, found_by, Candidate::Verdict::absent, "it is not on PATH"});
    return out;
  };
  if (!wanted.empty() && wanted != "auto") return named(wanted, "profile");
  constexpr const char* k_variable = "APPIMAGE_ORCH_MUVM";
  if (const std::string name = sys::variable(places.environment, k_variable, ""); !name.empty())
    return named(name, fmt::format("${}", k_variable));
  look_on_path(search, "muvm", places);
  look_in_usual_places(search, "muvm", places);
  return search.take();
}

std::vector<Candidate> discover_fex(const Places& places) {
  std::vector<Candidate> out;
  const std::vector<std::pair<const char*, std::vector<const char*>>> programs = {
      {"FEX", {"FEX", "FEXInterpreter"}}, {"FEXServer", {"FEXServer"}}, {"FEXBash", {"FEXBash"}}};
  for (const auto& [what, names] : programs) {
    Search search(what);
    for (const char* name : names) look_on_path(search, name, places);
    for (const char* name : names) look_in_usual_places(search, name, places);
    for (Candidate& candidate : search.take()) out.push_back(std::move(candidate));
  }
  return out;
}

std::vector<Candidate> discover_base(const Places& places) {
  Search search("base");
  for (const char* folder : k_image_folders)
    look_at_image(search, std::string(folder) + k_default_base, "muvm's images",
                  folder == k_image_folders[0] ? "muvm would use it by itself" : "it lies like muvm's own",
                  places);
  look_at_fex_images(search, places);
  return search.take();
}

std::vector<Candidate> discover_gpu(const std::optional<std::string>& base, OwnBase own_base,
                                    const Places& places) {
  std::vector<Candidate> out;
  std::string chosen;  // the folder whose overlays are taken
  for (const char* folder : k_image_folders) {
    const bool beside = base && *base == std::string(folder) + k_default_base;
    for (const char* name : k_default_overlays) {
      const std::string path = std::string(folder) + name;
      const bool there = places.tree.exists(path);
      if (there && chosen.empty() && (beside || own_base == OwnBase::yes)) chosen = folder;
      Search search("gpu");  // each of them is taken
      if (there && chosen != folder)
        search.look(path, "muvm's images",
                    chosen.empty() ? "it belongs to the base image of its folder, which is not used"
                                   : fmt::format("those below '{}' come first", chosen),
                    "");
      else
        look_at_image(
            search, path, "muvm's images",
            beside ? "muvm would stack it on this base" : "it has the drivers, and the profile has a base",
            places);
      for (Candidate& candidate : search.take()) out.push_back(std::move(candidate));
    }
  }
  return out;
}

namespace {

// What the profile names comes first; what was found is not used where the profile does not want it.
std::vector<Candidate> with_named(const std::string& what, const NamedImages& named,
                                  const std::string& instead, std::vector<Candidate> found,
                                  const Places& places) {
  std::vector<Candidate> out;
  for (const NamedImages::Image& image : named.images) {
    const bool absent = image.reason.empty() && !places.tree.exists(image.path);
    const std::string reason = image.reason.empty() ? "the profile names it" : image.reason;
    out.push_back({what, image.path, "profile",
                   absent ? Candidate::Verdict::absent : Candidate::Verdict::taken,
                   absent ? "it is not there" : reason});
  }
  for (Candidate& candidate : found) {
    if (!named.automatic && candidate.verdict == Candidate::Verdict::taken) {
      candidate.verdict = Candidate::Verdict::passed_over;
      candidate.reason = instead;
    }
    out.push_back(std::move(candidate));
  }
  return out;
}

}  // namespace

std::vector<Candidate> discover_all(const Wanted& wanted, const Places& places) {
  std::vector<Candidate> out = discover_muvm(wanted.muvm, places);
  const std::vector<Candidate> base = discover_base(places);
  const std::vector<std::string> first = taken(base);
  const bool found = wanted.base.automatic && !first.empty();
  const std::vector<Candidate> gpu = discover_gpu(found ? std::optional(first.front()) : std::nullopt,
                                                  wanted.base.automatic ? OwnBase::no : OwnBase::yes, places);
  const std::string no_gpu =
      wanted.gpu.images.empty() ? "the profile wants no GPU images" : "the profile names its GPU images";
  for (const std::vector<Candidate>& more :
       {discover_fex(places), with_named("base", wanted.base, "the profile names its base", base, places),
        with_named("gpu", wanted.gpu, no_gpu, gpu, places)})
    out.insert(out.end(), more.begin(), more.end());
  return out;
}

std::vector<std::string> taken(const std::vector<Candidate>& candidates) {
  std::vector<std::string> out;
  for (const Candidate& candidate : candidates)
    if (candidate.verdict == Candidate::Verdict::taken) out.push_back(candidate.path);
  return out;
}

}  // namespace orch::probe
