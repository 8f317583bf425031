// The ELF files of an index as the resolver wants them, each made when it is asked for.
#pragma once

#include "elf/index.hpp"
#include "elf/object.hpp"

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <vector>

namespace orch::elf {

class IndexObjects {
 public:
  // `objects` must outlive this object; the index lives as long as either.
  IndexObjects(std::shared_ptr<const Index> index, Objects& objects);
  // nullptr: no ELF file.
  Result<const Object*> object(image::NodeId file);

 private:
  std::uint32_t name(std::uint32_t text);
  const Object* make(const index_form::FileRecord& record);

  std::shared_ptr<const Index> index_;
  Objects* objects_;
  std::pmr::vector<const Object*> made_;   // by ELF file
  std::pmr::vector<std::uint32_t> names_;  // by text
  // While an object is made.
  std::vector<std::uint32_t> needed_;
  std::vector<std::string_view> search_;
  std::vector<Objects::Need> versions_;
  std::vector<std::uint32_t> definitions_;
};

}  // namespace orch::elf
