#include "elf/ld_conf.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <fnmatch.h>

namespace orch::elf {

using image::DirEntry;
using image::FileTree;
using image::NodeType;
using image::Resolution;

namespace {

constexpr std::size_t k_max_file = 1U << 20;
constexpr std::size_t k_max_files = 4096;
constexpr std::size_t k_max_depth = 16;
constexpr std::string_view k_space = " \t\r\f\v";

class ConfReader {
 public:
  explicit ConfReader(const FileTree& root) : root_(root) {}

  Result<> read(const std::string& path, std::size_t depth) {
    if (depth > k_max_depth || ++files_ > k_max_files) return {};
    ORCH_TRY(const Resolution found, image::resolve(root_, path, image::Links::in_root));
    if (found.outcome != Resolution::Outcome::found || found.type != NodeType::file) return {};
    ORCH_TRY(const auto file, root_.open(found.node));
    if (file->size() > k_max_file) return {};
    ORCH_TRY(const std::string text, image::read_exact(*file, 0, static_cast<std::size_t>(file->size())));
    for (const std::string_view line : base::split(text, '\n'))
      ORCH_CHECK(read_line(line.substr(0, line.find('#')), path, depth));
    return {};
  }

  std::vector<std::string> take() { return std::move(directories_); }

 private:
  Result<> read_line(std::string_view line, const std::string& path, std::size_t depth) {
    const std::vector<std::string_view> words = split_words(line);
    if (words.empty()) return {};
    if (words.front() == "hwcap" && words.size() > 1) return {};
    if (words.front() != "include" || words.size() == 1) {
      // One directory a line; ldconfig keeps blanks inside of it.
      std::string directory(base::trim(line));
      directory.resize(std::min(directory.find('='), directory.size()));
      while (directory.size() > 1 &&
             (directory.back() == '/' || k_space.find(directory.back()) != std::string_view::npos))
        directory.pop_back();
      if (directory.starts_with('/') &&
          std::find(directories_.begin(), directories_.end(), directory) == directories_.end())
        directories_.push_back(std::move(directory));
      return {};
    }
    for (std::size_t i = 1; i < words.size(); ++i) {
      std::string pattern(words[i]);
      if (!pattern.starts_with('/')) pattern = path.substr(0, path.rfind('/') + 1) + pattern;
      std::vector<std::string> matches;
      ORCH_CHECK(expand("/", base::split(pattern, '/'), 0, matches));
      for (const std::string& match : matches) ORCH_CHECK(read(match, depth + 1));
    }
    return {};
  }

  static std::vector<std::string_view> split_words(std::string_view line) {
    std::vector<std::string_view> words;
    for (std::size_t at = line.find_first_not_of(k_space); at != std::string_view::npos;) {
      const std::size_t end = std::min(line.find_first_of(k_space, at), line.size());
      words.push_back(line.substr(at, end - at));
      at = line.find_first_not_of(k_space, end);
    }
    return words;
  }

  // The paths that match parts[at…] below `directory`, which ends in '/'; in the order of their bytes.
  Result<> expand(std::string directory, const std::vector<std::string_view>& parts, std::size_t at,
                  std::vector<std::string>& out) {
    for (; at < parts.size() && parts[at].find_first_of("*?[\\") == std::string_view::npos; ++at)
      if (!parts[at].empty()) directory += std::string(parts[at]) + (at + 1 == parts.size() ? "" : "/");
    if (at == parts.size()) {
      if (out.size() < k_max_files) out.push_back(std::move(directory));
      return {};
    }
    if (++listed_ > k_max_files) return {};
    ORCH_TRY(const Resolution found, image::resolve(root_, directory, image::Links::in_root));
    if (found.outcome != Resolution::Outcome::found || found.type != NodeType::directory) return {};
    ORCH_TRY(const std::vector<DirEntry> names, root_.list(found.node));
    const std::string pattern(parts[at]);
    const bool last = at + 1 == parts.size();
    for (const DirEntry& entry : names)
      if (::fnmatch(pattern.c_str(), entry.name.c_str(), FNM_PERIOD) == 0)
        ORCH_CHECK(expand(directory + entry.name + (last ? "" : "/"), parts, at + 1, out));
    return {};
  }

  const FileTree& root_;
  std::vector<std::string> directories_;
  std::size_t files_ = 0;
  std::size_t listed_ = 0;  // directories listed for patterns: at most k_max_files, so links in circles end
};

}  // namespace

Result<std::vector<std::string>> read_ld_conf(const FileTree& root, std::string_view path) {
  ConfReader reader(root);
  ORCH_CHECK(reader.read(std::string(path), 0));
  return reader.take();
}

}  // namespace orch::elf
