#include "cli/step_runner.hpp"

#include "action/context.hpp"
#include "base/text.hpp"
#include "cli/always_step.hpp"
#include "cli/command_action.hpp"
#include "image/erofs_writer.hpp"
#include "ninja/events.hpp"
#include "plan/plan.hpp"
#include "store/store.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/process_tree.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <thread>

namespace orch::cli {

using base::ErrorKind;
using base::fail;

std::map<std::string, plan::ToolFinder::Identify> special_identities(sys::ProcessRunner& processes) {
  return {{"erofs-writer",
           [&processes](const std::string& path) { return image::erofs_writer_identity(path, processes); }}};
}

namespace {

// Where events go; silent when no build listens.
class Reporter {
 public:
  explicit Reporter(const sys::Environment& environment) {
    const auto found = environment.find(ninja::k_events_variable);
    if (found == environment.end()) return;
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), fd_);
    struct stat info {};
    if (fd_ < 3 || ::fstat(fd_, &info) != 0 || !S_ISFIFO(info.st_mode)) fd_ = -1;
    if (fd_ >= 0) ::fcntl(fd_, F_SETFD, FD_CLOEXEC);
  }
  void say(const ninja::Event& event) const {
    if (fd_ < 0) return;
    const std::string line = ninja::event_line(event);
    (void)!::write(fd_, line.data(), line.size());  // the build may be gone: SIGPIPE is ignored
  }

 private:
  int fd_ = -1;
};

unsigned job_budget(const sys::Environment& environment) {
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  const auto found = environment.find("APPIMAGE_ORCH_JOBS");
  if (found == environment.end()) return jobs;
  unsigned limit = 0;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), limit);
  return limit > 0 ? std::min(jobs, limit) : jobs;
}

// How often a step whose inputs change under it starts over.
constexpr int k_attempts = 3;
constexpr std::chrono::milliseconds k_leftover_grace{500};

class StepRunner {
 public:
  StepRunner(model::StepSpec spec, store::BuildFolder folder, const sys::Environment& environment)
      : spec_(std::move(spec)),
        folder_(std::move(folder)),
        environment_(environment),
        store_(spec_.store),
        stat_cache_(spec_.stat_cache) {}

  // "fresh", "cached" or "executed".
  Result<std::string> run();
  double seconds() const { return seconds_; }

 private:
  Result<> look_at_tools();
  Result<hash::KeyHasher> current_key();
  bool is_fresh(const hash::Digest& key) const;
  // nullopt: an input or tool changed meanwhile, so nobody can say what the result belongs to.
  Result<std::optional<std::vector<model::OutputRecord>>> execute(const hash::Digest& key);
  Result<action::Context> make_context(const store::Staging& staging, int log_fd);
  Result<> act(action::Context& context, int log_fd);
  Result<> act_by_command(action::Context& context, int log_fd);
  Result<> check_inputs(const timespec& start) const;
  Result<> finish(const hash::KeyHasher& key, const std::vector<model::OutputRecord>& outputs);

  model::StepSpec spec_;
  store::BuildFolder folder_;
  const sys::Environment& environment_;
  store::Store store_;
  hash::StatCache stat_cache_;
  sys::SystemProcessRunner processes_;
  double seconds_ = 0;
};

Result<> StepRunner::look_at_tools() {
  const auto path = environment_.find("PATH");
  plan::ToolFinder finder(stat_cache_, processes_, path == environment_.end() ? "" : path->second,
                          special_identities(processes_));
  for (model::SpecTool& tool : spec_.tools) {
    ORCH_TRY(tool, finder.find(tool.rule));
  }
  return {};
}

Result<hash::KeyHasher> StepRunner::current_key() {
  ORCH_CHECK(look_at_tools());
  ORCH_TRY(const std::vector<model::KeyInput> inputs,
           plan::leaf_and_stamp_digests(spec_, folder_, stat_cache_));
  return model::compute_key(spec_, inputs);
}

bool StepRunner::is_fresh(const hash::Digest& key) const {
  const store::BuildFolder::StampFile stamp = folder_.read_stamp(spec_.id);
  const auto there = [&](const model::OutputRecord& output) { return store_.has(output.artifact); };
  return stamp.stamp && stamp.stamp->key == key && stamp.stamp->boot_id == sys::boot_id() &&
         model::answers(stamp.stamp->outputs, spec_.outputs) &&
         std::all_of(stamp.stamp->outputs.begin(), stamp.stamp->outputs.end(), there);
}

