#include "action/index_parts.hpp"

#include "sys/file.hpp"

#include <utility>

namespace orch::action {

Result<std::shared_ptr<const elf::Index>> read_index(const std::string& path) {
  ORCH_TRY(const auto file, sys::MappedFile::open(path));
  if (file->bytes().empty()) return std::shared_ptr<const elf::Index>();
  auto index = elf::Index::parse(file->bytes(), file);
  if (!index) return base::fail(std::move(index.error()).while_doing("reading '" + path + "'"));
  return index;
}

}  // namespace orch::action
