#include "sys/shared_library.hpp"

#include <dlfcn.h>

namespace orch::sys {

using base::ErrorKind;

Result<SharedLibrary> SharedLibrary::load(std::initializer_list<const char*> names,
                                          const std::string& library, const std::string& purpose,
                                          const std::string& hint) {
  for (const char* name : names)
    if (void* handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL); handle != nullptr)
      return SharedLibrary(handle, library, hint);
  return base::fail(ErrorKind::not_found, library + " cannot be loaded, and " + purpose + " need it", hint);
}

void* SharedLibrary::symbol(const char* name) {
  void* found = ::dlsym(handle_, name);
  if (found == nullptr && missing_.empty()) missing_ = name;
  return found;
}

Result<> SharedLibrary::complete() const {
  if (missing_.empty()) return {};
  return base::fail(ErrorKind::unsupported,
                    library_ + " as installed here has no function '" + missing_ + "'", hint_);
}

}  // namespace orch::sys
