#include "action/context.hpp"

namespace orch::action {

Result<const Input*> Context::input(std::string_view name) const {
  for (const Input& item : inputs)
    if (item.name == name) return &item;
  return base::fail(base::ErrorKind::internal, "the step has no input '" + std::string(name) + "'",
                    "the rule file does not fit this version of appimage-orch");
}

}  // namespace orch::action
