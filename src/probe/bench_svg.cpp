#include "probe/bench_svg.hpp"

#include "base/text.hpp"
#include "probe/bench_results.hpp"
#include "probe/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace orch::probe {

namespace {

using svg::Anchor;
using svg::Point;
using svg::Scale;

constexpr double k_width = 960;
constexpr double k_left = 16;  // margins
constexpr double k_right = 930;
constexpr double k_size = 12;  // of the font
constexpr double k_radius = 4.5;
constexpr double k_widest_label = 280;
constexpr double k_row = 44;
constexpr double k_box_half = 9;
constexpr double k_column = (k_right - k_left) / 2;  // of the legend
constexpr double k_run_left = 84;
constexpr double k_run_height = 300;
constexpr double k_axis = 50;  // for ticks and the name of an axis
constexpr double k_line = 18;
constexpr double k_gap = 10;
constexpr double k_label = k_left + 4 * k_radius + k_gap;  // where the names of the boxes begin
constexpr const char* k_grid = "stroke=\"#dddddd\"";
constexpr const char* k_frame = "stroke=\"#333333\"";
constexpr const char* k_faint = "fill=\"#555555\" font-size=\"11\"";

// One unit for all times of the picture.
struct Unit {
  double factor = 1;
  const char* name = "seconds";
};

bool is_inside_of_character(const std::string& text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
}

// The variants' names; where one is wider, without what all have in common at both ends: cut in the middle they would look alike.
std::vector<std::string> told_apart(const std::vector<BenchResult>& results, double width) {
  std::vector<std::string> out;
  for (const BenchResult& result : results) out.push_back(base::printable(result.variant));
  const auto fits = [width](const std::string& name) { return svg::text_width(name, k_size) <= width; };
  if (std::ranges::all_of(out, fits) || std::set<std::string>(out.begin(), out.end()).size() < 2) return out;
  const std::string first = out.front();
  std::size_t head = first.size();
  std::size_t tail = first.size();
  for (const std::string& name : out) {
    const auto ahead = std::ranges::mismatch(first, name).in1 - first.begin();
    const auto behind =
        std::mismatch(first.rbegin(), first.rend(), name.rbegin(), name.rend()).first - first.rbegin();
    head = std::min(head, static_cast<std::size_t>(ahead));
    tail = std::min(tail, static_cast<std::size_t>(behind));
  }
  const std::size_t shortest = std::ranges::min(out, {}, &std::string::size).size();
  tail = std::min(tail, shortest - head);  // what is between may be shared by both
  while (head > 0 && is_inside_of_character(first, head)) --head;
  while (tail > 0 && is_inside_of_character(first, first.size() - tail)) --tail;
  for (std::string& name : out) {
    const std::string own = name.substr(head, name.size() - head - tail);
    name = (head > 0 ? "..." : "") + own + (tail > 0 && !own.empty() ? "..." : "");
  }
  return out;
}

class Plot {
 public:
  explicit Plot(const Value& bench) : bench_(bench), results_(results_of(bench)) { measure(); }

  std::string draw() {
    heading();
    boxes();
    legend();
    runs();
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
        "role=\"img\" "
        "font-family=\"sans-serif\" font-size=\"{2}\" fill=\"#111111\">\n<title>{3}</title>\n"
        "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n{4}</svg>\n",
        svg::number(k_width), svg::number(y_), svg::number(k_size), svg::escaped(base::printable(title())),
        out_);
  }

 private:
  void measure();
  std::string title() const;
  void heading();
  void boxes();
  std::string named(std::size_t row, const std::string& end, double width) const;
  void box(std::size_t row, double y);
  void outline(std::size_t row, const std::vector<double>& sorted, double y);
  void box_axis(double top, double bottom);
  void legend();
  void legend_entry(std::size_t index, const std::string& symbol, const std::string& words);
  void runs();
  void run_axes(double top, double bottom, double floor);
  void run_mark(std::size_t row, const BenchRun& run, double top, double bottom);
  double box_x(double seconds) const { return scale_.at(seconds * unit_.factor, box_left_, k_right); }
  double run_x(std::int64_t number) const {
    return order_.at(static_cast<double>(number), k_run_left, k_right);
  }
  std::string axis_name() const { return fmt::format("{} until ready", unit_.name); }

