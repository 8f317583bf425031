// The command that a probe runs in the application's place: a shell script that asks each tool in turn, and what it printed, taken
// apart again. The tools are those of the stack, never the host's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::probe {

enum class ProbeKind { display, gpu, devices };
std::string_view to_string(ProbeKind kind);  // "display", "gpu", "devices"
std::optional<ProbeKind> parse_probe_kind(std::string_view text);
// The programs that it asks; none where the shell itself can look.
std::vector<std::string> tools_of(ProbeKind kind);

// What one tool of a probe did. ok: it ended well, and its text names a renderer or a server.
struct Section {
  enum class State { ok, failed, timed_out, absent, not_asked };
  std::string tool;
  State state = State::absent;
  std::optional<int> status;  // its exit status, as it was; nothing where nobody saw the tool end
  std::string text;           // all that it printed, standard error included
};
std::string_view to_string(Section::State state);

struct ProbeOutput {
  std::vector<std::pair<std::string, std::string>>
      variables;  // of the guest, those that were asked for and are set
  std::vector<std::pair<std::string, std::string>> devices;  // (kind, path or description)
  std::vector<std::string> closed;  // folders of devices that are there and may not be read ("dev/input")
  std::vector<Section> sections;    // in the order in which the tools were asked
  bool begun = false;               // the script has
  bool complete = false;            // the script came to its end
};

// Words for `sh`: "-c", the script, and its arguments. POSIX, and nothing but a shell is needed; a tool that hangs is ended after 20
// seconds where the stack or the host has sleep. `root`: where the merged view is in the guest, without a slash at the end
// ("" where it is the root). `mark`: letters and digits that no tool prints, in front of each line that is the script's own.
// `machine`: where /dev, /run and /sys are looked at, for tests.
std::vector<std::string> probe_script(ProbeKind kind, const std::string& root, const std::string& mark,
                                      const std::string& machine = {});

// From what the terminal showed; line ends may have carriage returns. Text that no section has (the launcher's own lines)
// is left out.
ProbeOutput parse_probe_output(std::string_view output, std::string_view mark);

}  // namespace orch::probe
