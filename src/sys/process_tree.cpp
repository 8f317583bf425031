#include "sys/process_tree.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <thread>

namespace orch::sys {

namespace {

struct Entry {
  pid_t parent = 0;
  char state = '?';
  std::string name;
};

bool parse_number(std::string_view text, pid_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// "PID (NAME) STATE PPID …"; NAME may hold anything, so it ends at the last ')'.
bool parse_stat(std::string_view text, Entry& out) {
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close + 4 > text.size())
    return false;
  out.name = std::string(text.substr(open + 1, close - open - 1));
  out.state = text[close + 2];
  const std::string_view rest = text.substr(close + 4);
  return parse_number(rest.substr(0, rest.find(' ')), out.parent);
}

std::map<pid_t, Entry> process_table() {
  std::map<pid_t, Entry> out;
  const Result<std::vector<std::string>> names = list_dir("/proc");
  if (!names) return out;
  for (const std::string& name : *names) {
    pid_t pid = 0;
    if (!parse_number(name, pid)) continue;
    const Result<std::string> text = read_file("/proc/" + name + "/stat");
    Entry entry;
    if (text && parse_stat(*text, entry)) out.emplace(pid, std::move(entry));
  }
  return out;
}

}  // namespace

void adopt_orphans() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
}

std::vector<ProcessName> descendants(const std::set<pid_t>& spare) {
  // Without a single child there is no descendant either; that spares most runs the walk through /proc.
  siginfo_t info{};
  if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD) return {};
  const std::map<pid_t, Entry> table = process_table();
  std::multimap<pid_t, pid_t> children;
  for (const auto& [pid, entry] : table) children.emplace(entry.parent, pid);
  std::vector<ProcessName> out;
  std::vector<pid_t> todo = {::getpid()};
  while (!todo.empty()) {
    const pid_t parent = todo.back();
    todo.pop_back();
    const auto [first, last] = children.equal_range(parent);
    for (auto it = first; it != last; ++it) {
      if (spare.count(it->second) != 0) continue;
      todo.push_back(it->second);
      const Entry& entry = table.at(it->second);
      if (entry.state != 'Z' && entry.state != 'X') out.push_back({it->second, entry.name});
    }
  }
  return out;
}

void reap_children(const std::set<pid_t>& spare, pid_t keep) {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    if (info.si_pid == keep || spare.count(info.si_pid) != 0) return;
    ::waitpid(info.si_pid, nullptr, 0);
  }
}

std::vector<ProcessName> end_descendants(const std::set<pid_t>& spare, std::chrono::milliseconds grace) {
  using Clock = std::chrono::steady_clock;
  constexpr auto k_pause = std::chrono::milliseconds(5);
  constexpr auto k_patience = std::chrono::seconds(5);
  const Clock::time_point start = Clock::now();
  std::vector<ProcessName> ended;
  std::set<pid_t> asked;
  for (;;) {
    reap_children(spare, 0);
    const std::vector<ProcessName> left = descendants(spare);
    const auto spent = Clock::now() - start;
    if (left.empty() || spent > grace + k_patience) return ended;
    for (const ProcessName& process : left) {
      const bool first = asked.insert(process.pid).second;
      if (first) ended.push_back(process);
      if (spent >= grace)
        ::kill(process.pid, SIGKILL);
      else if (first)
        ::kill(process.pid, SIGTERM), ::kill(process.pid, SIGCONT);
    }
    std::this_thread::sleep_for(k_pause);
  }
}

}  // namespace orch::sys
