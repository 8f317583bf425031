// extract-appimage: the payload of an AppImage as a tree, and what was found out about it.
//   inputs      appimage (file)
//   parameters  backend: "auto" | "squashfs" | "unsquashfs"
//   tools       unsquashfs (optional)
//   outputs     tree, facts: the inspection (appimage-orch/inspect/1) with "skipped" and "special_bits"
#include "action/context.hpp"
#include "base/text.hpp"
#include "elf/inspection.hpp"
#include "format/json.hpp"
#include "image/directory_tree.hpp"
#include "image/extract.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

namespace orch::action {

namespace {

void add_losses(const image::Extraction& extraction, Value& facts) {
  Value skipped = Value::array();
  for (const image::SkippedNode& node : extraction.skipped)
    skipped.push(Value::object({{"path", node.path}, {"type", image::to_string(node.type)}}));
  facts.set("skipped", std::move(skipped));
  facts.set("special_bits", Value::strings(extraction.special_bits));
}

void log_losses(const Context& context, const image::Extraction& extraction) {
  for (const image::SkippedNode& node : extraction.skipped)
    context.log(
        fmt::format("not extracted: '{}' is a {}", base::printable(node.path), image::to_string(node.type)));
  for (const std::string& path : extraction.special_bits)
    context.log(fmt::format("set-uid, set-gid or sticky bit dropped from '{}'", base::printable(path)));
}

}  // namespace

Result<> extract_appimage(Context& context) {
  ORCH_TRY(const Input* const appimage, context.input("appimage"));
  ORCH_TRY(const image::Backend backend,
           image::parse_backend(context.parameters.string_or("backend", "auto")));
  const std::string& target = context.outputs.at("tree");
  elf::Inspection inspection;
  {
    ORCH_TRY(const auto file, image::FileAccess::open(appimage->path));
    ORCH_TRY(inspection, elf::inspect_outside(*file));
  }
  const auto tool = context.tools.find("unsquashfs");
  const image::BackendTool program{tool == context.tools.end() ? "" : tool->second, context.processes};
  image::ExtractOptions options;
  options.threads = context.jobs;
  ORCH_TRY(image::Extraction extraction,
           image::extract_payload(appimage->path, inspection.identity, target, backend, program, options));
  log_losses(context, extraction);
  // The tree is at hand now: reading it there spares decoding the payload again.
  ORCH_TRY(const auto tree, image::DirectoryTree::open(target));
  ORCH_CHECK(elf::inspect_inside(*tree, inspection));
  for (const std::string& note : inspection.notes) context.log(note);
  Value facts = elf::to_value(inspection);
  add_losses(extraction, facts);
  ORCH_CHECK(sys::write_atomic(context.outputs.at("facts"), format::to_json(facts)));
  context.log(fmt::format("extracted {} entries, {}", extraction.listing.entries.size(),
                          base::human_size(extraction.listing.total_bytes())));
  context.listings["tree"] = std::move(extraction.listing);
  return {};
}

}  // namespace orch::action
