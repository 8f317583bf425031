#include "launch/exec_error.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace orch::launch {

namespace {

constexpr std::size_t k_script_head = 256;  // BINPRM_BUF_SIZE

std::string script_interpreter(const std::string& head) {
  const std::size_t begin = head.find_first_not_of(" \t", 2);
  if (begin == std::string::npos) return {};
  return head.substr(begin, head.find_first_of(" \t\r\n", begin) - begin);
}

template <class Header, class Program>
std::string elf_interpreter(int fd, const std::string& head) {
  Header header{};
  if (head.size() < sizeof header) return {};
  std::memcpy(&header, head.data(), sizeof header);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const sys::Result<std::string> bytes =
        sys::read_at(fd, header.e_phoff + std::uint64_t{i} * header.e_phentsize, sizeof(Program), "");
    Program program{};
    if (!bytes || bytes->size() < sizeof program) return {};
    std::memcpy(&program, bytes->data(), sizeof program);
    if (program.p_type != PT_INTERP || program.p_filesz > 4096) continue;
    const sys::Result<std::string> path = sys::read_at(fd, program.p_offset, program.p_filesz, "");
    return path ? std::string(path->c_str()) : std::string();
  }
  return {};
}

bool is_elf(const std::string& head) {
  return head.compare(0, SELFMAG, ELFMAG) == 0;
}

}  // namespace

bool is_script(const std::string& program) {
  const sys::Result<sys::Fd> fd = sys::open_file(program, O_RDONLY);
  if (!fd) return false;
  const sys::Result<std::string> head = sys::read_at(fd->get(), 0, 2, program);
  return head && *head == "#!";
}

std::string interpreter_of(const std::string& program) {
  const sys::Result<sys::Fd> fd = sys::open_file(program, O_RDONLY);
  if (!fd) return {};
  const sys::Result<std::string> head = sys::read_at(fd->get(), 0, k_script_head, program);
  if (!head || head->size() < 4) return {};
  if (head->compare(0, 2, "#!") == 0) return script_interpreter(*head);
  if (!is_elf(*head)) return {};
  return (*head)[EI_CLASS] == ELFCLASS64 ? elf_interpreter<Elf64_Ehdr, Elf64_Phdr>(fd->get(), *head)
                                         : elf_interpreter<Elf32_Ehdr, Elf32_Phdr>(fd->get(), *head);
}

ExecError explain_exec(int number, const std::string& program) {
  constexpr int k_not_executable = 126;
  constexpr int k_not_found = 127;
  const std::string name = base::printable(program);
  if (!sys::stat_file(program) && (number == ENOENT || number == ENOTDIR))
    return {k_not_found, fmt::format("'{}' does not exist in the merged view", name)};
  const std::string interpreter = interpreter_of(program);
  const std::string inner = base::printable(interpreter);
  if (number == ENOENT && !interpreter.empty())
    return {k_not_executable,
            fmt::format("'{}' needs the interpreter '{}', which is not in the merged view", name, inner)};
  if (number == EACCES && ::access(program.c_str(), X_OK) != 0)
    return {k_not_executable, fmt::format("'{}' is not executable", name)};
  if (number == EACCES && !interpreter.empty() && ::access(interpreter.c_str(), X_OK) != 0)
    return {k_not_executable, fmt::format("the interpreter '{}' of '{}' is not executable", inner, name)};
  if (number == EACCES)
    return {
        k_not_executable,
        fmt::format("'{}' may not be executed: it is no regular file, or its file system is mounted noexec",
                    name)};
  if (number == ENOEXEC)
    return {k_not_executable,
            fmt::format("'{}' is no program for this machine, nor a script that begins with '#!'", name)};
  return {k_not_executable, fmt::format("'{}' cannot be executed: {}", name, std::strerror(number))};
}

}  // namespace orch::launch
