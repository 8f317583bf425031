// Parts of SVG plots: texts, coordinates, scales and marks. Bytes that are the same everywhere: no locale, and no more digits than a
// picture has.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace orch::probe::svg {

struct Point {
  double x = 0;
  double y = 0;
};

// Text of printable() as the content of an element, or of an attribute in double quotes.
std::string escaped(std::string_view printable);

// How wide a text may become in any sans-serif font; an estimate, rather too much than too little. Text of printable().
double text_width(std::string_view text, double size);
// printable() of the bytes, shortened to that width: both ends stay, for names often differ in the last word.
std::string fitted(std::string_view bytes, double width, double size);

// Of a coordinate: a tenth, without "-0" and ".0".
std::string number(double value);

enum class Anchor { start, middle, end };
// A line of text of printable(), not escaped yet. `more` are further attributes.
std::string text(Point at, Anchor anchor, std::string_view text, std::string_view more = {});
std::string line(Point from, Point to, std::string_view more = {});

// An axis with ticks at multiples of 1, 2 or 5 times a power of ten.
struct Scale {
  double low = 0;
  double high = 1;
  double step = 1;
  int decimals = 0;  // of a tick's label

  std::vector<double> ticks() const;
  std::string label(double tick) const;
  // Where the value lies between the coordinates of both ends.
  double at(double value, double from, double to) const;
};
// From a tick to a tick, around low..high, with about so many of them. `smallest` bounds the step.
Scale scale_around(double low, double high, int ticks, double smallest = 0);

// The mark of the nth row of data: told apart by its shape, and the more easily by its colour. From the 13th on it is a number.
std::string_view colour_of(std::size_t row);
std::string mark(std::size_t row, Point at, double radius);
std::string cross(Point at, double radius, std::string_view colour);

}  // namespace orch::probe::svg
