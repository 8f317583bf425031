#include "image/erofs_writer.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace orch::image {

using base::ErrorKind;

namespace {

constexpr std::string_view k_install = "install the package 'erofs-utils'";
constexpr std::uint64_t k_block = 4096;
constexpr std::uint64_t k_largest_cluster = 1U << 20U;

// The name before the level: "lz4hc" of "lz4hc,9".
std::string_view algorithm(std::string_view compressor) {
  return compressor.substr(0, compressor.find(','));
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string_view after(std::string_view text, std::string_view mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + mark.size());
  return text;
}

// "mkfs.erofs 1.5", "mkfs.erofs (erofs-utils) 1.8.6".
std::string version_in(std::string_view text) {
  std::string_view rest = after(text, "mkfs.erofs");
  rest = rest.substr(0, rest.find('\n'));
  const std::size_t start = rest.find_first_of("0123456789");
  if (start == std::string_view::npos) return {};
  rest.remove_prefix(start);
  const std::size_t end = rest.find_first_not_of("0123456789.-abcdefghijklmnopqrstuvwxyz+~");
  return std::string(rest.substr(0, end));
}

std::pair<int, int> major_minor(std::string_view version) {
  int major = 0;
  int minor = 0;
  const char* end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ptr != end && *first.ptr == '.') std::from_chars(first.ptr + 1, end, minor);
  return {major, minor};
}

// 1.5: "Available compressors are: lz4hc, lz4". Later: a line for each, "     lz4", "     lz4hc", with levels
// behind.
std::vector<std::string> compressors_in(std::string_view version_text, std::string_view usage) {
  std::vector<std::string> found;
  for (const char* name : {"lz4", "lz4hc", "lzma", "deflate", "libdeflate", "zstd"}) {
    for (const std::string_view text : {version_text, usage}) {
      std::string_view list = after(text, "vailable compressors");
      if (list.empty()) continue;
      list = list.substr(0, list.find("\n\n"));
      std::string plain(list);
      std::replace_if(
          plain.begin(), plain.end(), [](char c) { return c == ',' || c == '\n' || c == ':' || c == '\t'; },
          ' ');
      if (contains(plain + " ", std::string(" ") + name + " ")) {
        found.emplace_back(name);
        break;
      }
    }
  }
  // From 1.8 the usage explains each compressor in lines "   lz4hc[,level=…]" without a heading.
  if (found.empty())
    for (const char* name : {"lz4", "lz4hc", "lzma", "deflate", "libdeflate", "zstd"})
      if (contains(usage, std::string(" ") + name + "\n") || contains(usage, std::string(" ") + name + "["))
        found.emplace_back(name);
  return found;
}

std::string library_version(std::string_view real_path) {
  const std::string_view version = after(real_path.substr(real_path.rfind('/') + 1), ".so.");
  return std::string(version);
}

std::string last_lines(std::string_view text) {
  std::vector<std::string> lines;
  for (std::string_view line : base::split(text, '\n'))
    if (!base::trim(line).empty()) lines.push_back(base::printable(base::trim(line)));
  if (lines.size() > 5) lines.erase(lines.begin(), lines.end() - 5);
  return base::join(lines, "\n  ");
}

Result<sys::Exit> run_tool(std::vector<std::string> argv, sys::ProcessRunner& processes, bool trace = false) {
  sys::Command command;
  command.argv = std::move(argv);
  // A user's options in the environment (SOURCE_DATE_EPOCH above all) must not reach the image.
  command.environment =
      sys::Environment{{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}, {"LC_ALL", "C"}, {"TZ", "UTC"}};
  if (trace) command.environment->emplace("LD_TRACE_LOADED_OBJECTS", "1");
  return processes.run(command);
}

Result<> check_compressor(const ErofsTool& tool, const std::string& compressor) {
  if (compressor.empty()) return {};
  const std::string name(algorithm(compressor));
  const bool plain = std::all_of(compressor.begin(), compressor.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ',' || c == '=' || c == '-';
  });
  if (!plain || compressor[0] == '-' || name.empty())
    return base::fail(ErrorKind::profile, "'" + base::printable(compressor) + "' is no compressor",
                      "write \"lz4\", \"lz4hc,9\" or none");
  if (std::find(tool.compressors.begin(), tool.compressors.end(), name) != tool.compressors.end()) return {};
  if (tool.compressors.empty() && (name == "lz4" || name == "lz4hc"))
    return {};  // a usage text of another form
  return base::fail(ErrorKind::unsupported,
                    "mkfs.erofs " + tool.version + " has no compressor '" + name + "'",
                    tool.compressors.empty() ? "use \"lz4\" or \"lz4hc\""
                                             : "it has: " + base::join(tool.compressors, ", "));
}

// mkfs.erofs 1.5 fails on them with "no such file", which names the wrong cause.
Result<> check_names(const ErofsTool& tool, const hash::TreeListing& listing) {
  if (major_minor(tool.version) >= std::pair(1, 6)) return {};
  for (const hash::TreeEntry& entry : listing.entries) {
    const std::size_t slash = entry.path.rfind('/');
    const std::size_t length = slash == std::string::npos ? entry.path.size() : entry.path.size() - slash - 1;
    if (length >= 255)
      return base::fail(ErrorKind::unsupported,
                        "mkfs.erofs " + tool.version + " cannot write the file name '" +
                            base::printable(entry.path) + "', which has " + std::to_string(length) + " bytes",
                        "install erofs-utils 1.6 or newer");
  }
  return {};
}

}  // namespace

