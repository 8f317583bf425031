#include "elf/index_objects.hpp"

#include <utility>

namespace orch::elf {

using index_form::FileRecord;

IndexObjects::IndexObjects(std::shared_ptr<const Index> index, Objects& objects)
    : index_(std::move(index)),
      objects_(&objects),
      made_(index_->sections().files(), objects.arena().memory()),
      names_(index_->sections().texts(), k_no_name, objects.arena().memory()) {}

Result<const Object*> IndexObjects::object(image::NodeId file) {
  ORCH_TRY(const std::optional<std::size_t> number, index_->elf_file(file));
  if (!number) return nullptr;
  const Object*& made = made_[*number];
  if (made != nullptr) return made;
  ORCH_TRY(const FileRecord record, index_->sections().file(*number));
  return made = make(record);
}

std::uint32_t IndexObjects::name(std::uint32_t text) {
  std::uint32_t& known = names_[text];
  if (known == k_no_name) known = objects_->names().number(index_->sections().text(text));
  return known;
}

const Object* IndexObjects::make(const FileRecord& record) {
  const index_form::Sections& in = index_->sections();
  Object object;
  object.is_64 = (record.bits & index_form::k_is_64) != 0;
  object.dynamic = (record.bits & index_form::k_dynamic) != 0;
  object.versioned = (record.bits & index_form::k_versioned) != 0;
  object.has_runpath = (record.bits & index_form::k_has_runpath) != 0;
  object.machine = record.machine;
  object.type = record.type;
  object.isa_needed = record.isa_needed;
  object.flags_1 = record.flags_1;
  if (record.soname != 0) object.soname = name(record.soname);
  object.interpreter = in.text(record.interpreter);
  object.defect = in.text(record.defect);
  needed_.clear();
  search_.clear();
  versions_.clear();
  definitions_.clear();
  std::size_t at = record.first;
  for (std::size_t i = 0; i < record.needed; ++i) needed_.push_back(name(in.word(at + i)));
  at += record.needed + (object.has_runpath ? std::size_t{record.rpath} : 0);
  for (std::size_t i = 0; i < (object.has_runpath ? record.runpath : record.rpath); ++i)
    search_.push_back(in.text(in.word(at + i)));
  at = record.first + std::size_t{record.needed} + record.rpath + record.runpath;
  for (std::size_t i = 0; i < record.versions; ++i, at += 2) {
    const std::uint32_t version = in.word(at + 1);
    versions_.push_back(
        {name(in.word(at)), name(version & ~index_form::k_weak), (version & index_form::k_weak) != 0});
  }
  for (std::size_t i = 0; i < record.definitions; ++i) definitions_.push_back(name(in.word(at + i)));
  return objects_->add(object, {needed_, search_, versions_, definitions_});
}

}  // namespace orch::elf
