#include "cli/project.hpp"

#include "base/text.hpp"
#include "cli/locked_images.hpp"
#include "cli/paths.hpp"
#include "cli/step_runner.hpp"
#include "launch/launcher.hpp"
#include "load/layers.hpp"
#include "ninja/emitter.hpp"
#include "ninja/runner.hpp"
#include "package/lock_file.hpp"
#include "package/resolve.hpp"
#include "sys/signals.hpp"

#include <fmt/format.h>

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>

namespace orch::cli {

using base::Error;
using base::ErrorKind;
using base::fail;
using base::Value;
using model::Step;
using plan::Status;

namespace {

// How often a build plans and runs ninja before it says that its inputs keep changing. Once is the rule; a
// second round comes where ninja's comparison of times missed what content shows, or a file changed
// meanwhile.
constexpr int k_rounds = 4;

int strength(std::string_view result) {
  if (result == "failed") return 4;
  if (result == "executed") return 3;
  if (result == "cached") return 2;
  return result == "fresh" ? 1 : 0;
}

std::string machine() {
  utsname name{};
  return ::uname(&name) == 0 ? std::string(name.machine) : std::string();
}

// NAME-xxxxxxxx: readable, and its own for each set of profile files.
std::string folder_name(const std::vector<model::Profile>& profiles) {
  std::map<std::string, std::string> by_path;  // a set of profiles, in whatever order they were named
  for (const model::Profile& profile : profiles) by_path.emplace(profile.path, profile.name);
  std::string names;
  std::string paths;
  for (const auto& [path, name] : by_path) {
    names += (names.empty() ? "" : "+") + name;
    paths += path + "\n";
  }
  for (char& c : names)
    if (c == '/' || c == ' ' || static_cast<unsigned char>(c) < 0x20) c = '_';
  return fmt::format("{}-{}", names.substr(0, 60), hash::digest_of(paths).hex().substr(0, 8));
}

}  // namespace

std::size_t BuildReport::count(std::string_view result) const {
  std::size_t total = 0;
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (wanted[i] && steps[i].result == result) ++total;
  return total;
}

bool BuildReport::failed() const {
  return error || interrupted != 0 || count("failed") > 0;
}

bool BuildReport::ok() const {
  return !error && interrupted == 0 && count("failed") == 0 && count("skipped") == 0;
}

Project::Project(const Session& session) : session_(session), store_(store_root(session)) {}

Result<std::unique_ptr<Project>> Project::open(const Session& session, ProjectOptions options) {
  std::unique_ptr<Project> project(new Project(session));
  project->rebuild_ = options.rebuild;
  ORCH_CHECK(project->load_all(options));
  return project;
}

Result<> Project::load_all(const ProjectOptions& options) {
  load::Surroundings around;
  around.environment = &session_.environment;
  around.config_dir = session_.config_dir;
  around.data_dir = session_.data_dir;
  ORCH_TRY(load::Rules rules, load::load_all_rules(around));
  std::vector<std::string> names = options.profiles;
  if (names.empty()) names.emplace_back();
  for (const std::string& name : names) {
    ORCH_TRY(const std::string path, load::find_profile(name, around));
    ORCH_TRY(model::Profile profile, load::load_profile(path, around, rules, options.overrides));
    Value* launch = profile.value.find("launch");
    const std::string wanted = launch != nullptr ? launch->string_or("launcher", "auto") : "auto";
    ORCH_TRY(const std::string launcher, launch::choose_launcher(wanted, machine()));
    if (launch != nullptr) launch->set("launcher", launcher);
    if (launcher == "muvm") candidates_[profile.name] = discover(profile, session_.environment);
    ORCH_CHECK(load::resolve_auto_layers(profile, automatic_layers(candidates(profile.name), launcher)));
    for (const model::Profile& other : profiles_)
      if (other.name == profile.name && other.path != profile.path)
        return fail(
            ErrorKind::usage,
            fmt::format("two profiles have the name '{}': {} and {}", profile.name, other.path, profile.path),
            "give one of them another name");
    const auto same = [&](const model::Profile& other) { return other.path == profile.path; };
    if (std::none_of(profiles_.begin(), profiles_.end(), same)) profiles_.push_back(std::move(profile));
  }
  rules_ = std::move(rules.always);
  folder_ = std::make_unique<store::BuildFolder>(session_.cache_dir + "/build/" + folder_name(profiles_));
  (void)sys::make_dirs(session_.state_dir);
  stat_cache_ = std::make_unique<hash::StatCache>(stat_cache_path(session_));
  tools_ = std::make_unique<plan::ToolFinder>(*stat_cache_, processes_, variable(session_, "PATH"),
                                              special_identities(processes_));
  return {};
}

const std::vector<probe::Candidate>& Project::candidates(const std::string& profile) const {
  static const std::vector<probe::Candidate> k_none;
  const auto found = candidates_.find(profile);
  return found == candidates_.end() ? k_none : found->second;
}

Result<> Project::prepare(LockPolicy policy, BuildView& view) {
  view_ = &view;
  if (!locker_)
    locker_ = std::make_unique<Locker>(
        Locker::Parts{session_, processes_,
                      [this](const model::Profile& profile) { return lower_indexes(profile, *view_); },
                      [this](std::string_view line) { view_->note(std::string(line)); }, refreshed_});
  for (model::Profile& profile : profiles_) {
    ORCH_CHECK(locker_->lock(profile, policy, autos_[profile.path]));
    ORCH_CHECK(take_finished_images(profile, *stat_cache_, session_.cache_dir, rebuild_));
  }
  std::vector<std::string> folders;
  for (const model::Profile& profile : profiles_) folders.push_back(profile.directory);
  ORCH_TRY(graph_, graph::expand(profiles_, rules_, graph::common_folder(folders)));
  return {};
}

Result<plan::Plan> Project::make_plan(store::Repair repair) {
  return plan::make_plan(graph_,
                         {store_, *folder_, *stat_cache_, *tools_, stat_cache_path(session_), repair});
}

Result<model::StepIndex> Project::find_step(const std::string& word) const {
  std::vector<std::uint32_t> found;
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < graph_.steps.size(); ++i) {
    const Step& step = graph_.steps[i];
    if (step.id == word || step.slot == word) return model::StepIndex{i};
    if (step.rule == word || step.rule == "step:" + word || (!word.empty() && step.id.starts_with(word)))
      found.push_back(i);
    names.push_back(step.rule);
  }
  if (found.size() == 1) return model::StepIndex{found.front()};
  if (found.empty()) {
    const std::optional<std::string> near = base::nearest(word, names);
    return fail(ErrorKind::usage, fmt::format("there is no step '{}'", base::printable(word)),
                near ? fmt::format("did you mean '{}'?", *near) : "'appimage-orch plan' shows the steps");
  }
  std::string ids;
  for (const std::uint32_t i : found) ids += (ids.empty() ? "" : ", ") + graph_.steps[i].id;
  return fail(ErrorKind::usage, fmt::format("'{}' names several steps: {}", base::printable(word), ids),
              "give one of these ids");
}

