// appimage-orch bench show, bench compare: what benchmarks have left.
#include "cli/bench_files.hpp"

#include "base/text.hpp"
#include "cli/bench_view.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/output_file.hpp"
#include "cli/say.hpp"
#include "format/json.hpp"
#include "probe/bench_compare.hpp"
#include "probe/bench_export.hpp"
#include "probe/bench_results.hpp"
#include "probe/bench_svg.hpp"
#include "sys/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::printable;
using base::Value;

namespace {

// `path`: a file, or the directory of a benchmark.
Result<Value> read_bench(const std::string& path) {
  const Result<struct stat> info = sys::stat_file(path);
  const std::string file = info && S_ISDIR(info->st_mode) ? path + "/bench.json" : path;
  ORCH_TRY(const std::string text, sys::read_file(file));
  Result<Value> document = format::parse_json(text, file);
  if (document && document->is_object() && document->string_or("schema", "") == "appimage-orch/bench/1") {
    if (const std::string defect = probe::defect_of(*document); !defect.empty())
      return fail(ErrorKind::corrupt, fmt::format("'{}' is damaged: {}", printable(file), printable(defect)),
                  "measure again; what is left of its starts is beside it, in runs");
    return document;
  }
  return fail(ErrorKind::usage, fmt::format("'{}' is no bench.json of this version", printable(file)),
              "name a file that 'appimage-orch bench' wrote, or its directory");
}

constexpr double k_most_percent = 1e6;

struct CompareArguments {
  std::string a;
  std::string b;
  std::optional<double> fail_if_slower;
  OutputFormat format = OutputFormat::text;
};

Result<int> compare(const CompareArguments& arguments) {
  ORCH_TRY(const Value a, read_bench(arguments.a));
  ORCH_TRY(const Value b, read_bench(arguments.b));
  ORCH_TRY(const Value comparison, probe::compare_benches(a, b, arguments.a, arguments.b));
  ORCH_CHECK(print_out(arguments.format == OutputFormat::json ? format::to_json(comparison)
                                                              : probe::compare_text(comparison)));
  if (!arguments.fail_if_slower) return 0;
  const std::vector<std::string> regressions = probe::regressions_of(comparison, *arguments.fail_if_slower);
  for (const std::string& why : regressions) say("worse: {}\n", why);
  for (const std::string& why : probe::doubts_of(comparison, *arguments.fail_if_slower))
    say("not excluded: {}\n", why);
  return regressions.empty() ? 0 : 1;
}

void add_compare(CLI::App& bench, Session& session) {
  const auto arguments = std::make_shared<CompareArguments>();
  CLI::App* command =
      bench.add_subcommand("compare", "hold two benchmarks against each other: is B slower than A?");
  command->footer(
      "Ratios are of medians, with an interval of 95 %; a difference counts where the whole interval is more "
      "than 1 % away\nfrom 1, there is none where it lies within 5 % of 1, and else it is unknown.");
  command->add_option("A", arguments->a, "a bench.json, or its directory")->required();
  command->add_option("B", arguments->b, "another one, the newer")->required();
  command
      ->add_option(
          "--fail-if-slower", arguments->fail_if_slower,
          "status 1 where some start of B is slower, by at least this much, got ready less often, is "
          "not there, or cannot be compared")
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, k_most_percent).description(""));
  add_format(*command, arguments->format);
  command->callback([&session, arguments] { session.action = [arguments] { return compare(*arguments); }; });
}

struct ShowArguments {
  std::string file;
  BenchExports exports;
  OutputFormat format = OutputFormat::text;
};

Result<int> show(const ShowArguments& arguments) {
  ORCH_TRY(const Value document, read_bench(arguments.file));
  ORCH_CHECK(write_exports(document, arguments.exports));
  ORCH_CHECK(
      print_out(arguments.format == OutputFormat::json ? format::to_json(document) : bench_text(document)));
  return 0;
}

void add_show(CLI::App& bench, Session& session) {
  const auto arguments = std::make_shared<ShowArguments>();
  CLI::App* command =
      bench.add_subcommand("show", "print a benchmark again, draw it, or write it for hyperfine's scripts");
  command->add_option("FILE", arguments->file, "a bench.json, or its directory")->required();
  add_exports(*command, arguments->exports);
  add_format(*command, arguments->format);
  command->callback([&session, arguments] { session.action = [arguments] { return show(*arguments); }; });
}

}  // namespace

void add_exports(CLI::App& command, BenchExports& exports) {
  command.add_option("--svg", exports.svg, "draw the starts: a box plot, and each by its place in the order")
      ->type_name("FILE");
  command
      .add_option("--export-hyperfine", exports.hyperfine,
                  "write the times as hyperfine's --export-json does")
      ->type_name("FILE");
}

Result<> check_exports(const BenchExports& exports) {
  for (const std::string& path : {exports.svg, exports.hyperfine})
    if (!path.empty()) ORCH_CHECK(check_output(path));
  return {};
}

Result<> write_exports(const Value& document, const BenchExports& exports) {
  if (!exports.svg.empty()) ORCH_CHECK(write_output(exports.svg, probe::bench_svg(document)));
  if (!exports.hyperfine.empty())
    ORCH_CHECK(write_output(exports.hyperfine, format::to_json(probe::hyperfine_export(document))));
  return {};
}

void add_bench_files(CLI::App& bench, Session& session) {
  add_compare(bench, session);
  add_show(bench, session);
}

}  // namespace orch::cli
