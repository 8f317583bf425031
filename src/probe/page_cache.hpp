// The page cache, emptied for a cold start as far as this process may.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch::probe {

struct CacheDrop {
  enum class Method {
    drop_caches,  // all of the system's clean pages (proc(5), /proc/sys/vm/drop_caches)
    fadvise,  // those of the given files (posix_fadvise(2), POSIX_FADV_DONTNEED); what else is in memory stays there
    none
  } method = Method::none;
  std::string detail;  // in words, what was and what was not dropped
};
std::string_view to_string(CacheDrop::Method method);  // "drop_caches", "fadvise", "none"

// Those of the files alone, by posix_fadvise(2).
CacheDrop drop_pages_of(const std::vector<std::string>& paths);

// All that may be dropped. `paths`: files, and directories with all that is in them (links are not followed). Written data is brought to disk first.
CacheDrop drop_page_cache(const std::vector<std::string>& paths);

}  // namespace orch::probe
