// convert-image: an image that every launcher's kernel mounts, out of one that it does not: 4 KiB blocks, no
// compression but LZ4. An image that is fit already becomes the result as it is. docs/design/layers.md
//   inputs      image (SquashFS, EROFS, or a directory)
//   parameters  only_lz4: whether another compressor of EROFS is unfit; compressor, cluster
//   tools       mkfs (mkfs.erofs; needed only to convert), unsquashfs (optional; LZO only)
//   outputs     image, conversion: "appimage-orch/conversion/1"
#include "action/context.hpp"
#include "base/text.hpp"
#include "format/json.hpp"
#include "image/appimage.hpp"
#include "image/erofs_super.hpp"
#include "image/erofs_writer.hpp"
#include "image/extract.hpp"
#include "image/extract_tree.hpp"
#include "image/open_tree.hpp"
#include "package/archive_cache.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace orch::action {

using base::ErrorKind;

namespace {

constexpr std::uint32_t k_block = 4096;
constexpr std::size_t k_named = 100;  // paths that a document names of each kind

struct Source {
  std::string path;
  bool is_directory = false;
  image::Identity identity{};  // of a file
};

Result<Source> look_at(const std::string& path) {
  Source source{path};
  ORCH_TRY(const struct stat info, sys::stat_file(path));
  source.is_directory = S_ISDIR(info.st_mode);
  if (source.is_directory) return source;
  ORCH_TRY(const auto file, image::FileAccess::open(path));
  ORCH_TRY(source.identity, image::identify(*file));
  return source;
}

// Why the image cannot stay as it is; empty if it can.
std::string unfit(const Source& source, bool only_lz4) {
  if (source.is_directory) return "a directory is no image";
  const image::Identity& identity = source.identity;
  if (identity.kind == image::FileKind::squashfs) return "it is SquashFS";
  if (!identity.erofs) return "it is no image of a stack";
  if (identity.erofs->block_size > k_block)
    return fmt::format("it has blocks of {} bytes", identity.erofs->block_size);
  if (!only_lz4) return {};
  for (const std::string& name : image::compressor_names(*identity.erofs))
    if (name != "lz4") return fmt::format("it is compressed with {}", name);
  return {};
}

Value describe(const Source& source) {
  Value out = Value::object();
  const image::Identity& identity = source.identity;
  out.set("format", source.is_directory ? "directory" : image::to_string(identity.kind));
  Value compressors = Value::array();
  if (identity.payload.squashfs) compressors.push(image::to_string(identity.payload.squashfs->compressor));
  if (identity.erofs) compressors = Value::strings(image::compressor_names(*identity.erofs));
  out.set("compressors", std::move(compressors));
  const std::uint32_t block = identity.payload.squashfs ? identity.payload.squashfs->block_size
                              : identity.erofs          ? identity.erofs->block_size
                                                        : 0;
  out.set("block_size", block == 0 ? Value() : Value(block));
  return out;
}

Result<> add_file_digest(Value& facts, const std::string& path) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(path, O_RDONLY));
  ORCH_TRY(const hash::Sha256 sha256, hash::sha256_fd(fd.get(), path));
  ORCH_TRY(const struct stat info, sys::stat_file(path));
  facts.set("sha256", sha256.hex());
  facts.set("size", static_cast<std::uint64_t>(info.st_size));
  return {};
}

struct Losses {
  std::uint64_t owners = 0;  // entries that were not root's
};

// What overlayfs would take for "removed here" has no counterpart in an image without devices and attributes.
Result<Losses> scan(const image::FileTree& tree, const std::string& called) {
  Losses losses;
  ORCH_CHECK(image::walk(tree, [&](const image::WalkEntry& entry) -> Result<> {
    ORCH_TRY(const image::NodeInfo info, tree.stat(entry.node));
    if (info.uid != 0 || info.gid != 0) ++losses.owners;
    if (!image::is_whiteout(info) && !info.opaque && !info.redirected) return {};
    return base::fail(ErrorKind::unsupported,
                      fmt::format("{} cannot be converted: '{}' is {}, which hides what lies below", called,
                                  base::printable(entry.path),
                                  info.opaque       ? "an opaque directory"
                                  : info.redirected ? "a redirect"
                                                    : "a whiteout"),
                      "take an image that hides nothing, or make it with 4 KiB blocks and LZ4 yourself");
  }));
  return losses;
}

struct Extracted {
  image::Extraction extraction;
  Losses losses;
};

Result<Extracted> extract(const Context& context, const Source& source, const std::string& target) {
  image::ExtractOptions options;
  options.threads = context.jobs;
  Extracted out;
  const bool squashfs = source.identity.kind == image::FileKind::squashfs;
  const bool lzo = squashfs && source.identity.payload.squashfs &&
                   source.identity.payload.squashfs->compressor == image::SquashfsCompressor::lzo;
  if (lzo) {
    const image::BackendTool tool{context.tool("unsquashfs"), context.processes};
    ORCH_TRY(out.extraction, image::extract_payload(source.path, source.identity, target,
                                                    image::Backend::automatic, tool, options));
    return out;
  }
  ORCH_TRY(const image::OpenedTree opened, image::open_tree(source.path, context.called(source.path)));
  ORCH_TRY(out.losses, scan(*opened.tree, context.called(source.path)));
  if (squashfs) {
    ORCH_TRY(out.extraction, image::extract_payload(source.path, source.identity, target,
                                                    image::Backend::automatic, {}, options));
  } else {
    ORCH_TRY(out.extraction, image::extract_tree(*opened.tree, target, options));
  }
  return out;
}

