#include "cli/bench_view.hpp"

#include "base/text.hpp"
#include "cli/build_view.hpp"
#include "cli/fields.hpp"
#include "cli/say.hpp"
#include "probe/statistics.hpp"

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <vector>

namespace orch::cli {

using base::human_seconds;
using base::printable;
using base::Value;

namespace {

class PlainBenchView : public BenchView {
 public:
  explicit PlainBenchView(const Session& session) : session_(session) {}
  void begin(std::size_t starts) override {
    all_ = starts;
    begin_ = std::chrono::steady_clock::now();
  }
  void expect(std::size_t starts) override { all_ = starts; }
  void started(const std::string&) override {}
  void finished(const std::string& name, const probe::Measured& run) override {
    ++done_;
    if (session_.verbosity == Verbosity::quiet) return;
    say("[{}/{}] {}: {}\n", done_, all_, printable(name), words(run));
  }
  void note(const std::string& text) override {
    if (session_.verbosity != Verbosity::quiet) say("{}\n", text);
  }
  void end() override {}

 protected:
  static std::string words(const probe::Measured& run) {
    const std::string time = run.seconds ? human_seconds(*run.seconds) : "not ready: " + printable(run.error);
    return run.start.measured ? time : time + " (warm-up, not counted)";
  }
  std::optional<double> left() const {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin_;
    return probe::time_left(spent.count(), done_, all_);
  }

  const Session& session_;
  std::size_t all_ = 0;
  std::size_t done_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

// A line that is drawn over. It begins where the cursor is left, so that whatever else is said stands in its place.
class BarBenchView final : public PlainBenchView {
 public:
  using PlainBenchView::PlainBenchView;
  void started(const std::string& name) override { draw(name); }
  void finished(const std::string& name, const probe::Measured& run) override {
    clear();
    if (run.seconds) {
      ++done_;
      last_ = fmt::format("{} {}", printable(name), human_seconds(*run.seconds));
    } else {
      PlainBenchView::finished(name, run);
    }
  }
  void note(const std::string& text) override {
    clear();
    PlainBenchView::note(text);
  }
  void end() override { clear(); }

 private:
  void clear() {
    if (shown_) say(std::string_view("\r\x1b[K"));
    shown_ = false;
  }

  void draw(const std::string& name) {
    if (session_.verbosity == Verbosity::quiet || all_ == 0) return;
    constexpr std::size_t k_bar = 20;
    const std::size_t full = k_bar * done_ / all_;
    std::string text =
        fmt::format("[{}{}] {}/{}", std::string(full, '#'), std::string(k_bar - full, '.'), done_, all_);
    if (const auto seconds = left()) text += fmt::format(", about {} left", human_seconds(*seconds));
    text += ", " + printable(name);
    if (!last_.empty()) text += "; last: " + last_;
    winsize size{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > k_bar;
    say("\r{}\x1b[K\r", base::shortened(text, (known ? size.ws_col : 80U) - 1));
    shown_ = true;
  }

  bool shown_ = false;
  std::string last_;
};

// One unit for all numbers of a result.
class Unit {
 public:
  explicit Unit(double largest) : milliseconds_(largest < 1) {}
  std::string number(double seconds) const {
    constexpr double k_milli = 1000;
    return milliseconds_ ? fmt::format("{:.1f}", seconds * k_milli) : fmt::format("{:.3f}", seconds);
  }
  std::string operator()(double seconds) const { return number(seconds) + " " + name(); }
  const char* name() const { return milliseconds_ ? "ms" : "s"; }

