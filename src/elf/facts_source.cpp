#include "elf/facts_source.hpp"

#include "base/text.hpp"

#include <utility>

namespace orch::elf {

namespace {

tl::unexpected<base::Error> unreadable(base::Error error, std::string_view path) {
  return base::fail(std::move(error).while_doing("reading '" + base::printable(path) + "'"));
}

}  // namespace

Result<TreeFacts::File*> TreeFacts::file(image::NodeId node, std::string_view path) {
  if (const auto known = files_.find(node.value); known != files_.end()) return &known->second;
  ORCH_TRY(const auto data, tree_.open(node));
  Result<std::optional<Facts>> read = read_facts(*data);
  if (!read) return unreadable(std::move(read).error(), path);
  File& out = files_[node.value];
  out.facts = *std::move(read);
  return &out;
}

Result<const Object*> TreeFacts::object(image::NodeId node, std::string_view path) {
  ORCH_TRY(File* const known, file(node, path));
  if (known->facts && known->object == nullptr) known->object = objects_.add(*known->facts);
  return known->object;
}

Result<const Facts*> TreeFacts::facts(image::NodeId node, std::string_view path) {
  ORCH_TRY(const File* const known, file(node, path));
  return known->facts ? &*known->facts : nullptr;
}

Result<const LoaderLayout*> TreeFacts::layout(image::NodeId node, std::string_view path) {
  if (const auto known = layouts_.find(node); known != layouts_.end()) return known->second.get();
  ORCH_TRY(const auto file, tree_.open(node));
  Result<std::optional<LoaderLayout>> read = read_loader_layout(*file);
  if (!read) return unreadable(std::move(read).error(), path);
  auto& place = layouts_[node];
  if (*read) place = std::make_unique<const LoaderLayout>(**std::move(read));
  return place.get();
}

}  // namespace orch::elf
