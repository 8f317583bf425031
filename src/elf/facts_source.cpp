#include "elf/facts_source.hpp"

#include "base/text.hpp"

#include <utility>

namespace orch::elf {

namespace {

template <class T>
Result<const T*> remember(std::map<image::NodeId, std::unique_ptr<const T>>& known, image::NodeId node,
                          std::string_view path, Result<std::optional<T>> read) {
  if (!read)
    return base::fail(std::move(read).error().while_doing("reading '" + base::printable(path) + "'"));
  auto& place = known[node];
  if (*read) place = std::make_unique<const T>(**std::move(read));
  return place.get();
}

}  // namespace

Result<const Facts*> TreeFacts::facts(image::NodeId node, std::string_view path) {
  if (const auto known = facts_.find(node); known != facts_.end()) return known->second.get();
  ORCH_TRY(const auto file, tree_.open(node));
  return remember(facts_, node, path, read_facts(*file));
}

Result<const LoaderLayout*> TreeFacts::layout(image::NodeId node, std::string_view path) {
  if (const auto known = layouts_.find(node); known != layouts_.end()) return known->second.get();
  ORCH_TRY(const auto file, tree_.open(node));
  return remember(layouts_, node, path, read_loader_layout(*file));
}

}  // namespace orch::elf
