#include "cli/image_manifests.hpp"

#include "format/json.hpp"
#include "sys/file.hpp"

namespace orch::cli {

using base::Value;

namespace {

// Of the documents that this tool's own steps leave only the manifest of packages can be large, by its files, which stand last.
Value content_of(const std::string& text, const std::string& path) {
  constexpr std::string_view k_manifest = "appimage-orch/image-manifest/1";
  constexpr std::size_t k_most_bytes = 1 << 20;
  base::Result<Value> content = format::parse_json_until("files", text, path);
  if (content && content->is_object() && content->string_or("schema", "") == k_manifest)
    return *std::move(content);
  if (text.size() > k_most_bytes) return {};
  content = format::parse_json(text, path);
  const bool named = content && content->is_object() && !content->string_or("schema", "").empty();
  return named ? *std::move(content) : Value();
}

}  // namespace

Value image_manifests(const std::vector<model::LaunchImage>& images) {
  Value out = Value::array();
  for (const model::LaunchImage& image : images) {
    if (image.manifest.path.empty()) continue;
    const sys::Result<std::string> text = sys::read_file(image.manifest.path);
    out.push(Value::object({{"role", image.role},
                            {"image", image.digest},
                            {"sha256", image.manifest.sha256},
                            {"content", text ? content_of(*text, image.manifest.path) : Value()}}));
  }
  return out;
}

}  // namespace orch::cli
