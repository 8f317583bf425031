#include "launch/muvm_outcome.hpp"

#include "base/text.hpp"
#include "launch/guest_script.hpp"
#include "launch/muvm_lines.hpp"
#include "launch/parts.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

namespace orch::launch {

using base::ErrorKind;

namespace {

struct Message {
  enum class Kind { exited, signaled, not_executed } kind = Kind::exited;
  int number = 0;    // status, signal, or os error
  std::string text;  // the line
};

std::optional<int> leading_number(std::string_view text) {
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return out;
}

// Rust's debug form of a string, as muvm prints COMMAND.
std::string debug_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::optional<Message> message_in(std::string_view line, const std::string& command) {
  const std::string name = debug_quoted(command);
  const std::string exited = name + " process exited with status code: ";
  const std::string signaled = name + " process terminated by signal: ";
  const std::string failed = "Failed to execute " + name + " as child process: ";
  const auto number_after = [line](const std::string& prefix) -> std::optional<int> {
    if (!line.starts_with(prefix)) return std::nullopt;
    return leading_number(line.substr(prefix.size()));
  };
  if (const auto number = number_after(exited))
    return Message{Message::Kind::exited, *number, std::string(line)};
  if (const auto number = number_after(signaled))
    return Message{Message::Kind::signaled, *number, std::string(line)};
  if (!line.starts_with(failed)) return std::nullopt;
  constexpr std::string_view k_error = "(os error ";
  const std::size_t at = line.rfind(k_error);
  const std::optional<int> number =
      at == std::string_view::npos ? std::nullopt : leading_number(line.substr(at + k_error.size()));
  return Message{Message::Kind::not_executed, number.value_or(0), std::string(line)};
}

// muvm's status is that of this command: the guest's own end has passed through it.
bool status_decides(const MuvmEnd& end) {
  return end.status_is_guests && !end.reused;
}

// Whether a muvm whose status is the guest's ends so after having printed that.
bool fits(const Message& message, int status) {
  constexpr int k_status_bits = 0xff;
  if (message.kind == Message::Kind::exited) return (message.number & k_status_bits) == status;
  return status == 1;
}

// The messages about commands that joined the VM stand on the same console, and all commands are /bin/sh: so a status that
// is the guest's says which of them can be meant. A muvm that joined a VM prints none itself.
std::optional<Message> last_message(const MuvmEnd& end) {
  std::optional<Message> out;
  if (end.reused) return out;
  for (const std::string_view line : base::split(end.output, '\n')) {
    std::optional<Message> message = message_in(line, end.command);
    if (message && (!status_decides(end) || fits(*message, end.status))) out = std::move(message);
  }
  return out;
}

constexpr std::string_view k_mount_failed = "Failed to mount FEX rootfs, carrying on without";

bool says(const MuvmEnd& end, std::string_view text) {
  return end.output.find(text) != std::string::npos;
}

// What the command printed last; muvm's own lines about its end stand behind it.
std::string_view last_line(const MuvmEnd& end) {
  std::string_view out;
  for (std::string_view line : base::split(end.output, '\n')) {
    line = base::trim(line);
    if (!line.empty() && !is_line_of_muvm(line) && !message_in(line, end.command)) out = line;
  }
  return out;
}

// "NAME: command not found"; shells put more in front of NAME.
bool fex_found_nothing(const MuvmEnd& end) {
  constexpr std::string_view k_not_found = ": command not found";
  const std::string_view line = last_line(end);
  return line.size() > k_not_found.size() && line.find(": ") == line.size() - k_not_found.size() &&
         line.substr(line.size() - k_not_found.size()) == k_not_found;
}

// FEX's own failures: it exits with -ENOEXEC for a missing program, a wrong file and a root image that did
// not reach it.
std::optional<Outcome> fex_failure(const MuvmEnd& end, int status) {
  constexpr int k_fex_refused = 248;
  constexpr int k_fex_server = 255;
  constexpr int k_not_executable = 126;
  constexpr int k_not_found = 127;
  if (status == k_fex_server && says(end, "Couldn't execute: FEXServer"))
    return failed_outcome(0, {ErrorKind::not_found, "FEX could not start FEXServer",
                              "install the whole of FEX: FEXServer belongs beside the emulator or on PATH"});
  if (status != k_fex_refused) return std::nullopt;
  const char* const k_images =
      says(end, k_mount_failed)
          ? "check that each image is EROFS with 4 KiB blocks, and LZ4 or no compression"
          : "check the images with 'inspect', and FEX's configuration";
  if (says(end, "RootFS path doesn't exist"))
    return failed_outcome(
        0, {ErrorKind::not_found, "FEX's root image, the stack, is not where FEX was told", k_images});
  if (says(end, "Current RootFS path set to ''"))
    return failed_outcome(
        0, {ErrorKind::not_found, "FEX was told of no root image: the stack did not reach it", k_images});
  if (says(end, "Invalid or Unsupported elf file"))
    return failed_outcome(
        k_not_executable,
        {ErrorKind::unsupported,
         "FEX refused the program: it is no x86_64 ELF file, or its interpreter is not in the stack",
         "see what 'verify' says of its interpreter, and set [stack] compat = \"auto\""});
  if (says(end, "Failed to map 64-bit elf file.") || says(end, "Failed to map 32-bit elf file."))
    return failed_outcome(
        k_not_executable,
        {ErrorKind::unsupported, "FEX could not map the program into memory: its ELF file is damaged",
         "look at the program that AppRun starts with 'inspect --files'"});
  if (fex_found_nothing(end))
    return failed_outcome(k_not_found, {ErrorKind::not_found, "FEX did not find the program in the stack",
                                        "check the program that AppRun starts with 'inspect --files'"});
  return std::nullopt;
}

Outcome exited(int status, std::string determined_by) {
  Outcome out;
  out.kind = Outcome::Kind::exited;
  out.status = status;
  out.determined_by = std::move(determined_by);
  return out;
}

Outcome signaled(int signal, std::string determined_by) {
  Outcome out;
  out.kind = Outcome::Kind::signaled;
  out.signal = signal;
  out.determined_by = std::move(determined_by);
  return out;
}

Outcome from_message(const MuvmEnd& end, const Message& message) {
  constexpr int k_no_such_file = 2;
  switch (message.kind) {
    case Message::Kind::signaled:
      return signaled(message.number, "message");
    case Message::Kind::not_executed: {
      const int status = message.number == k_no_such_file ? 127 : 126;
      Outcome out = failed_outcome(status, {ErrorKind::not_found, base::printable(message.text), ""});
      out.determined_by = "message";
      return out;
    }
    case Message::Kind::exited:
      break;
  }
  if (std::optional<Outcome> failure = fex_failure(end, message.number)) {
    failure->determined_by = "message";
    return std::move(*failure);
  }
  return exited(message.number, "message");
}

// The last "Error: …" with the causes below it; muvm and muvm-guest both end so.
std::string error_text(const std::string& output) {
  constexpr std::string_view k_mark = "Error: ";
  std::size_t at = output.rfind("\nError: ");
  if (at != std::string::npos)
    ++at;
  else if (output.starts_with(k_mark))
    at = 0;
  else
    return {};
  std::string out;
  for (const std::string_view line : base::split(std::string_view(output).substr(at + k_mark.size()), '\n')) {
    const std::string_view words = base::trim(line);
    if (words.empty() || words == "Caused by:") continue;
    if (!out.empty() && !line.starts_with(" ")) break;
    out += (out.empty() ? "" : ": ") + base::printable(words);
  }
  return out;
}

Outcome failed(ErrorKind kind, std::string what, std::string hint, std::string determined_by,
               int status = 0) {
  Outcome out = failed_outcome(status, {kind, std::move(what), std::move(hint)});
  out.determined_by = std::move(determined_by);
  return out;
}

// What the shell that becomes the application says of it when it cannot: "appimage-orch: 17: exec: PROGRAM: why" (dash),
// "environment: line 17: PROGRAM: why" (bash in a function), "appimage-orch: exec: line 17: PROGRAM: why" (busybox).
std::string exec_message(const MuvmEnd& end) {
  const std::string named = fmt::format(": {}: ", end.program);
  std::string out;
  for (const std::string_view line : base::split(end.output, '\n')) {
    const std::size_t name = std::min(line.find(": "), line.size());
    const bool of_shell = line.substr(0, name) == k_guest_shell_name || line.substr(0, name) == "environment";
    const std::size_t at = line.find(named);
    if (!of_shell || at == std::string_view::npos) continue;
    const std::string_view between = line.substr(name, at - name);
    if (between.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789: ") == std::string_view::npos)
      out = std::string(line.substr(at + 2));
  }
  return out;
}

// What the guest's shell prints where the end does not get into its record.
std::optional<int> printed_end(const MuvmEnd& end) {
  std::optional<int> out;
  for (const std::string_view line : base::split(end.output, '\n'))
    if (line.starts_with(k_printed_end))
      if (const auto number = leading_number(line.substr(std::strlen(k_printed_end)))) out = number;
  return out;
}

Outcome recorded_end(const MuvmEnd& end) {
  constexpr int k_not_executable = 126;
  constexpr int k_not_found = 127;
  constexpr const char* k_record = "guest record";
  const int status = *end.guest.ended;
  if (std::optional<Outcome> failure = fex_failure(end, status)) {
    failure->determined_by = k_record;
    return std::move(*failure);
  }
  if (const int signal = end.guest.signal(); signal != 0) return signaled(signal, k_record);
  if (status == k_not_executable || status == k_not_found)
    if (const std::string text = exec_message(end); !text.empty())
      return failed(status == k_not_found ? ErrorKind::not_found : ErrorKind::unsupported,
                    "the application could not be started: " + base::printable(text),
                    "look at its AppRun, and at the interpreter that it names, with 'inspect'", k_record,
                    status);
  return exited(status, k_record);
}

// The guest has written that it began, or did not get so far; nullopt: go on with muvm's own words.
std::optional<Outcome> recorded(const MuvmEnd& end) {
  const GuestRecord& guest = end.guest;
  if (guest.no_directory)
    return failed(ErrorKind::not_found, "the working directory could not be entered in the VM",
                  "start it from a directory below your home directory", "guest record");
  if (guest.prelude) return prelude_failed(*guest.prelude, "guest record");
  if (guest.ended && guest.preparing) return prelude_replaced(*guest.ended, "guest record");
  if (guest.ended) return recorded_end(end);
  if (end.signal != 0 || !guest.started || last_message(end)) return std::nullopt;
  if (const std::optional<int> number = printed_end(end)) return exited(*number, "message");
  return failed(ErrorKind::io, "the VM ended before the application did",
                "see the end of run.log, and the kernel's log for an out-of-memory kill", "vm ended");
}

Outcome muvm_failed(const std::string& text) {
  return failed(ErrorKind::tool, "muvm failed: " + text,
                "see the warnings of the checks before the start, 'appimage-orch doctor', and run.log",
                "muvm status");
}

Outcome decide(const MuvmEnd& end) {
  if (std::optional<Outcome> out = recorded(end)) return std::move(*out);
  if (end.signal != 0) {
    Outcome out = signaled(end.signal, "muvm status");
    out.warnings.push_back(
        fmt::format("signal {} ended the VM, and the application with it", sys::signal_name(end.signal)));
    return out;
  }
  if (const std::optional<Message> message = last_message(end)) return from_message(end, *message);
  if (end.guest.kept && !end.guest.started) {
    if (const std::string text = error_text(end.output); !text.empty()) return muvm_failed(text);
    return failed(ErrorKind::tool,
                  fmt::format("muvm ended with status {} and did not start the application", end.status),
                  "see run.log for what it printed", "muvm status");
  }
  if (end.status == 0) return exited(0, end.status_is_guests || end.reused ? "muvm status" : "no message");
  if (const std::string text = error_text(end.output); !text.empty()) return muvm_failed(text);
  if (!end.status_is_guests && !end.reused && end.status == 1) return exited(0, "no message");
  if (std::optional<Outcome> failure = fex_failure(end, end.status)) return std::move(*failure);
  return exited(end.status, "muvm status");
}

}  // namespace

Outcome muvm_outcome(const MuvmEnd& end) {
  Outcome out = decide(end);
  out.raw = Value::object({{"status", end.status}, {"signal", end.signal}});
  if (end.guest.kept)
    out.raw.set("guest", Value::object({{"started", end.guest.started},
                                        {"ended", end.guest.ended ? Value(*end.guest.ended) : Value()},
                                        {"message", base::printable(end.guest.message)}}));
  out.vm_reused = end.reused;
  const bool ended = out.kind == Outcome::Kind::exited || out.kind == Outcome::Kind::signaled;
  if (ended && end.signal == 0 && end.guest.started && !end.guest.ended)
    out.warnings.emplace_back(
        "the guest's record ends before the application did, and a message says how it ended: its file "
        "system "
        "may be full");
  constexpr int k_fex_refused = 248;
  if (out.kind == Outcome::Kind::exited && out.status == k_fex_refused)
    out.advice.emplace_back(
        "248 is the status of FEX, too, where it cannot start a program: [preflight] guest_check = true "
        "looks "
        "whether the stack works");
  // Where it failed the table of known failures has more to say.
  if (out.kind == Outcome::Kind::exited && out.status == 0 && says(end, k_mount_failed))
    out.warnings.emplace_back(
        "the VM could not mount the stack: no x86_64 libraries were there; look at each image with "
        "'inspect'");
  return out;
}

}  // namespace orch::launch
