#include "elf/link.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::elf {

namespace {

constexpr std::size_t k_max_objects = 16384;  // far more than any process loads

constexpr std::size_t k_max_providers = 1024;  // that the version table of one object names
constexpr std::size_t k_many_definitions = 256;

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

}  // namespace

// The loader keeps the directory of the path by which it opened a file; of the program the real one.
std::string Link::origin_of(const LinkedObject& object) const {
  return folder_of(search_.absolute(object.via == Via::program ? object.real_path : object.path));
}

// `name` must outlive the link, as facts do.
std::size_t Link::add(std::string_view name, LinkedObject object, const Facts* facts) {
  const std::size_t index = out_.objects.size();
  State state;
  state.facts = facts;
  if (facts) {
    const std::vector<std::string>& elements = facts->has_runpath ? facts->runpath : facts->rpath;
    if (!elements.empty())
      (facts->has_runpath ? state.runpath : state.rpath).directories =
          search_directories(elements, origin_of(object), machine_.layout, options_.platform);
    state.any_rpath = !state.rpath.directories.empty() ||
                      (object.loaded_by != k_no_object && states_[object.loaded_by].any_rpath);
    names_.emplace(name, index);
    if (!facts->soname.empty() && facts->soname != name) names_.emplace(facts->soname, index);
  }
  out_.objects.push_back(std::move(object));
  out_.objects.back().name = name;
  states_.push_back(std::move(state));
  return index;
}

// The loader is there from the start; it becomes an object of the result when something asks for it.
std::size_t Link::add_interpreter() {
  if (interpreter_ != k_no_object) return interpreter_;
  LinkedObject object;
  object.path = out_.interpreter.empty() ? options_.default_interpreter : out_.interpreter;
  object.real_path = machine_.file.real_path;
  object.node = machine_.file.node;
  object.via = Via::interpreter;
  const std::string& soname = machine_.file.facts->soname;
  interpreter_ = add(soname.empty() ? out_.interpreter : soname, std::move(object), machine_.file.facts);
  return interpreter_;
}

Result<const Found*> Link::find(const std::string& name, std::size_t loader, Found& own) {
  if (name.find('/') == std::string::npos) return search(name, loader, own);
  const std::string path =
      expand_tokens(name, origin_of(out_.objects[loader]), machine_.layout.lib, options_.platform);
  ORCH_CHECK(search_.at_path(path, Via::path, own));
  return &own;
}

// The search paths that belong to the object that asks; true if that ends the search. LD_LIBRARY_PATH comes
// between the two kinds, of which an object has one.
Result<bool> Link::search_own(const std::string& name, std::size_t loader, Found& found) {
  if (!states_[loader].facts->has_runpath) {
    for (std::size_t at = loader; at != k_no_object && states_[at].any_rpath;
         at = out_.objects[at].loaded_by) {
      ORCH_TRY(const bool done, search_.in_list(name, states_[at].rpath, found));
      if (done) return true;
    }
    return false;
  }
  ORCH_TRY(const bool done, search_.in_list(name, library_path_, found));
  if (done) return true;
  return search_.in_list(name, states_[loader].runpath, found);
}

// The cache and the default directories.
Result<> Link::search_common(const std::string& name, bool no_default, Found& found) {
  const std::vector<std::string>& system = machine_.layout.system_directories;
  const std::string* cached = cache_.lookup(name, {options_.isa_level, machine_.layout.legacy_hwcap});
  const bool of_system =
      cached && std::any_of(system.begin(), system.end(),
                            [&](const std::string& directory) { return cached->starts_with(directory); });
  if (cached && !(no_default && of_system)) {
    ORCH_TRY(const bool done, search_.at_path(*cached, Via::cache, found));
    if (done) return {};
  }
  if (!no_default) ORCH_CHECK(search_.in_list(name, {Via::system, system}, found));
  return {};
}

