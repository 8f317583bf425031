#include "elf/loader.hpp"

#include "base/text.hpp"
#include "elf/link.hpp"

#include <algorithm>
#include <utility>

namespace orch::elf {

using image::FileTree;
using image::NodeId;

namespace {

constexpr std::size_t k_max_cache = 64U << 20;
constexpr std::size_t k_max_preload = 64U << 10;

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

  Result<Machine*> machine(const std::string& interpreter);
  Result<LoaderLayout> fallback_layout();
  Result<> read_configuration();

  LoaderOptions options;
  RootFiles files;
  std::unordered_map<std::string, std::unique_ptr<Machine>> machines;
  bool configured = false;
  LdCache cache;
  std::string cache_problem;
  std::vector<std::string> preload;  // of /etc/ld.so.preload
  LinkMemory memory;
};

Result<LoaderLayout> Loader::Impl::fallback_layout() {
  ORCH_TRY(const image::Resolution found,
           image::resolve(files.tree(), "/lib/x86_64-linux-gnu", image::Links::in_root));
  return found.outcome == image::Resolution::Outcome::found ? debian_layout() : fedora_layout();
}

namespace {

// What is wrong with an interpreter.
std::vector<Problem> problems_of(const Candidate& file, const std::string& interpreter) {
  std::vector<Problem> out;
  const auto problem = [&](ProblemKind kind, std::string detail) {
    out.push_back({kind, interpreter, {}, {}, std::move(detail)});
  };
  const Object* object = file.object;
  if (file.verdict == Candidate::Verdict::absent)
    problem(ProblemKind::missing_interpreter, "No such file or directory");
  else if (!object)
    problem(ProblemKind::wrong_interpreter, "is no ELF file");
  else if (!object->is_64 || object->machine != k_machine_x86_64)
    problem(ProblemKind::wrong_interpreter,
            "is for " + image::machine_name(object->machine, object->is_64) + ", expected x86_64");
  else if (!object->interpreter.empty())
    problem(ProblemKind::wrong_interpreter,
            "has an interpreter of its own: '" + base::printable(object->interpreter) + "'");
  return out;
}

}  // namespace

// What there is to search with an interpreter of that name, whether it is there or not.
Result<Machine*> Loader::Impl::machine(const std::string& interpreter) {
  const auto known = machines.find(interpreter);
  if (known != machines.end()) return known->second.get();
  ORCH_TRY(const Candidate* file, files.at(interpreter, options));
  std::vector<Problem> problems = problems_of(*file, interpreter);
  const bool there =
      file->object != nullptr && file->object->is_64 && file->object->machine == k_machine_x86_64;
  ORCH_TRY(LoaderLayout layout, fallback_layout());
  if (there) {
    ORCH_TRY(const LoaderLayout* own, files.facts().layout(file->node, file->real_path.substr(1)));
    if (own)
      layout = *own;
    else
      problems.push_back({ProblemKind::foreign_loader,
                          interpreter,
                          {},
                          {},
                          "is not glibc's loader; what glibc's would do is shown"});
  }
  auto made = std::make_unique<Machine>(files, options, std::move(layout));
  made->there = there;
  if (there) made->file = *file;
  made->problems = std::move(problems);
  ORCH_TRY(made->system, made->search.list(Via::system, made->layout.system_directories));
  return machines.emplace(interpreter, std::move(made)).first->second.get();
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

Loader::Loader(const FileTree& root, FactsSource& facts, LoaderOptions options)
    : impl_(std::make_unique<Impl>(root, facts, std::move(options))) {}
Loader::~Loader() = default;

Result<Linkage> Loader::link(std::string_view program, const LoaderEnvironment& environment) {
  Linkage out;
  ORCH_CHECK(link(program, environment, out));
  return out;
}

Result<> Loader::link(std::string_view program, const LoaderEnvironment& environment, Linkage& out) {
  out.clear();
  out.program.assign(program);
  out.names = &impl_->files.names();
  ORCH_TRY(const Candidate* found, impl_->files.at(program, impl_->options));
  const auto problem = [&](ProblemKind kind, std::string object, std::string detail) {
    out.problems.push_back({kind, std::move(object), {}, {}, std::move(detail)});
  };
  if (found->verdict == Candidate::Verdict::absent) {
    problem(ProblemKind::missing_program, out.program, "No such file or directory");
    return {};
  }
  const Object* object = found->object;
  if (!object || !object->is_64 || object->machine != k_machine_x86_64) {
    problem(
        ProblemKind::wrong_program, out.program,
        object ? "is for " + image::machine_name(object->machine, object->is_64) : std::string(found->why));
    return {};
  }
  out.interpreter = object->interpreter;
  const bool is_library = object->type == k_type_shared && (object->flags_1 & k_flag1_pie) == 0;
  if (out.interpreter.empty() && (!object->dynamic || !is_library)) {
    out.is_static = true;
    LinkedObject only;
    only.name = only.path = impl_->files.names().text(impl_->files.names().keep(out.program));
    only.real_path = found->real_path;
    only.node = found->node;
    only.via = Via::program;
    out.objects.push_back(only);
    if (object->isa_needed > impl_->options.isa_level)
      problem(ProblemKind::isa_level, out.program, "CPU ISA level is lower than required");
    return {};
  }
  ORCH_CHECK(impl_->read_configuration());
  ORCH_TRY(Machine* const machine,
           impl_->machine(out.interpreter.empty() ? impl_->options.default_interpreter : out.interpreter));
  for (Problem told : machine->problems) {
    told.needed_by = out.program;
    out.problems.push_back(std::move(told));
  }
  if (!impl_->cache_problem.empty())
    problem(ProblemKind::bad_cache, "/etc/ld.so.cache", impl_->cache_problem);
  std::vector<std::string> preloads = words(environment.preload, " :");
  preloads.insert(preloads.end(), impl_->preload.begin(), impl_->preload.end());
  Link link(impl_->files, impl_->options, *machine, impl_->cache, impl_->memory, out);
  return link.run(*found, environment.library_path, preloads);
}

}  // namespace orch::elf
