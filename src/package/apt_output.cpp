#include "package/apt_output.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

// It becomes part of a file's name.
bool is_architecture(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace

Result<std::vector<AptUri>> parse_print_uris(std::string_view text) {
  std::vector<AptUri> found;
  for (std::string_view line : base::split(text, '\n')) {
    if (!line.starts_with('\'')) continue;
    const std::size_t quote = line.find("' ", 1);
    const std::vector<std::string_view> words = quote == std::string_view::npos
                                                    ? std::vector<std::string_view>()
                                                    : base::split(line.substr(quote + 2), ' ');
    AptUri item;
    if (words.size() >= 3 && words[0].ends_with(".deb")) {
      item.uri = std::string(line.substr(1, quote - 1));
      const std::vector<std::string_view> parts = base::split(words[0].substr(0, words[0].size() - 4), '_');
      if (parts.size() == 3) {
        item.package.name = percent_decoded(parts[0]).value_or("");
        item.package.version = percent_decoded(parts[1]).value_or("");
        item.package.architecture = percent_decoded(parts[2]).value_or("");
      }
      std::from_chars(words[1].data(), words[1].data() + words[1].size(), item.package.size);
    }
    if (!is_package_name(item.package.name) || !is_package_version(item.package.version) ||
        !is_architecture(item.package.architecture))
      return base::fail(ErrorKind::tool,
                        "apt-get printed a line that is not understood: '" + base::printable(line) + "'");
    const auto sha256 =
        words[2].starts_with("SHA256:") ? hash::Sha256::parse(words[2].substr(7)) : std::nullopt;
    if (!sha256)
      return base::fail(ErrorKind::unsupported,
                        "the archive gives no SHA-256 for package '" + item.package.name + "'",
                        "use an archive whose package lists have SHA256 fields");
    item.package.sha256 = *sha256;
    found.push_back(std::move(item));
  }
  return found;
}

std::map<std::pair<std::string, std::string>, std::string> parse_policy(std::string_view text) {
  std::map<std::pair<std::string, std::string>, std::string> out;
  std::string name;
  std::string version;
  for (std::string_view line : base::split(text, '\n')) {
    if (!line.empty() && line[0] != ' ' && line.ends_with(':')) {
      name = line.substr(0, line.size() - 1);
      version.clear();
      continue;
    }
    // " *** 1.6 500" or "     1.6 500" is a version; "        500 URI …" one of its lists.
    const bool of_list = line.starts_with("        ");
    if (!of_list && (line.starts_with(" *** ") || line.starts_with("     "))) {
      version = line.substr(5, line.find(' ', 5) - 5);
    } else if (of_list && !version.empty()) {
      line = base::trim(line);
      const std::size_t space = line.find(' ');
      if (space != std::string_view::npos) out.emplace(std::pair(name, version), line.substr(space + 1));
    }
  }
  return out;
}

std::string path_in_archive(const std::string& uri, const std::vector<std::string>& roots) {
  for (const std::string& prefix : roots) {
    if (uri.size() <= prefix.size() || !uri.starts_with(prefix)) continue;
    const std::string decoded = percent_decoded(std::string_view(uri).substr(prefix.size())).value_or("");
    std::string path;
    for (std::string_view part : base::split(decoded, '/')) {
      if (part == "..") return {};
      if (part.empty() || part == ".") continue;
      path += (path.empty() ? "" : "/") + std::string(part);
    }
    return path;
  }
  return {};
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (error != std::errc() || end != text.data() + i + 3) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

std::string percent_encoded(std::string_view text) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '.' || c == '-' || c == '_';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += k_digits[byte >> 4U];
      out += k_digits[byte & 15U];
    }
  }
  return out;
}

std::string apt_complaint(const sys::Exit& exit) {
  constexpr std::size_t k_complaints = 2;  // apt says the same of each file that it cannot have
  std::vector<std::string> lines;
  for (std::string_view line : base::split(exit.errors, '\n'))
    if (line.starts_with("E: ") && lines.size() < k_complaints)
      lines.push_back(base::printable(line.substr(3)));
  return lines.empty() ? "apt-get " + exit.describe() : base::join(lines, "; ");
}

}  // namespace orch::package
