// overlay: an EROFS image, and its manifest, from the archives of one layer.
//   inputs      archives (tree)
//   parameters  packages: the lock's list; role: "base" | "deps";
//               class: "base" | "deps" | "base-refresh"; compressor; cluster;
//               documentation: keep man pages and the like; paths: only what lies below one of these;
//               allow: findings of image/layer_rules.hpp that the profile allows
//   settings    layer: its name, for messages
//   tools       mkfs (mkfs.erofs)
//   outputs     image, manifest
#include "action/context.hpp"
#include "base/text.hpp"
#include "elf/facts.hpp"
#include "format/json.hpp"
#include "image/erofs_writer.hpp"
#include "package/layer_check.hpp"
#include "package/manifest.hpp"
#include "package/unpack.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <utility>
#include <vector>

namespace orch::action {

namespace {

Result<package::TreeRules> rules_from(const Value& parameters) {
  package::TreeRules rules;
  const std::string layer_class = parameters.string_or("class", "deps");
  const auto known = image::parse_layer_class(layer_class);
  if (!known || *known == image::LayerClass::compat || *known == image::LayerClass::finish)
    return base::fail(base::ErrorKind::profile, "class '" + base::printable(layer_class) + "' is unknown",
                      "the classes are \"deps\" and \"base-refresh\"");
  rules.layer_class = *known;
  rules.documentation = parameters.bool_or("documentation", false);
  if (const Value* paths = parameters.find("paths"); paths != nullptr && paths->is_array()) {
    for (const Value& path : paths->as_array()) {
      ORCH_TRY(std::string place, package::entry_place(path.is_string() ? path.as_string() : ""));
      if (!place.empty()) rules.paths.push_back(std::move(place));
    }
    std::sort(rules.paths.begin(), rules.paths.end());
  }
  if (const Value* allow = parameters.find("allow"); allow != nullptr && allow->is_array())
    for (const Value& name : allow->as_array())
      if (name.is_string()) rules.overrides.insert(name.as_string());
  return rules;
}

Result<hash::FileDigests> digests_of(const std::string& image) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(image, O_RDONLY));
  return hash::file_digests(fd.get(), image);
}

package::ImageFacts describe_image(const hash::FileDigests& image, const image::ErofsOptions& options) {
  package::ImageFacts facts;
  facts.sha256 = image.sha256.hex();
  facts.size = image.size;
  facts.uuid = image::to_string(options.uuid);
  facts.compressor = options.compressor;
  facts.cluster = options.cluster;
  return facts;
}

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

// Of the children that have ended.
double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return in_seconds(usage.ru_utime) + in_seconds(usage.ru_stime);
}

// Writes the image, and says how long that took: it is most of a build whose packages were unpacked before.
Result<> write_image(const Context& context, const image::ErofsTool& tool, const image::ErofsOptions& options,
                     const std::string& staged, const package::UnpackedTree& tree) {
  const sys::SystemClock clock;
  const auto start = clock.monotonic();
  const double before = processor_seconds();
  ORCH_CHECK(image::write_erofs(tool, options, staged, tree.listing, context.outputs.at("image"),
                                *context.processes));
  context.log(fmt::format("mkfs.erofs took {:.3f} s, {:.3f} s of processor time",
                          seconds(clock.monotonic() - start), processor_seconds() - before));
  return {};
}

Result<std::optional<image::ElfIdentity>> read_elf(const image::FileTree& tree,
                                                   const image::WalkEntry& file) {
  ORCH_TRY(const auto data, tree.open(file.node));
  ORCH_TRY(const std::optional<elf::Facts> facts, elf::read_facts(*data));
  if (!facts) return std::optional<image::ElfIdentity>();
  return std::optional(image::ElfIdentity{facts->machine, facts->soname});
}

image::ErofsOptions options_from(const Context& context) {
  image::ErofsOptions options;
  options.compressor = context.parameters.string_or("compressor", options.compressor);
  options.cluster = static_cast<std::uint64_t>(
      context.parameters.int_or("cluster", static_cast<std::int64_t>(options.cluster)));
  options.workers = context.jobs;
  return options;
}

// What a layer's image is made of, and what is known of it.
struct Made {
  package::PlannedLayer layer;
  std::vector<image::Finding> findings;
  package::UnpackedTree tree;
  image::ErofsOptions options;
  hash::FileDigests image;
};

class Maker {
 public:
  Maker(Context& context, package::UnpackOrder order, image::ErofsTool tool)
      : context_(context), order_(std::move(order)), tool_(std::move(tool)) {}

  // Kept packages are held against their listings while the image is made of them, as both take their time.
  // If one was damaged, all that came of it is dropped, an error too, and made again with care.
  Result<Made> make() {
    bool sound = true;
    Result<Made> made = attempt(sound);
    if (sound) return made;
    context_.log("an unpacked package in the cache was damaged; once more");
    ORCH_CHECK(sys::remove_tree(context_.outputs.at("image")));
    ORCH_CHECK(sys::remove_tree(order_.tree));
    ORCH_CHECK(sys::remove_tree(order_.scratch));
    ORCH_CHECK(sys::make_dirs(order_.scratch, 0700));
    order_.kept = package::KeptPackages::verify;
    return attempt(sound);
  }