Result<std::string> StepRunner::run() {
  // What an earlier execution printed is not this one's.
  ::unlink(folder_.log_path(spec_.id).c_str());
  for (int attempt = 0; attempt < k_attempts; ++attempt) {
    ORCH_TRY(const hash::KeyHasher key, current_key());
    if (is_fresh(key.key())) return std::string("fresh");
    ORCH_CHECK(store_.prepare());
    ORCH_TRY(const store::KeyLock lock, store_.lock_key(key.key()));
    ORCH_TRY(const store::LookupResult known, store_.lookup(key.key(), store::Repair::yes));
    if (known.outcome == store::Lookup::hit && model::answers(known.record.outputs, spec_.outputs)) {
      ORCH_CHECK(finish(key, known.record.outputs));
      return std::string("cached");
    }
    ORCH_TRY(const std::optional<std::vector<model::OutputRecord>> outputs, execute(key.key()));
    if (!outputs) continue;
    ORCH_CHECK(finish(key, *outputs));
    return std::string("executed");
  }
  return fail(ErrorKind::step, "its inputs kept changing while it ran", "build again when they are at rest");
}

Result<> StepRunner::finish(const hash::KeyHasher& key, const std::vector<model::OutputRecord>& outputs) {
  ORCH_CHECK(folder_.write_stamp({spec_.id, key.key(), outputs, key.items(), sys::boot_id()}));
  return {};
}

Result<action::Context> StepRunner::make_context(const store::Staging& staging, int log_fd) {
  action::Context context;
  for (const model::SpecInput& input : spec_.inputs) {
    if (input.upstream.empty()) {
      const model::ArtifactKind kind =
          input.digest.ends_with(" tree") ? model::ArtifactKind::tree : model::ArtifactKind::file;
      context.inputs.push_back({input.name, input.path, kind});
      continue;
    }
    const store::BuildFolder::StampFile stamp = folder_.read_stamp(input.upstream);
    if (!stamp.stamp)
      return fail(ErrorKind::step, fmt::format("step '{}' has left no stamp", input.upstream));
    for (const model::OutputRecord& output : stamp.stamp->outputs)
      if (output.name == input.output)
        context.inputs.push_back({input.name, store_.data_path(output.artifact), output.artifact.kind});
  }
  context.parameters = spec_.parameters;
  context.settings = spec_.settings;
  for (const model::SpecTool& tool : spec_.tools)
    if (!tool.path.empty()) context.tools.emplace(tool.rule.name, tool.path);
  const std::string outputs = staging.path() + "/out";
  ORCH_CHECK(sys::make_dirs(outputs));
  for (const model::RuleOutput& output : spec_.outputs)
    context.outputs.emplace(output.name, outputs + "/" + output.name);
  context.scratch = staging.path() + "/scratch";
  ORCH_CHECK(sys::make_dirs(context.scratch));
  context.cache_dir = sys::parent_path(spec_.store);  // the store lies in the cache that the build was given
  context.jobs = job_budget(environment_);
  context.processes = &processes_;
  context.log = [log_fd](std::string_view line) {
    (void)sys::write_all(log_fd, std::string(line) + "\n", "the step's log");
  };
  return context;
}

// A command is given the store's own files. What it changed there, other builds would take for the real
// thing.
Result<> StepRunner::check_inputs(const timespec& start) const {
  for (const model::SpecInput& input : spec_.inputs) {
    if (input.upstream.empty()) continue;
    const store::BuildFolder::StampFile stamp = folder_.read_stamp(input.upstream);
    if (!stamp.stamp) continue;
    for (const model::OutputRecord& output : stamp.stamp->outputs) {
      if (output.name != input.output) continue;
      ORCH_TRY(const bool whole, store_.survived(output.artifact, start));
      if (!whole)
        return fail(
            ErrorKind::step,
            fmt::format("the command changed its input '{}', which other steps and builds share", input.name),
            "let it work on a copy below its working directory; the next build makes the input again");
    }
  }
  return {};
}

