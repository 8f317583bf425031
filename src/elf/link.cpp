#include "elf/link.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::elf {

namespace {

constexpr std::size_t k_max_objects = 16384;  // far more than any process loads
constexpr std::size_t k_many_definitions = 256;

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

}  // namespace

Link::Link(RootFiles& files, const LoaderOptions& options, Machine& machine, const LdCache& cache,
           SharedAnswers& shared, Linkage& out)
    : files_(files),
      options_(options),
      layout_(machine.layout),
      machine_(machine),
      cache_(cache),
      shared_(shared),
      out_(out) {
  if (!out.interpreter.empty()) interpreter_name_ = files.names().number(out.interpreter);
  shared_.names.clear();
  shared_.missing.clear();
  shared_.objects.clear();
}

// The loader keeps the directory of the path by which it opened a file; of the program the real one.
std::string Link::origin_of(const LinkedObject& object) const {
  return folder_of(absolute_path(object.via == Via::program ? object.real_path : object.path, options_));
}

Result<std::size_t> Link::add(const Name& name, LinkedObject object, const Object* known) {
  const std::size_t index = out_.objects.size();
  State state;
  state.object = known;
  if (known) {
    const Facts& facts = *known->facts;
    const std::vector<std::string>& elements = facts.has_runpath ? facts.runpath : facts.rpath;
    if (!elements.empty()) {
      const std::vector<std::string> directories =
          search_directories(elements, origin_of(object), layout_, options_.platform);
      if (!directories.empty()) {
        ORCH_TRY(SearchList own,
                 machine_.search.list(facts.has_runpath ? Via::runpath : Via::rpath, directories));
        state.own = std::make_unique<SearchList>(std::move(own));
      }
    }
    state.any_rpath = (state.own && !facts.has_runpath) ||
                      (object.loaded_by != k_no_object && states_[object.loaded_by].any_rpath);
    shared_.names.set(name.number, index);
    if (known->soname != k_no_name) shared_.names.set(known->soname, index);
    shared_.objects.set(known->number, index);
  }
  object.name = name.text;
  out_.objects.push_back(std::move(object));
  states_.push_back(std::move(state));
  return index;
}

// The loader is there from the start; it becomes an object of the result when something asks for it.
Result<std::size_t> Link::add_interpreter() {
  if (interpreter_ != k_no_object) return interpreter_;
  LinkedObject object;
  object.path = shared_.keep(out_.interpreter.empty() ? options_.default_interpreter : out_.interpreter);
  object.real_path = machine_.file.real_path;
  object.node = machine_.file.node;
  object.via = Via::interpreter;
  const Object& loader = *machine_.file.object;
  const bool named = loader.soname != k_no_name;
  ORCH_TRY(interpreter_, add({named ? std::string_view(loader.facts->soname) : object.path,
                              named ? loader.soname : interpreter_name_},
                             std::move(object), &loader));
  return interpreter_;
}

Result<const Found*> Link::find(const Name& name, std::size_t loader, Found& own) {
  if (name.text.find('/') == std::string::npos) return search(name, loader, own);
  const std::string path =
      expand_tokens(name.text, origin_of(out_.objects[loader]), layout_.lib, options_.platform);
  ORCH_CHECK(machine_.search.at_path(path, Via::path, own));
  return &own;
}

// The search paths that belong to the object that asks; true if that ends the search. LD_LIBRARY_PATH comes
// between the two kinds, of which an object has one.
Result<bool> Link::search_own(std::string_view name, std::size_t loader, Found& found) {
  if (!states_[loader].object->facts->has_runpath) {
    for (std::size_t at = loader; at != k_no_object && states_[at].any_rpath;
         at = out_.objects[at].loaded_by) {
      if (!states_[at].own || states_[at].own->via != Via::rpath) continue;
      ORCH_TRY(const bool done, machine_.search.in_list(name, *states_[at].own, found));
      if (done) return true;
    }
    return false;
  }
  ORCH_TRY(const bool done, machine_.search.in_list(name, common_->library_path, found));
  if (done || !states_[loader].own) return done;
  return machine_.search.in_list(name, *states_[loader].own, found);
}

// The cache and the default directories.
Result<> Link::search_common(std::string_view name, bool no_default, Found& found) {
  const std::vector<std::string>& system = layout_.system_directories;
  const std::string* cached = cache_.lookup(name, {options_.isa_level, layout_.legacy_hwcap});
  const bool of_system =
      cached && std::any_of(system.begin(), system.end(),
                            [&](const std::string& directory) { return cached->starts_with(directory); });
  if (cached && !(no_default && of_system)) {
    ORCH_TRY(const bool done, machine_.search.at_path(*cached, Via::cache, found));
    if (done) return {};
  }
  if (!no_default) ORCH_CHECK(machine_.search.in_list(name, machine_.system, found));
  return {};
}

