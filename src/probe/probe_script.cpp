#include "probe/probe_script.hpp"

#include "base/exit_status.hpp"
#include "base/text.hpp"
#include "probe/renderers.hpp"

#include <array>
#include <csignal>
#include <cstdlib>

namespace orch::probe {

namespace {

// $1: the mark, $2: the root, $3: the machine. A tool's path is made here, so that PATH, which leads to the host's programs too, has no say.
constexpr std::string_view k_common = R"sh(
mark=$1 root=$2 machine=$3
say() { printf '\n%s %s\n' "$mark" "$*"; }
variable() {
  eval "is_set=\${$1+yes}; value=\${$1-}"
  [ -z "$is_set" ] || say variable "$1" "$value"
}
ask() {
  tool=$1 path=
  shift
  for folder in usr/bin bin usr/local/bin; do
    [ -z "$path" ] && [ -f "$root/$folder/$tool" ] && [ -x "$root/$folder/$tool" ] && path=$root/$folder/$tool
  done
  if [ -z "$path" ]; then say absent "$tool"; return; fi
  say begin "$tool"
  "$path" "$@" </dev/null 2>&1 &
  asked=$!
  watch=
  if command -v sleep >/dev/null 2>&1; then
    ( trap 'kill -KILL "$!"; wait "$!"; exit' TERM; sleep 20 & wait "$!" && kill -KILL "$asked" ) >/dev/null 2>&1 &
    watch=$!
  fi
  wait "$asked" 2>/dev/null
  say end "$tool" "$?"
  [ -z "$watch" ] || { kill "$watch" && wait "$watch"; } 2>/dev/null
}
)sh";

constexpr std::string_view k_display = R"sh(
for name in DISPLAY XAUTHORITY XDG_SESSION_TYPE WAYLAND_DISPLAY XDG_RUNTIME_DIR; do variable "$name"; done
ask xdpyinfo -queryExtensions
)sh";

constexpr std::string_view k_gpu = R"sh(
for name in DISPLAY MESA_LOADER_DRIVER_OVERRIDE LIBGL_ALWAYS_SOFTWARE GALLIUM_DRIVER LIBGL_DRIVERS_PATH VK_ICD_FILENAMES VK_DRIVER_FILES; do
  variable "$name"
done
ask glxinfo -B
ask eglinfo -B
ask vulkaninfo --summary
)sh";

constexpr std::string_view k_devices = R"sh(
# Not by absolute paths: FEX would look at the stack's own /dev first.
cd "$machine/" || exit
for folder in dev dev/dri dev/input run/pcscd sys/bus/usb/devices; do
  [ ! -d "$folder" ] || { [ -r "$folder" ] && [ -x "$folder" ]; } || say closed "$folder"
done
for node in dev/dri/renderD* dev/dri/card* dev/input/event* dev/input/js* dev/hidraw* dev/fuse dev/kvm; do
  [ -e "$node" ] || continue
  access=
  [ -r "$node" ] && access=r
  [ -w "$node" ] && access=${access}w
  say device "${node#dev/}" "${access:--}"
