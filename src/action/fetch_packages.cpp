// fetch-packages: the locked archives of one layer, verified, in one tree.
//   parameters  packages: the lock's list (package/locked_package.hpp); fingerprints: those of the source, as
//               signatures were checked with its keys
//   inputs      keys: the source's key file, where packages are held against one
//   settings    source: the [source.NAME] table, source_name: its name; where to download from cannot change
//   the result
//   outputs     archives (tree): NAME_VERSION_ARCH.deb for each package
#include "action/context.hpp"
#include "package/archive_cache.hpp"

namespace orch::action {

Result<> fetch_packages(Context& context) {
  const Value none;
  const Value* locked = context.parameters.find("packages");
  ORCH_TRY(const auto packages, package::packages_from_value(locked == nullptr ? none : *locked));
  const Value* table = context.settings.find("source");
  ORCH_TRY(const package::Source source,
           package::source_from_value(context.settings.string_or("source_name", "auto"),
                                      table != nullptr && table->is_object() ? *table : none));
  package::Surroundings around;
  around.cache_dir = context.cache_dir;
  around.processes = context.processes;
  around.environment = sys::current_environment();
  around.log = context.log;
  return package::collect_archives(packages, source, around, context.scratch, context.outputs.at("archives"));
}

}  // namespace orch::action
