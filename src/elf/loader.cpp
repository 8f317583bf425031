#include "elf/loader.hpp"

#include "base/text.hpp"
#include "elf/ld_cache.hpp"
#include "elf/library_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace orch::elf {

using image::FileTree;
using image::NodeId;

namespace {

constexpr std::size_t k_max_cache = 64U << 20;
constexpr std::size_t k_max_preload = 64U << 10;
constexpr std::size_t k_max_objects = 16384;  // far more than any process loads

// What is the same for all programs with one interpreter.
struct Machine {
  bool there = false;
  Candidate file;
  LoaderLayout layout;
  std::vector<Problem> problems;  // of the interpreter; their needed_by is the program
};

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

std::vector<std::string> words(std::string_view text, std::string_view separators) {
  std::vector<std::string> out;
  for (std::size_t at = text.find_first_not_of(separators); at != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(separators, at), text.size());
    out.emplace_back(text.substr(at, end - at));
    at = text.find_first_not_of(separators, end);
  }
  return out;
}

}  // namespace

struct Loader::Impl {
  Impl(const FileTree& root, FactsSource& facts, LoaderOptions given)
      : options(std::move(given)), files(root, facts) {}

  Result<const Machine*> machine(const std::string& interpreter);
  Result<LoaderLayout> fallback_layout();
  Result<> read_configuration();

  LoaderOptions options;
  RootFiles files;
  std::unordered_map<std::string, Machine> machines;
  bool configured = false;
  LdCache cache;
  std::string cache_problem;
  std::vector<std::string> preload;  // of /etc/ld.so.preload
};

Result<LoaderLayout> Loader::Impl::fallback_layout() {
  ORCH_TRY(const image::Resolution found,
           image::resolve(files.tree(), "/lib/x86_64-linux-gnu", image::Links::in_root));
  return found.outcome == image::Resolution::Outcome::found ? debian_layout() : fedora_layout();
}

Result<const Machine*> Loader::Impl::machine(const std::string& interpreter) {
  const auto [known, is_new] = machines.try_emplace(interpreter);
  Machine& out = known->second;
  if (!is_new) return &out;
  const LibrarySearch paths(files, options);
  ORCH_TRY(const Candidate* file, files.at(paths.absolute(interpreter)));
  const auto problem = [&](ProblemKind kind, std::string detail) {
    out.problems.push_back({kind, interpreter, {}, {}, std::move(detail)});
  };
  ORCH_TRY(out.layout, fallback_layout());
  if (file->verdict == Candidate::Verdict::absent) {
    problem(ProblemKind::missing_interpreter, "No such file or directory");
    return &out;
  }
  const Facts* facts = file->facts;
  if (!facts) {
    problem(ProblemKind::wrong_interpreter, "is no ELF file");
    return &out;
  }
  if (!facts->is_64 || facts->machine != k_machine_x86_64) {
    problem(ProblemKind::wrong_interpreter,
            "is for " + image::machine_name(facts->machine, facts->is_64) + ", expected x86_64");
    return &out;
  }
  if (!facts->interpreter.empty())
    problem(ProblemKind::wrong_interpreter,
            "has an interpreter of its own: '" + base::printable(facts->interpreter) + "'");
  out.there = true;
  out.file = *file;
  ORCH_TRY(const LoaderLayout* layout,
           files.facts().layout(file->node, std::string_view(file->real_path).substr(1)));
  if (layout)
    out.layout = *layout;
  else
    problem(ProblemKind::foreign_loader, "is not glibc's loader; what glibc's would do is shown");
  return &out;
}

Result<> Loader::Impl::read_configuration() {
  if (configured) return {};
  configured = true;
  ORCH_TRY(const std::optional<std::string> bytes, files.read("/etc/ld.so.cache", k_max_cache));
  if (bytes) {
    Result<LdCache> parsed = LdCache::parse(*bytes);
    if (parsed)
      cache = *std::move(parsed);
    else
      cache_problem = base::one_line(parsed.error());
  }
  ORCH_TRY(const std::optional<std::string> list, files.read("/etc/ld.so.preload", k_max_preload));
  if (list)
    for (const std::string_view line : base::split(*list, '\n'))
      for (std::string& name : words(line.substr(0, line.find('#')), " \t:")) preload.push_back(name);
  return {};
}

