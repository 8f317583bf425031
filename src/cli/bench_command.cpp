// appimage-orch bench: how long starts take, again and again, and whether it became more.
#include "base/exit_status.hpp"
#include "base/text.hpp"
#include "cli/bench_files.hpp"
#include "cli/bench_start.hpp"
#include "cli/bench_view.hpp"
#include "cli/command.hpp"
#include "cli/launch_app.hpp"
#include "cli/options.hpp"
#include "cli/say.hpp"
#include "cli/variants.hpp"
#include "evidence/ab_directory.hpp"
#include "evidence/host_facts.hpp"
#include "evidence/last_words.hpp"
#include "evidence/redact.hpp"
#include "format/json.hpp"
#include "load/schema.hpp"
#include "probe/bench.hpp"
#include "probe/page_cache.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <utility>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::printable;
using base::Value;

namespace {

struct BenchArguments {
  ProfileArguments profile;
  std::string target;
  VariantArguments ab;
  std::size_t cold = 5;
  std::size_t warm = 10;
  std::size_t warmup = 1;
  std::string ready = "exit";
  std::string timeout = "60s";
  std::string order = "random";
  std::optional<std::uint64_t> seed;
  std::string command;
  std::string out_dir;
  BenchExports exports;
  bool force = false;
  OutputFormat format = OutputFormat::text;
};

constexpr std::size_t k_most_starts = 100'000;
// Larger ones would not be the same number in every reader of JSON.
constexpr std::uint64_t k_seeds = std::uint64_t{1} << 32;

Result<BenchWhat> what_of(const Session& session, const BenchArguments& arguments) {
  BenchWhat out;
  out.profile = arguments.profile;
  out.command = arguments.command;
  out.arguments = session.application_arguments;
  out.force = arguments.force;
  ORCH_TRY(out.ready, probe::parse_readiness(arguments.ready));
  const std::optional<std::int64_t> timeout = load::parse_duration(arguments.timeout);
  if (!timeout)
    return fail(ErrorKind::usage,
                fmt::format("--timeout '{}' is not a duration", printable(arguments.timeout)),
                "write a number and a unit, as in 90s or 5m");
  out.timeout_ms = *timeout;
  if (!out.command.empty() && !out.arguments.empty())
    return fail(ErrorKind::usage, "--command takes no arguments behind '--'", "write them into the command");
  const bool lives_too_long = out.ready.kind == probe::Readiness::Kind::time && out.timeout_ms > 0 &&
                              out.ready.time.count() >= out.timeout_ms;
  if (lives_too_long)
    return fail(ErrorKind::usage,
                fmt::format("--ready {} never comes: the time limit is {}", printable(arguments.ready),
                            printable(arguments.timeout)),
                "give more with --timeout");
  if (arguments.cold + arguments.warm == 0)
    return fail(ErrorKind::usage, "no start is asked for", "give --warm N or --cold N");
  return out;
}

Result<std::vector<BenchVariant>> variants_of_bench(const BenchArguments& arguments) {
  if (!arguments.ab.any()) return std::vector<BenchVariant>{{}};
  ORCH_TRY(const std::vector<VariantSetting> settings, variants_of(arguments.ab));
  std::vector<BenchVariant> out;
  for (const VariantSetting& setting : settings) out.push_back({setting.name, setting});
  return out;
}

// The whole of a benchmark. bench.json is written anew after each start, so that nothing is lost with it.
class Bench {
 public:
  Bench(const Session& session, const BenchArguments& arguments, BenchWhat what,
        std::vector<BenchVariant> variants)
      : session_(session),
        quiet_(session),
        arguments_(arguments),
        what_(std::move(what)),
        variants_(std::move(variants)),
        given_up_(variants_.size()),
        view_(make_bench_view(session)) {
    quiet_.verbosity = Verbosity::quiet;
    for (const BenchVariant& variant : variants_) plan_.variants.push_back(variant.name);
    plan_.cold = arguments.cold;
    plan_.warm = arguments.warm;
    plan_.warmup = arguments.warmup;
    plan_.shuffled = arguments.order == "random";
    plan_.seed = arguments.seed ? *arguments.seed : std::random_device()() % k_seeds;
  }

