#include "package/rpm_keys.hpp"

#include "base/text.hpp"
#include "hash/digest.hpp"
#include "package/dnf_root.hpp"
#include "package/rpm.hpp"
#include "sys/file.hpp"

#include <algorithm>

namespace orch::package {

using base::ErrorKind;

namespace {

constexpr std::size_t k_batch = 100;

Result<sys::Exit> run_rpmkeys(const Surroundings& around, const std::string& ring,
                              std::vector<std::string> arguments) {
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

// The key ring for the key file's present content.
Result<std::string> key_ring(const Source& source, const Surroundings& around, const std::string& directory) {
  ORCH_TRY(const std::string key, sys::read_file(source.signed_by));
  std::string ring = directory + "/keys-" + hash::digest_of(key).hex();
  if (sys::exists(ring + "/complete")) return ring;
  ORCH_CHECK(sys::remove_tree(ring));
  ORCH_CHECK(sys::make_dirs(ring));
  ORCH_TRY(const sys::Exit exit, run_rpmkeys(around, ring, {"--import", source.signed_by}));
  if (!exit.ok())
    return base::fail(ErrorKind::tool,
                      "the key file '" + base::printable(source.signed_by) + "' of " + source_label(source) +
                          " cannot be imported: " + base::printable(base::trim(exit.errors)),
                      "name the key file of the repository in signed_by");
  ORCH_CHECK(sys::write_atomic(ring + "/complete", ""));
  return ring;
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

// Those that must have a right signature.
Result<std::vector<const Download*>> to_check(const Source& source, const std::vector<Download>& archives) {
  std::vector<const Download*> out;
  for (const Download& archive : archives) {
    ORCH_TRY(const RpmHeader header, read_rpm_header(archive.file));
    if (!header.has_signature && source.allow_unsigned) continue;
    if (!header.has_signature) return refused(source, archive, false);
    out.push_back(&archive);
  }
  return out;
}

}  // namespace

Result<> check_rpm_signatures(const Source& source, const Surroundings& around, const std::string& directory,
                              const std::vector<Download>& archives) {
  if (source.signed_by.empty() && source.allow_unsigned) return {};
  ORCH_TRY(const std::vector<const Download*> wanted, to_check(source, archives));
  if (wanted.empty()) return {};
  ORCH_TRY(const std::string ring, key_ring(source, around, directory));
  for (std::size_t start = 0; start < wanted.size(); start += k_batch) {
    const auto last = std::min(start + k_batch, wanted.size());
    // Without the level rpmkeys is content with sound digests.
    std::vector<std::string> arguments = {"--define", "_pkgverify_level all", "--checksig"};
    for (std::size_t i = start; i < last; ++i) arguments.push_back(wanted[i]->file);
    ORCH_TRY(const sys::Exit exit, run_rpmkeys(around, ring, std::move(arguments)));
    if (exit.ok()) continue;
    for (std::size_t i = start; i < last; ++i) {
      const std::string good = wanted[i]->file + ": digests signatures OK";
      const auto lines = base::split(exit.output, '\n');
      if (std::find(lines.begin(), lines.end(), std::string_view(good)) == lines.end())
        return refused(source, *wanted[i], true);
    }
    return base::fail(ErrorKind::tool, "the signatures of " + source_label(source) +
                                           " cannot be checked: rpmkeys " + exit.describe());
  }
  return {};
}

}  // namespace orch::package
