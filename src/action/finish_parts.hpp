// The parts of finish-stack: each makes one kind of cache from the merged view of the whole stack, or says
// why it makes none. A part changes nothing but what it puts into the layer.
#pragma once

#include "action/context.hpp"
#include "image/merged_view.hpp"
#include "image/small_image.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orch::action {

// What became of one kind of cache.
struct FinishReport {
  enum class Status {
    made,        // the layer has it
    current,     // what the stack has is what would be made
    not_needed,  // nothing in the stack asks for it, or programs do without
    not_done,    // something is missing: `detail` says what, `remedy` what to do about it
  };
  std::string id;  // "ld-so-cache"
  Status status = Status::not_needed;
  std::string detail;              // a sentence without full stop
  std::string remedy;              // not_done: an action; may be empty
  std::vector<std::string> files;  // made: what is in the layer, sorted; many are cut to their directory
  std::vector<std::string> notes;  // where single entries are from, what was passed over
};

// "made", "current", "not-needed", "not-done".
std::string_view to_string(FinishReport::Status status);

// What the parts look at.
struct FinishStack {
  Context& context;
  const image::MergedView& view;
};

// Adds to `tree` what it makes. Errors only where the stack cannot be read or this machine fails: a cache
// that cannot be made is a report.
using FinishPart = Result<FinishReport> (*)(const FinishStack& stack, image::SmallTree& tree);

Result<FinishReport> finish_library_cache(const FinishStack& stack, image::SmallTree& tree);

}  // namespace orch::action