done
for folder in sys/bus/usb/devices/*; do
  [ -r "$folder/idVendor" ] && [ -r "$folder/idProduct" ] || continue
  name=
  [ -r "$folder/product" ] && read -r name <"$folder/product"
  read -r vendor <"$folder/idVendor"
  read -r product <"$folder/idProduct"
  say device usb "$vendor:$product $name"
done
if [ -S run/pcscd/pcscd.comm ]; then
  if [ -w run/pcscd/pcscd.comm ]; then say device pcsc /run/pcscd/pcscd.comm; else say closed run/pcscd; fi
fi
)sh";

// The first word of `text`, taken away.
std::string_view take_word(std::string_view& text) {
  const std::size_t end = text.find(' ');
  const std::string_view out = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view mark) : mark_(std::string(mark) + " ") {}

  void line(std::string_view line) {
    if (line.starts_with(mark_))
      own(line.substr(mark_.size()));
    else if (open_)
      text_.append(line).append("\n");
  }
  ProbeOutput take() {
    if (open_) close(Section::State::failed, std::nullopt);  // the script was ended while the tool ran
    return std::move(out_);
  }

 private:
  void own(std::string_view rest) {
    const std::string_view word = take_word(rest);
    out_.begun = true;
    if (word == "closed") out_.closed.emplace_back(rest);
    if (word == "done") out_.complete = true;
    if (word == "variable" || word == "device") {
      const std::string_view name = take_word(rest);
      (word == "device" ? out_.devices : out_.variables).emplace_back(name, rest);
    }
    if (word == "absent") out_.sections.push_back({std::string(rest), Section::State::absent, {}, {}});
    if (word == "begin") {
      open_ = true;
      text_.clear();
      tool_ = rest;
    }
    if (word == "end" && open_) {
      take_word(rest);
      end_with(std::atoi(std::string(rest).c_str()));
    }
  }
  void end_with(int status) {
    constexpr int k_killed = base::k_signal_base + SIGKILL;
    if (status == k_killed) return close(Section::State::timed_out, status);
    const bool well = (status == 0 || is_count_of_platforms(status)) && is_answer(tool_, text_);
    close(well ? Section::State::ok : Section::State::failed, status);
  }
  // eglinfo's status is how many platforms did not start, and some never do.
  bool is_count_of_platforms(int status) const {
    constexpr int k_first_of_shells =
        126;  // what a shell says of a program that it could not start, or that a signal ended
    return tool_ == "eglinfo" && status < k_first_of_shells &&
           parse_egl_failures(text_).size() == static_cast<std::size_t>(status);
  }
  void close(Section::State state, std::optional<int> status) {
    // The script puts a newline in front of its own lines.
    if (text_.ends_with("\n\n")) text_.pop_back();
    out_.sections.push_back({tool_, state, status, text_ == "\n" ? "" : text_});
    open_ = false;
  }

  std::string mark_;
  std::string tool_;
  std::string text_;
  bool open_ = false;
  ProbeOutput out_;
};

constexpr std::array k_kinds = {std::pair{ProbeKind::display, std::string_view("display")},
                                std::pair{ProbeKind::gpu, std::string_view("gpu")},
                                std::pair{ProbeKind::devices, std::string_view("devices")}};

}  // namespace

std::string_view to_string(ProbeKind kind) {
  for (const auto& [value, text] : k_kinds)
    if (value == kind) return text;
  return {};
}

std::optional<ProbeKind> parse_probe_kind(std::string_view text) {
  for (const auto& [value, name] : k_kinds)
    if (name == text) return value;
  return std::nullopt;
}

std::vector<std::string> tools_of(ProbeKind kind) {
  if (kind == ProbeKind::display) return {"xdpyinfo"};
  if (kind == ProbeKind::gpu) return {"glxinfo", "eglinfo", "vulkaninfo"};
  return {};
}

std::string_view to_string(Section::State state) {
  switch (state) {
    case Section::State::ok:
      return "ok";
    case Section::State::failed:
      return "failed";
    case Section::State::timed_out:
      return "timed out";
    case Section::State::not_asked:
      return "not asked";
    case Section::State::absent:
      break;
  }
  return "absent";
}

std::vector<std::string> probe_script(ProbeKind kind, const std::string& root, const std::string& mark,
                                      const std::string& machine) {
  std::string script(k_common);
  script += kind == ProbeKind::display ? k_display : kind == ProbeKind::gpu ? k_gpu : k_devices;
  script += "say done\n";
  return {"-c", script, "sh", mark, root, machine};
}

ProbeOutput parse_probe_output(std::string_view output, std::string_view mark) {
  Parser parser(mark);
  for (std::string_view line : base::split(output, '\n')) {
    while (line.ends_with('\r')) line.remove_suffix(1);
    parser.line(line);
  }
  return parser.take();
}

}  // namespace orch::probe
