// The table of built-in actions: one line for each file in this folder.
#include "action/context.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace orch::action {

Result<> check_stack(Context& context);
Result<> convert_image(Context& context);
Result<> extract_appimage(Context& context);
Result<> fetch(Context& context);
Result<> fetch_packages(Context& context);
Result<> finish_stack(Context& context);
Result<> image_from_package(Context& context);
Result<> index(Context& context);
Result<> overlay(Context& context);
Result<> rootfs_compat(Context& context);
Result<> sanitize_elf(Context& context);
Result<> verify_stack(Context& context);

namespace {

struct Entry {
  std::string_view name;
  Function function;
};

const std::vector<Entry>& table() {
  // clang-format off
  static const std::vector<Entry> k_table = {
      {"check-stack", check_stack},
      {"convert-image", convert_image},
      {"extract-appimage", extract_appimage},
      {"fetch", fetch},
      {"fetch-packages", fetch_packages},
      {"finish-stack", finish_stack},
      {"image-from-package", image_from_package},
      {"index", index},
      {"overlay", overlay},
      {"rootfs-compat", rootfs_compat},
      {"sanitize-elf", sanitize_elf},
      {"verify-stack", verify_stack},
  };
  // clang-format on
  return k_table;
}

}  // namespace

Function find_action(std::string_view name) {
  for (const Entry& entry : table())
    if (entry.name == name) return entry.function;
  return nullptr;
}

std::vector<std::string> action_names() {
  std::vector<std::string> names;
  for (const Entry& entry : table()) names.emplace_back(entry.name);
  return names;
}

}  // namespace orch::action
