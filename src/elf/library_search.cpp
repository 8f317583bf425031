#include "elf/library_search.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace orch::elf {

using image::NodeType;
using image::Resolution;

namespace {

constexpr int k_near_links = 8;

// The length of the token behind a '$', braces included; 0 if it is another.
std::size_t token_length(std::string_view text, std::string_view name) {
  const bool braces = text.starts_with('{');
  const std::string_view rest = text.substr(braces ? 1 : 0);
  if (!rest.starts_with(name)) return 0;
  const char next = rest.size() > name.size() ? rest[name.size()] : '\0';
  const bool continues = (next >= 'A' && next <= 'Z') || (next >= 'a' && next <= 'z') ||
                         (next >= '0' && next <= '9') || next == '_';
  if (continues || (braces && next != '}')) return 0;
  return name.size() + (braces ? 2 : 0);
}

}  // namespace

std::string absolute_path(std::string_view path, const LoaderOptions& options) {
  if (path.starts_with('/')) return std::string(path);
  return options.working_directory + (options.working_directory.ends_with('/') ? "" : "/") +
         std::string(path);
}

std::string expand_tokens(std::string_view text, std::string_view origin, std::string_view lib,
                          std::string_view platform) {
  const std::array<std::pair<std::string_view, std::string_view>, 3> tokens{
      {{"ORIGIN", origin}, {"PLATFORM", platform}, {"LIB", lib}}};
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    out += text[at];
    if (text[at] != '$') continue;
    for (const auto& [name, value] : tokens) {
      const std::size_t length = token_length(text.substr(at + 1), name);
      if (length == 0) continue;
      out.pop_back();
      out += value;
      at += length;
      break;
    }
  }
  return out;
}

Result<RootFiles::Directory*> RootFiles::directory(std::string_view path) {
  if (const auto known = directories_.find(path); known != directories_.end()) return &known->second;
  Directory& directory = directories_[std::string(path)];
  ORCH_TRY(const Resolution found, image::resolve(root_, path, image::Links::in_root));
  if (found.outcome == Resolution::Outcome::found && found.type == NodeType::directory) {
    directory.there = true;
    directory.node = found.node;
    directory.real_path = found.path;
  }
  return &directory;
}

// The entry of that name; how many there are if there is none.
Result<std::size_t> RootFiles::find(Directory& directory, std::string_view name) {
  if (!directory.listed) {
    ORCH_TRY(directory.entries, root_.list(directory.node));
    directory.looked_at.resize(directory.entries.size());
    directory.listed = true;
  }
  const auto found =
      std::lower_bound(directory.entries.begin(), directory.entries.end(), name,
                       [](const image::DirEntry& entry, std::string_view key) { return entry.name < key; });
  if (found == directory.entries.end() || found->name != name) return directory.entries.size();
  return static_cast<std::size_t>(found - directory.entries.begin());
}

Result<Candidate> RootFiles::look(Directory& directory, std::size_t entry) {
  Arena& arena = objects().arena();
  Candidate out;
  // Most links of libraries name a file beside them.
  for (int links = 0; directory.entries[entry].type == NodeType::symlink && links < k_near_links; ++links) {
    ORCH_TRY(const std::string target, root_.readlink(directory.entries[entry].node));
    if (!image::is_valid_name(target)) break;
    ORCH_TRY(entry, find(directory, target));
    if (entry == directory.entries.size()) return out;
  }
  NodeType type = directory.entries[entry].type;
  out.node = directory.entries[entry].node;
  scratch_.assign(directory.real_path.empty() ? "" : "/");
  scratch_.append(directory.real_path).append("/").append(directory.entries[entry].name);
  out.real_path = arena.text(scratch_);
  if (type == NodeType::symlink) {
    ORCH_TRY(Resolution found, image::resolve(root_, out.real_path, image::Links::in_root));
    if (found.outcome != Resolution::Outcome::found) return Candidate();
    type = found.type;
    out.node = found.node;
    out.real_path = arena.text("/" + found.path);
  }
  if (type == NodeType::file) {
    ORCH_TRY(out.object, facts_.object(out.node, out.real_path.substr(1)));
    ORCH_CHECK(judge(out));
    return out;
  }
  out.verdict = Candidate::Verdict::refused;
  out.why =
      type == NodeType::directory ? "is a directory (cannot read file data: Error 21)" : "is not a file";
  return out;
}

