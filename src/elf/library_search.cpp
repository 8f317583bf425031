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
constexpr std::size_t k_max_providers = 1024;  // that the version table of one object names

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

std::uint32_t Names::number(std::string_view name) {
  if (const auto known = numbers_.find(name); known != numbers_.end()) return known->second;
  const auto number = static_cast<std::uint32_t>(texts_.size());
  numbers_.emplace(texts_.emplace_back(name), number);
  return number;
}

const Object* RootFiles::object_of(const Facts* facts) {
  if (facts == nullptr) return nullptr;
  const auto [known, is_new] = objects_.try_emplace(facts);
  Object& object = known->second;
  if (!is_new) return &object;
  object.facts = facts;
  object.number = static_cast<std::uint32_t>(objects_.size() - 1);
  if (!facts->soname.empty()) object.soname = names_.number(facts->soname);
  for (const std::string& name : facts->needed)
    object.needed.push_back(name.find('$') == std::string::npos ? names_.number(name) : k_no_name);
  for (const VersionNeed& need : facts->versions) {
    auto group = std::find_if(object.versions.rbegin(), object.versions.rend(),
                              [&](const Object::Versions& one) { return one.name == need.library; });
    if (group == object.versions.rend()) {
      if (object.versions.size() == k_max_providers) continue;
      object.versions.push_back({names_.number(need.library), need.library, {}, {}});
      group = object.versions.rbegin();
    }
    group->needs.push_back(&need);
  }
  return &object;
}

Result<bool> RootFiles::has(Directory& directory, std::string_view name) const {
  if (!directory.listed) {
    ORCH_TRY(directory.entries, root_.list(directory.node));
    directory.listed = true;
  }
  const auto found =
      std::lower_bound(directory.entries.begin(), directory.entries.end(), name,
                       [](const image::DirEntry& entry, std::string_view key) { return entry.name < key; });
  return found != directory.entries.end() && found->name == name;
}

Result<RootFiles::Directory*> RootFiles::directory(const std::string& path) {
  const auto [known, is_new] = directories_.try_emplace(path);
  if (!is_new) return &known->second;
  ORCH_TRY(const Resolution found, image::resolve(root_, path, image::Links::in_root));
  if (found.outcome == Resolution::Outcome::found && found.type == NodeType::directory)
    known->second = {true, found.node, found.path, {}, false};
  return &known->second;
}

Result<Candidate> RootFiles::look(const std::string& path) {
  Candidate out;
  const std::size_t slash = path.rfind('/') + 1;
  const std::string name = path.substr(slash);
  ORCH_TRY(const Directory* in, directory(path.substr(0, slash)));
  if (!in->there) return out;
  NodeType type = NodeType::directory;
  if (image::is_valid_name(name)) {
    ORCH_TRY(const std::optional<image::DirEntry> entry, root_.lookup(in->node, name));
    if (!entry) return out;
    type = entry->type;
    out.node = entry->node;
    out.real_path = (in->real_path.empty() ? "/" : "/" + in->real_path + "/") + name;
    // Most links of libraries name a file beside them.
    for (int links = 0; type == NodeType::symlink && links < k_near_links; ++links) {
      ORCH_TRY(const std::string target, root_.readlink(out.node));
      if (!image::is_valid_name(target)) break;
      ORCH_TRY(const std::optional<image::DirEntry> beside, root_.lookup(in->node, target));
      if (!beside) return Candidate();
      type = beside->type;
      out.node = beside->node;
      out.real_path = (in->real_path.empty() ? "/" : "/" + in->real_path + "/") + target;
    }
    if (type == NodeType::symlink) {
      ORCH_TRY(Resolution found, image::resolve(root_, out.real_path, image::Links::in_root));
      if (found.outcome != Resolution::Outcome::found) return Candidate();
      type = found.type;
      out.node = found.node;
      out.real_path = "/" + std::move(found.path);
    }
  }
  if (type == NodeType::file) {
    ORCH_TRY(out.facts, facts_.facts(out.node, std::string_view(out.real_path).substr(1)));
    out.object = object_of(out.facts);
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
  const Facts* facts = candidate.facts;
  if (!facts) {
    ORCH_TRY(const image::NodeInfo info, root_.stat(candidate.node));
    candidate.why = info.size < 64 ? "file too short" : "invalid ELF header";
    return {};
  }
  if (!facts->is_64) {
    candidate.verdict = Candidate::Verdict::skipped;
    candidate.why = "wrong ELF class: ELFCLASS32";
    candidate.other_class = true;
  } else if (facts->machine != k_machine_x86_64 && facts->defect.empty()) {
    candidate.verdict = Candidate::Verdict::skipped;
    candidate.why = "is for " + image::machine_name(facts->machine, facts->is_64);
  } else if (!facts->defect.empty()) {
    candidate.why = facts->defect;
  } else if (facts->type == k_type_executable) {
    candidate.why = "cannot dynamically load executable";
  } else if ((facts->flags_1 & k_flag1_pie) != 0) {
    candidate.why = "cannot dynamically load position-independent executable";
  } else {
    candidate.verdict = Candidate::Verdict::usable;
  }
  return {};
}

Result<const Candidate*> RootFiles::at(const std::string& path) {
  if (const auto known = candidates_.find(path); known != candidates_.end()) return &known->second;
  ORCH_TRY(Candidate found, look(path));
  return &candidates_.emplace(path, std::move(found)).first->second;
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

std::vector<std::string> search_directories(std::span<const std::string> elements, std::string_view origin,
                                            const LoaderLayout& layout, std::string_view platform) {
  std::vector<std::string> out;
  for (const std::string& element : elements) {
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

Result<SearchList> LibrarySearch::list(Via via, std::span<const std::string> directories) const {
  SearchList out{via, {}};
  for (const std::string& directory : directories)
    for (const std::string& subdirectory : subdirectories_) {
      std::string prefix = directory + subdirectory;
      ORCH_TRY(RootFiles::Directory* const there, files_.directory(absolute_path(prefix, options_)));
      if (there->there) out.places.push_back({std::move(prefix), there});
    }
  return out;
}

Result<bool> LibrarySearch::at_path(const std::string& path, Via via, Found& found) {
  ORCH_TRY(const Candidate* candidate, files_.at(absolute_path(path, options_)));
  if (candidate->verdict == Candidate::Verdict::absent) return false;
  if (candidate->verdict == Candidate::Verdict::skipped) {
    found.skipped.push_back({path, candidate->why});
    found.other_class |= candidate->other_class;
    return false;
  }
  found.via = via;
  found.path = path;
  found.candidate = candidate;
  return true;
}

Result<bool> LibrarySearch::in_list(std::string_view name, const SearchList& list, Found& found) {
  const bool plain = image::is_valid_name(name);
  for (const SearchList::Place& place : list.places) {
    if (plain) {
      ORCH_TRY(const bool there, files_.has(*place.directory, name));
      if (!there) continue;
    }
    ORCH_TRY(const bool done, at_path(place.prefix + std::string(name), list.via, found));
    if (done) return true;
  }
  return false;
}

}  // namespace orch::elf