  const Value& bench_;
  std::vector<BenchResult> results_;
  std::vector<std::string> names_;  // of their variants, printable
  Unit unit_;
  Scale scale_;  // of times
  Scale order_;  // of the runs' numbers
  std::size_t successful_ = 0;
  std::size_t failed_ = 0;
  std::string out_;
  double box_left_ = 0;  // where the plot of boxes begins, beside the names
  double y_ = 0;         // where the picture ends so far
};

void Plot::measure() {
  constexpr int k_time_ticks = 11;
  constexpr int k_run_ticks = 12;
  constexpr double k_milli = 1000;
  std::vector<double> times;
  std::int64_t last = 1;
  for (const BenchResult& result : results_)
    for (const BenchRun& run : result.runs) {
      last = std::max(last, run.number);
      if (run.seconds)
        times.push_back(*run.seconds);
      else
        ++failed_;
    }
  successful_ = times.size();
  names_ = told_apart(results_, k_widest_label);
  double widest = 0;
  for (const BenchResult& result : results_)
    widest = std::max(widest, svg::text_width(base::printable(result.label()), k_size));
  box_left_ = k_label + std::min(widest, k_widest_label) + 1 + k_gap;
  order_ = svg::scale_around(0, static_cast<double>(last), k_run_ticks, 1);
  order_.low = 0.5;  // half a place on either side
  order_.high = static_cast<double>(last) + 0.5;
  if (times.empty()) return;
  const auto [least, most] = std::minmax_element(times.begin(), times.end());
  if (*most < 1) unit_ = {k_milli, "milliseconds"};
  double low = *least * unit_.factor;
  double high = *most * unit_.factor;
  constexpr double k_margin = 0.04;
  constexpr double k_near =
      0.4;  // from there on the picture loses little by beginning at 0, and gains honesty
  const double margin = high > low ? (high - low) * k_margin : std::max(high * k_margin, k_margin);
  if (low >= 0) low = low < k_near * high ? 0 : std::max(0.0, low - margin);
  high += margin;
  scale_ = svg::scale_around(low, high, k_time_ticks);
}

std::string Plot::title() const {
  return bench_.string_or("profile", "") + ": time until ready";
}

void Plot::heading() {
  constexpr double k_title = 18;
  constexpr double k_bold = 1.1;  // bold letters are wider
  const double width = k_right - k_left;
  std::vector<std::string> parts = {
      "ready: " + bench_.string_or("ready", "?"), "launcher " + bench_.string_or("launcher", "?"),
      fmt::format("order {}, seed {}", bench_.string_or("order", "?"), bench_.int_or("seed", 0))};
  if (const Value* cache = bench_.find("page_cache"))
    parts.push_back("page cache: " + cache->string_or("method", "?"));
  std::vector<std::string> lines = {base::join(parts, "; ")};
  if (const std::string command = bench_.string_or("command", ""); !command.empty())
    lines.push_back("command: " + command);
  const std::string ended = bench_.string_or("ended", "");
  lines.push_back(fmt::format("started {}, {}", bench_.string_or("started", "?"),
                              ended.empty() ? "not finished" : "ended " + ended));
  y_ = 32;
  out_ += svg::text({k_left, y_}, Anchor::start, svg::fitted(title(), width, k_bold * k_title),
                    "font-size=\"18\" font-weight=\"bold\"");
  for (const std::string& words : lines)
    out_ += svg::text({k_left, y_ += k_line}, Anchor::start, svg::fitted(words, width, k_size));
}

void Plot::boxes() {
  y_ += 2 * k_line;
  out_ += svg::text({k_left, y_}, Anchor::start,
                    "Box: the middle half of the times. Bold line: median. Whiskers: the furthest times "
                    "within 1.5 widths of "
                    "the box. Marks: times beyond.",
                    k_faint);
  const double top = y_ + k_line / 2;
  const double bottom = top + k_row * static_cast<double>(std::max<std::size_t>(1, results_.size()));
  box_axis(top, bottom);
  for (std::size_t row = 0; row < results_.size(); ++row)
    box(row, top + k_row * (static_cast<double>(row) + 0.6));
  if (results_.empty()) out_ += svg::text({box_left_ + k_line, top + k_row / 2}, Anchor::start, "no results");
  y_ = bottom + (successful_ > 0 ? k_axis : k_gap);
}