Result<> RootFiles::judge(Candidate& candidate) {
  candidate.verdict = Candidate::Verdict::refused;
  const Object* object = candidate.object;
  if (!object) {
    ORCH_TRY(const image::NodeInfo info, root_.stat(candidate.node));
    candidate.why = info.size < 64 ? "file too short" : "invalid ELF header";
    return {};
  }
  if (!object->is_64) {
    candidate.verdict = Candidate::Verdict::skipped;
    candidate.why = "wrong ELF class: ELFCLASS32";
    candidate.other_class = true;
  } else if (object->machine != k_machine_x86_64 && object->defect.empty()) {
    candidate.verdict = Candidate::Verdict::skipped;
    candidate.why = objects().arena().text("is for " + image::machine_name(object->machine, object->is_64));
  } else if (!object->defect.empty()) {
    candidate.why = object->defect;
  } else if (object->type == k_type_executable) {
    candidate.why = "cannot dynamically load executable";
  } else if ((object->flags_1 & k_flag1_pie) != 0) {
    candidate.why = "cannot dynamically load position-independent executable";
  } else {
    candidate.verdict = Candidate::Verdict::usable;
  }
  return {};
}

Result<const Candidate*> RootFiles::in(Directory& directory, std::string_view name) {
  static const Candidate k_absent;
  ORCH_TRY(const std::size_t entry, find(directory, name));
  if (entry == directory.entries.size()) return &k_absent;
  if (directory.looked_at[entry] == nullptr) {
    ORCH_TRY(const Candidate made, look(directory, entry));
    directory.looked_at[entry] = objects().arena().keep(made);
  }
  return directory.looked_at[entry];
}

Result<const Candidate*> RootFiles::at(std::string_view path, const LoaderOptions& options) {
  return path.starts_with('/') ? at(path) : at(absolute_path(path, options));
}

Result<const Candidate*> RootFiles::at(std::string_view path) {
  static const Candidate k_absent;
  static const Candidate k_directory = [] {
    Candidate out;
    out.verdict = Candidate::Verdict::refused;
    out.why = "is a directory (cannot read file data: Error 21)";
    return out;
  }();
  const std::size_t slash = path.rfind('/') + 1;
  const std::string_view name = path.substr(slash);
  ORCH_TRY(Directory* const directory, this->directory(path.substr(0, slash)));
  if (!directory->there) return &k_absent;
  if (!image::is_valid_name(name)) return &k_directory;
  return in(*directory, name);
}

Result<std::optional<std::string>> RootFiles::read(std::string_view path, std::size_t limit) const {
  ORCH_TRY(const Resolution found, image::resolve(root_, path, image::Links::in_root));
  if (found.outcome != Resolution::Outcome::found || found.type != NodeType::file)
    return std::optional<std::string>();
  ORCH_TRY(const auto file, root_.open(found.node));
  if (file->size() > limit) return std::optional<std::string>();
  ORCH_TRY(std::string bytes, image::read_exact(*file, 0, static_cast<std::size_t>(file->size())));
  return std::optional<std::string>(std::move(bytes));
}

std::vector<std::string> search_directories(std::span<const std::string_view> elements,
                                            std::string_view origin, const LoaderLayout& layout,
                                            std::string_view platform) {
  std::vector<std::string> out;
  for (const std::string_view element : elements) {
    std::string directory = expand_tokens(element, origin, layout.lib, platform);
    if (directory.empty() && !element.empty()) continue;
    while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
    if (!directory.empty() && directory.back() != '/') directory += '/';
    if (std::find(out.begin(), out.end(), directory) == out.end()) out.push_back(std::move(directory));
  }
  return out;
}

