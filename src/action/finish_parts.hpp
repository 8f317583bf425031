// The parts of finish-stack: each makes one kind of cache from the merged view of the whole stack, or says
// why it makes none. A part changes nothing but what it puts into the layer.
#pragma once

#include "action/context.hpp"
#include "image/merged_view.hpp"
#include "image/small_image.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
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
Result<FinishReport> finish_schemas(const FinishStack& stack, image::SmallTree& tree);
Result<FinishReport> finish_mime(const FinishStack& stack, image::SmallTree& tree);
Result<FinishReport> finish_pixbuf_loaders(const FinishStack& stack, image::SmallTree& tree);
Result<FinishReport> finish_input_methods(const FinishStack& stack, image::SmallTree& tree);
Result<FinishReport> finish_icons(const FinishStack& stack, image::SmallTree& tree);
Result<FinishReport> finish_fonts(const FinishStack& stack, image::SmallTree& tree);
Result<FinishReport> finish_gio_modules(const FinishStack& stack, image::SmallTree& tree);
Result<FinishReport> finish_desktop_entries(const FinishStack& stack, image::SmallTree& tree);

// ---- what the parts share

// A directory or file of the view behind all links, or nothing.
struct ViewPlace {
  std::string path;  // real, relative to the root
  image::NodeId node;
};
Result<std::optional<ViewPlace>> find_in_view(const image::FileTree& view, std::string_view path,
                                              image::NodeType type);

// The whole of a file that is at most `limit` bytes; nothing where there is no such file or it is larger.
Result<std::optional<std::string>> read_in_view(const image::FileTree& view, std::string_view path,
                                                std::uint64_t limit);

// The directories that hold libraries of x86_64 in Fedora's and Debian's layout, as far as the view has them;
// each once.
Result<std::vector<ViewPlace>> library_directories(const image::FileTree& view);

// Files that one directory of the view holds and a host tool reads, and whether they and the cache are all of
// one layer: then that layer's maker has made the cache, and nothing above adds to it.
struct CacheInputs {
  std::map<std::string, std::string> files;  // by name: the bytes
  bool of_one_layer = false;
};
// Names that `wanted` says yes to. Files beyond `limit` bytes, and those after 256 MiB, are left out with a
// note in `notes`.
Result<CacheInputs> read_cache_inputs(const image::MergedView& view, const ViewPlace& directory,
                                      const std::string& cache,
                                      const std::function<bool(std::string_view)>& wanted,
                                      std::vector<std::string>& notes);

// Writes files into a new directory below the scratch directory, and runs a program of the host in an
// environment of its own. False where it fails: `report` then says so. An Error where it cannot be started, or does
// not end within minutes.
Result<> stage_files(const std::string& directory, const std::map<std::string, std::string>& files);
Result<bool> run_host_tool(const FinishStack& stack, std::vector<std::string> argv, FinishReport& report);

}  // namespace orch::action