Value lost_value(const Extracted& extracted) {
  Value skipped = Value::array();
  const auto& nodes = extracted.extraction.skipped;
  for (std::size_t i = 0; i < std::min(nodes.size(), k_named); ++i)
    skipped.push(Value::object({{"path", nodes[i].path}, {"type", image::to_string(nodes[i].type)}}));
  const auto& bits = extracted.extraction.special_bits;
  return Value::object(
      {{"owners", extracted.losses.owners},
       {"skipped_count", static_cast<std::uint64_t>(nodes.size())},
       {"skipped", std::move(skipped)},
       {"special_bits_count", static_cast<std::uint64_t>(bits.size())},
       {"special_bits", Value::strings({bits.begin(), bits.begin() + static_cast<std::ptrdiff_t>(
                                                                         std::min(bits.size(), k_named))})}});
}

// The stack's own files are shared by a link; a file of the user's is copied, as artifacts are made
// read-only.
Result<> keep(const Context& context, const std::string& from, const std::string& to) {
  if (sys::path_within(from, context.cache_dir)) return package::place_download(from, to);
  ORCH_TRY(const sys::Fd in, sys::open_file(from, O_RDONLY));
  ORCH_TRY(const sys::Fd out, sys::open_file(to, O_WRONLY | O_CREAT | O_EXCL, 0644));
  for (std::uint64_t at = 0;;) {
    ORCH_TRY(const std::string bytes, sys::read_at(in.get(), at, std::size_t{1} << 20, from));
    if (bytes.empty()) return {};
    ORCH_CHECK(sys::write_all(out.get(), bytes, to));
    at += bytes.size();
  }
}

Result<Value> convert(Context& context, const Source& source, const std::string& image) {
  ORCH_TRY(const image::ErofsTool tool, image::probe_erofs_tool(context.tool("mkfs"), *context.processes));
  const std::string tree = context.scratch + "/tree";
  ORCH_TRY(const Extracted extracted, extract(context, source, tree));
  const hash::TreeListing& listing = extracted.extraction.listing;
  context.log(fmt::format("extracted {} entries, {}", listing.entries.size(),
                          base::human_size(listing.total_bytes())));
  for (const image::SkippedNode& node : extracted.extraction.skipped)
    context.log(fmt::format("left out: '{}' is a {}", base::printable(node.path), to_string(node.type)));
  image::ErofsOptions options;
  options.compressor = context.parameters.string_or("compressor", options.compressor);
  options.cluster = static_cast<std::uint64_t>(
      context.parameters.int_or("cluster", static_cast<std::int64_t>(options.cluster)));
  options.uuid = image::uuid_from_digest(listing.digest());
  options.workers = context.jobs;
  ORCH_CHECK(image::write_erofs(tool, options, tree, listing, image, *context.processes));
  ORCH_CHECK(sys::remove_tree(tree));
  Value out = Value::object();
  ORCH_TRY(const std::string writer, image::erofs_writer_identity(tool.path, *context.processes));
  out.set("tool", writer);
  out.set("tree", Value::object({{"sha256", listing.sha256().hex()},
                                 {"entries", static_cast<std::uint64_t>(listing.entries.size())},
                                 {"bytes", listing.total_bytes()}}));
  out.set("lost", lost_value(extracted));
  return out;
}

}  // namespace

Result<> convert_image(Context& context) {
  ORCH_TRY(const Input* const input, context.input("image"));
  const std::string& image = context.outputs.at("image");
  ORCH_TRY(const Source source, look_at(input->path));
  const std::string reason = unfit(source, context.parameters.bool_or("only_lz4", true));
  Value document = Value::object({{"schema", "appimage-orch/conversion/1"}, {"converted", !reason.empty()}});
  document.set("reason", base::or_null(reason));
  Value from = describe(source);
  if (!source.is_directory) ORCH_CHECK(add_file_digest(from, source.path));
  document.set("from", std::move(from));
  if (reason.empty()) {
    context.log("the image is fit as it is");
    ORCH_CHECK(keep(context, source.path, image));
    document.set("to", *document.find("from"));
  } else {
    context.log(fmt::format("converting to EROFS with 4 KiB blocks: {}", reason));
    ORCH_TRY(Value made, convert(context, source, image));
    ORCH_TRY(const Source result, look_at(image));
    Value to = describe(result);
    ORCH_CHECK(add_file_digest(to, image));
    document.set("to", std::move(to));
    for (Value::Member& member : made.as_object()) document.set(member.key, std::move(member.value));
  }
  return sys::write_atomic(context.outputs.at("conversion"), format::to_json(document));
}

}  // namespace orch::action
