#include "launch/muvm.hpp"

#include "launch/parts.hpp"
namespace orch::launch {
Value MuvmLauncher::describe(const model::LaunchSpec&) {
  return {};
}
std::vector<Check> MuvmLauncher::check(const model::LaunchSpec&) {
  return {};
}
Result<Outcome> MuvmLauncher::run(const model::LaunchSpec&, const RunContext&) {
  return Outcome{};
}
std::vector<Tool> MuvmLauncher::tools(const model::LaunchSpec&) {
  return {};
}
}  // namespace orch::launch