Result<std::vector<bool>> Project::select(const std::vector<std::string>& only) const {
  std::vector<bool> wanted(graph_.steps.size(), only.empty());
  for (const std::string& word : only) {
    bool by_rule = false;
    for (std::size_t i = 0; i < graph_.steps.size(); ++i) {
      const Step& step = graph_.steps[i];
      if (step.rule != word && step.rule != "step:" + word) continue;
      wanted[i] = true;
      by_rule = true;
    }
    if (by_rule) continue;
    ORCH_TRY(const model::StepIndex index, find_step(word));
    wanted[index.value] = true;
  }
  // Steps come after what they take from, so one pass backwards finds all that is needed.
  for (std::size_t i = graph_.steps.size(); i-- > 0;) {
    if (!wanted[i]) continue;
    for (const model::StepInput& input : graph_.steps[i].inputs)
      if (const model::Upstream* from = std::get_if<model::Upstream>(&input.from))
        wanted[from->step.value] = true;
  }
  // Never-cached steps stand for what they need.
  for (std::size_t i = 0; i < graph_.steps.size(); ++i)
    if (graph_.steps[i].cache == model::CachePolicy::never) wanted[i] = false;
  return wanted;
}

std::string Project::output_of(const std::string& profile, const std::string& rule, const std::string& output,
                               const plan::Plan& plan) const {
  for (std::size_t i = 0; i < graph_.steps.size(); ++i) {
    const Step& step = graph_.steps[i];
    if (step.rule != rule ||
        std::find(step.profiles.begin(), step.profiles.end(), profile) == step.profiles.end())
      continue;
    for (std::size_t k = 0; k < step.outputs.size() && k < plan.steps[i].outputs.size(); ++k)
      if (step.outputs[k].name == output) return store_.data_path(plan.steps[i].outputs[k].artifact);
  }
  return {};
}

