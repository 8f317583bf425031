#include "elf/names.hpp"

namespace orch::elf {

std::uint32_t Names::number(std::string_view text) {
  const auto [known, is_new] = numbers_.try_emplace(text, static_cast<std::uint32_t>(texts_.size()));
  if (is_new)
    texts_.push_back(
        {text, text.find('/') != std::string_view::npos, text.find('$') != std::string_view::npos});
  return known->second;
}

std::uint32_t Names::keep(std::string_view text) {
  if (const auto known = numbers_.find(text); known != numbers_.end()) return known->second;
  return number(arena_.text(text));
}

}  // namespace orch::elf