Result<const Found*> Link::search(const Name& name, std::size_t loader, Found& own) {
  const State& state = states_[loader];
  const Facts& facts = *state.object->facts;
  const bool no_default = (facts.flags_1 & k_flag1_nodeflib) != 0;
  const bool own_paths = facts.has_runpath ? state.own != nullptr : state.any_rpath;
  if (!own_paths && !no_default) {
    const auto [known, is_new] = common_->found.try_emplace(name.number);
    if (is_new) {
      ORCH_TRY(const bool done, machine_.search.in_list(name.text, common_->library_path, known->second));
      if (!done) ORCH_CHECK(search_common(name.text, false, known->second));
    }
    return &known->second;
  }
  ORCH_TRY(bool done, search_own(name.text, loader, own));
  if (!done && !facts.has_runpath) {
    ORCH_TRY(done, machine_.search.in_list(name.text, common_->library_path, own));
  }
  if (!done) ORCH_CHECK(search_common(name.text, no_default, own));
  return &own;
}

// The object that has the name already; k_no_object if none has. Names with a '/' may also be the path by
// which an object was found.
std::size_t Link::loaded_as(const Name& name) const {
  if (const std::size_t known = shared_.names.at(name.number); known != k_no_object) return known;
  if (name.text.find('/') == std::string::npos) return k_no_object;
  for (std::size_t i = 1; i < out_.objects.size(); ++i)
    if (out_.objects[i].path == name.text) return i;
  return k_no_object;
}

// What is not there, or what the loader refuses, is an object of the result, too.
std::size_t Link::add_missing(const Name& name, std::size_t loader, const Found& found,
                              const std::string& why) {
  if (const std::size_t known = shared_.missing.at(name.number); known != k_no_object) return known;
  if (found.candidate)
    problem(ProblemKind::bad_library, found.path, loader, why);
  else
    problem(ProblemKind::missing_library, std::string(name.text), loader, why);
  LinkedObject object;
  object.name = name.text;
  object.loaded_by = loader;
  object.skipped = found.skipped;
  out_.objects.push_back(std::move(object));
  states_.emplace_back();
  shared_.missing.set(name.number, out_.objects.size() - 1);
  return out_.objects.size() - 1;
}

// The object that answers to `name`; k_no_object only for preloads that cannot be loaded.
Result<std::size_t> Link::map(const Name& name, std::size_t loader, bool preloaded) {
  if (const std::size_t known = loaded_as(name); known != k_no_object) return known;
  if (is_interpreter(name.number)) return add_interpreter();
  Found own;
  ORCH_TRY(const Found* answer, find(name, loader, own));
  const Found& found = *answer;
  if (!found.candidate || found.candidate->verdict == Candidate::Verdict::refused) {
    const std::string why = found.candidate     ? found.candidate->why
                            : found.other_class ? "wrong ELF class: ELFCLASS32"
                                                : "cannot open shared object file: No such file or directory";
    if (!preloaded) return add_missing(name, loader, found, why);
    problem(ProblemKind::preload, std::string(name.text), k_no_object, why);
    return k_no_object;
  }
  if (const std::size_t known = shared_.objects.at(found.candidate->object->number); known != k_no_object) {
    shared_.names.set(name.number, known);
    return known;
  }
  LinkedObject object;
  object.preloaded = preloaded;
  object.loaded_by = loader;
  object.skipped = found.skipped;
  object.path = answer == &own ? shared_.keep(std::move(own.path)) : std::string_view(found.path);
  object.via = found.via;
  object.real_path = found.candidate->real_path;
  object.node = found.candidate->node;
  return add(name, std::move(object), found.candidate->object);
}

// A name with its tokens replaced.
Link::Name Link::expanded(const std::string& name, std::size_t loader) {
  const std::string_view text =
      shared_.keep(expand_tokens(name, origin_of(out_.objects[loader]), layout_.lib, options_.platform));
  return {text, files_.names().number(text)};
}

Result<> Link::map_needs(std::size_t at) {
  const Object& object = *states_[at].object;
  out_.objects[at].first_need = out_.needs.size();
  out_.objects[at].need_count = object.needed.size();
  for (std::size_t i = 0; i < object.needed.size(); ++i) {
    const std::string& raw = object.facts->needed[i];
    const Name name = object.needed[i] == k_no_name ? expanded(raw, at) : Name{raw, object.needed[i]};
    ORCH_TRY(const std::size_t answer, map(name, at, false));
    out_.needs.push_back({name.text, answer});
    if (out_.objects[answer].asked_by == k_no_object) out_.objects[answer].asked_by = at;
  }
  return {};
}