 private:
  bool milliseconds_;
};

double number_at(const Value& value, const char* key) {
  const Value* found = value.find(key);
  return found != nullptr && (found->is_int() || found->is_double()) ? found->as_double() : 0;
}

std::string phases_text(const Value& phases, const Unit& unit) {
  constexpr std::pair<const char*, const char*> k_names[] = {
      {"build", "build"}, {"preflight", "preflight"}, {"boot", "boot"}, {"ready", "ready"}, {"exit", "end"}};
  std::vector<std::string> parts;
  for (const auto& [key, name] : k_names)
    if (const Value* seconds = phases.find(key); seconds != nullptr && !seconds->is_null())
      parts.push_back(fmt::format("{} {}", name, unit.number(seconds->as_double())));
  return base::join(parts, ", ");
}

std::string outliers_text(const Value& runs) {
  std::vector<std::string> out;
  for (const Value& run : runs.as_array())
    if (run.bool_or("outlier", false))
      out.push_back(
          fmt::format("{} ({})", run.int_or("number", 0), human_seconds(number_at(run, "seconds"))));
  return base::join(out, ", ");
}

std::string failures_text(const Value& runs) {
  std::vector<std::string> out;
  for (const Value& run : runs.as_array())
    if (!run.bool_or("ok", false))
      out.push_back(fmt::format("{} ({})", run.int_or("number", 0), printable(run.string_or("error", "?"))));
  return base::join(out, ", ");
}

std::size_t ready_count(const Value& runs) {
  std::size_t out = 0;
  for (const Value& run : runs.as_array()) out += run.bool_or("ok", false) ? 1 : 0;
  return out;
}

void add_result(std::string& out, const Value& result) {
  const Value& runs = *result.find("runs");
  const std::string name =
      printable(start_name(result.string_or("variant", ""), result.string_or("start", "")));
  const std::size_t starts = runs.as_array().size();
  wrapped(out, "",
          starts == 0 ? name + ": no start was made"
                      : fmt::format("{}: {} of {} got ready", name, ready_count(runs),
                                    base::quantity(starts, "start", "starts")));
  if (const Value& summary = *result.find("summary"); !summary.is_null()) {
    const Unit unit(number_at(summary, "max"));
    const Value& interval = *summary.find("median_interval");
    const bool has_interval = !interval.is_null();
    field(out, "median",
          unit(number_at(summary, "median")) +
              (has_interval ? fmt::format(" (95 %: {} … {})", unit.number(number_at(interval, "low")),
                                          unit(number_at(interval, "high")))
                            : ""));
    const Value* deviation = summary.find("deviation");
    const bool has_deviation = deviation != nullptr && !deviation->is_null();
    field(out, "mean",
          unit(number_at(summary, "mean")) + (has_deviation ? " ± " + unit(deviation->as_double()) : ""));
    field(out, "range",
          fmt::format("{} … {}", unit.number(number_at(summary, "min")), unit(number_at(summary, "max"))));
    // The unit stands in front, once: a line that is broken for its length does not leave it alone.
    field(out, fmt::format("phases ({})", unit.name()), phases_text(*result.find("phases"), unit));
  }
  if (const std::string outliers = outliers_text(runs); !outliers.empty()) field(out, "outliers", outliers);
  if (const std::string failures = failures_text(runs); !failures.empty()) field(out, "failed", failures);
  if (const std::string why = result.string_or("given_up", ""); !why.empty())
    field(out, "given up", printable(why));
}

std::vector<double> times_of(const Value& result) {
  std::vector<double> out;
  for (const Value& run : result.find("runs")->as_array())
    if (run.bool_or("ok", false)) out.push_back(number_at(run, "seconds"));
  return out;
}

std::string relation_text(const probe::Comparison& comparison) {
  if (!comparison.measured) return "too few starts to compare";
  return fmt::format("{:.2f} times as long (95 %: {:.2f} … {:.2f}): {}", comparison.ratio,
                     comparison.interval.low, comparison.interval.high,
                     comparison.verdict == probe::Verdict::unknown ? "too wide to tell"
                                                                   : probe::to_string(comparison.verdict));
}

// How the others of a kind relate to the fastest.
void add_relations(std::string& out, const Value& report, std::string_view kind) {
  const Value* fastest = nullptr;
  std::vector<const Value*> others;
  for (const Value& result : report.find("results")->as_array()) {
    if (result.string_or("start", "") != kind || result.find("summary")->is_null()) continue;
    others.push_back(&result);
    const auto median = [](const Value& of) { return number_at(*of.find("summary"), "median"); };
    if (fastest == nullptr || median(result) < median(*fastest)) fastest = &result;
  }
  if (others.size() < 2) return;
  out += "\n";
  wrapped(out, "",
          fmt::format("{}, by the median: {} is the fastest", kind,
                      printable(fastest->string_or("variant", ""))));
  for (const Value* other : others) {
    if (other == fastest) continue;
    const probe::Comparison comparison = probe::compare_times(
        times_of(*fastest), times_of(*other), static_cast<std::uint64_t>(report.int_or("seed", 0)));
    const std::string name = other->string_or("variant", "");
    named(out, "  ", name, printable(name).size() <= k_widest_name ? printable(name).size() : 0,
          relation_text(comparison));
  }
}

}  // namespace

std::unique_ptr<BenchView> make_bench_view(const Session& session) {
  if (draws_over_lines(session)) return std::make_unique<BarBenchView>(session);
  return std::make_unique<PlainBenchView>(session);
}

std::string start_name(const std::string& variant, std::string_view start) {
  return variant.empty() ? std::string(start) : fmt::format("{}, {}", variant, start);
}

std::string bench_text(const Value& report) {
  std::string out;
  for (const Value& result : report.find("results")->as_array()) {
    if (!out.empty()) out += "\n";
    add_result(out, result);
  }
  for (const char* kind : {"warm", "cold"}) add_relations(out, report, kind);
  const Value& cache = *report.find("page_cache");
  if (const std::string method = cache.string_or("method", "");
      method != "not asked" && method != "not reached")
    wrapped(out, "\ncold starts: ", printable(cache.string_or("detail", "")));
  if (const std::string why = report.string_or("stopped", ""); !why.empty())
    wrapped(out, "\nstopped: ", printable(why));
  return out;
}

}  // namespace orch::cli