namespace {

// One program being linked.
class Link {
 public:
  Link(RootFiles& files, const LoaderOptions& options, const Machine& machine, const LdCache& cache,
       const LoaderEnvironment& environment, Linkage& out)
      : options_(options), machine_(machine), cache_(cache), search_(files, options), out_(out) {
    search_.use(machine.layout);
    library_path_.via = Via::library_path;
    if (!environment.library_path.empty()) {
      std::string joined = environment.library_path;
      std::replace(joined.begin(), joined.end(), ';', ':');
      std::vector<std::string> elements;
      for (const std::string_view part : base::split(joined, ':')) elements.emplace_back(part);
      raw_library_path_ = std::move(elements);
    }
    system_ = {Via::system, machine.layout.system_directories};
  }

  Result<> run(const Candidate& program, const std::vector<std::string>& preloads);

 private:
  // What is known of an object beside what the result has.
  struct State {
    const Facts* facts = nullptr;
    std::string origin;
    SearchList rpath{Via::rpath, {}};
    SearchList runpath{Via::runpath, {}};
  };

  std::size_t add(LinkedObject object, const Facts* facts);
  std::size_t add_interpreter();
  Result<Found> find(const std::string& name, std::size_t loader);
  Result<Found> search(const std::string& name, std::size_t loader);
  Result<std::size_t> map(const std::string& name, std::size_t loader, bool preloaded);
  // The object that a version table means; no facts if there is none.
  struct Provider {
    const Facts* facts = nullptr;
    std::string path;
  };
  Provider provider_of(const std::string& library) const;
  bool is_interpreter(std::string_view name) const {
    return machine_.there && (name == machine_.file.facts->soname || name == out_.interpreter);
  }
  void check_versions(std::size_t index);
  void problem(ProblemKind kind, std::string object, std::size_t by, std::string detail,
               std::string version = {}) {
    out_.problems.push_back({kind, std::move(object), by == k_no_object ? "" : out_.objects[by].path,
                             std::move(version), std::move(detail)});
  }

