#include "elf/link_programs.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

namespace orch::elf {

namespace {

// Programs that one thread takes in turn: neighbours in a list share directories and libraries.
constexpr std::size_t k_programs_at_once = 32;

}  // namespace

// What one thread knows of the files.
struct ProgramLinker::Worker {
  Worker(const StackFiles& files, const LoaderOptions& options)
      : facts(files), loader(files.root(), facts, options) {}
  StackFacts facts;
  Loader loader;
};

ProgramLinker::ProgramLinker(const StackFiles& files, LoaderOptions options, unsigned threads) {
  for (unsigned i = 0; i < std::max(threads, 1U); ++i)
    workers_.push_back(std::make_unique<Worker>(files, options));
}
ProgramLinker::~ProgramLinker() = default;

Result<> ProgramLinker::link(const std::vector<std::string>& programs, const LoaderEnvironment& environment,
                             const Visit& visit) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::optional<base::Error>> errors(workers_.size());
  std::vector<std::size_t> failed(workers_.size(), programs.size());
  const auto work = [&](std::size_t self) {
    Linkage linkage;
    for (std::size_t first = next.fetch_add(k_programs_at_once); first < programs.size() && !errors[self];
         first = next.fetch_add(k_programs_at_once))
      for (std::size_t at = first; at < std::min(first + k_programs_at_once, programs.size()); ++at) {
        const Result<> done = workers_[self]->loader.link(programs[at], environment, linkage);
        if (done) {
          visit(at, linkage);
          continue;
        }
        errors[self] = done.error();
        failed[self] = at;
        break;
      }
  };
  std::vector<std::thread> others;
  const std::size_t useful = (programs.size() + k_programs_at_once - 1) / k_programs_at_once;
  for (std::size_t i = 1; i < std::min(workers_.size(), useful); ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& thread : others) thread.join();
  const auto first = std::min_element(failed.begin(), failed.end());
  std::optional<base::Error>& error = errors[static_cast<std::size_t>(first - failed.begin())];
  return error ? base::fail(*std::move(error)) : Result<>();
}

}  // namespace orch::elf
