#include "elf/link_programs.hpp"

#include "base/parallel.hpp"

#include <algorithm>
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

ProgramLinker::ProgramLinker(const StackFiles& files, LoaderOptions options, unsigned threads)
    : files_(files), options_(std::move(options)), workers_(std::max(threads, 1U)) {}
ProgramLinker::~ProgramLinker() = default;

Result<> ProgramLinker::link(const std::vector<std::string>& programs, const LoaderEnvironment& environment,
                             const Visit& visit) {
  std::vector<Linkage> linkages(workers_.size());
  return base::for_each_in_parallel(
      programs.size(), {static_cast<unsigned>(workers_.size()), k_programs_at_once},
      [&](unsigned thread, std::size_t at) -> Result<> {
        std::unique_ptr<Worker>& worker = workers_[thread];
        if (worker == nullptr) worker = std::make_unique<Worker>(files_, options_);
        ORCH_CHECK(worker->loader.link(programs[at], environment, linkages[thread]));
        visit(at, linkages[thread]);
        return {};
      });
}

}  // namespace orch::elf
