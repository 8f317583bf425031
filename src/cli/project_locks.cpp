// The part of Project that goes between builds and locks: a lock needs the indexes of the images below, and what a
// build finds missing goes into the lock.
#include "base/text.hpp"
#include "cli/auto_packages.hpp"
#include "cli/base_facts.hpp"
#include "cli/locked_images.hpp"
#include "cli/paths.hpp"
#include "cli/project.hpp"
#include "cli/stack_report.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::cli {

using base::fail;
using base::Value;

namespace {

// How often packages are added before a build says what is still missing. A package brings what it needs itself,
// so one round is the rule.
constexpr int k_auto_rounds = 8;

// A build that nobody watches: the indexes of a base, made on the way to a lock.
class QuietView final : public BuildView {
 public:
  explicit QuietView(BuildView& outer) : outer_(outer) {}
  void begin(const graph::Graph& /*graph*/, std::size_t /*expected*/) override {}
  void started(const model::Step& /*step*/) override {}
  void finished(const model::Step& /*step*/, const StepReport& report, const std::string& log_path) override {
    if (report.result == "failed") outer_.note(fmt::format("{} (log: {})", report.message, log_path));
  }
  void tick() override {}
  void note(const std::string& text) override { outer_.note(text); }
  void end() override {}

 private:
  BuildView& outer_;
};

}  // namespace

std::vector<LayerIndex> Project::indexes_of(const model::Profile& profile,
                                            const std::vector<std::string>& layers,
                                            const plan::Plan& plan) const {
  std::vector<LayerIndex> out;
  for (const std::string& layer : layers) {
    const std::string slot = fmt::format("{}/index-image/{}", profile.name, layer);
    for (std::size_t i = 0; i < graph_.steps.size(); ++i) {
      if (graph_.steps[i].slot != slot || plan.steps[i].outputs.empty()) continue;
      const model::ArtifactRef& artifact = plan.steps[i].outputs.front().artifact;
      const auto sha256 = store_.sha256(artifact);
      out.push_back({layer, store_.data_path(artifact), sha256 ? *sha256 : std::string()});
    }
  }
  return out;
}

Result<std::vector<LayerIndex>> Project::lower_indexes(const model::Profile& profile, BuildView& view) {
  ORCH_TRY(graph_, graph::expand({&profile, 1}, rules_, profile.directory));
  BuildOptions options;
  options.check_locks = false;  // there is a new lock to be made
  for (const std::string& layer : image_layers_below(profile))
    options.only.push_back(fmt::format("{}/index-image/{}", profile.name, layer));
  view.note(fmt::format("looking at the images of '{}'", profile.name));
  QuietView quiet(view);
  ORCH_TRY(const BuildReport report, build(options, quiet));
  if (report.error) return fail(*report.error);
  if (!report.ok())
    return fail(base::ErrorKind::step, fmt::format("the images of '{}' could not be looked at", profile.name),
                "the packages of its layers are chosen by what these images have");
  return indexes_of(profile, image_layers_below(profile), report.plan);
}

Result<> Project::check_images(const plan::Plan& plan, BuildView& view) const {
  for (const model::Profile& profile : profiles_) {
    ORCH_TRY(const std::vector<std::string> warnings, different_images(*this, profile, plan));
    for (const std::string& warning : warnings) view.note(warning);
  }
  return {};
}

Result<> Project::check_bases(const plan::Plan& plan, BuildView& view) {
  for (const model::Profile& profile : profiles_) {
    if (image_layers_below(profile).empty()) continue;
    ORCH_TRY(const auto lock, package::LockFile::load(package::lock_path(profile, user_profiles(session_))));
    if (!lock || !lock->base.known()) continue;
    const std::vector<LayerIndex> indexes = indexes_of(profile, image_layers_below(profile), plan);
    if (indexes.empty() || package_set_of(indexes) == lock->base.package_set) continue;
    ORCH_TRY(const BaseFacts facts, read_base_facts(indexes));
    ORCH_TRY(const auto warning, package::check_base(lock->base, facts.identity));
    if (warning) view.note("warning: " + *warning);
  }
  return {};
}

