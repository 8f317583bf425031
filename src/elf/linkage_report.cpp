#include "elf/linkage_report.hpp"

#include "base/text.hpp"
#include "elf/inspection.hpp"
#include "elf/link_programs.hpp"
#include "elf/loader.hpp"
#include "image/entry.hpp"
#include "image/layer_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace orch::elf {

using base::Value;
using image::NodeId;
using image::NodeType;

namespace {

// As image::find_entry(), from what the index knows of the file.
Result<image::Entry> find_entry(const Index& app) {
  ORCH_TRY(image::FollowedEntry followed, image::follow_entry(app));
  if (!followed.file) return std::move(followed.entry);
  image::Entry& entry = followed.entry;
  ORCH_TRY(const std::optional<Facts> facts, app.facts(*followed.file));
  if (facts) {
    entry.kind = image::EntryKind::elf;
    entry.machine = facts->machine;
    entry.is_64 = facts->is_64;
    entry.interpreter = facts->interpreter;
  } else if (const auto script = app.open(*followed.file)) {
    ORCH_TRY(const std::string head,
             image::read_exact(**script, 0, static_cast<std::size_t>((*script)->size())));
    image::set_script(entry, head);
  }
  return std::move(entry);
}

class Reporter {
 public:
  Reporter(const StackFiles& files, const ReportOptions& options)
      : files_(files), options_(options), linker_(files, loader_options(options), options.threads) {}

  Result<LinkageReport> run() {
    ORCH_TRY(const image::Entry entry, find_entry(files_.app()));
    ORCH_TRY(const std::optional<DesktopEntry> desktop, find_desktop_entry(files_.app()));
    ORCH_TRY(report_.start,
             read_app_start(files_.app(), entry, desktop ? desktop->exec : "", files_.appdir()));
    std::vector<std::string> directories = options_.library_path;
    directories.insert(directories.end(), report_.start.library_path.begin(),
                       report_.start.library_path.end());
    environment_.library_path = base::join(directories, ":");
    ORCH_CHECK(interpreter_of(entry));
    ORCH_TRY(const std::vector<std::string> all, elf_files());
    std::set<std::string> started(report_.start.programs.begin(), report_.start.programs.end());
    // Where nothing could be read off, whatever can be started has to work.
    const bool unknown =
        std::none_of(all.begin(), all.end(), [&](const auto& path) { return started.contains(path); });
    std::vector<std::string> programs;
    for (const std::string& path : all)
      if (started.contains(path) || (unknown && is_program(path)))
        programs.push_back(files_.appdir() + "/" + path);
    ORCH_CHECK(look_at(programs, Severity::required));
    programs.clear();
    for (const std::string& path : all)
      if (!seen_.contains(files_.appdir() + "/" + path)) programs.push_back(files_.appdir() + "/" + path);
    ORCH_CHECK(look_at(programs, Severity::optional));
    ORCH_CHECK(add_hints(all));
    finish();
    return std::move(report_);
  }

 private:
  using Key = std::tuple<ProblemKind, std::string, std::string>;

  static LoaderOptions loader_options(const ReportOptions& options) {
    LoaderOptions out;
    out.isa_level = options.isa_level;
    return out;
  }

  // An AppRun script is started by its interpreter, which the stack must have.
  Result<> interpreter_of(const image::Entry& entry) {
    if (entry.kind != image::EntryKind::script || !entry.interpreter.starts_with('/')) return {};
    Linkage linkage;
    ORCH_CHECK(linker_.link({entry.interpreter}, {},
                            [&](std::size_t, Linkage& found) { linkage = std::move(found); }));
    take(linkage, Severity::required, files_.appdir() + "/" + entry.path);
    return {};
  }

  // The application's ELF files, by path.
  Result<std::vector<std::string>> elf_files() const {
    std::vector<std::string> out;
    std::set<NodeId> known;
    ORCH_CHECK(image::walk(files_.app(), [&](const image::WalkEntry& entry) -> Result<> {
      if (entry.type != NodeType::file) return {};
      ORCH_TRY(const std::optional<Facts> facts, files_.app().facts(entry.node));
      if (facts && facts->type != k_type_relocatable && known.insert(entry.node).second)
        out.push_back(entry.path);
      return {};
    }));
    std::sort(out.begin(), out.end());
    return out;
  }

