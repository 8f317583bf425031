#include "package/rpm_keys.hpp"

#include "base/text.hpp"
#include "hash/digest.hpp"
#include "package/key_file.hpp"
#include "package/rpm.hpp"
#include "package/tool_environment.hpp"
#include "sys/file.hpp"

#include <algorithm>

namespace orch::package {

using base::ErrorKind;

namespace {

constexpr std::size_t k_batch = 100;

Result<sys::Exit> run_rpmkeys(const Surroundings& around, const std::string& ring,
                              const std::vector<std::string>& arguments) {
  const sys::Environment environment = rpm_environment(around, ring);
  const auto program = sys::find_program("rpmkeys", environment.at("PATH"));
  if (!program)
    return base::fail(ErrorKind::not_found,
                      "'rpmkeys' is not installed, which checks the signatures of packages",
                      "install the package 'rpm'");
  sys::Command command;
  command.argv = {*program, "--dbpath", ring};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.directory = ring;
  command.environment = environment;
  return around.processes->run(command);
}

// A key ring of those keys and nothing else.
Result<std::string> import_keys(const Source& source, const Surroundings& around, const std::string& scratch,
                                const std::vector<Key>& keys) {
  std::string ring = scratch + "/keys";
  ORCH_CHECK(sys::remove_tree(ring));
  ORCH_CHECK(sys::make_dirs(ring));
  // The keys that were held against the fingerprints, whatever else the source's file holds, or holds by now.
  const std::string file = ring + "/source.asc";
  ORCH_CHECK(sys::write_atomic(file, armoured_keys(keys)));
  ORCH_TRY(const sys::Exit exit, run_rpmkeys(around, ring, {"--import", file}));
  if (!exit.ok())
    return base::fail(ErrorKind::tool,
                      "the key file '" + base::printable(source.signed_by) + "' of " + source_label(source) +
                          " cannot be imported: " + base::printable(base::trim(exit.errors)),
                      "name the key file of the repository in signed_by");
  return ring;
}

std::string record_path(const Surroundings& around, const Download& archive) {
  return around.cache_dir + "/downloads/signed/" + archive.package.sha256.hex();
}

bool is_recorded(const Surroundings& around, const Download& archive, std::string_view identity) {
  const auto text = sys::read_file(record_path(around, archive));
  if (!text) return false;
  const auto lines = base::split(*text, '\n');
  return std::find(lines.begin(), lines.end(), identity) != lines.end();
}

// Two processes at once may lose a line of one: then it is checked once more some day.
Result<> record(const Surroundings& around, const Download& archive, const std::string& identity) {
  const std::string path = record_path(around, archive);
  ORCH_CHECK(sys::make_dirs(sys::parent_path(path)));
  return sys::write_atomic(path, sys::read_file(path).value_or("") + identity + "\n");
}

tl::unexpected<base::Error> refused(const Source& source, const Download& archive, bool is_signed) {
  const std::string package = "package '" + archive.package.name + "' " + archive.package.version;
  if (!is_signed)
    return base::fail(ErrorKind::corrupt, package + " of " + source_label(source) + " is not signed",
                      "write allow_unsigned = true into the source if you trust it all the same");
  return base::fail(ErrorKind::corrupt,
                    package + " of " + source_label(source) + " is not signed by a key of '" +
                        base::printable(source.signed_by) + "'",
                    "name the key file of the repository in signed_by");
}

// Those that must have a right signature, and nobody has checked yet.
Result<std::vector<const Download*>> to_check(const Source& source, const Surroundings& around,
                                              const std::vector<Download>& archives,
                                              const std::string& identity) {
  std::vector<const Download*> out;
  for (const Download& archive : archives) {
    if (is_recorded(around, archive, identity)) continue;
    ORCH_TRY(const RpmHeader header, read_rpm_header(archive.file));
    if (!header.has_signature && source.allow_unsigned) continue;
    if (!header.has_signature) return refused(source, archive, false);
    out.push_back(&archive);
  }
  return out;
}

Result<> check_batch(const Source& source, const Surroundings& around, const std::string& ring,
                     const std::vector<const Download*>& batch) {
  // Without the level rpmkeys is content with sound digests.
  std::vector<std::string> arguments = {"--define", "_pkgverify_level all", "--checksig"};
  for (const Download* archive : batch) arguments.push_back(archive->file);
  ORCH_TRY(const sys::Exit exit, run_rpmkeys(around, ring, arguments));
  if (exit.ok()) return {};
  const auto lines = base::split(exit.output, '\n');
  for (const Download* archive : batch) {
    const std::string good = archive->file + ": digests signatures OK";
    if (std::find(lines.begin(), lines.end(), std::string_view(good)) == lines.end())
      return refused(source, *archive, true);
  }
  return base::fail(ErrorKind::tool, "the signatures of " + source_label(source) +
                                         " cannot be checked: rpmkeys " + exit.describe());
}

}  // namespace

Result<> check_rpm_signatures(const Source& source, const Surroundings& around, const std::string& scratch,
                              const std::vector<Download>& archives) {
  if (source.kind != SourceKind::dnf || (source.signed_by.empty() && source.allow_unsigned)) return {};
  ORCH_TRY(const std::vector<Key> keys, read_key_file(source));
  const std::string identity = hash::sha256_of(binary_keys(keys)).hex();
  ORCH_TRY(const std::vector<const Download*> wanted, to_check(source, around, archives, identity));
  if (wanted.empty()) return {};
  ORCH_TRY(const std::string ring, import_keys(source, around, scratch, keys));
  for (std::size_t start = 0; start < wanted.size(); start += k_batch) {
    const std::vector<const Download*> batch(
        wanted.begin() + static_cast<std::ptrdiff_t>(start),
        wanted.begin() + static_cast<std::ptrdiff_t>(std::min(start + k_batch, wanted.size())));
    ORCH_CHECK(check_batch(source, around, ring, batch));
    for (const Download* archive : batch) ORCH_CHECK(record(around, *archive, identity));
  }
  return {};
}

}  // namespace orch::package