Result<package::Source> Project::first_source(const model::Profile& profile) {
  const std::string layer = automatic_layer(profile);
  package::BaseIdentity identity;
  if (layer.empty()) {
    ORCH_TRY(const plan::Plan plan, make_plan());
    ORCH_TRY(const BaseFacts facts,
             read_base_facts(indexes_of(profile, image_layers_at_bottom(profile), plan)));
    identity = facts.identity;
  }
  return locker_->source_for(profile, layer, identity);
}

Result<SonameAnswer> Project::find_providers(const model::Profile& profile,
                                             const std::vector<std::string>& sonames, BuildView& view) {
  ORCH_TRY(const package::Source source, first_source(profile));
  return cli::find_providers(source, sonames, surroundings(view));
}

Result<> Project::name_packages(const model::Profile& profile, Value& report, BuildView& view) {
  if (wanted_sonames(report).empty()) return {};
  std::vector<package::Source> sources;
  const Result<package::Source> first = first_source(profile);
  if (first) sources.push_back(*first);
  ORCH_TRY(const std::vector<package::Source> further,
           locker_->further_sources(profile, first.value_or(package::Source())));
  sources.insert(sources.end(), further.begin(), further.end());
  std::optional<base::Error> problem;
  if (!first) problem = first.error();
  for (const package::Source& source : sources) {
    const std::vector<std::string> sonames = wanted_sonames(report);
    if (sonames.empty()) break;
    const Result<SonameAnswer> answer = cli::find_providers(source, sonames, surroundings(view));
    if (answer)
      add_packages(report, *answer);
    else if (!problem)
      problem = answer.error();
  }
  if (problem && !wanted_sonames(report).empty()) return fail(*std::move(problem));
  return {};
}

void Project::take_packages(const std::vector<package::AutoPackage>& packages, const Project& before) {
  refreshed_.insert(before.refreshed_.begin(), before.refreshed_.end());
  for (const model::Profile& profile : profiles_)
    if (const std::string layer = automatic_layer(profile); !layer.empty())
      autos_[profile.path][layer] = packages;
}

// Packages for what the profiles miss; whether there are any that were not known before.
Result<bool> Project::add_missing(const plan::Plan& plan, BuildView& view) {
  bool added = false;
  for (const model::Profile& profile : profiles_) {
    const std::string layer = automatic_layer(profile);
    if (layer.empty()) continue;
    ORCH_TRY(const Value report, stack_report(*this, profile.name, plan));
    const std::vector<std::string> sonames = required_sonames(report);
    if (sonames.empty()) continue;
    ORCH_TRY(const SonameAnswer answer, find_providers(profile, sonames, view));
    for (const std::string& message : unanswered(answer, sonames)) view.note(message);
    std::vector<package::AutoPackage>& known = autos_[profile.path][layer];
    for (const package::AutoPackage& wanted : choose_packages(answer, sonames)) {
      const std::string& soname = wanted.soname;
      if (std::find(known.begin(), known.end(), wanted) != known.end()) continue;
      view.note(fmt::format("'{}' is missing: taking package '{}'", base::printable(soname), wanted.package));
      known.push_back(wanted);
      added = true;
    }
  }
  return added;
}

Result<BuildReport> Project::complete(LockPolicy policy, const BuildOptions& options, BuildView& view) {
  ORCH_CHECK(prepare(policy, view));
  const bool may_add = policy == LockPolicy::resolve || policy == LockPolicy::update;
  for (int round = 1;; ++round) {
    ORCH_TRY(BuildReport report, build(options, view));
    if (!may_add || !report.ok() || round == k_auto_rounds) return report;
    ORCH_TRY(const bool added, add_missing(report.plan, view));
    if (!added) return report;
    ORCH_CHECK(prepare(LockPolicy::resolve, view));
  }
}

}  // namespace orch::cli
