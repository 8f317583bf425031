#include "cli/build_view.hpp"

#include "base/text.hpp"
#include "cli/paths.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace orch::cli {

namespace {

constexpr std::size_t k_last_lines = 20;
constexpr std::size_t k_log_tail = 64 * 1024;

void print(std::string_view text) {
  (void)sys::write_all(STDERR_FILENO, text, "standard error");
}

// What a failed step left in its log: the command that it ran ("$ …" in the first line), and its last lines.
std::string log_text(const std::string& path) {
  const Result<sys::Fd> fd = sys::open_file(path, O_RDONLY);
  const Result<struct stat> info = sys::stat_file(path);
  if (!fd || !info) return {};
  const auto size = static_cast<std::uint64_t>(info->st_size);
  const std::uint64_t from = size > k_log_tail ? size - k_log_tail : 0;
  const std::string text = sys::read_at(fd->get(), from, k_log_tail, path).value_or(std::string());
  if (base::trim(text).empty()) return {};
  std::vector<std::string_view> lines = base::split(base::trim(text), '\n');
  std::string out;
  if (lines.front().starts_with("$ ")) {
    out += fmt::format("  command: {}\n", base::printable(lines.front().substr(2)));
    lines.erase(lines.begin());
  }
  out += fmt::format("  log: {}\n", base::printable(path));
  if (lines.size() > k_last_lines) lines.erase(lines.begin(), lines.end() - k_last_lines);
  if (!lines.empty()) out += "  its last lines:\n";
  for (const std::string_view line : lines) out += "    " + base::printable(line) + "\n";
  return out;
}

std::string failure_text(const model::Step& step, const StepReport& report, const std::string& log_path,
                         bool colour) {
  std::string out = fmt::format("{}failed:{} {} ({})\n", colour ? "\x1b[1;31m" : "", colour ? "\x1b[0m" : "",
                                base::printable(step.description), step.id);
  out += fmt::format("  {}\n", base::printable(report.message));
  out += log_text(log_path);
  if (!report.hint.empty()) out += fmt::format("  hint: {}\n", base::printable(report.hint));
  return out;
}

class PlainView : public BuildView {
 public:
  explicit PlainView(const Session& session) : session_(session) {}
  void begin(const graph::Graph&, std::size_t) override {}
  void started(const model::Step&) override {}
  void finished(const model::Step& step, const StepReport& report, const std::string& log_path) override {
    if (report.result == "failed") {
      print(failure_text(step, report, log_path, session_.colour));
      return;
    }
    if (session_.verbosity == Verbosity::quiet) return;
    if (report.result == "fresh" && session_.verbosity != Verbosity::verbose) return;
    print(fmt::format("{:<8} {}{}\n", report.result, base::printable(step.description), time_of(report)));
  }
  void tick() override {}
  void note(const std::string& text) override {
    if (session_.verbosity != Verbosity::quiet) print(text + "\n");
  }
  void end() override {}

 protected:
  static std::string time_of(const StepReport& report) {
    return report.result == "executed" ? fmt::format(" ({})", base::human_seconds(report.seconds))
                                       : std::string();
  }
  const Session& session_;
};

// One line that is drawn over; finished steps scroll above it. Redrawn only when its text changes.
class LiveView final : public PlainView {
 public:
  using PlainView::PlainView;
  void begin(const graph::Graph&, std::size_t expected) override {
    expected_ = expected;
    done_ = 0;
    draw();
  }
  void started(const model::Step& step) override {
    running_.push_back({step.id, step.description, std::chrono::steady_clock::now()});
    draw();
  }
  void finished(const model::Step& step, const StepReport& report, const std::string& log_path) override {
    std::erase_if(running_, [&](const Running& running) { return running.id == step.id; });
    ++done_;
    clear();
    PlainView::finished(step, report, log_path);
    draw();
  }
  void tick() override { draw(); }
  void note(const std::string& text) override {
    clear();
    PlainView::note(text);
    draw();
  }
  void end() override {
    running_.clear();
    clear();
    expected_ = 0;
  }

 private:
  struct Running {
    std::string id;
    std::string description;
    std::chrono::steady_clock::time_point since;
  };

  void clear() {
    if (!shown_.empty()) print("\r\x1b[K");
    shown_.clear();
  }

  void draw() {
    if (expected_ == 0 || session_.verbosity == Verbosity::quiet) return;
    std::string text = fmt::format("[{}/{}]", std::min(done_, expected_), expected_);
    for (const Running& running : running_) {
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - running.since).count();
      text += " " + base::printable(running.description);
      if (seconds >= 1) text += fmt::format(" ({:.0f} s)", seconds);
      if (&running != &running_.back()) text += ",";
    }
    winsize size{};
    const std::size_t width =
        ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80U;
    text = base::shortened(text, width - 1);
    if (text == shown_) return;
    print("\r" + text + "\x1b[K");
    shown_ = text;
  }

  std::size_t expected_ = 0;
  std::size_t done_ = 0;
  std::vector<Running> running_;
  std::string shown_;
};

}  // namespace

bool draws_over_lines(const Session& session) {
  const std::string term = variable(session, "TERM");
  return ::isatty(STDERR_FILENO) == 1 && !term.empty() && term != "dumb";
}

std::unique_ptr<BuildView> make_build_view(const Session& session) {
  if (draws_over_lines(session)) return std::make_unique<LiveView>(session);
  return std::make_unique<PlainView>(session);
}

std::string build_summary(const BuildReport& report) {
  std::string out;
  for (const char* result : {"executed", "cached", "fresh", "failed", "skipped"}) {
    const std::size_t count = report.count(result);
    const bool always = std::string_view(result) != "failed" && std::string_view(result) != "skipped";
    if (count == 0 && !always) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, result);
  }
  return out;
}

base::Value build_json(const Project& project, const BuildReport& report) {
  using base::Value;
  Value steps = Value::array();
  for (std::size_t i = 0; i < report.steps.size(); ++i) {
    const model::Step& step = project.graph().steps[i];
    if (step.cache == model::CachePolicy::never || !report.wanted[i]) continue;
    const plan::PlannedStep& planned = report.plan.steps[i];
    Value row = Value::object({{"id", step.id},
                               {"rule", step.rule},
                               {"profiles", Value::strings(step.profiles)},
                               {"result", report.steps[i].result},
                               {"key", planned.key ? Value(planned.key->hex()) : Value()}});
    const bool built = !planned.outputs.empty();
    row.set("artifact", built ? Value(project.store().data_path(planned.outputs.front().artifact)) : Value());
    row.set("digest", built ? Value(planned.outputs.front().artifact.digest.hex()) : Value());
    row.set("seconds", report.steps[i].seconds);
    steps.push(std::move(row));
  }
  Value out = Value::object({{"schema", "appimage-orch/build/1"}, {"steps", steps}});
  for (const char* result : {"executed", "cached", "fresh", "failed"}) out.set(result, report.count(result));
  return out;
}

}  // namespace orch::cli
