// The parts of finish-stack for the caches of modules: gdk-pixbuf's loaders.cache and GTK's immodules.cache.
// The distributions' tools make them by loading every module, which is code of x86_64; here the entries are
// taken from the caches that the layers have, and for modules that none of them knows from a table of what
// the modules of common packages say of themselves. What neither has is left out and reported.
#include "action/finish_modules_parts.hpp"
#include "action/finish_parts.hpp"
#include "base/text.hpp"
#include "elf/facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace orch::action {

using image::DirEntry;
using image::NodeType;

namespace {

constexpr std::uint64_t k_max_module_cache = std::uint64_t{4} << 20;
constexpr std::uint64_t k_max_module = std::uint64_t{32} << 20;

// A kind of cache: FOLDER/VERSION/modules… and FOLDER/VERSION/CACHE below a library directory.
struct ModuleKind {
  std::string_view folder;   // "gdk-pixbuf-2.0"
  std::string_view modules;  // "loaders"
  std::string_view cache;    // "loaders.cache"
  std::string_view domain;   // what "gtk" stands for in the table
};

bool is_plain_name(std::string_view name) {
  return name.ends_with(".so") && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                  c == '_' || c == '.' || c == '+';
         });
}

class ModuleCache {
 public:
  ModuleCache(const FinishStack& stack, const ModuleKind& kind, std::string folder, FinishReport& report)
      : stack_(stack), kind_(kind), folder_(std::move(folder)), report_(report) {}

  // Whether there was anything to do.
  Result<bool> run(image::SmallTree& tree) {
    const std::string modules = fmt::format("{}/{}", folder_, kind_.modules);
    ORCH_TRY(const auto directory, find_in_view(stack_.view, modules, NodeType::directory));
    if (!directory) return false;
    ORCH_TRY(const std::vector<std::string> names, module_names(*directory));
    if (names.empty()) return false;
    ORCH_CHECK(read_caches());
    std::string text = fmt::format("# Modules of {}, entered by appimage-orch\n#\n", modules);
    std::string body;
    for (const std::string& name : names) {
      ORCH_TRY(const std::string entry, entry_of(directory->path, name));
      if (!entry.empty()) body += fmt::format("\"/{}/{}\"\n{}\n", directory->path, name, entry);
    }
    const std::string path = fmt::format("{}/{}", folder_, kind_.cache);
    ORCH_TRY(const auto there, read_in_view(stack_.view, path, k_max_module_cache));
    if (there && parse_module_cache(*there) == parse_module_cache(body) &&
        has_paths(*there, directory->path, names))
      return true;
    if (body.empty()) return true;
    tree.emplace(path, image::SmallEntry{false, text + body, 0644});
    report_.files.push_back(path);
    return true;
  }

 private:
  Result<std::vector<std::string>> module_names(const ViewPlace& directory) {
    std::vector<std::string> out;
    ORCH_TRY(const std::vector<DirEntry> entries, stack_.view.list(directory.node));
    for (const DirEntry& entry : entries) {
      if (!is_plain_name(entry.name)) continue;
      ORCH_TRY(const auto file, find_in_view(stack_.view, directory.path + "/" + entry.name, NodeType::file));
      if (!file) continue;
      ORCH_TRY(const auto data, stack_.view.open(file->node));
      ORCH_TRY(const std::optional<elf::Facts> facts, elf::read_facts(*data));
      if (facts && facts->type == elf::k_type_shared)
        out.push_back(entry.name);
      else
        report_.notes.push_back(fmt::format("{}: left out, it is no library", entry.name));
    }
    return out;
  }

  // What the layers' own caches say, the upper ones last: also of those that others hide.
  Result<> read_caches() {
    for (const image::Layer& layer : stack_.view.layers()) {
      ORCH_TRY(const auto text,
               read_in_view(*layer.tree, fmt::format("{}/{}", folder_, kind_.cache), k_max_module_cache));
      if (!text) continue;
      for (auto& [name, entry] : parse_module_cache(*text)) cached_[name] = {layer.name, std::move(entry)};
    }
    return {};
  }

