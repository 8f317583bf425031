// fetch: one file by address and SHA-256.
//   parameters  sha256
//   settings    url, or urls, tried in turn: http, https or file; what comes is decided by sha256, not by where
//               it comes from
//               size: of the file in bytes, where it is known (0: it is not)
//   outputs     file, or image: the one output
#include "action/context.hpp"
#include "base/text.hpp"
#include "package/archive_cache.hpp"
#include "package/download.hpp"

namespace orch::action {

using base::ErrorKind;

Result<> fetch(Context& context) {
  std::vector<std::string> urls = context.setting_texts("urls");
  if (context.settings.find("urls") == nullptr) urls.push_back(context.settings.string_or("url", ""));
  if (context.parameters.string_or("sha256", "").empty())
    return base::fail(ErrorKind::profile, "what to fetch is not locked yet: nobody knows its SHA-256",
                      "run 'appimage-orch lock' for the profile, or 'appimage-orch build', which does");
  const auto sha256 = hash::Sha256::parse(context.parameters.string_or("sha256", ""));
  if (!sha256)
    return base::fail(ErrorKind::profile, "the sha256 of '" +
                                              base::printable(urls.empty() ? "" : urls.front()) +
                                              "' must be 64 hexadecimal digits");
  if (context.outputs.size() != 1) return base::fail(ErrorKind::internal, "fetch makes one output");
  const std::int64_t size = context.settings.int_or("size", 0);
  const std::uint64_t most = size > 0 ? static_cast<std::uint64_t>(size) : package::k_largest_download;
  auto cached = package::download_verified(urls, *sha256, context.cache_dir, context.log, most);
  if (!cached) {
    base::Error error = std::move(cached).error();
    if (context.settings.find("urls") != nullptr && error.kind != ErrorKind::corrupt)
      error.hint = "'--rebuild' makes the image here; stack.image_sources says where finished ones are";
    return base::fail(std::move(error));
  }
  return package::place_download(*cached, context.outputs.begin()->second);
}

}  // namespace orch::action