Result<> StepRunner::act_by_command(action::Context& context, int log_fd) {
  timespec start{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &start);
  const Result<> done = run_command_action(spec_.command, context, log_fd);
  for (const sys::ProcessName& left : sys::end_descendants({}, k_leftover_grace))
    context.log(fmt::format("ended the process {} ({}) that the command left running", left.pid,
                            base::printable(left.name)));
  ORCH_CHECK(check_inputs(start));
  return done;
}

Result<> StepRunner::act(action::Context& context, int log_fd) {
  if (spec_.builtin.empty()) return act_by_command(context, log_fd);
  const action::Function function = action::find_action(spec_.builtin);
  if (function == nullptr)
    return fail(
        ErrorKind::unsupported,
        fmt::format(
            "rule '{}' asks for the built-in action '{}', which this version of appimage-orch does not have",
            spec_.rule, spec_.builtin),
        fmt::format("it has: {}", base::join(action::action_names(), ", ")));
  return function(context);
}

Result<std::optional<std::vector<model::OutputRecord>>> StepRunner::execute(const hash::Digest& key) {
  const sys::SystemClock clock;
  const auto start = clock.monotonic();
  ORCH_TRY(const sys::Fd log,
           sys::open_file(folder_.log_path(spec_.id), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644));
  ORCH_TRY(const store::Staging staging, store_.stage());
  ORCH_TRY(action::Context context, make_context(staging, log.get()));
  ORCH_CHECK(act(context, log.get()));
  ORCH_TRY(const hash::KeyHasher now, current_key());
  if (now.key() != key) {
    context.log("an input changed while the step ran; once more");
    return std::optional<std::vector<model::OutputRecord>>();
  }
  std::vector<model::OutputRecord> outputs;
  for (const model::RuleOutput& output : spec_.outputs) {
    const std::string& path = context.outputs.at(output.name);
    std::optional<hash::TreeListing> listing;
    if (const auto found = context.listings.find(output.name); found != context.listings.end())
      listing = std::move(found->second);
    std::optional<hash::FileDigests> digests;
    if (const auto found = context.digests.find(output.name); found != context.digests.end())
      digests = found->second;
    ORCH_TRY(const struct stat info, sys::lstat_file(path));
    const bool fits =
        output.kind == model::ArtifactKind::tree ? S_ISDIR(info.st_mode) : S_ISREG(info.st_mode);
    if (!fits)
      return fail(ErrorKind::step,
                  fmt::format("output '{}' should be a {}, but the step made something else", output.name,
                              model::to_string(output.kind)),
                  "a tree is a directory, everything else a regular file");
    ORCH_TRY(const model::ArtifactRef artifact,
             store_.publish(output.kind, path, std::move(listing), digests));
    outputs.push_back({output.name, artifact});
  }
  seconds_ = std::chrono::duration<double>(clock.monotonic() - start).count();
  store::Record record;
  record.key = key;
  record.rule = spec_.rule;
  record.outputs = outputs;
  record.seconds = seconds_;
  record.boot_id = sys::boot_id();
  ORCH_CHECK(store_.write_record(record));
  return std::optional(std::move(outputs));
}

// A step must not outlive its ninja: the next build would wait for nobody and two could write one stamp.
void die_with_parent() {
  const pid_t parent = ::getppid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
}

}  // namespace

Result<int> run_step(const std::string& spec_path, const Session& session) {
  die_with_parent();
  ::signal(SIGPIPE, SIG_IGN);
  sys::adopt_orphans();  // what an action leaves behind must not write into what it made
  ::umask(022);          // what a step writes is the same for everybody
  const std::string path = sys::absolute_path(spec_path);
  ORCH_TRY(model::StepSpec spec, store::read_spec(path));
  const store::BuildFolder folder(sys::parent_path(sys::parent_path(path)));
  if (is_always_step(spec)) return run_always_step(spec, folder, session);
  const Reporter reporter(session.environment);
  const std::string id = spec.id;
  reporter.say({ninja::Event::Kind::started, id, {}, 0, {}, {}});
  StepRunner runner(std::move(spec), folder, session.environment);
  const Result<std::string> result = runner.run();
  if (!result) {
    reporter.say({ninja::Event::Kind::finished, id, "failed", runner.seconds(),
                  base::one_line(result.error()), result.error().hint});
    return fail(result.error());
  }
  reporter.say({ninja::Event::Kind::finished, id, *result, runner.seconds(), {}, {}});
  return 0;
}

}  // namespace orch::cli
