// Damages packages and lock files in many ways and lets the readers have them:
//   mutate-driver packages SEED COUNT DIRECTORY FILE…   unpacks each in DIRECTORY/work, checks it as a layer, and
//   looks whether anything else in DIRECTORY has changed
//   mutate-driver locks SEED COUNT FILE…                reads each; what is accepted must be safe to use
//   mutate-driver readers SEED COUNT DIRECTORY FILE…    gives each to the reader that its name says (mutate_readers.hpp)
// Prints {"opened", "refused"}; exits 1 where an error is of a kind that damage cannot have, 3 where something
// lies outside. The seed of the one at work is on standard error. An alarm ends what hangs.
#include "base/text.hpp"
#include "format/json.hpp"
#include "hash/tree.hpp"
#include "package/layer_check.hpp"
#include "package/lock_file.hpp"
#include "package/unpack.hpp"
#include "support/damage.hpp"
#include "support/mutate_readers.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace orch;
using base::ErrorKind;
using base::Result;
using base::Value;
using test::Damage;
using test::is_expected;

struct Counts {
  int opened = 0;
  int refused = 0;
};

Result<> take_package(const std::string& bytes, const std::string& name, const std::string& work,
                      bool& opened) {
  package::UnpackOrder order;
  order.packages.resize(1);
  package::LockedPackage& locked = order.packages[0];
  locked.name = "damaged";
  locked.version = "1";
  locked.architecture = name.ends_with(".rpm") ? "x86_64" : "amd64";
  locked.sha256 = hash::sha256_of(bytes);
  order.archives = work + "/archives";
  order.scratch = work + "/scratch";
  order.tree = work + "/tree";
  order.rules.layer_class = image::LayerClass::deps;
  order.rules.documentation = true;
  ORCH_CHECK(sys::make_dirs(order.archives));
  ORCH_CHECK(sys::make_dirs(order.scratch));
  ORCH_CHECK(sys::write_atomic(order.archives + "/" + archive_file_name(locked), bytes));
  ORCH_TRY(const package::PlannedLayer layer, package::plan_layer(order));
  ORCH_TRY(const auto findings, package::check_packages(order, layer, {"damaged", {}}));
  ORCH_CHECK(package::stage_layer(layer, order.tree));
  opened = true;
  package::UnpackedTree described = package::describe(*layer.plan);
  ORCH_TRY(hash::TreeListing seen, hash::list_tree(order.tree, 1));
  seen.sort();
  if (seen.digest() != described.listing.digest())
    return base::fail(ErrorKind::internal, "the tree is not what was planned");
  return {};
}

Result<int> mutate_packages(std::uint64_t seed, int count, const std::string& directory,
                            const std::vector<std::string>& paths) {
  constexpr unsigned k_seconds = 60;
  std::vector<std::string> originals;
  for (const std::string& path : paths) {
    ORCH_TRY(originals.emplace_back(), sys::read_file(path));
  }
  const std::string work = directory + "/work";
  ORCH_TRY(const hash::TreeListing before, hash::list_tree(directory, 1));
  Counts counts;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t own = seed + static_cast<std::uint64_t>(i);
    std::fprintf(stderr, "\rseed %llu ", static_cast<unsigned long long>(own));
    ::alarm(k_seconds);
    Damage damage(own);
    const std::size_t which = damage.below(originals.size());
    bool opened = false;
    const Result<> done = take_package(damage.of(originals[which]), paths[which], work, opened);
    ++(opened ? counts.opened : counts.refused);
    ORCH_CHECK(sys::remove_tree(work));
    if (!done && !is_expected(done.error()))
      return base::fail(ErrorKind::internal, fmt::format("seed {}: {}", own, base::render(done.error())));
    ORCH_TRY(const hash::TreeListing after, hash::list_tree(directory, 1));
    if (after.digest() != before.digest()) return 3;
  }
  ::alarm(0);
  fmt::print("{{\"opened\": {}, \"refused\": {}}}\n", counts.opened, counts.refused);
  return 0;
}

// A lock that was accepted names files and goes into command lines.
Result<> check_lock(const package::LockFile& lock) {
  for (const package::LockedLayer& layer : lock.layers)
    for (const package::LockedPackage& one : layer.packages) {
      const std::string file = archive_file_name(one);
      if (file.empty() || file.find('/') != std::string::npos || file.front() == '.' || file.front() == '-')
        return base::fail(ErrorKind::internal, "accepted: " + base::printable(file));
    }
  return {};
}

Result<int> mutate_locks(std::uint64_t seed, int count, const std::vector<std::string>& paths) {
  constexpr unsigned k_seconds = 20;
  Counts counts;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t own = seed + static_cast<std::uint64_t>(i);
    std::fprintf(stderr, "\rseed %llu ", static_cast<unsigned long long>(own));
    ::alarm(k_seconds);
    Damage damage(own);
    const std::string& path = paths[damage.below(paths.size())];
    ORCH_TRY(const std::string original, sys::read_file(path));
    const auto lock = package::LockFile::parse(path, damage.of(original));
    ++(lock ? counts.opened : counts.refused);
    if (!lock && lock.error().kind != ErrorKind::profile && !is_expected(lock.error()))
      return base::fail(ErrorKind::internal, fmt::format("seed {}: {}", own, base::render(lock.error())));
    if (!lock) continue;
    ORCH_CHECK(check_lock(*lock));
    // What is written is what was read.
    const auto again = package::LockFile::parse(path, lock->to_toml());
    if (!again || again->to_toml() != lock->to_toml())
      return base::fail(ErrorKind::internal, fmt::format("seed {}: it changes when it is written", own));
  }
  ::alarm(0);
  fmt::print("{{\"opened\": {}, \"refused\": {}}}\n", counts.opened, counts.refused);
  return 0;
}

Result<int> run(const std::vector<std::string>& words) {
  if (words.size() >= 4) {
    const std::uint64_t seed = std::strtoull(words[1].c_str(), nullptr, 10);
    const int count = std::atoi(words[2].c_str());
    if (words[0] == "packages" && words.size() >= 5)
      return mutate_packages(seed, count, words[3], {words.begin() + 4, words.end()});
    if (words[0] == "readers" && words.size() >= 5)
      return test::mutate_readers(seed, count, words[3], {words.begin() + 4, words.end()});
    if (words[0] == "locks") return mutate_locks(seed, count, {words.begin() + 3, words.end()});
  }
  return base::fail(ErrorKind::usage, "see the head of mutate_driver.cpp");
}

}  // namespace

int main(int argc, char** argv) {
  const auto status = run({argv + 1, argv + argc});
  if (status) return *status;
  std::fputs(base::render(status.error()).c_str(), stderr);
  return 1;
}
