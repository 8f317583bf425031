// Facts as bytes, for indexes that are kept: small, quick to read, the same for the same facts. The bytes
// begin with the version of the form; nothing in them depends on the machine.
#pragma once

#include "elf/facts.hpp"
#include "elf/loader_layout.hpp"

#include <string>
#include <string_view>

namespace orch::elf {

// Changes with every change of the form: what has another version is an Error of kind corrupt, and to be made
// anew. Belongs into the key of an index.
inline constexpr unsigned k_facts_form = 1;

std::string encode_facts(const Facts& facts);
std::string encode_layout(const LoaderLayout& layout);
// The bytes must be exactly one such value. Errors of kind corrupt.
Result<Facts> decode_facts(std::string_view bytes);
Result<LoaderLayout> decode_layout(std::string_view bytes);

}  // namespace orch::elf