void Plot::box_axis(double top, double bottom) {
  if (successful_ > 0) {
    for (const double tick : scale_.ticks()) {
      const double x = scale_.at(tick, box_left_, k_right);
      out_ += svg::line({x, top}, {x, bottom}, k_grid);
      out_ += svg::text({x, bottom + k_line}, Anchor::middle, scale_.label(tick));
    }
    out_ += svg::text({(box_left_ + k_right) / 2, bottom + 2 * k_line}, Anchor::middle, axis_name());
  }
  out_ += svg::line({box_left_, top}, {box_left_, bottom}, k_frame);
  out_ += svg::line({box_left_, bottom}, {k_right, bottom}, k_frame);
}

// The name with its end: the name alone gives way.
std::string Plot::named(std::size_t row, const std::string& end, double width) const {
  const BenchResult& result = results_[row];
  if (result.variant.empty()) return svg::fitted(result.start + end, width, k_size);
  const std::string rest = ", " + base::printable(result.start) + end;
  return svg::fitted(names_[row], width - svg::text_width(rest, k_size), k_size) + rest;
}

void Plot::box(std::size_t row, double y) {
  const BenchResult& result = results_[row];
  out_ += svg::mark(row, {k_left + k_radius * 2, y}, k_radius);
  out_ += svg::text({k_label, y + k_radius}, Anchor::start, named(row, "", box_left_ - k_gap - k_label));
  std::vector<double> times = result.times();
  std::sort(times.begin(), times.end());
  if (!times.empty()) return outline(row, times, y);
  const std::string words = result.given_up.empty() ? "no successful run" : "given up: " + result.given_up;
  out_ += svg::text({box_left_ + k_gap, y + k_radius}, Anchor::start,
                    svg::fitted(words, k_right - box_left_ - k_gap, k_size), "font-style=\"italic\"");
}

// By linear interpolation between the times around it.
double quantile(const std::vector<double>& sorted, double part) {
  const double place = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - std::floor(place)) * (sorted[above] - sorted[below]);
}

void Plot::outline(std::size_t row, const std::vector<double>& sorted, double y) {
  constexpr double k_reach = 1.5;
  constexpr double k_room = 30;  // half the width of a number
  const double first = quantile(sorted, 0.25);
  const double median = quantile(sorted, 0.5);
  const double third = quantile(sorted, 0.75);
  const double reach = k_reach * (third - first);
  const auto is_near = [&](double time) { return time >= first - reach && time <= third + reach; };
  double low = first;
  double high = third;
  for (const double time : sorted) {
    if (!is_near(time)) continue;
    low = std::min(low, time);
    high = std::max(high, time);
  }
  const std::string stroke = fmt::format("stroke=\"{}\" stroke-width=\"1.5\"", svg::colour_of(row));
  out_ += svg::line({box_x(low), y}, {box_x(first), y}, stroke);
  out_ += svg::line({box_x(third), y}, {box_x(high), y}, stroke);
  for (const double end : {low, high})
    out_ += svg::line({box_x(end), y - k_box_half / 2}, {box_x(end), y + k_box_half / 2}, stroke);
  out_ += fmt::format(
      "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" fill-opacity=\"0.15\" {}/>\n",
      svg::number(box_x(first)), svg::number(y - k_box_half), svg::number(box_x(third) - box_x(first)),
      svg::number(2 * k_box_half), svg::colour_of(row), stroke);
  out_ += svg::line({box_x(median), y - k_box_half - 2}, {box_x(median), y + k_box_half + 2},
                    "stroke=\"#000000\" stroke-width=\"3\"");
  out_ += svg::text({std::clamp(box_x(median), box_left_ + k_room, k_right - k_room), y - k_box_half - 5},
                    Anchor::middle, precise_seconds(median), "font-size=\"11\" font-weight=\"bold\"");
  for (const double time : sorted)
    if (!is_near(time)) out_ += svg::mark(row, {box_x(time), y}, k_radius - 1);
}

