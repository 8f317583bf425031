// Links many programs of a stack, by several threads.
#pragma once

#include "elf/linkage.hpp"
#include "elf/loader.hpp"
#include "elf/stack_files.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orch::elf {

class ProgramLinker {
 public:
  // `files` must outlive it. At least one thread.
  ProgramLinker(const StackFiles& files, LoaderOptions options, unsigned threads);
  ~ProgramLinker();
  ProgramLinker(const ProgramLinker&) = delete;
  ProgramLinker& operator=(const ProgramLinker&) = delete;

  // Gets each program by its place in the list, and what it links to, which it may take: that lives as long as the
  // ProgramLinker. Called once for each, in any order, from several threads.
  using Visit = std::function<void(std::size_t program, Linkage& linkage)>;
  // Errors: the first in the order of the list, of Loader::link(); some programs are not visited then.
  Result<> link(const std::vector<std::string>& programs, const LoaderEnvironment& environment,
                const Visit& visit);

 private:
  struct Worker;
  const StackFiles& files_;
  LoaderOptions options_;
  std::vector<std::unique_ptr<Worker>> workers_;  // by thread; each made when it is needed first
};

}  // namespace orch::elf
