// Why the kernel would not run a program: execve(2) names one errno for many causes, and the interpreter
// never.
#pragma once

#include <string>

namespace orch::launch {

struct ExecError {
  int status = 126;    // 127: not found; 126: found, but it cannot run
  std::string detail;  // "'/a/AppRun' needs the interpreter '/bin/bash', which is not in the merged view"
};

// `number` is execve's errno. Looks at the files below the present root.
ExecError explain_exec(int number, const std::string& program);

// The interpreter that the kernel would start: of "#!" or PT_INTERP; empty if there is none.
std::string interpreter_of(const std::string& program);

// Whether the file begins with "#!".
bool is_script(const std::string& program);

}  // namespace orch::launch
