#include "probe/svg.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace orch::probe::svg {

namespace {

// Corners in units of the radius.
constexpr std::array<Point, 4> k_square = {{{-0.85, -0.85}, {0.85, -0.85}, {0.85, 0.85}, {-0.85, 0.85}}};
constexpr std::array<Point, 3> k_up = {{{0, -1.15}, {1.1, 0.8}, {-1.1, 0.8}}};
constexpr std::array<Point, 4> k_diamond = {{{0, -1.25}, {1.05, 0}, {0, 1.25}, {-1.05, 0}}};
constexpr std::array<Point, 3> k_down = {{{0, 1.15}, {1.1, -0.8}, {-1.1, -0.8}}};
constexpr std::array<Point, 10> k_star = {{{0, -1.4},
                                           {0.37, -0.51},
                                           {1.33, -0.43},
                                           {0.6, 0.19},
                                           {0.82, 1.13},
                                           {0, 0.63},
                                           {-0.82, 1.13},
                                           {-0.6, 0.19},
                                           {-1.33, -0.43},
                                           {-0.37, -0.51}}};
constexpr std::size_t k_shapes = 6;

constexpr double k_slack = 1e-9;  // a quotient that is a whole number but for its last digits

// Colours that those who see few of them tell apart, each dark enough on white paper.
constexpr std::array<std::string_view, 6> k_colours = {"#0060a0", "#b84a00", "#007a55",
                                                       "#9a4a80", "#806000", "#404040"};

std::string polygon(std::span<const Point> corners, Point at, double radius) {
  std::string points;
  for (const Point& corner : corners)
    points += fmt::format("{}{},{}", points.empty() ? "" : " ", number(at.x + corner.x * radius),
                          number(at.y + corner.y * radius));
  return fmt::format("<polygon points=\"{}\"", points);
}

std::string shape(std::size_t which, Point at, double radius) {
  switch (which) {
    case 1:
      return polygon(k_square, at, radius);
    case 2:
      return polygon(k_up, at, radius);
    case 3:
      return polygon(k_diamond, at, radius);
    case 4:
      return polygon(k_down, at, radius);
    case 5:
      return polygon(k_star, at, radius);
    default:
      return fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\"", number(at.x), number(at.y), number(radius));
  }
}

// In units of the font's size, as wide as in the widest of the usual fonts.
double width_of(unsigned char lead) {
  constexpr unsigned char k_two_bytes = 0xC0;
  constexpr unsigned char k_wide = 0xE1;  // from Hangul and CJK on
  if (lead >= k_wide) return 1;
  if (lead >= k_two_bytes) return 0.8;
  const char c = static_cast<char>(lead);
  constexpr std::string_view k_thin = "ijltfrI.,:;'|!()[]-_ ";
  constexpr std::string_view k_broad = "mwMW@%=+<>~#";
  if (k_thin.find(c) != std::string_view::npos) return 0.48;
  if (k_broad.find(c) != std::string_view::npos) return 1;
  return c >= 'A' && c <= 'Z' ? 0.75 : 0.64;
}

}  // namespace

std::string escaped(std::string_view printable) {
  std::string out;
  for (const char c : printable) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  // U+FFFE and U+FFFF: proper UTF-8, and no characters of XML.
  for (const auto& [bad, shown] :
       {std::pair<std::string_view, std::string_view>{"\xef\xbf\xbe", "\\xef\\xbf\\xbe"},
        {"\xef\xbf\xbf", "\\xef\\xbf\\xbf"}})
    for (std::size_t at = out.find(bad); at != std::string::npos; at = out.find(bad, at))
      out.replace(at, bad.size(), shown);
  return out;
}

double text_width(std::string_view text, double size) {
  constexpr unsigned char k_mask = 0xC0;
  constexpr unsigned char k_continuation = 0x80;
  double out = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & k_mask) != k_continuation) out += width_of(byte) * size;
  }
  return out;
}