  bool is_program(const std::string& path) const {
    const auto found = image::resolve(files_.app(), path);
    if (!found || found->outcome != image::Resolution::Outcome::found) return false;
    const auto facts = files_.app().facts(found->node);
    return facts && *facts && (!(*facts)->interpreter.empty() || (*facts)->type == k_type_executable);
  }

  // Absolute paths. What another one loads is not looked at once more.
  Result<> look_at(const std::vector<std::string>& programs, Severity severity) {
    std::vector<Linkage> linkages(programs.size());
    ORCH_CHECK(linker_.link(programs, environment_, [&](std::size_t program, Linkage& linkage) {
      linkages[program] = std::move(linkage);
    }));
    for (std::size_t i = 0; i < programs.size(); ++i)
      if (severity == Severity::required || !seen_.contains(programs[i])) take(linkages[i], severity, {});
    return {};
  }

  void take(const Linkage& linkage, Severity severity, const std::string& needed_by) {
    for (const LinkedObject& object : linkage.objects) {
      if (object.missing() || !seen_.insert(std::string(object.real_path)).second) continue;
      ReportObject out{std::string(object.real_path), files_.layer_of(object.node), severity, {}};
      for (const LinkedNeed& need : linkage.needs_of(object)) {
        const LinkedObject* const provider = &linkage.objects[need.object];
        const bool found = !provider->missing();
        out.needs.push_back({std::string(linkage.name_of(need)),
                             std::string(found ? provider->real_path : ""),
                             found ? files_.layer_of(provider->node) : ""});
      }
      report_.objects.push_back(std::move(out));
    }
    const auto no_loader =
        std::find_if(linkage.problems.begin(), linkage.problems.end(),
                     [](const Problem& problem) { return problem.kind == ProblemKind::missing_interpreter; });
    for (Problem problem : linkage.problems) {
      // Libraries name the loader, too: without it that is no second thing to look for.
      if (no_loader != linkage.problems.end() && problem.kind == ProblemKind::missing_library &&
          no_loader->object.ends_with("/" + problem.object))
        continue;
      if (problem.kind == ProblemKind::missing_library)
        problem.detail += passed_over(linkage, problem.object);
      // What the loader only warns of does not stop anything.
      add(problem, is_fatal(problem.kind) ? severity : Severity::optional,
          problem.needed_by.empty() ? needed_by : problem.needed_by);
    }
  }

  // Files of the name that the loader found and could not use: a library that is there, and for another machine.
  static std::string passed_over(const Linkage& linkage, const std::string& name) {
    constexpr std::size_t k_named = 3;
    std::string out;
    for (const LinkedObject& object : linkage.objects) {
      if (!object.missing() || object.name != name) continue;
      for (std::size_t i = 0; i < std::min(object.skipped.size(), k_named); ++i)
        out += fmt::format("{}{} ({})", i == 0 ? "; passed over: " : ", ", object.skipped[i].path,
                           object.skipped[i].why);
    }
    return out;
  }

  void add(const Problem& problem, Severity severity, const std::string& needed_by) {
    const auto listed = [&](const std::vector<std::string>& names) {
      const std::string inside = needed_by.starts_with(files_.appdir() + "/")
                                     ? needed_by.substr(files_.appdir().size() + 1)
                                     : needed_by;
      return std::any_of(names.begin(), names.end(),
                         [&](const std::string& name) { return name == problem.object || name == inside; });
    };
    if (listed(options_.ignore)) return;
    if (listed(options_.require)) severity = Severity::required;
    MissingItem& item = missing_[{problem.kind, problem.object, problem.version}];
    if (item.object.empty())
      item = {problem.kind, severity, problem.object, problem.version, {}, problem.detail};
    item.severity = std::min(item.severity, severity);
    if (!needed_by.empty() &&
        std::find(item.needed_by.begin(), item.needed_by.end(), needed_by) == item.needed_by.end())
      item.needed_by.push_back(needed_by);
  }

