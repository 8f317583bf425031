#include "elf/link.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::elf {

namespace {

constexpr std::size_t k_max_objects = 16384;  // far more than any process loads

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

}  // namespace

Link::Link(RootFiles& files, const LoaderOptions& options, Machine& machine, const LdCache& cache,
           LinkMemory& memory, Linkage& out)
    : files_(files),
      names_(files.names()),
      options_(options),
      layout_(machine.layout),
      machine_(machine),
      cache_(cache),
      memory_(memory),
      states_(memory.states),
      out_(out) {
  if (!out.interpreter.empty()) interpreter_name_ = names_.keep(out.interpreter);
  memory.names.clear();
  memory.missing.clear();
  memory.objects.clear();
  memory.states.clear();
}

// The loader keeps the directory of the path by which it opened a file; of the program the real one.
std::string Link::origin_of(const LinkedObject& object) const {
  return folder_of(absolute_path(object.via == Via::program ? object.real_path : object.path, options_));
}

Result<const SearchList*> Link::own_list(const LinkedObject& object, const Object& known) {
  const std::vector<std::string> directories =
      search_directories(known.search, origin_of(object), layout_, options_.platform);
  if (directories.empty()) return nullptr;
  return machine_.search.list(known.has_runpath ? Via::runpath : Via::rpath, directories);
}

// Makes the last object of the result known. `found`: where it comes from, if from a search.
Result<std::size_t> Link::settle(std::uint32_t name, const Object& known, const Found* found) {
  const std::size_t index = out_.objects.size() - 1;
  LinkedObject& object = out_.objects.back();
  if (object.name.empty()) object.name = text(name);
  LinkState& state = states_.emplace_back();
  state.object = &known;
  if (!known.search.empty()) {
    if (found != nullptr && found->own_known) {
      state.own = found->own;
    } else {
      ORCH_TRY(state.own, own_list(object, known));
    }
    if (found != nullptr) {
      found->own = state.own;
      found->own_known = true;
    }
  }
  state.any_rpath = (state.own && !known.has_runpath) ||
                    (object.loaded_by != k_no_object && states_[object.loaded_by].any_rpath);
  memory_.names.set(name, index);
  if (known.soname != k_no_name) memory_.names.set(known.soname, index);
  memory_.objects.set(known.number, index);
  return index;
}

// The loader is there from the start; it becomes an object of the result when something asks for it.
Result<std::size_t> Link::add_interpreter() {
  if (interpreter_ != k_no_object) return interpreter_;
  LinkedObject& object = out_.objects.emplace_back();
  const std::uint32_t path =
      out_.interpreter.empty() ? names_.keep(options_.default_interpreter) : interpreter_name_;
  object.path = text(path);
  object.real_path = machine_.file.real_path;
  object.node = machine_.file.node;
  object.via = Via::interpreter;
  const Object& loader = *machine_.file.object;
  ORCH_TRY(interpreter_, settle(loader.soname == k_no_name ? path : loader.soname, loader, nullptr));
  return interpreter_;
}

Result<const Found*> Link::find(std::uint32_t name, std::size_t loader) {
  if (!names_.has_slash(name)) return search(name, loader);
  return machine_.search.at_path(
      expand_tokens(text(name), origin_of(out_.objects[loader]), layout_.lib, options_.platform), Via::path);
}

// The cache and the default directories.
Result<const Found*> Link::search_common(std::uint32_t name, bool no_default) {
  std::vector<const Found*>& answers = machine_.common[no_default ? 1 : 0];
  if (name < answers.size() && answers[name] != nullptr) return answers[name];
  const std::vector<std::string>& system = layout_.system_directories;
  const std::string* cached = cache_.lookup(text(name), {options_.isa_level, layout_.legacy_hwcap});
  const bool of_system =
      cached && std::any_of(system.begin(), system.end(),
                            [&](const std::string& directory) { return cached->starts_with(directory); });
  const Found* all = machine_.search.nothing();
  bool done = false;
  if (cached && !(no_default && of_system)) {
    ORCH_TRY(done, gather(machine_.search.at_path(*cached, Via::cache), all));
  }
  if (!done && !no_default) ORCH_CHECK(gather(machine_.search.in_list(name, *machine_.system), all));
  if (name >= answers.size()) answers.resize(2 * std::size_t{name} + 1);
  return answers[name] = all;
}

