// appimage-orch cache: the artifact store.
#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/paths.hpp"
#include "format/json.hpp"
#include "store/store.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace orch::cli {

namespace {

Result<int> show_stats(const Session& session, OutputFormat format) {
  const store::Store store(store_root(session));
  ORCH_TRY(const std::vector<store::KindStats> rows, store.stats());
  ORCH_TRY(const std::uint64_t records, store.record_count());
  base::Value kinds = base::Value::array();
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  std::string text;
  for (const store::KindStats& row : rows) {
    count += row.count;
    bytes += row.bytes;
    kinds.push(base::Value::object(
        {{"kind", model::to_string(row.kind)}, {"count", row.count}, {"bytes", row.bytes}}));
    text += fmt::format("  {:<10} {:>6}  {:>12}\n", model::to_string(row.kind), row.count,
                        base::human_size(row.bytes));
  }
  if (format == OutputFormat::json) {
    ORCH_CHECK(print_out(format::to_json(base::Value::object({{"schema", "appimage-orch/cache-stats/1"},
                                                              {"path", store.root()},
                                                              {"artifacts", count},
                                                              {"bytes", bytes},
                                                              {"records", records},
                                                              {"kinds", kinds}}))));
    return 0;
  }
  ORCH_CHECK(print_out(fmt::format("{}\n{}  {:<10} {:>6}  {:>12}\n  {} action-cache records\n",
                                   base::printable(store.root()), text, "all", count, base::human_size(bytes),
                                   records)));
  return 0;
}

}  // namespace

void add_cache(CLI::App& app, Session& session) {
  CLI::App* cache = app.add_subcommand("cache", "the artifact store");
  cache->require_subcommand(1);
  CLI::App* stats = cache->add_subcommand("stats", "how many artifacts there are and how large");
  const auto format = std::make_shared<OutputFormat>(OutputFormat::text);
  add_format(*stats, *format);
  stats->callback(
      [&session, format] { session.action = [&session, format] { return show_stats(session, *format); }; });
}

}  // namespace orch::cli
