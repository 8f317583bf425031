#include "probe/readiness.hpp"

#include "base/text.hpp"
#include "load/schema.hpp"

#include <fmt/format.h>

#include <utility>

namespace orch::probe {

using base::ErrorKind;
using base::fail;

Result<Readiness> parse_readiness(std::string_view text) {
  using Kind = Readiness::Kind;
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const std::string rest(colon == std::string_view::npos ? "" : text.substr(colon + 1));
  Readiness out;
  out.text = rest;
  if (text == "exit") return out;
  if (name == "window" && (colon == std::string_view::npos || !rest.empty())) {
    out.kind = Kind::window;
    return out;
  }
  if (name == "log" && !rest.empty() && rest.find_first_of("\r\n") == std::string::npos) {
    out.kind = Kind::line;
    return out;
  }
  if (name == "after") {
    if (const auto time = load::parse_duration(rest); time && *time > 0) {
      out.kind = Kind::time;
      out.time = std::chrono::milliseconds(*time);
      return out;
    }
  }
  return fail(ErrorKind::usage,
              fmt::format("--ready '{}' is no condition that can be waited for", base::printable(text)),
              "write exit, log:TEXT (part of one line), window, window:CLASS or after:DURATION");
}

Result<ReadinessWatch> ReadinessWatch::make(const Readiness& readiness, ForeignLines foreign) {
  ReadinessWatch out(readiness, std::move(foreign));
  if (readiness.kind != Readiness::Kind::window) return out;
  ORCH_TRY(XWindows windows, XWindows::open());
  out.windows_.emplace(std::move(windows));
  return out;
}

void ReadinessWatch::began(Time now) {
  if (windows_) windows_->forget();
  line_.clear();
  began_ = now;
  ready_.reset();
}

void ReadinessWatch::output(std::string_view bytes, Time now) {
  constexpr std::size_t k_longest = 65536;
  if (!began_ || readiness_.kind != Readiness::Kind::line) return;
  while (!ready_ && !bytes.empty()) {
    const std::size_t end = bytes.find_first_of("\r\n");
    const bool whole = end != std::string_view::npos;
    line_.append(bytes.substr(0, end));
    if (is_the_line(whole)) ready_ = now;
    if (whole) line_.clear();
    if (line_.size() > k_longest + readiness_.text.size())
      line_.erase(0, line_.size() - readiness_.text.size());
    bytes.remove_prefix(whole ? end + 1 : bytes.size());
  }
}

// Whether line_ is the one that is waited for.
bool ReadinessWatch::is_the_line(bool whole) const {
  if (line_.find(readiness_.text) == std::string::npos) return false;
  const auto& foreign = whole ? foreign_.is_one : foreign_.may_be_one;
  return !foreign || !foreign(line_);
}

void ReadinessWatch::look(Time now) {
  if (!began_ || ready_) return;
  if (readiness_.kind == Readiness::Kind::time && now >= *began_ + readiness_.time)
    ready_ = *began_ + readiness_.time;
  if (!windows_) return;
  if (windows_->has_appeared(readiness_.text)) ready_ = now;
  if (windows_->is_gone()) problem_ = "the X server has gone";
}

std::optional<std::chrono::milliseconds> ReadinessWatch::interval() const {
  constexpr std::chrono::milliseconds k_often{2};
  constexpr std::chrono::milliseconds k_now_and_then{10};
  switch (readiness_.kind) {
    case Readiness::Kind::exit:
      return std::nullopt;
    case Readiness::Kind::window:
      return k_often;
    case Readiness::Kind::line:
    case Readiness::Kind::time:
      break;
  }
  return k_now_and_then;
}

}  // namespace orch::probe
