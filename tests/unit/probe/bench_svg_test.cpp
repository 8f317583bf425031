#include "probe/bench_svg.hpp"

#include "probe/bench_results.hpp"
#include "probe/svg.hpp"
#include "support/golden.hpp"
#include "support/made_up_bench.hpp"

#include <algorithm>

using namespace orch::probe;
using namespace orch::test;

namespace {

std::size_t count_of(const std::string& text, std::string_view part) {
  std::size_t out = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++out;
  return out;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> labels(const svg::Scale& scale) {
  std::vector<std::string> out;
  for (const double tick : scale.ticks()) out.push_back(scale.label(tick));
  return out;
}

constexpr std::string_view k_median = "stroke=\"#000000\" stroke-width=\"3\"";

}  // namespace

TEST_CASE("the picture of a benchmark, the same each time") {
  const std::string picture = bench_svg(usual_bench());
  check_golden("bench/bench.svg", picture);
  CHECK(picture == bench_svg(usual_bench()));
  CHECK(count_of(picture, "<rect") == 5);  // the paper and four boxes
  CHECK(count_of(picture, k_median) == 4);
  CHECK(count_of(picture, "<g><title>run ") == 24);
  CHECK(has(picture, "<title>run 1: drm, cold, 1.800 s</title>"));
  CHECK(has(picture, "<title>run 10: drm, warm, not ready</title><path"));
  CHECK(has(picture, ">drm, warm: 5 of 6 runs ready</text>"));
  CHECK_FALSE(has(picture, "<script"));
  CHECK_FALSE(has(picture, "href"));
}

TEST_CASE("names are text, whatever is in them") {
  Value bench =
      made_up_bench({made_up_result("</text><script>\"&'\x1b[31m\xff\xef\xbf\xbf", "warm", {1.0, 2.0})});
  bench.set("profile", "<a>&");
  bench.set("ready", "log:]]>");
  const std::string picture = bench_svg(bench);
  CHECK(has(picture, "&lt;/text&gt;&lt;script&gt;&quot;&amp;'\\x1b[31m\\xff\\xef\\xbf\\xbf, warm"));
  CHECK(has(picture, "&lt;a&gt;&amp;: time until ready"));
  CHECK(has(picture, "log:]]&gt;"));
  for (const char c : {'\x1b', '\xff'}) CHECK(picture.find(c) == std::string::npos);
}

TEST_CASE("long names that differ in the middle are told apart") {
  const std::string long_name = "MESA_EXTENSION_OVERRIDE=-GL_ARB_buffer_storage -GL_ARB_bindless_";
  const auto picture = [&](const std::string& a, const std::string& b) {
    return bench_svg(made_up_bench({made_up_result(long_name + a + " -GL_ARB_sync", "warm", {1.0}),
                                    made_up_result(long_name + b + " -GL_ARB_sync", "warm", {1.0})}));
  };
  const std::string two = picture("texture", "buffer");
  CHECK(has(two, ">...texture..., warm"));
  CHECK(has(two, ">...buffer..., warm"));
  const std::string accents = picture("\xc3\xa9", "\xc3\xa8");  // the same first byte
  CHECK(has(accents, ">...\xc3\xa9..., warm"));
  const std::string within = picture("ab", "abab");  // the end of one is the beginning of the other
  CHECK(has(within, ">...ab..., warm"));
  CHECK(has(picture("x", "x"), "..."));
}

TEST_CASE("little or nothing to show") {
  for (const Value& bench : {Value(), made_up_bench({}), made_up_bench({made_up_result("", "cold", {})})}) {
    const std::string picture = bench_svg(bench);
    CHECK(has(picture, "no successful run"));
    CHECK_FALSE(has(picture, "seconds until ready"));
    CHECK_FALSE(has(picture, "nan"));
  }
  Value bench = made_up_bench(
      {made_up_result("", "cold", {std::nullopt, std::nullopt}), made_up_result("", "warm", {})});
  bench.find("results")->as_array()[1].set("given_up", "its warm-up hung");
  const std::string failed = bench_svg(bench);
  CHECK(has(failed, "given up: its warm-up hung"));
  CHECK(has(failed, "cold: 0 of 2 runs ready"));
  CHECK(count_of(failed, "<path") == 3);  // two runs and the legend
}

TEST_CASE("one time, equal times and none at all but 0") {
  const std::string once = bench_svg(made_up_bench({made_up_result("", "cold", {0.25})}));
  CHECK(has(once, ">250.0 ms</text>"));
  CHECK(has(once, "milliseconds until ready"));
  CHECK(count_of(once, k_median) == 1);
  const std::string equal = bench_svg(made_up_bench({made_up_result("", "cold", {2.0, 2.0, 2.0})}));
  CHECK(has(equal, ">2.000 s</text>"));
  CHECK(has(equal, "width=\"0\""));
  CHECK_FALSE(has(equal, "nan"));
  const std::string zero = bench_svg(made_up_bench({made_up_result("", "cold", {0.0, 0.0})}));
  CHECK(has(zero, ">0.0 ms</text>"));
  CHECK_FALSE(has(zero, "nan"));
  CHECK_FALSE(has(zero, "inf"));
}

TEST_CASE("times beyond the whiskers have marks of their own") {
  const auto marks = [](const Seconds& seconds) {
    return count_of(bench_svg(made_up_bench({made_up_result("", "cold", seconds)})), "<circle");
  };
  // Beside the name, in the legend, and for each run.
  CHECK(marks({1.0, 1.1, 1.2, 1.3, 1.4}) == 2 + 5);
  CHECK(marks({1.0, 1.1, 1.2, 1.3, 1.9}) == 2 + 5 + 1);
  CHECK(marks({1.0, 1.1, 1.2, 1.3, 1.55}) == 2 + 5);  // 1.3 and one and a half times 0.2 is 1.6
}

TEST_CASE("the axis begins at 0, but for times that are far from it") {
  const auto picture = [](double low, double high) {
    return bench_svg(made_up_bench({made_up_result("", "cold", {low, high})}));
  };
  CHECK(has(picture(3, 9), ">0</text>"));
  CHECK_FALSE(has(picture(8, 9), ">0</text>"));
}

TEST_CASE("ticks at round numbers") {
  using Labels = std::vector<std::string>;
  CHECK(labels(svg::scale_around(0, 10, 6)) == Labels{"0", "2", "4", "6", "8", "10"});
  CHECK(labels(svg::scale_around(1.21, 1.34, 4)) == Labels{"1.20", "1.25", "1.30", "1.35"});
  CHECK(labels(svg::scale_around(0, 0.9, 10)) ==
        Labels{"0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"});
  CHECK(labels(svg::scale_around(0, 2500, 3)) == Labels{"0", "2000", "4000"});
  CHECK(labels(svg::scale_around(0, 3.2, 5)) == Labels{"0", "1", "2", "3", "4"});
  CHECK(labels(svg::scale_around(3, 3, 5, 1)) == Labels{"3", "4"});
  CHECK(svg::scale_around(0, 10, 6).at(5, 100, 200) == 150);
}

TEST_CASE("every mark is another") {
  std::vector<std::string> seen;
  for (std::size_t row = 0; row < 20; ++row) {
    std::string mark = svg::mark(row, {0, 0}, 4);
    for (const std::string_view colour : {svg::colour_of(row)}) mark = replaced(mark, colour, "black");
    CHECK(std::find(seen.begin(), seen.end(), mark) == seen.end());
    seen.push_back(std::move(mark));
  }
}

TEST_CASE("texts are made to fit, and keep both ends") {
  const std::string name(300, 'x');
  CHECK(svg::fitted("short", 100, 10) == "short");
  const std::string fitted = svg::fitted("LIBGL_ALWAYS_SOFTWARE=" + name + "=1", 200, 10);
  CHECK(svg::text_width(fitted, 10) <= 200);
  CHECK(svg::text_width(fitted, 10) > 180);
  CHECK(fitted.starts_with("LIBGL_ALW"));
  CHECK(fitted.ends_with("xx=1"));
  CHECK(has(fitted, "..."));
  CHECK(svg::fitted("äöüäöüäöü", 60, 10) == "äöü...öü");
  CHECK(svg::fitted("long", 1, 10) == "...");
  CHECK(svg::number(-0.01) == "0");
  CHECK(svg::number(12.25) == "12.3");
  CHECK(svg::number(12.249999999) == "12.3");
  CHECK(svg::number(-3) == "-3");
}

TEST_CASE("seconds as people compare them") {
  CHECK(precise_seconds(0) == "0.0 ms");
  CHECK(precise_seconds(0.01234) == "12.3 ms");
  CHECK(precise_seconds(0.99994) == "999.9 ms");
  CHECK(precise_seconds(0.99996) == "1.000 s");
  CHECK(precise_seconds(99.9994) == "99.999 s");
  CHECK(precise_seconds(99.9996) == "100.0 s");
}