Result<bool> Link::gather(Result<const Found*> found, const Found*& all) {
  if (!found) return base::fail(std::move(found).error());
  if (all->linked.skipped.empty()) {
    all = *found;
  } else if (*found != machine_.search.nothing()) {
    std::vector<Skipped> both(all->linked.skipped.begin(), all->linked.skipped.end());
    both.insert(both.end(), (*found)->linked.skipped.begin(), (*found)->linked.skipped.end());
    Found next = **found;
    next.linked.skipped = files_.objects().arena().copy(std::span<const Skipped>(both));
    next.other_class |= all->other_class;
    all = machine_.search.keep(next);
  }
  return all->candidate != nullptr;
}

// LD_LIBRARY_PATH comes behind DT_RPATH, the object's own and that of those that loaded it, and before
// DT_RUNPATH; an object has one of the two.
Result<const Found*> Link::search(std::uint32_t name, std::size_t loader) {
  const Object& object = *states_[loader].object;
  const bool no_default = (object.flags_1 & k_flag1_nodeflib) != 0;
  const bool own_runpath = object.has_runpath && states_[loader].own != nullptr;
  const bool any_rpath = !object.has_runpath && states_[loader].any_rpath;
  if (!own_runpath && !any_rpath && library_path_->places.empty()) return search_common(name, no_default);
  const Found* all = machine_.search.nothing();
  for (std::size_t at = loader; any_rpath && at != k_no_object && states_[at].any_rpath;
       at = out_.objects[at].loaded_by) {
    if (!states_[at].own || states_[at].own->via != Via::rpath) continue;
    ORCH_TRY(const bool done, gather(machine_.search.in_list(name, *states_[at].own), all));
    if (done) return all;
  }
  ORCH_TRY(bool done, gather(machine_.search.in_list(name, *library_path_), all));
  if (!done && own_runpath) {
    ORCH_TRY(done, gather(machine_.search.in_list(name, *states_[loader].own), all));
  }
  if (!done) ORCH_CHECK(gather(search_common(name, no_default), all));
  return all;
}

// The object that has the name already; k_no_object if none has. Names with a '/' may also be the path by
// which an object was found.
std::size_t Link::loaded_as(std::uint32_t name) const {
  if (const std::size_t known = memory_.names.at(name); known != k_no_object) return known;
  if (!names_.has_slash(name)) return k_no_object;
  for (std::size_t i = 1; i < out_.objects.size(); ++i)
    if (out_.objects[i].path == text(name)) return i;
  return k_no_object;
}

// What is not there, or what the loader refuses, is an object of the result, too.
std::size_t Link::add_missing(std::uint32_t name, std::size_t loader, const Found& found,
                              const std::string& why) {
  if (const std::size_t known = memory_.missing.at(name); known != k_no_object) return known;
  if (found.candidate)
    problem(ProblemKind::bad_library, std::string(found.linked.path), loader, why);
  else
    problem(ProblemKind::missing_library, std::string(text(name)), loader, why);
  LinkedObject& object = out_.objects.emplace_back();
  object.name = text(name);
  object.loaded_by = loader;
  object.skipped = found.linked.skipped;
  states_.emplace_back();
  memory_.missing.set(name, out_.objects.size() - 1);
  return out_.objects.size() - 1;
}

// The object that answers to `name`; k_no_object only for preloads that cannot be loaded.
Result<std::size_t> Link::map(std::uint32_t name, std::size_t loader, bool preloaded) {
  if (const std::size_t known = loaded_as(name); known != k_no_object) return known;
  if (is_interpreter(name)) return add_interpreter();
  ORCH_TRY(const Found* const found, find(name, loader));
  if (found->object == nullptr) {
    const std::string why(found->candidate     ? found->candidate->why
                          : found->other_class ? "wrong ELF class: ELFCLASS32"
                                               : "cannot open shared object file: No such file or directory");
    if (!preloaded) return add_missing(name, loader, *found, why);
    problem(ProblemKind::preload, std::string(text(name)), k_no_object, why);
    return k_no_object;
  }
  if (const std::size_t known = memory_.objects.at(found->object->number); known != k_no_object) {
    memory_.names.set(name, known);
    return known;
  }
  LinkedObject& object = out_.objects.emplace_back(found->linked);
  object.preloaded = preloaded;
  object.loaded_by = loader;
  return settle(name, *found->object, found);
}