void Plot::legend_entry(std::size_t index, const std::string& symbol, const std::string& words) {
  const double x = k_left + (index % 2 == 0 ? 0 : k_column);
  if (index % 2 == 0) y_ += k_line + 2;
  out_ += fmt::format("<g transform=\"translate({} {})\">\n{}", svg::number(x + 2 * k_radius),
                      svg::number(y_), symbol);
  out_ += svg::text({k_label - k_left - 2 * k_radius, k_radius}, Anchor::start, words) + "</g>\n";
}

void Plot::legend() {
  for (std::size_t row = 0; row < results_.size(); ++row) {
    const std::size_t all = results_[row].runs.size();
    const std::size_t ready = results_[row].times().size();
    const std::string runs = base::quantity(all, "run", "runs");
    legend_entry(row, svg::mark(row, {0, 0}, k_radius),
                 named(row, ": " + (ready == all ? runs : fmt::format("{} of {} ready", ready, runs)),
                       k_column - 2 * k_label));
  }
  if (failed_ > 0)
    legend_entry(results_.size(), svg::cross({0, 0}, k_radius, "#000000"),
                 "did not get ready, with the mark of what it was a run of");
}

void Plot::runs() {
  const double top = y_ + 2 * k_line;
  constexpr double k_nothing = 80;
  const double bottom = top + (successful_ > 0 ? k_run_height : k_nothing);
  const double floor = bottom + (failed_ > 0 ? 3 * k_line : 0);
  run_axes(top, bottom, floor);
  for (std::size_t row = 0; row < results_.size(); ++row)
    for (const BenchRun& run : results_[row].runs) run_mark(row, run, top, bottom);
  y_ = floor + k_axis;
}

void Plot::run_axes(double top, double bottom, double floor) {
  if (successful_ > 0) {
    for (const double tick : scale_.ticks()) {
      const double y = scale_.at(tick, bottom, top);
      out_ += svg::line({k_run_left, y}, {k_right, y}, k_grid);
      out_ += svg::text({k_run_left - 8, y + k_radius}, Anchor::end, scale_.label(tick));
    }
    const double middle = (top + bottom) / 2;
    out_ += svg::text(
        {k_left + k_size, middle}, Anchor::middle, axis_name(),
        fmt::format("transform=\"rotate(-90 {} {})\"", svg::number(k_left + k_size), svg::number(middle)));
  } else {
    out_ += svg::text({(k_run_left + k_right) / 2, (top + bottom) / 2}, Anchor::middle, "no successful run");
  }
  for (const double tick : order_.ticks()) {
    const double x = run_x(static_cast<std::int64_t>(std::lround(tick)));
    out_ += svg::line({x, floor}, {x, floor + 5}, k_frame);
    out_ += svg::text({x, floor + k_line + 2}, Anchor::middle, order_.label(tick));
  }
  out_ += svg::text({(k_run_left + k_right) / 2, floor + 2 * k_line + 2}, Anchor::middle,
                    "place in the order in which they ran");
  out_ += svg::line({k_run_left, top}, {k_run_left, floor}, k_frame);
  out_ += svg::line({k_run_left, floor}, {k_right, floor}, k_frame);
  if (failed_ == 0) return;
  out_ += svg::line({k_run_left, bottom}, {k_right, bottom}, "stroke=\"#333333\" stroke-dasharray=\"2 3\"");
  out_ += svg::text({k_run_left - 8, bottom + k_line + k_radius}, Anchor::end, "not ready");
}

// With a text that viewers show where the pointer rests.
void Plot::run_mark(std::size_t row, const BenchRun& run, double top, double bottom) {
  const double x = run_x(run.number);
  out_ += fmt::format("<g><title>run {}: {}, {}</title>", run.number,
                      svg::escaped(base::printable(results_[row].label())),
                      run.seconds ? precise_seconds(*run.seconds) : "not ready");
  if (run.seconds)
    out_ += svg::mark(row, {x, scale_.at(*run.seconds * unit_.factor, bottom, top)}, k_radius);
  else
    out_ += svg::cross({x, bottom + k_line}, k_radius, "#000000") +
            svg::mark(row, {x, bottom + 2 * k_line}, k_radius - 1);
  out_ += "</g>\n";
}

}  // namespace

std::string bench_svg(const Value& bench) {
  return Plot(bench).draw();
}

}  // namespace orch::probe
