// What a file is: an AppImage of either type, a RunImage, a bare image, an ELF file, something else; and
// where its payload begins. Nothing is executed and only headers are read, unless the payload has to be
// searched for.
//
// Sources: AppImageSpec (draft.md), type2-runtime (payload offset), dwarfs-format.md (section header).
#pragma once

#include "base/result.hpp"
#include "image/elf_header.hpp"
#include "image/erofs_super.hpp"
#include "image/file_tree.hpp"
#include "image/random_access.hpp"
#include "image/squashfs_super.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace orch::image {

enum class FileKind { appimage, runimage, erofs, squashfs, iso, elf, unknown };
enum class PayloadFormat { none, squashfs, iso9660, dwarfs, erofs, unknown };

std::string_view to_string(FileKind kind);
std::string_view to_string(PayloadFormat format);

struct Payload {
  PayloadFormat format = PayloadFormat::none;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  // in bytes, without padding where the format says it
  bool scanned = false;    // found by a search, not where the ELF headers end
  std::optional<SquashfsSuper> squashfs;
};

struct Identity {
  FileKind kind = FileKind::unknown;
  int type = 0;  // of an AppImage: 1 or 2
  std::uint64_t file_size = 0;
  std::optional<ElfHeader> elf;  // the runtime, or the ELF file itself
  Payload payload;
  std::optional<ErofsSuper> erofs;
  std::string looks_like;  // of unknown files: "a text file", "an HTML page", …
  // Why an AppImage has no usable payload, for messages: "the file is cut short: …". Empty otherwise.
  std::optional<base::Error> payload_error;
};

// Errors only where the file cannot be read. A damaged AppImage is an Identity with `payload_error`.
Result<Identity> identify(const RandomAccess& file);

// The Error for a file whose payload cannot be used, worded for users; nullopt if it can. `name` is the
// file's.
std::optional<base::Error> payload_problem(const Identity& identity, std::string_view name);

// The payload as a tree. Precondition: payload_problem() is nullopt. Unsupported for LZO (see SquashfsCodec),
// and for EROFS images that ErofsTree does not read.
Result<std::unique_ptr<FileTree>> open_payload(std::shared_ptr<const RandomAccess> file,
                                               const Identity& identity);

}  // namespace orch::image
