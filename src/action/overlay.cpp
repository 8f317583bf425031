// overlay: an EROFS image, and its manifest, from the archives of one layer.
//   inputs      archives (tree)
//   parameters  packages: the lock's list; role: "base" | "deps"; class: "base" | "deps" | "base-refresh";
//   compressor; cluster;
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

Result<package::ImageFacts> describe_image(const std::string& image, const image::ErofsOptions& options) {
  package::ImageFacts facts;
  ORCH_TRY(const sys::Fd fd, sys::open_file(image, O_RDONLY));
  ORCH_TRY(const hash::Sha256 digest, hash::sha256_fd(fd.get(), image));
  ORCH_TRY(const struct stat info, sys::stat_file(image));
  facts.sha256 = digest.hex();
  facts.size = static_cast<std::uint64_t>(info.st_size);
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

// Refuses a layer that breaks a rule; gives what is allowed or only noted.
Result<std::vector<image::Finding>> check(const Context& context, const package::UnpackOrder& order,
                                          const package::PlannedLayer& layer) {
  package::LayerCheckOrder rules;
  rules.layer_name = context.settings.string_or("layer", context.parameters.string_or("role", "deps"));
  rules.read_elf = read_elf;
  ORCH_TRY(std::vector<image::Finding> findings, package::check_packages(order, layer, rules));
  if (image::is_refused(findings)) return base::fail(image::refusal(findings));
  for (const image::Finding& finding : findings)
    context.log((finding.overridden ? "allowed: " : "noted: ") + finding.sentence);
  return findings;
}

}  // namespace

Result<> overlay(Context& context) {
  const Value& parameters = context.parameters;
  const Value* locked = parameters.find("packages");
  ORCH_TRY(const Input* archives, context.input("archives"));
  package::UnpackOrder order;
  ORCH_TRY(order.packages, package::packages_from_value(locked == nullptr ? Value() : *locked));
  package::sort_packages(order.packages);
  ORCH_TRY(order.rules, rules_from(parameters));
  order.archives = archives->path;
  order.scratch = context.scratch + "/packages";
  order.cache = context.cache_dir.empty() ? std::string() : context.cache_dir + "/unpacked";
  order.tree = context.scratch + "/tree";
  order.jobs = context.jobs;
  ORCH_CHECK(sys::make_dirs(order.scratch, 0700));

  const auto mkfs = context.tools.find("mkfs");
  const std::string program = mkfs == context.tools.end() ? std::string() : mkfs->second;
  ORCH_TRY(const image::ErofsTool tool, image::probe_erofs_tool(program, *context.processes));
  const sys::SystemClock clock;
  const auto start = clock.monotonic();
  ORCH_TRY(const package::PlannedLayer layer, package::plan_layer(order));
  ORCH_TRY(const std::vector<image::Finding> findings, check(context, order, layer));
  ORCH_CHECK(package::stage_layer(layer, order.tree));
  const package::UnpackedTree tree = package::describe(*layer.plan);
  const auto kept = std::count_if(layer.unpacked.begin(), layer.unpacked.end(),
                                  [](const package::UnpackedPackage& one) { return one.was_kept; });
  context.log(fmt::format("{} packages, {} of them kept unpacked: {} entries, {}, in {:.3f} s",
                          order.packages.size(), kept, tree.listing.entries.size(),
                          base::human_size(tree.listing.total_bytes()), seconds(clock.monotonic() - start)));
  for (std::size_t i = 0; i < layer.unpacked.size(); ++i)
    if (layer.unpacked[i].damaged)
      context.log(
          fmt::format("package '{}' was damaged in the cache of unpacked packages and was unpacked again",
                      order.packages[i].name));

  image::ErofsOptions options;
  options.compressor = parameters.string_or("compressor", options.compressor);
  options.cluster =
      static_cast<std::uint64_t>(parameters.int_or("cluster", static_cast<std::int64_t>(options.cluster)));
  options.uuid = image::uuid_from_digest(tree.listing.digest());
  options.workers = context.jobs;
  const std::string image = context.outputs.at("image");
  ORCH_CHECK(write_image(context, tool, options, order.tree, tree));
  ORCH_TRY(package::ImageFacts facts, describe_image(image, options));
  facts.role = parameters.string_or("role", "deps");
  facts.layer_class = parameters.string_or("class", "deps");
  if (const Value* provided = parameters.find("provided"); provided != nullptr && provided->is_array())
    facts.provided = *provided;
  ORCH_TRY(facts.tool, image::erofs_writer_identity(program, *context.processes));
  context.log("image of " + base::human_size(facts.size) + ", sha256 " + facts.sha256);
  const Value manifest = package::image_manifest(facts, order.packages, tree, findings);
  return sys::write_atomic(context.outputs.at("manifest"), format::to_json(manifest));
}

}  // namespace orch::action