Result<const Found*> Link::search(const std::string& name, std::size_t loader, Found& own) {
  const State& state = states_[loader];
  const bool no_default = (state.facts->flags_1 & k_flag1_nodeflib) != 0;
  const bool own_paths = state.facts->has_runpath ? !state.runpath.directories.empty() : state.any_rpath;
  if (!own_paths && !no_default) {
    const auto [known, is_new] = common_->try_emplace(name);
    if (is_new) {
      ORCH_TRY(const bool done, search_.in_list(name, library_path_, known->second));
      if (!done) ORCH_CHECK(search_common(name, false, known->second));
    }
    return &known->second;
  }
  ORCH_TRY(bool done, search_own(name, loader, own));
  if (!done && !state.facts->has_runpath) {
    ORCH_TRY(done, search_.in_list(name, library_path_, own));
  }
  if (!done) ORCH_CHECK(search_common(name, no_default, own));
  return &own;
}

// The object that has the name already; k_no_object if none has. Names with a '/' may also be the path by
// which an object was found.
std::size_t Link::loaded_as(const std::string& name) const {
  if (const auto known = names_.find(name); known != names_.end()) return known->second;
  if (name.find('/') == std::string::npos) return k_no_object;
  for (std::size_t i = 1; i < out_.objects.size(); ++i)
    if (out_.objects[i].path == name) return i;
  return k_no_object;
}

// The object that answers to `name`; k_no_object only for preloads that cannot be loaded.
Result<std::size_t> Link::map(const std::string& name, std::size_t loader, bool preloaded) {
  if (const std::size_t known = loaded_as(name); known != k_no_object) return known;
  if (is_interpreter(name)) return add_interpreter();
  Found own;
  ORCH_TRY(const Found* answer, find(name, loader, own));
  const Found& found = *answer;
  const bool refused = found.candidate && found.candidate->verdict == Candidate::Verdict::refused;
  if (found.candidate && !refused) {
    for (std::size_t i = 0; i < out_.objects.size(); ++i)
      if (!out_.objects[i].missing() && out_.objects[i].node == found.candidate->node) {
        names_.emplace(name, i);
        return i;
      }
  }
  const std::string why = refused             ? found.candidate->why
                          : found.other_class ? "wrong ELF class: ELFCLASS32"
                                              : "cannot open shared object file: No such file or directory";
  if (preloaded && (refused || !found.candidate)) {
    problem(ProblemKind::preload, name, k_no_object, why);
    return k_no_object;
  }
  LinkedObject object;
  object.preloaded = preloaded;
  object.loaded_by = loader;
  object.skipped = found.skipped;
  if (!found.candidate || refused) {
    if (const auto known = missing_.find(name); known != missing_.end()) return known->second;
    if (refused)
      problem(ProblemKind::bad_library, found.path, loader, why);
    else
      problem(ProblemKind::missing_library, name, loader, why);
    const std::size_t index = add(name, std::move(object), nullptr);
    missing_.emplace(name, index);
    return index;
  }
  object.path = found.path;
  object.via = found.via;
  object.real_path = found.candidate->real_path;
  object.node = found.candidate->node;
  return add(name, std::move(object), found.candidate->facts);
}

// A name with its tokens replaced; lives as long as the link.
const std::string& Link::expanded(const std::string& name, std::size_t loader) {
  if (name.find('$') == std::string::npos) return name;
  return expanded_.emplace_back(
      expand_tokens(name, origin_of(out_.objects[loader]), machine_.layout.lib, options_.platform));
}

