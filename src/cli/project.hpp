// Profiles on their way to artifacts: load, lock, expand, plan, build. What build, plan, run and lock share.
#pragma once

#include "base/result.hpp"
#include "cli/auto_packages.hpp"
#include "cli/command.hpp"
#include "cli/host_discovery.hpp"
#include "cli/launch_input.hpp"
#include "cli/locker.hpp"
#include "graph/graph.hpp"
#include "hash/stat_cache.hpp"
#include "load/profile.hpp"
#include "model/profile.hpp"
#include "plan/plan.hpp"
#include "plan/tool.hpp"
#include "store/build_folder.hpp"
#include "store/store.hpp"
#include "sys/process.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace orch::cli {

struct ProjectOptions {
  std::vector<std::string> profiles;  // paths or names; empty: ./profile.toml
  load::Overrides overrides;
  bool rebuild = false;  // build images that the lock file knows and that could be taken
};

struct BuildOptions {
  unsigned jobs = 0;  // 0: ninja's choice
  bool keep_going = false;
  bool check_locks = true;        // hold the lock's base and images against what was built
  std::vector<std::string> only;  // step ids, their prefixes, or rules; empty: everything
};

struct StepReport {
  std::string result = "skipped";  // "executed", "cached", "fresh", "failed", "skipped"
  double seconds = 0;
  std::string message;  // of a failure
  std::string hint;
};

struct BuildReport {
  std::vector<StepReport> steps;  // by step index; those that were not asked for are "skipped"
  std::vector<bool> wanted;
  plan::Plan plan;                   // after the build; before it, where that could not be made any more
  int interrupted = 0;               // the signal that ended it
  std::optional<base::Error> error;  // ninja's own failure
  std::size_t count(std::string_view result) const;
  bool failed() const;
  bool ok() const;  // everything that was wanted is there
};

// Follows a build; the view of a terminal or of a log.
class BuildView {
 public:
  virtual ~BuildView() = default;
  virtual void begin(const graph::Graph& graph, std::size_t expected) = 0;
  virtual void started(const model::Step& step) = 0;
  virtual void finished(const model::Step& step, const StepReport& report, const std::string& log_path) = 0;
  virtual void tick() = 0;
  virtual void note(const std::string& text) = 0;
  virtual void end() = 0;
};

class Project {
 public:
  // Loads the profiles and the rules. `session` must outlive the project.
  static Result<std::unique_ptr<Project>> open(const Session& session, ProjectOptions options);

  // Fills in the locked packages, as the policy says, and makes the graph.
  Result<> prepare(LockPolicy policy, BuildView& view);
  // A status for every step; needs prepare().
  Result<plan::Plan> make_plan(store::Repair repair = store::Repair::no);
  // Needs prepare(). Failed steps are in the report; an Error is what kept the build from running at all, or a
  // lock that was made on another distribution.
  Result<BuildReport> build(const BuildOptions& options, BuildView& view);
  // prepare() and build(), and where the profile takes packages for missing libraries (auto = true) and the
  // policy may resolve, both again until nothing more is found.
  Result<BuildReport> complete(LockPolicy policy, const BuildOptions& options, BuildView& view);

  // Who has these libraries, for the profile's layer with auto = true, or for one that it could have. Needs a
  // build; `view` must live as long as it is called.
  Result<SonameAnswer> find_providers(const model::Profile& profile, const std::vector<std::string>& sonames,
                                      BuildView& view);
  // The source of the profile's overlays, or of one that it could have more. Needs a build of its images.
  Result<package::Source> first_source(const model::Profile& profile);
  // find_providers(), and for what nobody has there, the sources of the profile's other layers: fills `packages` and
  // `source` of what a stack report misses.
  Result<> name_packages(const model::Profile& profile, base::Value& report, BuildView& view);
  // Packages that the profiles' layers with auto = true take, as if complete() had found them; before
  // prepare(). Lists that `before` has brought up to date are not brought again.
  void take_packages(const std::vector<package::AutoPackage>& packages, const Project& before);

  const std::vector<model::Profile>& profiles() const { return profiles_; }
  const Session& session() const { return session_; }
  // What was looked at on this host for a profile that muvm launches: muvm, FEX, the images of "auto".
  const std::vector<probe::Candidate>& candidates(const std::string& profile) const;
  const graph::Graph& graph() const { return graph_; }
  const store::Store& store() const { return store_; }
  const store::BuildFolder& folder() const { return *folder_; }
  // What asking for packages needs; after prepare(). Refers to `view`.
  package::Surroundings surroundings(BuildView& view) {
    view_ = &view;
    return locker_->surroundings();
  }
  hash::StatCache& stat_cache() { return *stat_cache_; }
  sys::ProcessRunner& processes() { return processes_; }

  // Steps that the words of --only name, with all they need; everything for an empty list.
  Result<std::vector<bool>> select(const std::vector<std::string>& only) const;
  // Index of a step by id, unique prefix of an id, slot or rule.
  Result<model::StepIndex> find_step(const std::string& word) const;
  // The inputs of a profile's step of that rule ("launch"). Paths of what is not built yet are left empty in
  // a plan.
  Result<std::vector<LaunchInput>> inputs_of(const std::string& profile, const std::string& rule,
                                             const plan::Plan& plan);
  // Where the output of a profile's step of that rule lies; empty for a step that there is not, or that is
  // not built.
  std::string output_of(const std::string& profile, const std::string& rule, const std::string& output,
                        const plan::Plan& plan) const;

 private:
  explicit Project(const Session& session);
  Result<> load_all(const ProjectOptions& options);
  Result<std::vector<LayerIndex>> lower_indexes(const model::Profile& profile, BuildView& view);
  std::vector<LayerIndex> indexes_of(const model::Profile& profile, const std::vector<std::string>& layers,
                                     const plan::Plan& plan) const;
  Result<> check_images(const plan::Plan& plan, BuildView& view) const;
  Result<> check_bases(const plan::Plan& plan, BuildView& view);
  Result<bool> add_missing(const plan::Plan& plan, BuildView& view);
  Result<> write_folder(const plan::Plan& plan);
  Result<> run_round(const BuildOptions& options, int lock_fd, BuildView& view, BuildReport& report);
  Result<> remember(const BuildReport& report);

  const Session& session_;
  bool rebuild_ = false;
  std::vector<model::Profile> profiles_;
  std::map<std::string, std::vector<probe::Candidate>> candidates_;  // by profile
  std::vector<model::Rule> rules_;
  graph::Graph graph_;
  store::Store store_;
  std::unique_ptr<store::BuildFolder> folder_;
  std::unique_ptr<hash::StatCache> stat_cache_;
  std::unique_ptr<plan::ToolFinder> tools_;
  sys::SystemProcessRunner processes_;
  BuildView* view_ = nullptr;        // of the present call; what the locker has to say goes there
  std::set<std::string> refreshed_;  // see package::Surroundings
  std::unique_ptr<Locker> locker_;
  // Packages for missing libraries that were found in this run: by profile, then layer.
  std::map<std::string, std::map<std::string, std::vector<package::AutoPackage>>> autos_;
};

}  // namespace orch::cli
