#include "package/apt_contents.hpp"

#include "base/text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

// Sections whose libraries are there for compatibility, or stripped-off debug data under the same name.
bool is_last_resort(std::string_view section) {
  for (const std::string_view last : {"oldlibs", "debug", "metapackages"})
    if (section == last || section.ends_with("/" + std::string(last))) return true;
  return false;
}

// Calls `scan` for each line that `apt-helper cat-file` prints of a list; holds one line at a time.
Result<> stream_list(const AptRoot& root, const std::string& file, ContentsScan& scan) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return base::fail(base::errno_error(errno, "create", "a pipe"));
  const sys::Fd in(ends[0]);
  sys::Fd out(ends[1]);
  ORCH_TRY(sys::Child child, root.start({"apt-helper", "cat-file", file}, out.get()));
  out.reset();
  std::string rest;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t count = ::read(in.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail(base::errno_error(errno, "read", file));
    if (count == 0) break;
    std::string_view text(buffer.data(), static_cast<std::size_t>(count));
    for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
      rest.append(text.substr(0, end));
      scan.line(rest);
      rest.clear();
      text.remove_prefix(end + 1);
    }
    rest.append(text);
    if (rest.size() > (1U << 20U)) rest.clear();  // no line of a path and some names is that long
  }
  ORCH_TRY(const sys::Exit exit, child.wait());
  if (exit.ok()) return {};
  return base::fail(ErrorKind::tool, "'" + file + "' cannot be read: apt-helper " + exit.describe(),
                    "remove the cache's folder 'apt' and try again");
}

}  // namespace

bool in_library_directory(std::string_view path) {
  if (path.starts_with("usr/")) path.remove_prefix(4);
  const std::size_t slash = path.rfind('/');
  const std::string_view directory =
      slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  return directory == "lib/x86_64-linux-gnu" || directory == "lib64" || directory == "lib";
}

std::vector<std::string> best_first(const std::map<std::string, bool>& names_with_last) {
  std::vector<std::pair<std::string, bool>> order(names_with_last.begin(), names_with_last.end());
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    if (a.second != b.second) return !a.second;
    return a.first.size() != b.first.size() ? a.first.size() < b.first.size() : a.first < b.first;
  });
  std::vector<std::string> names;
  for (auto& item : order) names.push_back(std::move(item.first));
  return names;
}

ContentsScan::ContentsScan(const std::vector<std::string>& sonames) {
  for (const std::string& soname : sonames) found_[soname];
}

void ContentsScan::line(std::string_view text) {
  const std::size_t space = text.find_last_of(" \t");
  if (space == std::string_view::npos) return;
  const std::string_view path = base::trim(text.substr(0, space));
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return;
  const auto wanted = found_.find(path.substr(slash + 1));
  if (wanted == found_.end() || !in_library_directory(path)) return;
  for (std::string_view item : base::split(text.substr(space + 1), ',')) {
    const std::size_t end = item.rfind('/');
    const std::string name(end == std::string_view::npos ? item : item.substr(end + 1));
    if (!is_package_name(name)) continue;
    const bool last =
        is_last_resort(end == std::string_view::npos ? std::string_view() : item.substr(0, end));
    const auto [known, is_new] = wanted->second.emplace(name, last);
    if (!is_new) known->second = known->second && last;
  }
}

Providers ContentsScan::take() {
  Providers out;
  for (const auto& [soname, names] : found_) out[soname] = best_first(names);
  return out;
}

Result<Providers> apt_providers(AptRoot& root, const std::vector<std::string>& sonames) {
  ContentsScan scan(sonames);
  if (sonames.empty()) return scan.take();
  ORCH_TRY(const std::vector<std::string> lists, root.contents());
  if (lists.empty())
    return base::fail(ErrorKind::not_found,
                      source_label(root.source()) + " has no Contents index, which says what packages hold",
                      "name the packages that have the missing libraries in 'packages'");
  if (root.around().log)
    root.around().log("looking for " +
                      (sonames.size() == 1 ? "'" + base::printable(sonames.front()) + "'"
                                           : std::to_string(sonames.size()) + " libraries") +
                      " in " + source_label(root.source()));
  for (const std::string& list : lists) ORCH_CHECK(stream_list(root, list, scan));
  return scan.take();
}

}  // namespace orch::package