Result<std::vector<LaunchInput>> Project::inputs_of(const std::string& profile, const std::string& rule,
                                                    const plan::Plan& plan) {
  std::vector<LaunchInput> out;
  for (const Step& step : graph_.steps) {
    if (step.rule != rule ||
        std::find(step.profiles.begin(), step.profiles.end(), profile) == step.profiles.end())
      continue;
    for (const model::StepInput& input : step.inputs) {
      LaunchInput item{input.name, {}, {}, {}};
      if (const model::Leaf* leaf = std::get_if<model::Leaf>(&input.from)) {
        item.path = leaf->path;
        ORCH_TRY(const hash::Sha256 sha256, stat_cache_->sha256(leaf->path));
        item.sha256 = sha256.hex();
      } else {
        const model::Upstream& from = std::get<model::Upstream>(input.from);
        const plan::PlannedStep& planned = plan.steps[from.step.value];
        if (from.output < planned.outputs.size()) {
          ORCH_TRY(item, input_of(input.name, planned.outputs, from.output, store_));
        }
      }
      out.push_back(std::move(item));
    }
    break;
  }
  return out;
}

namespace {

std::string last_line(std::string_view text) {
  text = base::trim(text);
  return base::printable(text.substr(text.rfind('\n') + 1));
}

// Points NAME in the folder to `target`; left alone if it does already.
Result<> point(const std::string& folder, const std::string& name, const std::string& target) {
  const std::string path = folder + "/" + name;
  std::string present(target.size() + 1, '\0');
  const ssize_t size = ::readlink(path.c_str(), present.data(), present.size());
  if (size == static_cast<ssize_t>(target.size()) && present.compare(0, target.size(), target) == 0)
    return {};
  const std::string fresh = fmt::format("{}.{}", path, ::getpid());
  ::unlink(fresh.c_str());
  if (::symlink(target.c_str(), fresh.c_str()) != 0) return fail(base::errno_error(errno, "write", fresh));
  return sys::rename_file(fresh, path);
}

}  // namespace

Result<> Project::write_folder(const plan::Plan& plan) {
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const plan::PlannedStep& planned = plan.steps[i];
    // A fresh step's spec may name the digest of before a bare ninja; a new one would only make ninja run it
    // for nothing.
    if (planned.status != Status::fresh || !sys::exists(folder_->spec_path(planned.spec.id)))
      ORCH_CHECK(folder_->write_spec(planned.spec));
    // Ninja compares times, and a change can hide from that (an older time, the same clock tick): without its
    // stamp a step that is known to be out of date certainly runs.
    if (planned.status == Status::stale || planned.status == Status::cached)
      ORCH_CHECK(folder_->set_stamp_aside(graph_.steps[i].id));
  }
  ORCH_CHECK(point(folder_->path(), "root", graph_.root));
  ORCH_CHECK(point(folder_->path(), "orch", session_.self));
  ORCH_TRY(const std::string text, ninja::emit(graph_, plan));
  ORCH_CHECK(sys::write_if_changed(folder_->path() + "/build.ninja", text));
  return {};
}