LibrarySearch::LibrarySearch(RootFiles& files, const LoaderOptions& options, const LoaderLayout& layout)
    : files_(files), options_(options) {
  for (const std::string& name : hwcaps_subdirectories(options_.isa_level))
    subdirectories_.push_back("glibc-hwcaps/" + name + "/");
  if (layout.legacy_hwcap) {
    const std::string& platform = options_.platform;
    for (const std::string& tail :
         {"tls/" + platform + "/x86_64/", "tls/" + platform + "/", std::string("tls/x86_64/"),
          std::string("tls/"), platform + "/x86_64/", platform + "/", std::string("x86_64/")})
      if (std::find(subdirectories_.begin(), subdirectories_.end(), tail) == subdirectories_.end())
        subdirectories_.push_back(tail);
  }
  subdirectories_.emplace_back();
}

Result<const SearchList*> LibrarySearch::list(Via via, const std::vector<std::string>& directories) {
  const auto [known, is_new] = lists_.try_emplace({via, directories});
  SearchList& out = known->second;
  if (!is_new) return &out;
  out.via = via;
  for (const std::string& directory : directories)
    for (const std::string& subdirectory : subdirectories_) {
      std::string prefix = directory + subdirectory;
      ORCH_TRY(RootFiles::Directory* const there, files_.directory(absolute_path(prefix, options_)));
      if (there->there) out.places.push_back({std::move(prefix), there});
    }
  return &out;
}

bool LibrarySearch::take(const Candidate& candidate, std::string_view path, Via via, Found& found) {
  if (candidate.verdict == Candidate::Verdict::absent) return false;
  if (candidate.verdict == Candidate::Verdict::skipped) {
    skipped_.push_back({path, candidate.why});
    found.other_class |= candidate.other_class;
    return false;
  }
  found.linked.via = via;
  found.linked.path = path;
  found.linked.real_path = candidate.real_path;
  found.linked.node = candidate.node;
  found.candidate = &candidate;
  if (candidate.verdict == Candidate::Verdict::usable) found.object = candidate.object;
  return true;
}

Result<const Found*> LibrarySearch::at_path(std::string_view path, Via via) {
  const std::uint32_t number = files_.names().keep(path);
  const Found*& known = at_paths_[number];
  if (known != nullptr && (known->linked.via == via || known->candidate == nullptr)) return known;
  ORCH_TRY(const Candidate* candidate, files_.at(path, options_));
  Found found;
  skipped_.clear();
  take(*candidate, files_.names().text(number), via, found);
  found.linked.skipped = files_.objects().arena().copy(std::span<const Skipped>(skipped_));
  return known = keep(found);
}

Result<const Found*> LibrarySearch::in_list(std::uint32_t name, const SearchList& list) {
  if (list.places.empty()) return nothing();
  const Found*& known = list.found[name];
  if (known != nullptr) return known;
  const std::string_view text = files_.names().text(name);
  Arena& arena = files_.objects().arena();
  Found found;
  skipped_.clear();
  for (const SearchList::Place& place : list.places) {
    const Candidate* candidate = nullptr;
    if (image::is_valid_name(text)) {
      ORCH_TRY(candidate, files_.in(*place.directory, text));
    } else {
      ORCH_TRY(candidate, files_.at(place.prefix + std::string(text), options_));
    }
    if (candidate->verdict == Candidate::Verdict::absent) continue;
    scratch_.assign(place.prefix).append(text);
    if (take(*candidate, arena.text(scratch_), list.via, found)) break;
  }
  if (found.candidate == nullptr && skipped_.empty()) return known = nothing();
  found.linked.name = text;
  found.linked.skipped = arena.copy(std::span<const Skipped>(skipped_));
  return known = keep(found);
}

}  // namespace orch::elf