Result<> Link::run(const Candidate& program, const std::string& library_path,
                   const std::vector<std::string>& preloads) {
  LinkedObject start;
  start.path = shared_.keep(out_.program);
  start.real_path = program.real_path;
  start.node = program.node;
  start.via = Via::program;
  ORCH_CHECK(add({start.path, files_.names().number(out_.program)}, start, program.object));
  std::vector<std::string> directories;
  if (!library_path.empty()) {
    std::string joined = library_path;
    std::replace(joined.begin(), joined.end(), ';', ':');
    std::vector<std::string> elements;
    for (const std::string_view part : base::split(joined, ':')) elements.emplace_back(part);
    directories = search_directories(elements, origin_of(out_.objects[0]), layout_, options_.platform);
  }
  const auto [common, is_new] = shared_.common.try_emplace({&machine_, directories});
  common_ = &common->second;
  if (is_new) {
    ORCH_TRY(common_->library_path, machine_.search.list(Via::library_path, directories));
  }
  for (const std::string& name : preloads)
    ORCH_CHECK(map({shared_.keep(name), files_.names().number(name)}, 0, true));
  for (std::size_t at = 0; at < out_.objects.size() && at < k_max_objects; ++at)
    if (states_[at].object && at != interpreter_) ORCH_CHECK(map_needs(at));
  for (std::size_t at = 0; at < out_.objects.size(); ++at) {
    if (!states_[at].object) continue;
    check_versions(at);
    check_isa_level(at);
  }
  return {};
}

void Link::check_isa_level(std::size_t index) {
  const unsigned wanted = states_[index].object->facts->isa_needed;
  const LinkedObject& object = out_.objects[index];
  if (wanted > options_.isa_level)
    problem(ProblemKind::isa_level, std::string(object.path), object.asked_by,
            fmt::format("CPU ISA level is lower than required (x86-64-v{}, {} are offered)", wanted,
                        options_.isa_level));
}

Link::Provider Link::provider_of(std::uint32_t library) const {
  if (const std::size_t known = shared_.names.at(library); known != k_no_object)
    return {states_[known].object, out_.objects[known].path};
  if (is_interpreter(library)) return {machine_.file.object, out_.interpreter};
  return {};
}

// The wanted versions that are not there.
const std::vector<const VersionNeed*>& Link::lacking(const Object::Versions& wanted, const Object& provider) {
  for (const auto& [number, known] : wanted.lacking)
    if (number == provider.number) return known;
  const std::vector<std::string>& definitions = provider.facts->definitions;
  std::vector<std::string_view> sorted;  // of providers with very many
  if (definitions.size() > k_many_definitions) {
    sorted.assign(definitions.begin(), definitions.end());
    std::sort(sorted.begin(), sorted.end());
  }
  const auto defined = [&](const std::string& version) {
    if (!sorted.empty()) return std::binary_search(sorted.begin(), sorted.end(), version);
    return std::find(definitions.begin(), definitions.end(), version) != definitions.end();
  };
  std::vector<const VersionNeed*> out;
  for (const VersionNeed* need : wanted.needs)
    if (!need->weak && !defined(need->version)) out.push_back(need);
  return wanted.lacking.emplace_back(provider.number, std::move(out)).second;
}

void Link::check_versions(std::size_t index) {
  const std::string_view by = out_.objects[index].path;
  for (const Object::Versions& wanted : states_[index].object->versions) {
    const Provider provider = provider_of(wanted.library);
    const std::string& first = wanted.needs.front()->version;
    if (!provider.object) {
      // A missing library is told already; otherwise the version table and DT_NEEDED disagree.
      if (shared_.missing.at(wanted.library) == k_no_object)
        problem(ProblemKind::missing_version, std::string(wanted.name), index,
                "no loaded object has the name that the version table gives (Assertion `needed != NULL')",
                first);
    } else if (!provider.object->facts->versioned) {
      problem(ProblemKind::no_version_table, std::string(provider.path), index,
              fmt::format("no version information available (required by {})", base::printable(by)), first);
    } else {
      for (const VersionNeed* version : lacking(wanted, *provider.object))
        problem(ProblemKind::missing_version, std::string(provider.path), index,
                fmt::format("version `{}' not found (required by {})", base::printable(version->version),
                            base::printable(by)),
                version->version);
    }
  }
}

}  // namespace orch::elf
