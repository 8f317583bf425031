#include "cli/image_manifests.hpp"

#include "format/json.hpp"
#include "sys/file.hpp"

namespace orch::cli {

using base::Value;

Value image_manifests(const std::vector<model::LaunchImage>& images) {
  Value out = Value::array();
  for (const model::LaunchImage& image : images) {
    if (image.manifest.path.empty()) continue;
    const sys::Result<std::string> text = sys::read_file(image.manifest.path);
    if (!text) continue;
    const base::Result<Value> content = format::parse_json_until("files", *text, image.manifest.path);
    out.push(Value::object({{"role", image.role},
                            {"image", image.digest},
                            {"sha256", image.manifest.sha256},
                            {"content", content && content->is_object() ? *content : Value()}}));
  }
  return out;
}

}  // namespace orch::cli