  Result<int> run() {
    // Before anything else is waited for.
    ORCH_CHECK(probe::ReadinessWatch::make(what_.ready));
    ORCH_CHECK(check_exports(arguments_.exports));
    ORCH_TRY(stack_, prepare_bench(session_, what_));
    if (stack_.interrupted != 0) return base::k_signal_base + stack_.interrupted;
    if (!stack_.complete) return 1;
    ORCH_CHECK(check_modes(arguments_.ab, stack_.launcher));
    ORCH_CHECK(make_place());
    make_header();
    ORCH_CHECK(write());
    const Result<int> signal = make_starts();
    header_.set("ended", sys::rfc3339(sys::SystemClock().now()));
    if (!signal) stopped(base::one_line(signal.error()));
    if (signal && *signal != 0) {
      header_.set("signal", *signal);
      stopped(sys::signal_name(*signal));
    }
    ORCH_CHECK(write());
    ORCH_CHECK(
        print_out(arguments_.format == OutputFormat::json ? format::to_json(report_) : bench_text(report_)));
    if (session_.verbosity != Verbosity::quiet) say("benchmark: {}/bench.json\n", printable(root_));
    ORCH_CHECK(write_exports(report_, arguments_.exports));
    ORCH_CHECK(signal);
    if (*signal != 0) return base::k_signal_base + *signal;
    return all_ready() ? 0 : 1;
  }

 private:
  Result<> make_place() {
    const evidence::Place place = evidence_place_of(
        session_, stack_.evidence_setting, stack_.profile + "-bench", arguments_.out_dir, arguments_.force);
    ORCH_TRY(evidence::AbDirectory directory, evidence::AbDirectory::create(place));
    directory_.emplace(std::move(directory));
    root_ = directory_->path();
    return sys::make_dirs(root_ + "/runs");
  }

  void make_header() {
    header_ = Value::object({{"schema", "appimage-orch/bench/1"},
                             {"tool_version", ORCH_VERSION},
                             {"started", sys::rfc3339(sys::SystemClock().now())},
                             {"ended", nullptr},
                             {"stopped", nullptr},
                             {"signal", nullptr},
                             {"profile", stack_.profile},
                             {"command", base::or_null(what_.command)},
                             {"launcher", stack_.launcher},
                             {"host", evidence::host_facts()},
                             {"ready", arguments_.ready},
                             {"seed", static_cast<std::int64_t>(plan_.seed)},
                             {"order", arguments_.order},
                             {"warmup", static_cast<std::int64_t>(plan_.warmup)},
                             {"warm", static_cast<std::int64_t>(plan_.warm)},
                             {"cold", static_cast<std::int64_t>(plan_.cold)},
                             {"timeout_seconds", static_cast<double>(what_.timeout_ms) / 1000},
                             {"page_cache", cache_value(plan_.cold == 0 ? "not asked" : "not reached",
                                                        plan_.cold == 0 ? "no cold start was asked for"
                                                                        : "no cold start was made")}});
  }

  static Value cache_value(std::string_view method, const std::string& detail) {
    return Value::object({{"method", std::string(method)}, {"detail", detail}});
  }

  // Not all starts were made, and why.
  void stopped(const std::string& why) {
    std::size_t all = 0;
    for (const probe::Start& start : starts_) all += start.measured ? 1 : 0;
    const auto made =
        std::ranges::count_if(runs_, [](const probe::Measured& run) { return run.start.measured; });
    header_.set("stopped", fmt::format("after {} of {}: {}", made,
                                       base::quantity(all, "measured start", "measured starts"), why));
  }

  Result<> write() {
    report_ = evidence::redact(probe::bench_report(header_, plan_, runs_, given_up_));
    written_ = std::chrono::steady_clock::now();
    return sys::write_atomic(root_ + "/bench.json", format::to_json(report_));
  }

  // The signal that ended it; 0.
  Result<int> make_starts() {
    starts_ = schedule(plan_);
    view_->begin(starts_.size());
    Result<int> signal = 0;
    const evidence::NotedSignals noted(evidence::NotedSignals::When::builds);
    for (std::size_t i = 0; i < starts_.size() && signal && *signal == 0; ++i) {
      if (!given_up_[starts_[i].variant].empty()) continue;
      signal = make_start(starts_[i]);
      if (signal && evidence::noted_signal() != 0) signal = evidence::noted_signal();
    }
    view_->end();
    return signal;
  }

  // As make_starts.
  Result<int> make_start(const probe::Start& start) {
    const BenchVariant& variant = variants_[start.variant];
    const std::string name = start_name(variant.name, to_string(start.kind));
    view_->started(name);
    if (start.kind == probe::StartKind::cold) drop_cache();
    if (evidence::noted_signal() != 0) return 0;  // seen by the caller
    const std::string directory =
        start.measured ? fmt::format("runs/{:03}", ++measured_) : fmt::format("runs/warm-up-{}", ++warm_ups_);
    ORCH_TRY(BenchRun run, measure_start(quiet_, what_, stack_, variant, root_ + "/" + directory));
    if (run.signal != 0) return run.signal;
    run.measured.start = start;
    run.measured.directory = directory;
    if (!start.measured && !run.measured.seconds)
      give_up(start.variant, "its warm-up did not get ready: " + run.measured.error);
    view_->finished(name, run.measured);
    runs_.push_back(std::move(run.measured));
    // With thousands of short starts the statistics would take longer than these.
    if (std::chrono::steady_clock::now() - written_ > std::chrono::seconds(1)) ORCH_CHECK(write());
    return 0;
  }

