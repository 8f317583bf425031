#include "cli/ab.hpp"

#include "base/exit_status.hpp"
#include "base/text.hpp"
#include "cli/fields.hpp"
#include "cli/host_discovery.hpp"
#include "cli/launch_app.hpp"
#include "cli/say.hpp"
#include "evidence/ab_directory.hpp"
#include "evidence/last_words.hpp"
#include "format/json.hpp"
#include "load/profile_edit.hpp"
#include "probe/ab.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <vector>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::printable;
using base::Value;

namespace {

constexpr int k_interrupted = base::k_signal_base + SIGINT;

const Value::Array& items_of(const Value& report, std::string_view key) {
  static const Value::Array k_none;
  const Value* list = report.find(key);
  return list != nullptr && list->is_array() ? list->as_array() : k_none;
}

std::string value_words(const Value& value) {
  if (value.is_null()) return "-";
  return value.is_string() ? value.as_string() : std::string(base::trim(format::to_json(value)));
}

// Of the column of names: as wide as the widest that leaves room for what is said of it.
std::size_t name_width(const Value& report) {
  std::size_t out = 0;
  const auto widen = [&out](const std::string& name) {
    const std::size_t width = printable(name).size();
    if (width <= k_widest_name) out = std::max(out, width);
  };
  for (const Value& item : items_of(report, "ranking")) widen(item.string_or("variant", ""));
  for (const Value& name : items_of(report, "left_out"))
    if (name.is_string()) widen(name.as_string());
  return out;
}

std::string launcher_of(const model::Profile& profile) {
  const Value* launcher = profile.value.find_path("launch.launcher");
  return launcher != nullptr && launcher->is_string() ? launcher->as_string() : "";
}

// Before anything is started: an hour of probes for a result that cannot be saved would be one too many.
Result<> can_save(const model::Profile& profile) {
  if (!profile.built_in) return load::require_own_file(profile.path);
  return fail(ErrorKind::usage, fmt::format("--save: '{}' is a shipped profile", printable(profile.name)),
              fmt::format("write a profile with extends = \"{}\", and use that", printable(profile.name)));
}

// What the run report says of a variant.
void take_report(probe::Variant& out, const std::string& kind, bool& ended_by_keyboard) {
  const auto text = sys::read_file(out.directory + "/run.report.json");
  if (!text) return;
  const auto report = format::parse_json(*text, "run.report.json");
  if (!report) return;
  out.outcome = report->string_or("outcome", "");
  if (const Value* error = report->find_path("error.what"); error != nullptr && error->is_string())
    out.error = error->as_string();
  if (kind == probe::k_run_kind) out.document = probe::run_facts(*report);
  ended_by_keyboard = out.outcome == "signaled" && report->int_or("signal", 0) == SIGINT;
}

struct Loop {
  probe::AbComparison comparison;
  int interrupted = 0;  // the exit status; 0: it was not
};

Result<Loop> run_all(const Session& session, const AbRequest& request, const std::string& profile,
                     const std::vector<VariantSetting>& settings, evidence::AbDirectory& files,
                     const AbVariant& run) {
  Loop out;
  out.comparison = {request.kind, profile, {}, {}};
  for (const VariantSetting& setting : settings) out.comparison.left_out.push_back(setting.name);
  ORCH_CHECK(files.write(ab_report(out.comparison)));
  const evidence::NotedSignals between(evidence::NotedSignals::When::gaps);
  for (std::size_t i = 0; i < settings.size() && out.interrupted == 0; ++i) {
    const std::string& name = settings[i].name;
    if (session.verbosity != Verbosity::quiet)
      cli::say("variant {} of {}: {}\n", i + 1, settings.size(), printable(name));
    const std::string directory = files.variant(i + 1);
    ORCH_TRY(AbEnd end, run(settings[i], directory));
    probe::Variant variant{name, directory, "", end.status, "", std::move(end.document)};
    // A Ctrl-C that an application's terminal got means the whole, as in a loop of a shell.
    bool ended_by_keyboard = false;
    take_report(variant, request.kind, ended_by_keyboard);
    if (variant.outcome == "interrupted") out.interrupted = end.status;
    if (ended_by_keyboard) out.interrupted = k_interrupted;
    if (const int signal = evidence::noted_signal(); out.interrupted == 0 && signal != 0)
      out.interrupted = base::k_signal_base + signal;
    out.comparison.variants.push_back(std::move(variant));
    out.comparison.left_out.erase(out.comparison.left_out.begin());
    ORCH_CHECK(files.write(ab_report(out.comparison)));
  }
  return out;
}

Result<> tell(const Session& session, const AbRequest& request, const Value& report) {
  const std::string text = request.format == OutputFormat::json ? format::to_json(report) : ab_text(report);
  if (request.to_stdout) return print_out(text);
  if (session.verbosity != Verbosity::quiet) cli::say(std::string_view(text));
  return {};
}

// The winner's setting into the profile; says what it did, or why it did nothing.
Result<> save_winner(const Session& session, const model::Profile& profile, const Value& report,
                     const std::vector<VariantSetting>& settings) {
  const std::string winner = probe::winner_of(report);
  const std::string path = printable(profile.path);
  if (winner.empty()) {
    cli::say("nothing is saved: no variant {}\n",
             report.string_or("kind", "") == probe::k_run_kind ? "ended with status 0" : "ran");
    return {};
  }
  if (const std::string equal = probe::equal_of_winner(report); !equal.empty()) {
    cli::say("nothing is saved: '{}' and '{}' are equal\n", printable(winner), printable(equal));
    return {};
  }
  const auto setting = std::find_if(settings.begin(), settings.end(),
                                    [&](const VariantSetting& item) { return item.name == winner; });
  const load::Setting place = setting->variable ? load::Setting{"app", "env", setting->variable->first}
                                                : load::Setting{"launch", "gpu_mode"};
  const std::string& value = setting->variable ? setting->variable->second : setting->gpu_mode;
  ORCH_TRY(const bool written, load::save_setting(profile.path, place, value));
  const std::string words = fmt::format("{} = \"{}\"", base::join(place, "."), printable(value));
  if (session.verbosity == Verbosity::quiet) return {};
  if (written)
    cli::say("saved {} in '{}'\n", words, path);
  else
    cli::say("'{}' has {} already\n", path, words);
  return {};
}

// What gpu_mode = "auto" goes by from now on: a probe of the GPU in which every mode ran, and one was better than the others.
Result<> remember_winner(const Session& session, const model::Profile& profile, const Value& report,
                         const std::vector<VariantSetting>& settings, const std::string& directory) {
  const bool modes =
      std::ranges::all_of(settings, [](const VariantSetting& setting) { return !setting.gpu_mode.empty(); });
  if (!modes || launcher_of(profile) != "muvm" || report.string_or("kind", "") != "gpu") return {};
  const bool quiet = session.verbosity == Verbosity::quiet;
  const bool all_ran = std::ranges::all_of(
      items_of(report, "variants"), [](const Value& variant) { return variant.bool_or("ran", false); });
  // One that fails once may be the better one, and nobody would look again.
  if (!all_ran) {
    if (!quiet)
      cli::say("gpu_mode = \"auto\" of '{}' stays as it was: not every mode ran\n", printable(profile.name));
    return {};
  }
  const std::string winner = probe::winner_of(report);
  if (!probe::equal_of_winner(report).empty()) {
    ORCH_TRY(const bool known, forget_gpu_mode(session, profile.name));
    if (known && !quiet)
      cli::say("gpu_mode = \"auto\" of '{}' goes by this machine's GPU again: no mode is the best\n",
               printable(profile.name));
    return {};
  }
  for (const VariantSetting& setting : settings) {
    if (setting.name != winner) continue;
    ORCH_CHECK(remember_gpu_mode(session, profile.name, setting.gpu_mode, directory));
    if (!quiet)
      cli::say("gpu_mode = \"auto\" of '{}' is {} from now on, on this machine\n", printable(profile.name),
               setting.gpu_mode);
  }
  return {};
}

}  // namespace