Result<> Link::run(const Candidate& program, const std::string& library_path,
                   const std::vector<std::string>& preloads) {
  LinkedObject start;
  start.path = out_.program;
  start.real_path = program.real_path;
  start.node = program.node;
  start.via = Via::program;
  add(out_.program, std::move(start), program.facts);
  if (!library_path.empty()) {
    std::string joined = library_path;
    std::replace(joined.begin(), joined.end(), ';', ':');
    std::vector<std::string> elements;
    for (const std::string_view part : base::split(joined, ':')) elements.emplace_back(part);
    library_path_.directories =
        search_directories(elements, origin_of(out_.objects[0]), machine_.layout, options_.platform);
  }
  common_ = &shared_.common[{&machine_, library_path_.directories}];
  for (const std::string& name : preloads) ORCH_CHECK(map(name, 0, true));
  for (std::size_t at = 0; at < out_.objects.size() && at < k_max_objects; ++at) {
    if (!states_[at].facts || at == interpreter_) continue;
    const Facts& facts = *states_[at].facts;
    for (const std::string& raw : facts.needed) {
      const std::string& name = expanded(raw, at);
      ORCH_TRY(const std::size_t answer, map(name, at, false));
      out_.objects[at].needs.push_back({name, answer});
      std::vector<std::size_t>& askers = out_.objects[answer].needed_by;
      if (askers.empty() || askers.back() != at) askers.push_back(at);
    }
  }
  for (std::size_t at = 0; at < out_.objects.size(); ++at) {
    if (!states_[at].facts) continue;
    check_versions(at);
    const unsigned wanted = states_[at].facts->isa_needed;
    if (wanted > options_.isa_level)
      problem(ProblemKind::isa_level, out_.objects[at].path,
              out_.objects[at].needed_by.empty() ? k_no_object : out_.objects[at].needed_by.front(),
              fmt::format("CPU ISA level is lower than required (x86-64-v{}, {} are offered)", wanted,
                          options_.isa_level));
  }
  return {};
}

Link::Provider Link::provider_of(const std::string& library) const {
  if (const auto known = names_.find(library); known != names_.end())
    return {states_[known->second].facts, out_.objects[known->second].path};
  if (is_interpreter(library)) return {machine_.file.facts, out_.interpreter};
  return {};
}

// The versions that `facts` asks of `provider` under the name `library` and that are not there.
const std::vector<const VersionNeed*>& Link::lacking(const Facts& facts, const Facts& provider,
                                                     const std::string& library) {
  const auto [known, is_new] = shared_.versions.try_emplace({&facts, &provider, library});
  if (!is_new) return known->second;
  std::vector<std::string_view> sorted;  // of providers with very many
  if (provider.definitions.size() > k_many_definitions) {
    sorted.assign(provider.definitions.begin(), provider.definitions.end());
    std::sort(sorted.begin(), sorted.end());
  }
  const auto defined = [&](const std::string& version) {
    if (!sorted.empty()) return std::binary_search(sorted.begin(), sorted.end(), version);
    return std::find(provider.definitions.begin(), provider.definitions.end(), version) !=
           provider.definitions.end();
  };
  for (const VersionNeed& need : facts.versions)
    if (!need.weak && need.library == library && !defined(need.version)) known->second.push_back(&need);
  return known->second;
}

void Link::check_versions(std::size_t index) {
  const std::string& by = out_.objects[index].path;
  const Facts& facts = *states_[index].facts;
  std::vector<std::string_view> seen;
  for (const VersionNeed& need : facts.versions) {
    if (std::find(seen.rbegin(), seen.rend(), need.library) != seen.rend()) continue;
    if (seen.size() == k_max_providers) return;
    seen.push_back(need.library);
    const Provider provider = provider_of(need.library);
    if (!provider.facts) {
      // A missing library is told already; otherwise the version table and DT_NEEDED disagree.
      if (!missing_.contains(need.library))
        problem(ProblemKind::missing_version, need.library, index,
                "no loaded object has the name that the version table gives (Assertion `needed != NULL')",
                need.version);
    } else if (!provider.facts->versioned) {
      problem(ProblemKind::no_version_table, std::string(provider.path), index,
              fmt::format("no version information available (required by {})", base::printable(by)),
              need.version);
    } else {
      for (const VersionNeed* version : lacking(facts, *provider.facts, need.library))
        problem(ProblemKind::missing_version, std::string(provider.path), index,
                fmt::format("version `{}' not found (required by {})", base::printable(version->version),
                            base::printable(by)),
                version->version);
    }
  }
}

}  // namespace orch::elf