  Result<std::string> entry_of(const std::string& directory, const std::string& name) {
    if (const auto known = cached_.find(name); known != cached_.end()) {
      report_.notes.push_back(
          fmt::format("{}: as the cache of layer '{}' has it", name, base::printable(known->second.first)));
      return known->second.second;
    }
    const std::string entry = known_module(name, kind_.domain);
    if (entry.empty()) {
      report_.notes.push_back(fmt::format("{}: left out, no cache has it and it is not known here", name));
      unknown_ = true;
      return entry;
    }
    // A module of that name that is another one says other things of itself.
    ORCH_TRY(const auto bytes, read_in_view(stack_.view, directory + "/" + name, k_max_module));
    const std::string_view word = std::string_view(entry).substr(1, entry.find('"', 1) - 1);
    if (!bytes || bytes->find(word) == std::string::npos) {
      report_.notes.push_back(fmt::format("{}: left out, it does not name '{}'", name, word));
      unknown_ = true;
      return std::string();
    }
    report_.notes.push_back(fmt::format("{}: as modules of this name are known", name));
    return entry;
  }

  static bool has_paths(std::string_view text, const std::string& directory,
                        const std::vector<std::string>& names) {
    return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return text.find(fmt::format("\"/{}/{}\"", directory, name)) != std::string_view::npos;
    });
  }

  const FinishStack& stack_;
  const ModuleKind& kind_;
  std::string folder_;
  FinishReport& report_;
  std::map<std::string, std::pair<std::string, std::string>> cached_;  // layer, entry
  bool unknown_ = false;
};

Result<FinishReport> finish_modules(const FinishStack& stack, std::string_view id,
                                    const std::vector<ModuleKind>& kinds, image::SmallTree& tree) {
  FinishReport report;
  report.id = id;
  bool any = false;
  ORCH_TRY(const std::vector<ViewPlace> libraries, library_directories(stack.view));
  for (const ViewPlace& library : libraries) {
    for (const ModuleKind& kind : kinds) {
      const std::string folder = fmt::format("{}/{}", library.path, kind.folder);
      ORCH_TRY(const auto place, find_in_view(stack.view, folder, NodeType::directory));
      if (!place) continue;
      ORCH_TRY(const std::vector<DirEntry> versions, stack.view.list(place->node));
      for (const DirEntry& version : versions) {
        if (version.type != NodeType::directory) continue;
        ORCH_TRY(const bool had,
                 ModuleCache(stack, kind, place->path + "/" + version.name, report).run(tree));
        any = any || had;
      }
    }
  }
  const bool left_out = std::any_of(report.notes.begin(), report.notes.end(), [](const std::string& note) {
    return note.find(": left out, ") != std::string::npos;
  });
  if (!any) {
    report.detail = "the stack has no such modules";
  } else if (!report.files.empty()) {
    report.status = FinishReport::Status::made;
    report.detail =
        left_out ? "some modules are not known here and were left out" : "every module is entered";
  } else if (left_out) {
    report.status = FinishReport::Status::not_done;
    report.detail = "modules are not known here, and only running them would tell what they are";
  } else {
    report.status = FinishReport::Status::current;
    report.detail = "the stack's own lists every module";
  }
  if (left_out)
    report.remedy =
        "put the module's cache into a layer of your own below, made on x86_64 with the module's query tool";
  return report;
}

}  // namespace

std::map<std::string, std::string> parse_module_cache(std::string_view text) {
  std::map<std::string, std::string> out;
  std::string* entry = nullptr;
  for (std::string_view line : base::split(text, '\n')) {
    line = base::trim(line);
    if (line.starts_with('#')) continue;
    if (line.empty()) {
      entry = nullptr;
    } else if (line.starts_with('"') && line.ends_with(".so\"") && line.find('/') != std::string_view::npos) {
      line.remove_suffix(1);
      entry = &out[std::string(line.substr(line.rfind('/') + 1))];
      entry->clear();
    } else if (entry != nullptr) {
      entry->append(line).append("\n");
    }
  }
  std::erase_if(out, [](const auto& item) { return item.second.empty(); });
  return out;
}

Result<FinishReport> finish_pixbuf_loaders(const FinishStack& stack, image::SmallTree& tree) {
  return finish_modules(stack, "gdk-pixbuf-loaders",
                        {{"gdk-pixbuf-2.0", "loaders", "loaders.cache", "gdk-pixbuf"}}, tree);
}

Result<FinishReport> finish_input_methods(const FinishStack& stack, image::SmallTree& tree) {
  return finish_modules(stack, "gtk-immodules",
                        {{"gtk-2.0", "immodules", "immodules.cache", "gtk20"},
                         {"gtk-3.0", "immodules", "immodules.cache", "gtk30"}},
                        tree);
}

}  // namespace orch::action
