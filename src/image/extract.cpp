#include "image/extract.hpp"

#include "base/text.hpp"
#include "image/appimage.hpp"

#include <fmt/format.h>

namespace orch::image {

using base::ErrorKind;
using base::fail;

Result<Backend> parse_backend(std::string_view text) {
  if (text == "auto") return Backend::automatic;
  if (text == "squashfs") return Backend::squashfs;
  if (text == "unsquashfs") return Backend::unsquashfs;
  return fail(ErrorKind::profile, fmt::format("the backend '{}' is unknown", base::printable(text)),
              "the backends are \"auto\", \"squashfs\" and \"unsquashfs\"");
}

Result<Extraction> extract_payload(const std::string& path, const Identity& identity,
                                   const std::string& target, Backend backend, const BackendTool& tool,
                                   const ExtractOptions& options) {
  if (std::optional<base::Error> problem = payload_problem(identity, path)) return fail(std::move(*problem));
  const Payload& payload = identity.payload;
  if (payload.format == PayloadFormat::erofs)
    return fail(
        ErrorKind::unsupported,
        fmt::format("'{}' is no AppImage: expected an ELF runtime with a payload, found an EROFS image",
                    base::printable(path)),
        "an EROFS image is mounted, not extracted: name it in [stack]");
  ORCH_TRY(const std::shared_ptr<FileAccess> file, FileAccess::open(path));
  if (payload.format == PayloadFormat::iso9660) return extract_iso(file, target, options);
  const bool lzo = payload.squashfs->compressor == SquashfsCompressor::lzo;
  const bool program = backend == Backend::unsquashfs || (backend == Backend::automatic && lzo);
  if (!program) {
    auto window = std::make_shared<SliceAccess>(file, payload.offset, payload.size);
    return extract_squashfs(std::move(window), target, options);
  }
  if (tool.path.empty() || tool.processes == nullptr)
    return fail(ErrorKind::not_found,
                lzo ? fmt::format("'{}' is compressed with LZO, which needs the program 'unsquashfs'",
                                  base::printable(path))
                    : std::string("the backend \"unsquashfs\" needs the program of that name"),
                "install the package 'squashfs-tools'");
  return extract_with_unsquashfs(*tool.processes, tool.path, path, payload.offset, target, options);
}

}  // namespace orch::image