std::string fitted(std::string_view bytes, double width, double size) {
  constexpr std::size_t k_most = 500;
  constexpr std::string_view k_dots = "...";
  const std::string whole = base::shortened(base::printable(bytes), k_most);
  if (text_width(whole, size) <= width) return whole;
  std::vector<std::size_t> starts;  // of its characters
  for (std::size_t i = 0; i < whole.size(); ++i)
    if (text_width(std::string_view(whole).substr(i, 1), size) > 0) starts.push_back(i);
  starts.push_back(whole.size());
  std::string out(k_dots);
  for (std::size_t kept = 1; kept < starts.size(); ++kept) {
    const std::size_t tail = kept / 2;
    std::string longer = whole.substr(0, starts[kept - tail]);
    longer += k_dots;
    longer += whole.substr(starts[starts.size() - 1 - tail]);
    if (text_width(longer, size) > width) break;
    out = std::move(longer);
  }
  return out;
}

std::string number(double value) {
  // Halves of a tenth come out of a processor a little above or below.
  constexpr double k_nudge = 1e-6;
  std::string out = fmt::format("{:.1f}", value + k_nudge);
  if (out.ends_with(".0")) out.resize(out.size() - 2);
  return out == "-0" ? "0" : out;
}

std::string text(Point at, Anchor anchor, std::string_view text, std::string_view more) {
  constexpr std::array<std::string_view, 3> k_anchors = {"", " text-anchor=\"middle\"",
                                                         " text-anchor=\"end\""};
  return fmt::format("<text x=\"{}\" y=\"{}\"{}{}{}>{}</text>\n", number(at.x), number(at.y),
                     k_anchors[static_cast<std::size_t>(anchor)], more.empty() ? "" : " ", more,
                     escaped(text));
}

std::string line(Point from, Point to, std::string_view more) {
  return fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"{}{}/>\n", number(from.x), number(from.y),
                     number(to.x), number(to.y), more.empty() ? "" : " ", more);
}

std::vector<double> Scale::ticks() const {
  std::vector<double> out;
  const auto first = std::llround(std::ceil(low / step - k_slack));
  const auto last = std::llround(std::floor(high / step + k_slack));
  for (auto i = first; i <= last; ++i) out.push_back(static_cast<double>(i) * step);
  return out;
}

std::string Scale::label(double tick) const {
  return fmt::format("{:.{}f}", tick, decimals);
}

double Scale::at(double value, double from, double to) const {
  return from + (value - low) / (high - low) * (to - from);
}

Scale scale_around(double low, double high, int ticks, double smallest) {
  constexpr double k_base = 10;
  const double rough = std::max((high - low) / std::max(1, ticks - 1), smallest);
  Scale out;
  const double exponent = std::floor(std::log10(rough) + k_slack);
  const double power = std::pow(k_base, exponent);
  out.step = k_base * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power >= rough * (1 - k_slack)) out.step = factor * power;
  const int digits = static_cast<int>(exponent) + (out.step > 7 * power ? 1 : 0);
  out.decimals = std::max(0, -digits);
  out.low = std::floor(low / out.step + k_slack) * out.step;
  out.high = std::ceil(high / out.step - k_slack) * out.step;
  if (out.high <= out.low) out.high = out.low + out.step;
  return out;
}

std::string_view colour_of(std::size_t row) {
  return k_colours[row % k_colours.size()];
}

std::string mark(std::size_t row, Point at, double radius) {
  const std::string_view colour = colour_of(row);
  if (row >= 2 * k_shapes) {
    constexpr double k_below = 0.8;  // of the radius: half the height of a digit
    return fmt::format(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"{}\" font-weight=\"bold\" "
        "fill=\"{}\">{}</text>\n",
        number(at.x), number(at.y + k_below * radius), number(2.2 * radius), colour, row + 1);
  }
  // Hollow and filled by turns; the second time round the other way.
  const bool is_filled = row % 2 == (row < k_shapes ? 1 : 0);
  return fmt::format("{} fill=\"{}\" stroke=\"{}\" stroke-width=\"1.5\"/>\n",
                     shape(row % k_shapes, at, radius), is_filled ? colour : "none", colour);
}

std::string cross(Point at, double radius, std::string_view colour) {
  return fmt::format("<path d=\"M{0},{1}L{2},{3}M{0},{3}L{2},{1}\" stroke=\"{4}\" stroke-width=\"2\"/>\n",
                     number(at.x - radius), number(at.y - radius), number(at.x + radius),
                     number(at.y + radius), colour);
}

}  // namespace orch::probe::svg