  void give_up(std::size_t variant, std::string why) {
    given_up_[variant] = std::move(why);
    std::size_t left = 0;
    for (const probe::Start& start : starts_) left += given_up_[start.variant].empty() ? 1 : 0;
    for (const probe::Measured& run : runs_) left += given_up_[run.start.variant].empty() ? 0 : 1;
    view_->expect(left + 1);  // this one included
  }

  void drop_cache() {
    const probe::CacheDrop drop = probe::drop_page_cache(files_of(session_, stack_));
    if (!told_ && drop.method != probe::CacheDrop::Method::drop_caches)
      view_->note("cold starts: " + drop.detail);
    told_ = true;
    header_.set("page_cache", cache_value(to_string(drop.method), drop.detail));
  }

  bool all_ready() const {
    const bool none_given_up =
        std::all_of(given_up_.begin(), given_up_.end(), [](const std::string& why) { return why.empty(); });
    return none_given_up && std::all_of(runs_.begin(), runs_.end(),
                                        [](const probe::Measured& run) { return run.seconds.has_value(); });
  }

  const Session& session_;
  Session quiet_;
  const BenchArguments& arguments_;
  BenchWhat what_;
  std::vector<BenchVariant> variants_;
  std::vector<std::string> given_up_;  // of each variant
  std::unique_ptr<BenchView> view_;
  probe::BenchPlan plan_;
  BenchStack stack_;
  std::optional<evidence::AbDirectory> directory_;  // its lock says that the benchmark is under way
  std::string root_;
  Value header_;
  Value report_;
  std::vector<probe::Start> starts_;
  std::vector<probe::Measured> runs_;
  std::chrono::steady_clock::time_point written_;
  std::size_t measured_ = 0;
  std::size_t warm_ups_ = 0;
  bool told_ = false;
};

Result<int> run_bench(const Session& session, const BenchArguments& arguments) {
  ORCH_TRY(BenchWhat what, what_of(session, arguments));
  ORCH_TRY(std::vector<BenchVariant> variants, variants_of_bench(arguments));
  return Bench(session, arguments, std::move(what), std::move(variants)).run();
}

void add_bench_options(CLI::App& command, BenchArguments& arguments) {
  command.add_option("PROFILE", arguments.target, "a profile (.toml file, or name; default: ./profile.toml)");
  add_profile_arguments(command, arguments.profile, Positional::no);
  const auto starts = [&command](const char* name, std::size_t& number, const char* help) {
    command.add_option(name, number, help)
        ->type_name("N")
        ->check(CLI::Range(std::size_t{0}, k_most_starts).description(""))
        ->capture_default_str();
  };
  starts("--warm", arguments.warm, "starts with the files in memory");
  starts("--cold", arguments.cold, "starts after the page cache was dropped, as far as allowed");
  starts("--warmup", arguments.warmup, "starts before the warm ones that are not counted");
  command
      .add_option("--ready", arguments.ready,
                  "when a start is over: exit, log:TEXT, window, window:CLASS or after:DURATION")
      ->type_name("CONDITION")
      ->capture_default_str();
  command.add_option("--timeout", arguments.timeout, "end a start that is not ready after this time")
      ->type_name("DURATION")
      ->capture_default_str();
  command.add_option("--order", arguments.order, "of the variants in each round: random or given")
      ->check(CLI::IsMember({"random", "given"}))
      ->capture_default_str();
  command.add_option("--seed", arguments.seed, "of the random order, to have the same again")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{0}, k_seeds - 1).description(""));
  command.add_option("--command", arguments.command,
                     "start this command line in the shell of the stack, not the application");
  add_variants(command, arguments.ab, "a start of each kind for each of these");
  command.add_option("--out-dir", arguments.out_dir, "leave bench.json and all evidence in this directory");
  command.add_flag("--force", arguments.force,
                   "go on where a check failed; use a directory that is not empty");
  add_exports(command, arguments.exports);
  add_format(command, arguments.format);
}

}  // namespace

void add_bench(CLI::App& app, Session& session) {
  const auto arguments = std::make_shared<BenchArguments>();
  CLI::App* command =
      app.add_subcommand("bench", "measure starts: cold and warm, until the application is ready");
  command->footer(
      "Application arguments stand behind '--'. The exit status is 0 if every start got ready, else 1.");
  add_bench_options(*command, *arguments);
  add_bench_files(*command, session);
  command->callback([&session, arguments, command] {
    if (!command->get_subcommands().empty()) return;  // whose callback came before
    session.action = [&session, arguments] {
      if (!arguments->target.empty()) arguments->profile.profiles.push_back(arguments->target);
      return run_bench(session, *arguments);
    };
  });
}

}  // namespace orch::cli