 private:
  Result<Made> attempt(bool& sound) {
    const sys::SystemClock clock;
    const auto start = clock.monotonic();
    Made made;
    ORCH_TRY(made.layer, package::plan_layer(order_));
    std::future<bool> verified;
    if (order_.kept == package::KeptPackages::trust)
      verified = std::async(std::launch::async, package::kept_are_sound, std::cref(made.layer));
    const Result<> done = make_image(made, start);
    if (verified.valid()) sound = verified.get();
    if (!done) return base::fail(done.error());
    return made;
  }

  Result<> make_image(Made& made, std::chrono::steady_clock::time_point start) {
    ORCH_TRY(made.findings, check(made.layer));
    ORCH_CHECK(package::stage_layer(made.layer, order_.tree));
    made.tree = package::describe(*made.layer.plan);
    log_unpacked(made, seconds(sys::SystemClock().monotonic() - start));
    made.options = options_from(context_);
    made.options.uuid = image::uuid_from_digest(made.tree.listing.digest());
    ORCH_CHECK(write_image(context_, tool_, made.options, order_.tree, made.tree));
    // The staging tree is thousands of names; they go while the image is read.
    auto reading = std::async(std::launch::async, digests_of, context_.outputs.at("image"));
    ORCH_CHECK(sys::remove_tree(order_.tree));
    ORCH_TRY(made.image, reading.get());
    return {};
  }

  // Refuses a layer that breaks a rule; gives what is allowed or only noted.
  Result<std::vector<image::Finding>> check(const package::PlannedLayer& layer) const {
    package::LayerCheckOrder rules;
    rules.layer_name = context_.settings.string_or("layer", context_.parameters.string_or("role", "deps"));
    rules.read_elf = read_elf;
    ORCH_TRY(std::vector<image::Finding> findings, package::check_packages(order_, layer, rules));
    if (image::is_refused(findings)) return base::fail(image::refusal(findings));
    for (const image::Finding& finding : findings)
      context_.log((finding.overridden ? "allowed: " : "noted: ") + finding.sentence);
    return findings;
  }

  void log_unpacked(const Made& made, double time) const {
    const auto& unpacked = made.layer.unpacked;
    const auto kept = std::count_if(unpacked.begin(), unpacked.end(),
                                    [](const package::UnpackedPackage& one) { return one.was_kept; });
    context_.log(fmt::format("{} packages, {} of them kept unpacked: {} entries, {}, in {:.3f} s",
                             unpacked.size(), kept, made.tree.listing.entries.size(),
                             base::human_size(made.tree.listing.total_bytes()), time));
    for (std::size_t i = 0; i < unpacked.size(); ++i)
      if (unpacked[i].damaged)
        context_.log(
            fmt::format("package '{}' was damaged in the cache of unpacked packages and was unpacked again",
                        order_.packages[i].name));
  }

  Context& context_;
  package::UnpackOrder order_;
  image::ErofsTool tool_;
};

Result<package::UnpackOrder> order_from(const Context& context) {
  const Value* locked = context.parameters.find("packages");
  ORCH_TRY(const Input* archives, context.input("archives"));
  package::UnpackOrder order;
  ORCH_TRY(order.packages, package::packages_from_value(locked == nullptr ? Value() : *locked));
  package::sort_packages(order.packages);
  ORCH_TRY(order.rules, rules_from(context.parameters));
  order.archives = archives->path;
  order.scratch = context.scratch + "/packages";
  order.cache = context.cache_dir.empty() ? std::string() : context.cache_dir + "/unpacked";
  order.kept = package::KeptPackages::trust;
  order.tree = context.scratch + "/tree";
  order.jobs = context.jobs;
  return order;
}

}  // namespace

Result<> overlay(Context& context) {
  const auto mkfs = context.tools.find("mkfs");
  const std::string program = mkfs == context.tools.end() ? std::string() : mkfs->second;
  ORCH_TRY(const image::ErofsTool tool, image::probe_erofs_tool(program, *context.processes));
  // What this mkfs.erofs cannot do is said before minutes of unpacking.
  ORCH_CHECK(image::erofs_command(tool, options_from(context), "", ""));
  ORCH_TRY(const package::UnpackOrder order, order_from(context));
  ORCH_CHECK(sys::make_dirs(order.scratch, 0700));
  ORCH_TRY(const Made made, Maker(context, order, tool).make());
  context.digests.emplace("image", made.image);
  package::ImageFacts facts = describe_image(made.image, made.options);
  facts.role = context.parameters.string_or("role", "deps");
  facts.layer_class = context.parameters.string_or("class", "deps");
  if (const Value* provided = context.parameters.find("provided");
      provided != nullptr && provided->is_array())
    facts.provided = *provided;
  ORCH_TRY(facts.tool, image::erofs_writer_identity(program, *context.processes));
  context.log("image of " + base::human_size(facts.size) + ", sha256 " + facts.sha256);
  const Value manifest = package::image_manifest(facts, order.packages, made.tree, made.findings);
  return sys::write_atomic(context.outputs.at("manifest"), format::to_json(manifest));
}

}  // namespace orch::action
