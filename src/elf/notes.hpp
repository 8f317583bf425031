// The notes of an ELF file that matter for loading it: x86 properties (ISA level, CET) and the build id.
// Sources: System V gABI (note section), x86-64 psABI (GNU property), gold/ld (--build-id).
#pragma once

#include "elf/facts.hpp"

#include <string>

namespace orch::elf {

// Adds what the notes in `bytes` say. `property_segment`: they come from PT_GNU_PROPERTY.
void read_notes(const std::string& bytes, bool is_64, image::ByteOrder order, bool property_segment,
                Facts& facts);

}  // namespace orch::elf
