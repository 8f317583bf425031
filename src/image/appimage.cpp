#include "image/appimage.hpp"

#include "base/text.hpp"
#include "image/bytes.hpp"
#include "image/erofs.hpp"
#include "image/iso.hpp"
#include "image/squashfs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orch::image {

using base::Error;
using base::ErrorKind;
using base::fail;

namespace {

constexpr std::size_t k_window = 1U << 20;
constexpr std::size_t k_dwarfs_header = 64;
constexpr std::string_view k_again =
    "download or copy the file again and compare its size with the publisher's";

Result<std::string> read_some(const RandomAccess& file, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  ORCH_TRY(const std::size_t got,
           file.read_at(offset, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  bytes.resize(got);
  return bytes;
}

// A DwarFS image: sections of a 64-byte header and data; the next section's magic must follow the first, or
// its end be the file's.
Result<bool> is_dwarfs(const RandomAccess& file, std::uint64_t offset) {
  ORCH_TRY(const std::string head, read_some(file, offset, k_dwarfs_header));
  if (head.size() < k_dwarfs_header || head.compare(0, 6, "DWARFS") != 0 || head[6] != 2) return false;
  const bool old = head[7] == 0;  // before DwarFS 0.3: a header of 16 bytes
  const std::uint64_t length = old ? load_u32(head.data() + 12) : load_u64(head.data() + 56);
  const std::uint64_t start = offset + (old ? 16 : k_dwarfs_header);
  if (start > file.size() || length > file.size() - start) return false;
  if (start + length == file.size()) return true;
  ORCH_TRY(const std::string next, read_some(file, start + length, 6));
  return next == "DWARFS";
}

// What begins at `offset`, if something that can be a payload does.
Result<std::optional<Payload>> payload_at(const RandomAccess& file, std::uint64_t offset) {
  Payload payload;
  payload.offset = offset;
  if (const Result<SquashfsSuper> super = read_squashfs_super(file, offset); super) {
    payload.format = PayloadFormat::squashfs;
    payload.size = super->bytes_used;
    payload.squashfs = *super;
    return std::optional<Payload>(payload);
  }
  ORCH_TRY(const bool dwarfs, is_dwarfs(file, offset));
  if (!dwarfs) return std::optional<Payload>();
  payload.format = PayloadFormat::dwarfs;
  payload.size = file.size() - offset;
  return std::optional<Payload>(payload);
}

// The first plausible payload from `from` on. A magic alone says nothing: every runtime has it in its code.
Result<std::optional<Payload>> scan(const RandomAccess& file, std::uint64_t from) {
  constexpr std::size_t k_overlap = 5;  // the longer magic less one byte
  for (std::uint64_t start = from; start < file.size(); start += k_window) {
    ORCH_TRY(const std::string bytes, read_some(file, start, k_window + k_overlap));
    const std::string_view window = bytes;
    for (const std::string_view magic : {std::string_view("hsqs"), std::string_view("DWARFS")}) {
      for (std::size_t at = window.find(magic); at < k_window; at = window.find(magic, at + 1)) {
        ORCH_TRY(std::optional<Payload> payload, payload_at(file, start + at));
        if (!payload) continue;
        payload->scanned = true;
        return payload;
      }
    }
  }
  return std::optional<Payload>();
}

// A guess for messages at what somebody took for an AppImage.
std::string describe_content(std::string_view head) {
  if (head.empty()) return "an empty file";
  const std::string_view text = base::trim(head);
  if (text.starts_with("<!DOCTYPE html") || text.starts_with("<!doctype html") || text.starts_with("<html"))
    return "an HTML page";
  if (head.starts_with("#!")) return "a script";
  if (head.starts_with("PK\x03\x04")) return "a zip archive";
  if (head.starts_with("\x1f\x8b") || head.starts_with("BZh") ||
      head.starts_with("\xfd"
                       "7zXZ") ||
      head.starts_with("\x28\xb5\x2f\xfd"))
    return "a compressed file";
  if (head.starts_with("!<arch>\ndebian")) return "a Debian package";
  if (head.starts_with("\xed\xab\xee\xdb")) return "an RPM package";
  const bool binary = head.find('\0') != std::string_view::npos;
  return binary ? "data of an unknown kind" : "a text file";
}

// Where a search has to begin: behind the program headers, which no payload can precede.
std::uint64_t scan_start(const ElfHeader& elf) {
  const std::uint64_t header = elf.is_64 ? 64 : 52;
  return header + elf.segments.size() * (elf.is_64 ? 56 : 32);
}

Result<bool> has_iso_magic(const RandomAccess& file) {
  for (const std::uint64_t sector : {16U, 17U, 18U}) {
    ORCH_TRY(const std::string text, read_some(file, sector * 2048 + 1, 5));
    if (text == "CD001") return true;
  }
  return false;
}

Result<> identify_iso(const RandomAccess& file, Identity& identity) {
  identity.payload.format = PayloadFormat::iso9660;
  ORCH_TRY(const std::string blocks, read_some(file, 0x8000 + 80, 4));
  ORCH_TRY(const std::string size, read_some(file, 0x8000 + 128, 2));
  if (blocks.size() < 4 || size.size() < 2) return {};
  identity.payload.size = std::uint64_t{load_u32(blocks.data())} * load_u16(size.data());
  if (identity.payload.size > file.size())
    identity.payload_error =
        Error(ErrorKind::corrupt,
              fmt::format("the file is cut short: its ISO 9660 image has {} bytes, {} are there",
                          identity.payload.size, file.size()),
              std::string(k_again));
  return {};
}

// Type 2, RunImage, or an ELF file without any mark.
Result<> identify_appended(const RandomAccess& file, Identity& identity) {
  const bool marked = identity.kind != FileKind::elf;
  ORCH_TRY(const std::optional<std::uint64_t> end, elf_end(file, *identity.elf));
  std::optional<Payload> payload;
  if (end) {
    ORCH_TRY(payload, payload_at(file, *end));
    if (!payload && marked) {
      // A payload that begins in the right place and is damaged is not looked for elsewhere.
      ORCH_TRY(const std::string head, read_some(file, *end, 16));
      if (head.starts_with("hsqs") || head.starts_with("sqsh")) {
        identity.payload = {PayloadFormat::squashfs, *end, file.size() - *end, false, std::nullopt};
        identity.payload_error = read_squashfs_super(file, *end).error();
        return {};
      }
    }
  }
  if (!payload && marked) {
    ORCH_TRY(payload, scan(file, scan_start(*identity.elf)));
  }
  if (payload) {
    // The mark is often overwritten with zeros on purpose: loaders for foreign binaries insist on them.
    if (!marked && payload->format == PayloadFormat::squashfs) {
      identity.kind = FileKind::appimage;
      identity.type = 2;
    }
    if (identity.kind != FileKind::elf) identity.payload = *payload;
    return {};
  }
  if (!marked) return {};
  const std::uint64_t from = end ? *end : 0;
  identity.payload = {PayloadFormat::unknown, from, file.size() - from, false, std::nullopt};
  identity.payload_error =
      end && *end < file.size()
          ? Error(ErrorKind::corrupt,
                  fmt::format(
                      "nothing known follows the runtime at byte {}: expected a SquashFS or DwarFS payload",
                      from),
                  std::string(k_again))
          : Error(
                ErrorKind::corrupt,
                fmt::format("the file is cut short: it ends after {} bytes, before its payload", file.size()),
                std::string(k_again));
  return {};
}

Result<> identify_elf(const RandomAccess& file, std::string_view mark, Identity& identity) {
  identity.kind = FileKind::elf;
  ORCH_TRY(const bool iso, has_iso_magic(file));
  if (mark == std::string_view("AI\x01", 3) || (iso && mark != std::string_view("AI\x02", 3))) {
    identity.kind = FileKind::appimage;
    identity.type = 1;
    if (iso) return identify_iso(file, identity);
    identity.payload.format = PayloadFormat::unknown;
    identity.payload_error =
        Error(ErrorKind::corrupt,
              fmt::format("the file is marked as an AppImage of type 1 and holds no ISO 9660 "
                          "image: it ends after {} bytes",
                          file.size()),
              std::string(k_again));
    return {};
  }
  if (mark == std::string_view("AI\x02", 3)) {
    identity.kind = FileKind::appimage;
    identity.type = 2;
  }
  if (mark == std::string_view("RI\x02", 3)) identity.kind = FileKind::runimage;
  return identify_appended(file, identity);
}

}  // namespace

std::string_view to_string(FileKind kind) {
  switch (kind) {
    case FileKind::appimage:
      return "appimage";
    case FileKind::runimage:
      return "runimage";
    case FileKind::erofs:
      return "erofs";
    case FileKind::squashfs:
      return "squashfs";
    case FileKind::iso:
      return "iso9660";
    case FileKind::elf:
      return "elf";
    case FileKind::unknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view to_string(PayloadFormat format) {
  switch (format) {
    case PayloadFormat::none:
      return "none";
    case PayloadFormat::squashfs:
      return "squashfs";
    case PayloadFormat::iso9660:
      return "iso9660";
    case PayloadFormat::dwarfs:
      return "dwarfs";
    case PayloadFormat::erofs:
      return "erofs";
    case PayloadFormat::unknown:
      return "unknown";
  }
  return "unknown";
}

Result<Identity> identify(const RandomAccess& file) {
  Identity identity;
  identity.file_size = file.size();
  ORCH_TRY(const std::string head, read_some(file, 0, 16));
  ORCH_TRY(identity.elf, read_elf_header(file));
  if (identity.elf) {
    ORCH_CHECK(identify_elf(file, std::string_view(head).substr(8, 3), identity));
    return identity;
  }
  if (head.compare(0, 4, "hsqs") == 0) {
    identity.kind = FileKind::squashfs;
    identity.payload.format = PayloadFormat::squashfs;
    identity.payload.size = file.size();
    const Result<SquashfsSuper> super = read_squashfs_super(file, 0);
    if (super) {
      identity.payload.size = super->bytes_used;
      identity.payload.squashfs = *super;
    } else {
      identity.payload_error = super.error();
    }
    return identity;
  }
  ORCH_TRY(identity.erofs, read_erofs_super(file));
  if (identity.erofs) {
    identity.kind = FileKind::erofs;
    identity.payload.format = PayloadFormat::erofs;
    identity.payload.size = identity.erofs->bytes();
    return identity;
  }
  ORCH_TRY(const bool iso, has_iso_magic(file));
  if (iso) {
    identity.kind = FileKind::iso;
    ORCH_CHECK(identify_iso(file, identity));
    return identity;
  }
  ORCH_TRY(const std::string sample, read_some(file, 0, 512));
  identity.looks_like = describe_content(sample);
  return identity;
}

std::optional<Error> payload_problem(const Identity& identity, std::string_view name) {
  const std::string shown = base::printable(name);
  if (identity.payload_error) {
    Error error = *identity.payload_error;
    error.what = fmt::format("'{}': {}", shown, error.what);
    return error;
  }
  const PayloadFormat format = identity.payload.format;
  if (format == PayloadFormat::squashfs || format == PayloadFormat::iso9660 || format == PayloadFormat::erofs)
    return std::nullopt;
  if (identity.payload.format == PayloadFormat::dwarfs)
    return Error(
        ErrorKind::unsupported,
        fmt::format("'{}' carries a DwarFS payload ({} at byte {}), which cannot be read here", shown,
                    base::human_size(identity.payload.size), identity.payload.offset),
        fmt::format("unpack it with 'dwarfsextract -i FILE -O {} -o DIR' (package 'dwarfs', where it is "
                    "available), or ask its publisher for a SquashFS build",
                    identity.payload.offset));
  const std::string found =
      identity.kind == FileKind::elf ? "an ELF file without a payload" : identity.looks_like;
  return Error(
      ErrorKind::unsupported,
      fmt::format("'{}' is no AppImage: expected an ELF runtime with a payload, found {}", shown, found),
      "check the path and whether the download is complete (a saved web page is a common cause)");
}

Result<std::unique_ptr<FileTree>> open_payload(std::shared_ptr<const RandomAccess> file,
                                               const Identity& identity) {
  if (identity.payload.format == PayloadFormat::iso9660) {
    ORCH_TRY(std::unique_ptr<IsoTree> tree, IsoTree::open(std::move(file)));
    return std::unique_ptr<FileTree>(std::move(tree));
  }
  if (identity.payload.format == PayloadFormat::erofs) {
    ORCH_TRY(std::unique_ptr<ErofsTree> tree, ErofsTree::open(std::move(file)));
    return std::unique_ptr<FileTree>(std::move(tree));
  }
  auto window =
      std::make_shared<SliceAccess>(std::move(file), identity.payload.offset, identity.payload.size);
  ORCH_TRY(std::unique_ptr<SquashfsTree> tree, SquashfsTree::open(std::move(window)));
  return std::unique_ptr<FileTree>(std::move(tree));
}

}  // namespace orch::image