Result<> Project::run_round(const BuildOptions& options, int lock_fd, BuildView& view, BuildReport& report) {
  ORCH_TRY(sys::SignalSession signals, sys::SignalSession::begin());
  std::map<std::string, std::size_t> by_id;
  std::set<std::size_t> running;
  ninja::RunOptions run;
  for (std::size_t i = 0; i < graph_.steps.size(); ++i) {
    by_id.emplace(graph_.steps[i].id, i);
    if (report.wanted[i] && !options.only.empty()) run.targets.push_back("stamps/" + graph_.steps[i].id);
  }
  run.folder = folder_->path();
  run.jobs = options.jobs;
  run.keep_going = options.keep_going;
  run.lock_fd = lock_fd;
  run.search_path = variable(session_, "PATH");
  run.on_event = [&](const ninja::Event& event) {
    const auto found = by_id.find(event.step);
    if (found == by_id.end()) return;
    const Step& step = graph_.steps[found->second];
    StepReport& row = report.steps[found->second];
    if (event.kind == ninja::Event::Kind::started) {
      running.insert(found->second);
      view.started(step);
      return;
    }
    running.erase(found->second);
    if (strength(event.result) >= strength(row.result)) {
      row.result = event.result;
      row.message = event.message;
      row.hint = event.hint;
    }
    row.seconds += event.seconds;
    view.finished(step, {event.result, event.seconds, event.message, event.hint}, folder_->log_path(step.id));
  };
  run.on_tick = [&] { view.tick(); };
  run.signal_fd = signals.fd();
  run.next_signal = [&] { return signals.next(); };
  std::size_t expected = 0;
  for (std::size_t i = 0; i < report.plan.steps.size(); ++i)
    if (report.wanted[i] && report.plan.steps[i].status != Status::fresh) ++expected;
  view.begin(graph_, expected);
  const Result<ninja::RunResult> ran = ninja::run_ninja(run, processes_);
  if (!ran) {
    view.end();
    return fail(ran.error());
  }
  const ninja::RunResult& result = *ran;
  report.interrupted = result.interrupted;
  if (report.interrupted == 0) {
    for (const std::size_t i : running) {
      const StepReport lost{"failed", 0,
                            "the step ended without saying how: it was killed, perhaps for lack of memory",
                            "look at the kernel's log, and build again"};
      report.steps[i] = lost;
      view.finished(graph_.steps[i], lost, folder_->log_path(graph_.steps[i].id));
    }
  }
  view.end();
  if (!result.exit.ok() && report.count("failed") == 0 && report.interrupted == 0)
    report.error =
        Error(ErrorKind::tool, fmt::format("ninja {}: {}", result.exit.describe(), last_line(result.output)),
              fmt::format("its output is in '{}/ninja.log'", folder_->path()));
  return {};
}

Result<BuildReport> Project::build(const BuildOptions& options, BuildView& view) {
  ORCH_CHECK(store_.prepare());
  ORCH_CHECK(folder_->prepare());
  ORCH_TRY(std::optional<sys::FileLock> lock, folder_->lock(sys::FileLock::Wait::no));
  if (!lock) {
    view.note(
        "another build of this profile is running (or was left behind by a tool that was killed); waiting "
        "for it");
    ORCH_TRY(lock, folder_->lock(sys::FileLock::Wait::yes));
  }
  (void)store_.sweep();
  BuildReport report;
  report.steps.resize(graph_.steps.size());
  ORCH_TRY(report.wanted, select(options.only));
  const auto done = [&](const plan::Plan& plan) {
    for (std::size_t i = 0; i < plan.steps.size(); ++i)
      if (report.wanted[i] && plan.steps[i].status != Status::fresh) return false;
    return true;
  };
  if (options.jobs > 0) ::setenv("APPIMAGE_ORCH_JOBS", std::to_string(options.jobs).c_str(), 1);
  for (int round = 0;; ++round) {
    ORCH_TRY(report.plan, make_plan(store::Repair::yes));
    stat_cache_->save();
    // Also where nothing is to do: the launch may have changed, and a bare ninja should see it.
    ORCH_CHECK(write_folder(report.plan));
    if (done(report.plan)) break;
    if (round == k_rounds) {
      report.error = Error(ErrorKind::step, "the inputs kept changing while the build ran",
                           "build again when they are at rest");
      break;
    }
    ORCH_CHECK(run_round(options, lock->fd(), view, report));
    if (report.failed()) {
      (void)store_.sweep();
      // An input may be gone by now; what failed is known all the same.
      if (Result<plan::Plan> last = make_plan()) report.plan = std::move(*last);
      break;
    }
  }
  for (std::size_t i = 0; i < report.plan.steps.size(); ++i)
    if (report.wanted[i] && report.steps[i].result == "skipped" &&
        report.plan.steps[i].status == Status::fresh)
      report.steps[i].result = "fresh";
  ORCH_CHECK(remember(report));
  if (report.ok() && options.check_locks) {
    ORCH_CHECK(check_bases(report.plan, view));
    ORCH_CHECK(check_images(report.plan, view));
  }
  return report;
}

Result<> Project::remember(const BuildReport& report) {
  const plan::Plan& plan = report.plan;
  store::BuildFolder::Index index = folder_->read_index();
  std::vector<std::string> live;
  std::size_t changed = 0;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = graph_.steps[i];
    live.push_back(step.id);
    if (plan.steps[i].status != Status::fresh) continue;
    std::string& entry = index[step.slot];
    if (entry != step.id) ++changed;
    entry = step.id;
  }
  if (changed > 0) ORCH_CHECK(folder_->write_index(index));
  if (changed > 0 || report.count("executed") > 0) folder_->drop_unused(live, index);
  return {};
}

}  // namespace orch::cli