Uuid uuid_from_digest(const hash::Digest& digest) {
  Uuid uuid = digest.bytes;
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0fU) | 0x80U);
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3fU) | 0x80U);
  return uuid;
}

std::string to_string(const Uuid& uuid) {
  const std::string digits = base::hex(uuid);
  return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-" + digits.substr(12, 4) + "-" +
         digits.substr(16, 4) + "-" + digits.substr(20);
}

Result<ErofsTool> parse_erofs_tool(const std::string& path, std::string_view version_text,
                                   std::string_view usage) {
  ErofsTool tool;
  tool.path = path;
  tool.version = version_in(version_text);
  if (tool.version.empty())
    return base::fail(ErrorKind::tool,
                      "'" + base::printable(path) + "' does not say which version of mkfs.erofs it is",
                      std::string(k_install));
  tool.block_size = contains(usage, "\n -b#") || contains(usage, "\n -b ");
  tool.workers = contains(usage, "--workers");
  tool.compressors = compressors_in(version_text, usage);
  return tool;
}

Result<ErofsTool> probe_erofs_tool(const std::string& path, sys::ProcessRunner& processes) {
  if (path.empty() || !sys::exists(path))
    return base::fail(ErrorKind::not_found, "'mkfs.erofs' is not installed, and images are made with it",
                      std::string(k_install));
  ORCH_TRY(const sys::Exit version, run_tool({path, "-V"}, processes));
  // 1.5 prints its usage to standard error, later ones to standard output.
  ORCH_TRY(const sys::Exit usage, run_tool({path, "--help"}, processes));
  return parse_erofs_tool(path, version.output + version.errors, "\n" + usage.output + usage.errors);
}

std::string compressor_libraries(std::string_view trace,
                                 const std::vector<std::pair<std::string, std::string>>& real_paths) {
  std::string text;
  for (const char* library : {"liblz4", "liblzma", "libdeflate", "libzstd", "libz"}) {
    for (std::string_view line : base::split(trace, '\n')) {
      line = base::trim(line);
      if (!line.starts_with(std::string(library) + ".so")) continue;
      std::string_view file = after(line, "=> ");
      file = file.substr(0, file.find(" ("));
      for (const auto& [from, to] : real_paths)
        if (from == file) file = to;
      text += " + " + std::string(library) + " " + library_version(file);
      break;
    }
  }
  return text;
}

Result<std::string> erofs_writer_identity(const std::string& path, sys::ProcessRunner& processes) {
  ORCH_TRY(const ErofsTool tool, probe_erofs_tool(path, processes));
  ORCH_TRY(const sys::Exit trace, run_tool({path}, processes, true));
  std::vector<std::pair<std::string, std::string>> real_paths;
  for (std::string_view line : base::split(trace.output, '\n')) {
    std::string_view file = after(line, "=> ");
    file = file.substr(0, file.find(" ("));
    if (!file.starts_with('/')) continue;
    if (auto real = sys::real_path(std::string(file))) real_paths.emplace_back(file, *real);
  }
  return "mkfs.erofs " + tool.version + compressor_libraries(trace.output, real_paths);
}

Result<std::vector<std::string>> erofs_command(const ErofsTool& tool, const ErofsOptions& options,
                                               const std::string& tree, const std::string& image) {
  ORCH_CHECK(check_compressor(tool, options.compressor));
  if (options.cluster % k_block != 0 || options.cluster > k_largest_cluster)
    return base::fail(ErrorKind::profile,
                      "a cluster of " + std::to_string(options.cluster) + " bytes is not possible",
                      "take a multiple of 4096, at most 1048576, or 0");
  std::vector<std::string> argv = {tool.path,    "--quiet", "-T0", "-U" + to_string(options.uuid),
                                   "--all-root", "-x-1"};
  // Without -b a 16 KiB-page host would write what a 4 KiB-page guest cannot mount.
  if (tool.block_size) argv.emplace_back("-b4096");
  if (!options.compressor.empty()) {
    argv.push_back("-z" + options.compressor);
    if (options.cluster > k_block) argv.push_back("-C" + std::to_string(options.cluster));
  }
  if (tool.workers) argv.push_back("--workers=" + std::to_string(std::max(1U, options.workers)));
  argv.push_back(image);
  argv.push_back(tree);
  return argv;
}

Result<> write_erofs(const ErofsTool& tool, const ErofsOptions& options, const std::string& tree,
                     const hash::TreeListing& listing, const std::string& image,
                     sys::ProcessRunner& processes) {
  ORCH_CHECK(check_names(tool, listing));
  ORCH_TRY(std::vector<std::string> argv, erofs_command(tool, options, tree, image));
  ORCH_TRY(const sys::Exit exit, run_tool(std::move(argv), processes));
  if (exit.ok()) return {};
  ORCH_CHECK(sys::remove_tree(image));
  const bool full = contains(exit.errors, "No space left");
  return base::fail(full ? ErrorKind::no_space : ErrorKind::tool,
                    "mkfs.erofs " + tool.version + " " + exit.describe() + "\n  " +
                        last_lines(exit.output + "\n" + exit.errors),
                    full ? "make room in the cache directory: 'appimage-orch cache gc'" : "");
}

}  // namespace orch::image