  const LoaderOptions& options_;
  const Machine& machine_;
  const LdCache& cache_;
  LibrarySearch search_;
  Linkage& out_;
  std::vector<std::string> raw_library_path_;
  SearchList library_path_;
  SearchList system_;
  std::vector<State> states_;                             // of out_.objects
  std::unordered_map<std::string, std::size_t> names_;    // paths, names asked for, sonames: the first counts
  std::unordered_map<std::uint64_t, std::size_t> nodes_;  // of loaded files
  std::unordered_map<std::string, std::size_t> missing_;
  std::size_t interpreter_ = k_no_object;
};

std::size_t Link::add(LinkedObject object, const Facts* facts) {
  const std::size_t index = out_.objects.size();
  State state;
  state.facts = facts;
  if (facts) {
    // The loader keeps the directory of the path by which it opened the file; of the program the real one.
    state.origin = folder_of(search_.absolute(object.via == Via::program ? object.real_path : object.path));
    const auto list = [&](const std::vector<std::string>& elements) {
      return search_directories(elements, state.origin, machine_.layout, options_.platform);
    };
    if (facts->has_runpath)
      state.runpath.directories = list(facts->runpath);
    else
      state.rpath.directories = list(facts->rpath);
    if (object.via != Via::program) names_.emplace(object.path, index);
    names_.emplace(object.name, index);
    if (!facts->soname.empty()) names_.emplace(facts->soname, index);
    nodes_.emplace(object.node.value, index);
  }
  out_.objects.push_back(std::move(object));
  states_.push_back(std::move(state));
  return index;
}

// The loader is there from the start; it becomes an object of the result when something asks for it.
std::size_t Link::add_interpreter() {
  if (interpreter_ != k_no_object) return interpreter_;
  LinkedObject object;
  object.name = machine_.file.facts->soname.empty() ? out_.interpreter : machine_.file.facts->soname;
  object.path = out_.interpreter.empty() ? options_.default_interpreter : out_.interpreter;
  object.real_path = machine_.file.real_path;
  object.node = machine_.file.node;
  object.via = Via::interpreter;
  interpreter_ = add(std::move(object), machine_.file.facts);
  return interpreter_;
}

Result<Found> Link::find(const std::string& name, std::size_t loader) {
  Found found;
  if (name.find('/') != std::string::npos) {
    const std::string path =
        expand_tokens(name, states_[loader].origin, machine_.layout.lib, options_.platform);
    ORCH_CHECK(search_.at_path(path, Via::path, found));
    return found;
  }
  return search(name, loader);
}

Result<Found> Link::search(const std::string& name, std::size_t loader) {
  Found found;
  const Facts& facts = *states_[loader].facts;
  if (!facts.has_runpath) {
    std::size_t at = loader;
    for (std::size_t steps = 0; at != k_no_object && steps <= states_.size(); ++steps) {
      ORCH_TRY(const bool done, search_.in_list(name, states_[at].rpath, found));
      if (done) return found;
      at = out_.objects[at].loaded_by;
    }
  }
  ORCH_TRY(bool done, search_.in_list(name, library_path_, found));
  if (done) return found;
  ORCH_TRY(done, search_.in_list(name, states_[loader].runpath, found));
  if (done) return found;
  const bool no_default = (facts.flags_1 & k_flag1_nodeflib) != 0;
  const std::string* cached = cache_.lookup(name, {options_.isa_level, machine_.layout.legacy_hwcap});
  const bool of_system = cached && std::any_of(system_.directories.begin(), system_.directories.end(),
                                               [&](const std::string& d) { return cached->starts_with(d); });
  if (cached && !(no_default && of_system)) {
    ORCH_TRY(done, search_.at_path(*cached, Via::cache, found));
    if (done) return found;
  }
  if (!no_default) ORCH_CHECK(search_.in_list(name, system_, found));
  return found;
}

// The object that answers to `name`; k_no_object only for preloads that cannot be loaded.
Result<std::size_t> Link::map(const std::string& name, std::size_t loader, bool preloaded) {
  if (const auto known = names_.find(name); known != names_.end()) return known->second;
  if (is_interpreter(name)) return add_interpreter();
  ORCH_TRY(Found found, find(name, loader));
  const bool refused = found.candidate && found.candidate->verdict == Candidate::Verdict::refused;
  if (found.candidate && !refused) {
    if (const auto known = nodes_.find(found.candidate->node.value); known != nodes_.end()) {
      names_.emplace(name, known->second);
      return known->second;
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
  object.name = name;
  object.preloaded = preloaded;
  object.loaded_by = loader;
  object.skipped = std::move(found.skipped);
  if (!found.candidate || refused) {
    if (const auto known = missing_.find(name); known != missing_.end()) return known->second;
    if (refused)
      problem(ProblemKind::bad_library, found.path, loader, why);
    else
      problem(ProblemKind::missing_library, name, loader, why);
    const std::size_t index = add(std::move(object), nullptr);
    missing_.emplace(name, index);
    return index;
  }
  object.path = std::move(found.path);
  object.via = found.via;
  object.real_path = found.candidate->real_path;
  object.node = found.candidate->node;
  return add(std::move(object), found.candidate->facts);
}

Result<> Link::run(const Candidate& program, const std::vector<std::string>& preloads) {
  LinkedObject start;
  start.name = out_.program;
  start.path = out_.program;
  start.real_path = program.real_path;
  start.node = program.node;
  start.via = Via::program;
  add(std::move(start), program.facts);
  library_path_.directories =
      search_directories(raw_library_path_, states_[0].origin, machine_.layout, options_.platform);
  for (const std::string& name : preloads) ORCH_CHECK(map(name, 0, true));
  for (std::size_t at = 0; at < out_.objects.size() && at < k_max_objects; ++at) {
    if (!states_[at].facts || at == interpreter_) continue;
    const Facts& facts = *states_[at].facts;
    for (const std::string& raw : facts.needed) {
      const std::string name = expand_tokens(raw, states_[at].origin, machine_.layout.lib, options_.platform);
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

void Link::check_versions(std::size_t index) {
  const std::string& by = out_.objects[index].path;
  std::unordered_set<std::string> told;
  for (const VersionNeed& need : states_[index].facts->versions) {
    const Provider provider = provider_of(need.library);
    if (!provider.facts) {
      // A missing library is told already; otherwise the version table and DT_NEEDED disagree.
      if (!missing_.contains(need.library) && told.insert(need.library).second)
        problem(ProblemKind::missing_version, need.library, index,
                "no loaded object has the name that the version table gives (Assertion `needed != NULL')",
                need.version);
      continue;
    }
    if (!provider.facts->versioned) {
      if (told.insert(need.library).second)
        problem(ProblemKind::no_version_table, provider.path, index,
                fmt::format("no version information available (required by {})", base::printable(by)),
                need.version);
      continue;
    }
    const std::vector<std::string>& defined = provider.facts->definitions;
    const bool there = std::find(defined.begin(), defined.end(), need.version) != defined.end();
    if (!there && !need.weak)
      problem(ProblemKind::missing_version, provider.path, index,
              fmt::format("version `{}' not found (required by {})", base::printable(need.version),
                          base::printable(by)),
              need.version);
  }
}

}  // namespace

Loader::Loader(const FileTree& root, FactsSource& facts, LoaderOptions options)
    : impl_(std::make_unique<Impl>(root, facts, std::move(options))) {}
Loader::~Loader() = default;

Result<Linkage> Loader::link(std::string_view program, const LoaderEnvironment& environment) {
  Linkage out;
  out.program = std::string(program);
  const LibrarySearch paths(impl_->files, impl_->options);
  ORCH_TRY(const Candidate* found, impl_->files.at(paths.absolute(program)));
  const auto problem = [&](ProblemKind kind, std::string object, std::string detail) {
    out.problems.push_back({kind, std::move(object), {}, {}, std::move(detail)});
  };
  if (found->verdict == Candidate::Verdict::absent) {
    problem(ProblemKind::missing_program, out.program, "No such file or directory");
    return out;
  }
  const Facts* facts = found->facts;
  if (!facts || !facts->is_64 || facts->machine != k_machine_x86_64) {
    problem(ProblemKind::wrong_program, out.program,
            facts ? "is for " + image::machine_name(facts->machine, facts->is_64) : found->why);
    return out;
  }
  out.interpreter = facts->interpreter;
  const bool is_library = facts->type == k_type_shared && (facts->flags_1 & k_flag1_pie) == 0;
  if (out.interpreter.empty() && (!facts->dynamic || !is_library)) {
    out.is_static = true;
    LinkedObject only;
    only.name = only.path = out.program;
    only.real_path = found->real_path;
    only.node = found->node;
    only.via = Via::program;
    out.objects.push_back(std::move(only));
    if (facts->isa_needed > impl_->options.isa_level)
      problem(ProblemKind::isa_level, out.program, "CPU ISA level is lower than required");
    return out;
  }
  ORCH_CHECK(impl_->read_configuration());
  ORCH_TRY(const Machine* machine,
           impl_->machine(out.interpreter.empty() ? impl_->options.default_interpreter : out.interpreter));
  for (Problem told : machine->problems) {
    told.needed_by = out.program;
    out.problems.push_back(std::move(told));
  }
  if (!impl_->cache_problem.empty())
    problem(ProblemKind::bad_cache, "/etc/ld.so.cache", impl_->cache_problem);
  std::vector<std::string> preloads = words(environment.preload, " :");
  preloads.insert(preloads.end(), impl_->preload.begin(), impl_->preload.end());
  Link link(impl_->files, impl_->options, *machine, impl_->cache, environment, out);
  ORCH_CHECK(link.run(*found, preloads));
  return out;
}

}  // namespace orch::elf
