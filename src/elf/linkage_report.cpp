#include "elf/linkage_report.hpp"

#include "base/text.hpp"
#include "elf/index_files.hpp"
#include "elf/inspection.hpp"
#include "elf/link_programs.hpp"
#include "elf/loader.hpp"
#include "image/entry.hpp"
#include "image/fex_path.hpp"
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

bool concerns_interpreter(ProblemKind kind) {
  return kind == ProblemKind::missing_interpreter || kind == ProblemKind::wrong_interpreter ||
         kind == ProblemKind::foreign_loader;
}

bool is_listed(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
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
    ORCH_TRY(const std::vector<IndexedFile> own, elf_files(files_.app()));
    ORCH_TRY(const std::vector<std::string> required, required_programs(own));
    ORCH_CHECK(look_at(required, Severity::required, Listed::all));
    ORCH_CHECK(look_at(paths_in_app(own), Severity::optional, Listed::all));
    ORCH_TRY(const std::vector<std::string> of_overlays, overlay_files());
    ORCH_CHECK(look_at(of_overlays, Severity::optional, Listed::broken));
    ORCH_CHECK(find_provided());
    ORCH_CHECK(add_hints(own));
    ORCH_CHECK(look_at_required_names(own));
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

  // Which objects the report lists: all, or those that lack something.
  enum class Listed { all, broken };

  std::string in_app(const std::string& path) const { return files_.appdir() + "/" + path; }

  // What the entry point starts, and what the profile calls required by its path. Where nothing could be read off,
  // whatever can be started has to work.
  Result<std::vector<std::string>> required_programs(const std::vector<IndexedFile>& own) const {
    const std::set<std::string> started(report_.start.programs.begin(), report_.start.programs.end());
    const bool unknown =
        std::none_of(own.begin(), own.end(), [&](const auto& file) { return started.contains(file.path); });
    std::set<NodeId> named;
    std::vector<std::string> out;
    for (const std::string& name : options_.require) {
      if (name.starts_with('/')) {
        out.push_back(name);
      } else if (name.find('/') != std::string::npos) {
        ORCH_TRY(const image::Resolution found, image::resolve(files_.app(), name));
        if (found.outcome == image::Resolution::Outcome::found) named.insert(found.node);
      }
    }
    for (const IndexedFile& file : own) {
      const bool can_start = !file.facts.interpreter.empty() || file.facts.type == k_type_executable;
      if (started.contains(file.path) || (unknown && can_start) || named.contains(file.node))
        out.push_back(in_app(file.path));
    }
    return out;
  }

  std::vector<std::string> paths_in_app(const std::vector<IndexedFile>& files) const {
    std::vector<std::string> out;
    for (const IndexedFile& file : files) out.push_back(in_app(file.path));
    return out;
  }

  // What the overlays of this application have: helpers that its libraries start, plugins that they load. Files that
  // another layer hides are not there.
  Result<std::vector<std::string>> overlay_files() const {
    std::vector<std::string> out;
    for (std::size_t layer = 0; layer < files_.layers().size(); ++layer) {
      if (!files_.layers()[layer].is_overlay) continue;
      ORCH_TRY(const std::vector<IndexedFile> own, elf_files(*files_.layers()[layer].index));
      for (const IndexedFile& file : own) {
        ORCH_TRY(const image::Resolution found,
                 image::resolve(files_.root(), "/" + file.path, image::Links::in_root));
        if (found.outcome != image::Resolution::Outcome::found) continue;
        const StackFiles::Place place = files_.place_of(found.node);
        if (place.index != nullptr && place.layer == layer && place.node == file.node)
          out.push_back("/" + file.path);
      }
    }
    return out;
  }

  // Absolute paths. What another one loads is not looked at once more. A batch at a time: what its programs load is
  // in memory, and what they load need not be linked in the next.
  Result<> look_at(const std::vector<std::string>& paths, Severity severity, Listed listed) {
    constexpr std::size_t k_batch = 256;
    const auto is_new = [&](const std::string& path) {
      return severity == Severity::required || !seen_.contains(path);
    };
    for (auto path = paths.begin(); path != paths.end();) {
      std::vector<std::string> programs;
      for (; path != paths.end() && programs.size() < k_batch; ++path)
        if (is_new(*path)) programs.push_back(*path);
      std::vector<Linkage> linkages(programs.size());
      ORCH_CHECK(linker_.link(programs, environment_, [&](std::size_t program, Linkage& linkage) {
        linkages[program] = std::move(linkage);
      }));
      for (std::size_t i = 0; i < programs.size(); ++i)
        if (is_new(programs[i])) {
          take(linkages[i], severity, {}, listed);
          ORCH_CHECK(look_as_fex(linkages[i], severity));
        }
    }
    return {};
  }

  void take(const Linkage& linkage, Severity severity, const std::string& needed_by,
            Listed listed = Listed::all) {
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
      const bool lacks = std::any_of(out.needs.begin(), out.needs.end(),
                                     [](const ReportNeed& need) { return need.provider.empty(); });
      if (listed == Listed::all || lacks) report_.objects.push_back(std::move(out));
    }
    const auto no_loader =
        std::find_if(linkage.problems.begin(), linkage.problems.end(),
                     [](const Problem& problem) { return problem.kind == ProblemKind::missing_interpreter; });
    for (Problem problem : linkage.problems) {
      // A library names no interpreter; what starts the programs that load it is their matter.
      if (linkage.interpreter.empty() && concerns_interpreter(problem.kind)) continue;
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

  // An interpreter that is there, and that FEX does not find all the same.
  Result<> look_as_fex(const Linkage& linkage, Severity severity) {
    if (!options_.fex || linkage.interpreter.empty() || linkage.objects.empty()) return {};
    const bool told = std::any_of(linkage.problems.begin(), linkage.problems.end(),
                                  [](const Problem& problem) { return concerns_interpreter(problem.kind); });
    const auto [known, is_new] = fex_finds_.try_emplace(linkage.interpreter);
    if (is_new) {
      ORCH_TRY(known->second,
               image::fex_resolve(files_.root(), linkage.interpreter, image::FexLookup::loader));
    }
    if (told || known->second.outcome == image::FexPath::Outcome::found) return {};
    const std::string led =
        known->second.outcome == image::FexPath::Outcome::escapes
            ? "a link leads FEX to '" + base::printable(known->second.path) + "' of the host"
            : "FEX does not find it by its links";
    add({ProblemKind::missing_interpreter, linkage.interpreter, {}, {}, led}, severity,
        std::string(linkage.objects.front().real_path));
    return {};
  }

  // Files of the name that the loader found and could not use: a library that is there, and for another machine.
  static std::string passed_over(const Linkage& linkage, const std::string& name) {
    constexpr std::size_t k_named = 3;
    std::string out;
    for (const LinkedObject& object : linkage.objects) {
      if (!object.missing() || object.name != name) continue;
      for (std::size_t i = 0; i < std::min(object.skipped.size(), k_named); ++i)
        out += fmt::format("{}{} ({})", i == 0 ? fmt::format("; {}", k_passed_over) : ", ",
                           object.skipped[i].path, object.skipped[i].why);
    }
    return out;
  }

  void add(const Problem& problem, Severity severity, const std::string& needed_by) {
    const std::string inside =
        needed_by.starts_with(in_app("")) ? needed_by.substr(in_app("").size()) : needed_by;
    const auto concerns = [&](const std::vector<std::string>& names) {
      return is_listed(names, problem.object) || is_listed(names, inside);
    };
    if (concerns(options_.ignore)) return;
    if (concerns(options_.require)) severity = Severity::required;
    MissingItem& item = missing_[{problem.kind, problem.object, problem.version}];
    if (item.object.empty())
      item = {problem.kind, severity, problem.object, problem.version, {}, problem.detail};
    item.severity = std::min(item.severity, severity);
    if (!needed_by.empty() &&
        std::find(item.needed_by.begin(), item.needed_by.end(), needed_by) == item.needed_by.end())
      item.needed_by.push_back(needed_by);
  }

  // Names that are there: what was found for a name that something needs, the application's files, and the stack's
  // library directories.
  Result<> find_provided() {
    for (const ReportObject& object : report_.objects)
      for (const ReportNeed& need : object.needs)
        if (!need.provider.empty()) provided_.emplace(need.soname, need.provider);
    ORCH_CHECK(image::walk(files_.app(), [&](const image::WalkEntry& entry) -> Result<> {
      provided_.emplace(entry.path.substr(entry.path.rfind('/') + 1), in_app(entry.path));
      return {};
    }));
    for (const std::string_view folder : image::default_library_directories()) {
      ORCH_TRY(const image::Resolution found, image::resolve(files_.root(), folder, image::Links::in_root));
      if (found.outcome != image::Resolution::Outcome::found || found.type != NodeType::directory) continue;
      ORCH_TRY(const std::vector<image::DirEntry> entries, files_.root().list(found.node));
      for (const image::DirEntry& entry : entries)
        provided_.emplace(entry.name, "/" + std::string(folder) + "/" + entry.name);
    }
    return {};
  }

  // Names that files may load by dlopen and that nothing provides.
  Result<> add_hints(const std::vector<IndexedFile>& own) {
    for (const IndexedFile& file : own) {
      ORCH_TRY(const std::vector<std::string> hints, files_.app().dlopen_hints(file.node));
      for (const std::string& name : hints)
        if (!provided_.contains(name))
          add({ProblemKind::missing_library, name, {}, {}, "may be loaded by dlopen"}, Severity::hint,
              in_app(file.path));
    }
    return {};
  }

  // The libraries that the profile requires by name have to work with all that they load; what is required and not there
  // is missing, even if nothing asks for it.
  Result<> look_at_required_names(const std::vector<IndexedFile>& own) {
    for (const std::string& name : options_.require) {
      if (name.starts_with('/')) continue;  // it was linked
      const bool is_path = name.find('/') != std::string::npos;
      bool there = false;
      if (is_path) {
        ORCH_TRY(const image::Resolution found, image::resolve(files_.app(), name));
        there = found.outcome == image::Resolution::Outcome::found;
      } else {
        ORCH_TRY(there, look_at_required_name(name, own));
      }
      const auto told = [&](const auto& item) { return item.second.object == name; };
      if (there || std::any_of(missing_.begin(), missing_.end(), told)) continue;
      add({is_path ? ProblemKind::missing_program : ProblemKind::missing_library,
           is_path ? in_app(name) : name,
           {},
           {},
           "the profile requires it, and there is none"},
          Severity::required, {});
    }
    return {};
  }

  // Whether there is a library that calls itself so, or is called so.
  Result<bool> look_at_required_name(const std::string& name, const std::vector<IndexedFile>& own) {
    std::string path;
    if (const auto known = provided_.find(name); known != provided_.end()) path = known->second;
    for (const IndexedFile& file : own)
      if (path.empty() && file.facts.soname == name) path = in_app(file.path);
    if (path.empty()) return false;
    ORCH_CHECK(look_at({path}, Severity::required, Listed::all));
    return true;
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
  std::map<std::string, std::string> provided_;      // a path for each name
  std::map<std::string, image::FexPath> fex_finds_;  // by interpreter
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
  return Value::object({{"schema", "appimage-orch/linkage/1"},
                        {"ok", report.ok},
                        {"programs", Value::strings(report.start.programs)},
                        {"library_path", Value::strings(report.start.library_path)},
                        {"notes", Value::strings(report.start.notes)},
                        {"objects", std::move(objects)},
                        {"missing", std::move(missing)}});
}

}  // namespace orch::elf
