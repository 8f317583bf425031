#include "image/libarchive.hpp"

#include "sys/shared_library.hpp"

namespace orch::image {

namespace {

Result<Libarchive> load() {
  // The soname has been this one since libarchive 3.0.
  ORCH_TRY(sys::SharedLibrary library,
           sys::SharedLibrary::load({"libarchive.so.13"}, "libarchive", "packages and type 1 AppImages",
                                    "install the package 'libarchive13' (Debian) or 'libarchive' (Fedora)"));
  Libarchive api;
#define ORCH_ARCHIVE_FIND(name) library.find(#name, api.name);
  ORCH_ARCHIVE_FUNCTIONS(ORCH_ARCHIVE_FIND)
#undef ORCH_ARCHIVE_FIND
  ORCH_CHECK(library.complete());
  return api;
}

}  // namespace

Result<const Libarchive*> libarchive() {
  static const Result<Libarchive> loaded = load();
  if (!loaded) return base::fail(loaded.error());
  return &*loaded;
}

}  // namespace orch::image