// A name with its tokens replaced.
std::uint32_t Link::expanded(std::uint32_t name, std::size_t loader) {
  return names_.keep(
      expand_tokens(text(name), origin_of(out_.objects[loader]), layout_.lib, options_.platform));
}

Result<> Link::map_needs(std::size_t at) {
  const Object& object = *states_[at].object;
  out_.objects[at].first_need = out_.needs.size();
  out_.objects[at].need_count = object.needed.size();
  for (const std::uint32_t raw : object.needed) {
    const std::uint32_t name = object.any_dollar && names_.has_dollar(raw) ? expanded(raw, at) : raw;
    std::size_t answer = memory_.names.at(name);  // most are there already
    if (answer == k_no_object) {
      ORCH_TRY(answer, map(name, at, false));
    }
    out_.needs.push_back({name, static_cast<std::uint32_t>(answer)});
    if (out_.objects[answer].asked_by == k_no_object) out_.objects[answer].asked_by = at;
  }
  return {};
}

Result<> Link::set_library_path(const std::string& library_path) {
  std::vector<std::string> directories;
  if (!library_path.empty()) {
    std::string joined = library_path;
    std::replace(joined.begin(), joined.end(), ';', ':');
    directories =
        search_directories(base::split(joined, ':'), origin_of(out_.objects[0]), layout_, options_.platform);
  }
  ORCH_TRY(library_path_, machine_.search.list(Via::library_path, directories));
  return {};
}

Result<> Link::run(const Candidate& program, const std::string& library_path,
                   const std::vector<std::string>& preloads) {
  LinkedObject& start = out_.objects.emplace_back();
  const std::uint32_t name = names_.keep(out_.program);
  start.path = text(name);
  start.real_path = program.real_path;
  start.node = program.node;
  start.via = Via::program;
  ORCH_CHECK(settle(name, *program.object, nullptr));
  ORCH_CHECK(set_library_path(library_path));
  for (const std::string& preload : preloads) ORCH_CHECK(map(names_.keep(preload), 0, true));
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
  const unsigned wanted = states_[index].object->isa_needed;
  const LinkedObject& object = out_.objects[index];
  if (wanted > options_.isa_level)
    problem(ProblemKind::isa_level, std::string(object.path), object.asked_by,
            fmt::format("CPU ISA level is lower than required (x86-64-v{}; x86-64-v{} is on offer)", wanted,
                        options_.isa_level));
}

Link::Provider Link::provider_of(std::uint32_t library) const {
  if (const std::size_t known = memory_.names.at(library); known != k_no_object)
    return {states_[known].object, out_.objects[known].path};
  if (is_interpreter(library)) return {machine_.file.object, out_.interpreter};
  return {};
}

void Link::check_versions(std::size_t index) {
  for (const Object::Versions& wanted : states_[index].object->versions) {
    // Nearly always the provider has been looked at for another program, and has all of them.
    const std::size_t known = memory_.names.at(wanted.library);
    const bool good = known != k_no_object && wanted.checked == states_[known].object &&
                      wanted.checked->versioned && wanted.lacking.empty();
    if (!good) check_provider(wanted, index);
  }
}

void Link::check_provider(const Object::Versions& wanted, std::size_t index) {
  const std::string_view by = out_.objects[index].path;
  const Provider provider = provider_of(wanted.library);
  if (!provider.object) {
    // A missing library is told already; otherwise the version table and DT_NEEDED disagree.
    if (memory_.missing.at(wanted.library) == k_no_object)
      problem(ProblemKind::missing_version, std::string(text(wanted.library)), index,
              "no loaded object has the name that the version table gives (Assertion `needed != NULL')",
              std::string(text(wanted.first)));
  } else if (!provider.object->versioned) {
    problem(ProblemKind::no_version_table, std::string(provider.path), index,
            fmt::format("no version information available (required by {})", base::printable(by)),
            std::string(text(wanted.first)));
  } else {
    for (const std::uint32_t version : files_.objects().lacking(wanted, *provider.object))
      problem(ProblemKind::missing_version, std::string(provider.path), index,
              fmt::format("version `{}' not found (required by {})", base::printable(text(version)),
                          base::printable(by)),
              std::string(text(version)));
  }
}

}  // namespace orch::elf