  // Names that files may load by dlopen and that nothing provides: neither the application nor the stack's
  // library directories.
  Result<> add_hints(const std::vector<std::string>& all) {
    std::set<std::string> provided;
    for (const ReportObject& object : report_.objects)
      provided.insert(object.path.substr(object.path.rfind('/') + 1));
    ORCH_CHECK(image::walk(files_.app(), [&](const image::WalkEntry& entry) -> Result<> {
      provided.insert(entry.path.substr(entry.path.rfind('/') + 1));
      return {};
    }));
    for (const std::string_view folder : image::default_library_directories()) {
      ORCH_TRY(const image::Resolution found, image::resolve(files_.root(), folder, image::Links::in_root));
      if (found.outcome != image::Resolution::Outcome::found || found.type != NodeType::directory) continue;
      ORCH_TRY(const std::vector<image::DirEntry> entries, files_.root().list(found.node));
      for (const image::DirEntry& entry : entries) provided.insert(entry.name);
    }
    for (const std::string& path : all) {
      ORCH_TRY(const image::Resolution found, image::resolve(files_.app(), path));
      ORCH_TRY(const std::vector<std::string> hints, files_.app().dlopen_hints(found.node));
      for (const std::string& name : hints)
        if (!provided.contains(name))
          add({ProblemKind::missing_library, name, {}, {}, "may be loaded by dlopen"}, Severity::hint,
              files_.appdir() + "/" + path);
    }
    return {};
  }

  void finish() {
    for (auto& [key, item] : missing_) {
      std::sort(item.needed_by.begin(), item.needed_by.end());
      report_.ok = report_.ok && item.severity != Severity::required;
      report_.missing.push_back(std::move(item));
    }
    std::stable_sort(
        report_.missing.begin(), report_.missing.end(), [](const MissingItem& a, const MissingItem& b) {
          return std::tie(a.severity, a.object, a.version) < std::tie(b.severity, b.object, b.version);
        });
    std::sort(report_.objects.begin(), report_.objects.end(),
              [](const ReportObject& a, const ReportObject& b) { return a.path < b.path; });
  }

  const StackFiles& files_;
  const ReportOptions& options_;
  ProgramLinker linker_;
  LoaderEnvironment environment_;
  LinkageReport report_;
  std::set<std::string> seen_;
  std::map<Key, MissingItem> missing_;
};

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::required:
      return "required";
    case Severity::optional:
      return "optional";
    case Severity::hint:
      break;
  }
  return "hint";
}

Result<LinkageReport> report_linkage(const StackFiles& files, const ReportOptions& options) {
  return Reporter(files, options).run();
}

Value to_value(const LinkageReport& report) {
  Value objects = Value::array();
  for (const ReportObject& object : report.objects) {
    Value needs = Value::array();
    for (const ReportNeed& need : object.needs)
      needs.push(Value::object({{"soname", need.soname},
                                {"provider", need.provider},
                                {"layer", need.layer},
                                {"status", need.provider.empty() ? "missing" : "found"}}));
    objects.push(Value::object({{"path", object.path},
                                {"layer", object.layer},
                                {"severity", to_string(object.severity)},
                                {"needs", std::move(needs)}}));
  }
  Value missing = Value::array();
  for (const MissingItem& item : report.missing)
    missing.push(Value::object({{"soname", item.object},
                                {"kind", to_string(item.kind)},
                                {"version", item.version},
                                {"severity", to_string(item.severity)},
                                {"needed_by", Value::strings(item.needed_by)},
                                {"detail", item.detail},
                                {"packages", Value::array()}}));
  return Value::object({{"schema", "appimage-orch/verify/1"},
                        {"ok", report.ok},
                        {"programs", Value::strings(report.start.programs)},
                        {"library_path", Value::strings(report.start.library_path)},
                        {"notes", Value::strings(report.start.notes)},
                        {"objects", std::move(objects)},
                        {"missing", std::move(missing)}});
}

}  // namespace orch::elf