std::string ab_text(const Value& report) {
  const std::size_t width = name_width(report);
  std::string out = "ranking\n";
  for (const Value& item : items_of(report, "ranking"))
    named(out, fmt::format("  {}. ", item.int_or("place", 0)), item.string_or("variant", ""), width,
          item.string_or("reason", ""));
  for (const Value& name : items_of(report, "left_out"))
    if (name.is_string()) named(out, "  -  ", name.as_string(), width, "it did not come to this one");
  if (!items_of(report, "fields").empty()) out += "\nwhat differs\n";
  for (const Value& item : items_of(report, "fields")) {
    wrapped(out, "  ", printable(item.string_or("field", "")));
    const Value* values = item.find("values");
    if (values == nullptr || !values->is_object()) continue;
    for (const Value::Member& value : values->as_object())
      named(out, "     ", value.key, width, value_words(value.value));
  }
  return out;
}

Result<int> compare_variants(const Session& session, const model::Profile& profile, const AbRequest& request,
                             const AbVariant& run) {
  ORCH_TRY(const std::vector<VariantSetting> settings, variants_of(request.variants));
  ORCH_CHECK(check_modes(request.variants, launcher_of(profile)));
  if (request.variants.save) ORCH_CHECK(can_save(profile));
  const evidence::Place place = evidence_place_of(session, evidence_setting(profile.value), request.app,
                                                  request.out_dir, request.force);
  ORCH_TRY(evidence::AbDirectory files, evidence::AbDirectory::create(place));
  ORCH_TRY(const Loop loop, run_all(session, request, profile.name, settings, files, run));
  const Value report = ab_report(loop.comparison);
  if (loop.interrupted == 0) ORCH_CHECK(tell(session, request, report));
  if (session.verbosity != Verbosity::quiet) cli::say("evidence: {}\n", printable(files.path()));
  if (loop.interrupted != 0) return loop.interrupted;
  ORCH_CHECK(remember_winner(session, profile, report, settings, files.path()));
  if (request.variants.save) ORCH_CHECK(save_winner(session, profile, report, settings));
  const auto& variants = loop.comparison.variants;
  const bool whole = std::all_of(variants.begin(), variants.end(),
                                 [](const probe::Variant& variant) { return variant.exit_status == 0; });
  return whole ? 0 : 1;
}

}  // namespace orch::cli
