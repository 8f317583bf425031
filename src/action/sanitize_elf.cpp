// sanitize-elf: the application's tree with the GNU property notes of its ELF files taken out of sight. Nothing
// is moved: a program header and a note's type are overwritten, so that data appended to a file stays where it is.
//   inputs      tree
//   outputs     tree, sanitized: "appimage-orch/sanitize/1", each changed file with its digests before and after
#include "action/context.hpp"
#include "base/text.hpp"
#include "elf/property_notes.hpp"
#include "format/json.hpp"
#include "image/directory_tree.hpp"
#include "image/extract_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <utility>

namespace orch::action {

namespace {

// Writes the patches into a file that may be read-only.
Result<> write_patches(const std::string& path, const std::vector<elf::Patch>& patches) {
  ORCH_TRY(const struct stat info, sys::lstat_file(path));
  if (::chmod(path.c_str(), 0600) != 0)
    return base::fail(base::errno_error(errno, "change the mode of", path));
  ORCH_TRY(const sys::Fd fd, sys::open_file(path, O_RDWR | O_NOFOLLOW));
  for (const elf::Patch& patch : patches)
    if (::pwrite(fd.get(), patch.bytes.data(), patch.bytes.size(), static_cast<off_t>(patch.offset)) !=
        static_cast<ssize_t>(patch.bytes.size()))
      return base::fail(base::errno_error(errno, "write", path));
  if (::fchmod(fd.get(), info.st_mode & 07777) != 0)
    return base::fail(base::errno_error(errno, "change the mode of", path));
  return {};
}

Result<std::string> sha256_of_file(const std::string& path) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(path, O_RDONLY | O_NOFOLLOW));
  ORCH_TRY(const hash::Sha256 digest, hash::sha256_fd(fd.get(), path));
  return digest.hex();
}

struct Sanitized {
  Value record;         // of the document
  hash::Digest digest;  // of the new content
};

// nullopt: nothing to do.
Result<std::optional<Sanitized>> sanitize(const std::string& root, const std::string& path) {
  const std::string file = root + "/" + path;
  std::vector<elf::Patch> patches;
  {
    ORCH_TRY(const auto data, image::FileAccess::open(file));
    ORCH_TRY(patches, elf::hide_property_notes(*data));
  }
  if (patches.empty()) return std::optional<Sanitized>();
  Sanitized out;
  ORCH_TRY(const std::string before, sha256_of_file(file));
  ORCH_CHECK(write_patches(file, patches));
  ORCH_TRY(const std::string after, sha256_of_file(file));
  ORCH_TRY(const sys::Fd fd, sys::open_file(file, O_RDONLY | O_NOFOLLOW));
  ORCH_TRY(out.digest, hash::digest_fd(fd.get(), file));
  Value changes = Value::array();
  for (const elf::Patch& patch : patches)
    changes.push(Value::object({{"offset", patch.offset}, {"what", patch.what}}));
  out.record =
      Value::object({{"path", path}, {"before", before}, {"after", after}, {"changes", std::move(changes)}});
  return std::optional(std::move(out));
}

}  // namespace

Result<> sanitize_elf(Context& context) {
  ORCH_TRY(const Input* const input, context.input("tree"));
  const std::string& target = context.outputs.at("tree");
  image::ExtractOptions options;
  options.threads = context.jobs;
  ORCH_TRY(const auto source, image::DirectoryTree::open(input->path, image::OverlayMarks::none));
  ORCH_TRY(image::Extraction copied, image::extract_tree(*source, target, options));
  Value files = Value::array();
  std::map<std::string, hash::Digest> changed;
  for (hash::TreeEntry& entry : copied.listing.entries) {
    if (entry.type != hash::EntryType::file) continue;
    if (!entry.hard_link.empty()) {
      if (const auto first = changed.find(entry.hard_link); first != changed.end())
        entry.digest = first->second;
      continue;
    }
    ORCH_TRY(std::optional<Sanitized> done, sanitize(target, entry.path));
    if (!done) continue;
    context.log("changed " + base::printable(entry.path));
    entry.digest = done->digest;
    changed.emplace(entry.path, done->digest);
    files.push(std::move(done->record));
  }
  context.log(fmt::format("{} of {} entries changed", changed.size(), copied.listing.entries.size()));
  const Value document = Value::object({{"schema", "appimage-orch/sanitize/1"}, {"files", std::move(files)}});
  ORCH_CHECK(sys::write_atomic(context.outputs.at("sanitized"), format::to_json(document)));
  context.listings["tree"] = std::move(copied.listing);
  return {};
}

}  // namespace orch::action
