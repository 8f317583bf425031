// index-tree, index-image: every path of a tree or image with its ELF facts (elf/index.hpp), so that nobody
// has to read it again. The index of an image of zero bytes (a layer that is not needed) has zero bytes.
//   inputs      tree (a directory), or image
//   parameters  dlopen_hints: also the names that files may load by dlopen
//   outputs     index
#include "elf/index.hpp"

#include "action/context.hpp"
#include "image/open_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

namespace orch::action {

Result<> index(Context& context) {
  if (context.inputs.size() != 1) return base::fail(base::ErrorKind::internal, "index takes one input");
  const std::string& path = context.inputs.front().path;
  const std::string& output = context.outputs.at("index");
  ORCH_TRY(const struct stat info, sys::stat_file(path));
  if (S_ISREG(info.st_mode) && info.st_size == 0) return sys::write_atomic(output, "");
  ORCH_TRY(const image::OpenedTree opened, image::open_tree(path, context.called(path)));
  elf::IndexOptions options;
  options.dlopen_hints = context.parameters.bool_or("dlopen_hints", false);
  if (opened.format != image::ImageFormat::squashfs) options.threads = context.jobs;
  ORCH_TRY(const auto index, elf::Index::make(*opened.tree, options));
  context.log(fmt::format("{} files, directories and links", index->size()));
  return sys::write_atomic(output, index->bytes());
}

}  // namespace orch::action
