// Libraries that are loaded when they are first needed: what a library brings along costs every start of the
// program, and ninja starts it once for each step. docs/design/dependencies.md has the measurements.
#pragma once

#include "base/result.hpp"

#include <initializer_list>
#include <string>

namespace orch::sys {

using base::Result;

// A library that was loaded and stays so until the process ends: several of them keep state that must not be
// unloaded. Copies mean the same library.
class SharedLibrary {
 public:
  // Loads the first of `names` (sonames) that there is. `purpose` and `hint` are for the error: "libfoo
  // cannot be loaded, and PURPOSE need it".
  static Result<SharedLibrary> load(std::initializer_list<const char*> names, const std::string& library,
                                    const std::string& purpose, const std::string& hint);

  // Sets `function` to the symbol `name`; without it, sets the error that complete() gives.
  template <class Function>
  void find(const char* name, Function*& function) {
    function = reinterpret_cast<Function*>(symbol(name));
  }
  // Fails if a symbol was not found, naming the first.
  Result<> complete() const;

 private:
  SharedLibrary(void* handle, std::string library, std::string hint)
      : handle_(handle), library_(std::move(library)), hint_(std::move(hint)) {}
  void* symbol(const char* name);

  void* handle_;
  std::string library_;
  std::string hint_;
  std::string missing_;
};

}  // namespace orch::sys
