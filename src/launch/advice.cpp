#include "launch/advice.hpp"

#include "base/text.hpp"

#include <optional>
#include <regex>

namespace orch::launch {

namespace {

constexpr std::size_t k_most_advice = 8;
constexpr std::size_t k_longest_line = 200;
// Longer lines are no messages, and std::regex recurses for each character.
constexpr std::size_t k_longest_searched = 2000;

std::string filled_in(std::string_view text, const std::string& word) {
  std::string out(text);
  for (std::size_t at = out.find("{}"); at != std::string::npos; at = out.find("{}", at + word.size()))
    out.replace(at, 2, word);
  return out;
}

bool has_needle(std::string_view text, std::string_view needles) {
  for (const std::string_view needle : base::split(needles, '|'))
    if (text.find(needle) != std::string_view::npos) return true;
  return false;
}

// The last line that has the signature; no regular expression is made where none can have it.
std::optional<Advice> find_in(std::string_view output, const Signature& signature) {
  if (!has_needle(output, signature.needles)) return std::nullopt;
  const std::regex pattern(signature.pattern);
  const std::vector<std::string_view> lines = base::split(output, '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (line->size() > k_longest_searched || !has_needle(*line, signature.needles)) continue;
    std::match_results<std::string_view::const_iterator> match;
    if (!std::regex_search(line->begin(), line->end(), match, pattern)) continue;
    std::string word;
    for (std::size_t group = 1; group < match.size() && word.empty(); ++group)
      word = base::printable(match[group].str());
    return Advice{signature.id, base::printable(line->substr(0, k_longest_line)),
                  filled_in(signature.meaning, word), filled_in(signature.action, word)};
  }
  return std::nullopt;
}

}  // namespace

const std::vector<Signature>& signatures() {
  static const std::vector<Signature> k_table = {
      // --- the stack did not reach the guest
      {"fex-rootfs-mount", "carrying on without", R"(Failed to mount FEX rootfs, carrying on without)",
       "the VM could not mount the stack, so no x86_64 libraries were there",
       "look at each image with 'inspect': EROFS with 4 KiB blocks, and LZ4 or no compression"},
      {"erofs-blocks", "isn't supported", R"(blkszbits \d+ isn't supported|blocksize \d+ isn't supported)",
       "an image has blocks that are larger than the guest's 4 KiB pages",
       "make it again with mkfs.erofs -b 4096, or name it in the profile: the tool converts what it can"},
      {"erofs-compression", "unidentified",
       R"(erofs.*unidentified (?:incompatible )?(?:feature|algorithms?) )",
       "an image is compressed by a method that the guest's kernel does not have",
       "make it again with LZ4 or without compression"},
      {"fex-rootfs-empty", "path set to ''", R"(Current RootFS path set to ''|RootFS path set to '')",
       "FEX was told of no root image at all",
       "install FEX's data files (/usr/share/fex-emu), and see whether the stack was mounted"},
      {"fex-rootfs-absent", "path doesn't exist", R"(RootFS path doesn't exist)",
       "the root image that FEX was told of is not there",
       "see whether the stack was mounted, and whether FEX_ROOTFS is set by yourself"},
      {"fex-bad-elf", "Unsupported elf", R"(Invalid or Unsupported elf file)",
       "FEX refused a program: it is no x86_64 ELF file, or its interpreter is not in the stack",
       "see what 'verify' says of its interpreter, and set [stack] compat = \"auto\""},
      {"fex-server", "FEXServer", R"(Couldn't execute: FEXServer)", "FEX could not start its server",
       "install the whole of FEX: FEXServer belongs beside the emulator or on PATH"},
      {"binfmt", "binfmt_misc", R"(Error setting up FEX in binfmt_misc)",
       "the guest has no emulator for x86_64 programs",
       "install FEX and muvm from the same distribution, and update both"},
      {"page-size", "jemalloc", R"(<jemalloc>: Unsupported system page size)",
       "a program was built for 4 KiB pages and ran on a kernel with larger ones, outside of the VM",
       "run it by --launcher muvm: the guest has 4 KiB pages"},
      // --- muvm
      {"muvm-microvm", "microVM", R"(Failed to create the microVM)", "muvm could not make its VM",
       "check that /dev/kvm can be opened, that libkrunfw is installed, and that each image can be read"},
      {"muvm-libkrunfw", "libkrunfw", R"(Couldn't find or load (libkrunfw\S*))",
       "the guest's kernel, {}, is not installed", "install libkrunfw"},
      {"muvm-gpu", "Rutabaga|vdrm|virtio-gpu",
       R"(Rutabaga initialization failed|could not connect vdrm|Error opening virtio-gpu device)",
       "the guest got no GPU", "try --gpu-mode software, and update the kernel, Mesa and muvm"},
      {"muvm-reuse-late", "request launch",
       R"(could not request launch to server: could not connect to muvm server)",
       "a VM was starting or ending, and did not take the command", "start it again"},
      // --- libraries
      {"library", "shared libraries",
       R"(error while loading shared libraries: ([^:\s]+): cannot open shared object)",
       "the loader did not find '{}' in the merged view",
       "add a package that has it to [[stack.deps]], or run with --auto-deps"},
      {"symbol-version", "' not found", R"(([^:\s]+): version `([^']+)' not found)",
       "'{}' in the stack is older than the application wants",
       "take a newer base, or a base-refresh overlay: 'verify' names the version"},
      {"symbol", "undefined symbol", R"(symbol lookup error: \S+ undefined symbol: (\S+))",
       "a library of another version than the application was built with was found first: it lacks '{}'",
       "see with 'verify --verbose' who provides what"},
      {"wrong-class", "ELF class|Exec format",
       R"(([^:\s]+): wrong ELF class|([^:\s]+): cannot open shared object file: Exec format error)",
       "'{}' is a library of another architecture",
       "take it out of LD_LIBRARY_PATH; only x86_64 libraries belong into the stack"},
      {"interpreter", "No such file|not found|bad interpreter",
       R"((?:exec: |^)(\S+): (?:\S+: )?(?:No such file or directory|not found|bad interpreter.*)$)",
       "'{}', or the interpreter that it names, is not in the merged view",
       "look at it with 'inspect', and put its interpreter into a layer"},
      {"libfuse", "libfuse|fuse: device|/dev/fuse",
       R"(dlopen\(\): error loading libfuse|fuse: device not found|/dev/fuse: (?:Permission denied|No such file))",
       "something tried to mount an AppImage by FUSE, which guests cannot use",
       "run the AppImage through this tool, which extracts it; for an inner one set "
       "APPIMAGE_EXTRACT_AND_RUN=1 by --env"},
      // --- applications
      {"chromium-sandbox", "sandbox|new namespace",
       R"(The SUID sandbox helper binary was found, but is not configured|No usable sandbox!|Failed to move to new namespace|setuid sandbox is not running)",
       "Chromium's sandbox does not work here", "pass --no-sandbox behind '--'"},
      {"chromium-threads", "pthread_create|mmap",
       R"(pthread_create: Resource temporarily unavailable|mmap.*Cannot allocate memory|Out of memory.*mmap)",
       "Chromium or Electron ran out of threads or mappings (the guest has vm.max_map_count = 65530)",
       "give the VM more memory by [launch] muvm_args = [\"--mem=8192\"], and fewer processes: "
       "--renderer-process-limit=2"},
      {"qt-platform", "platform plugin",
       R"x([Cc]ould not (?:load|find) the Qt platform plugin "?([^" ]*)"?)x",
       "Qt did not get its platform plugin '{}' to work",
       "add what 'verify' misses of it (often libxcb-cursor0 or libxkbcommon-x11); set QT_QPA_PLATFORM=xcb "
       "by --env"},
      {"python-encodings", "encodings", R"(No module named '?encodings'?|Failed to import encodings module)",
       "a bundled Python looks for its library in the wrong place",
       "set app.env.PYTHONHOME = \"${appdir}/usr\" in the profile"},
      {"display", "display",
       R"([Cc]annot open display|[Uu]nable to open (?:X )?display|could not connect to display)",
       "there was no X server to connect to",
       "set DISPLAY; muvm forwards X11 only (DISPLAY beginning with ':')"},
      {"gl", "GLX|load driver|MESA-LOADER",
       R"(couldn't find RGB GLX visual or fbconfig|failed to load driver: (\S+)|MESA-LOADER: failed to open (\S+))",
       "no OpenGL driver of the stack works", "add a GPU layer ([stack] gpu), or try --gpu-mode software"},
      {"os-error-2", "os error 2", R"(^Error: No such file or directory \(os error 2\)$)",
       "muvm or its guest did not find a program or a file that it does not name",
       "check passt, systemd-udevd, muvm-guest and /dev/input; older muvm name none of them"},
  };
  return k_table;
}

std::vector<Advice> advice_for(std::string_view output) {
  std::vector<Advice> out;
  for (const Signature& signature : signatures())
    if (out.size() < k_most_advice)
      if (std::optional<Advice> advice = find_in(output, signature)) out.push_back(*std::move(advice));
  return out;
}

}  // namespace orch::launch
