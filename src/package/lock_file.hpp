// NAME.lock.toml: exact versions, sizes and SHA-256 of every package of a profile.
//
// Form (version 2). Written sorted and with fixed spacing, so that equal locks are equal bytes:
//
//   version = 2
//
//   [base]                           what the base image was when this was resolved; absent where
//                                    nobody could say
//   distribution = "fedora"          ID of its os-release
//   release = "42"                   VERSION_ID
//   package_set = "…"                digest of what it holds
//   [[layer]]                        one for each layer of the profile that takes packages, bottom first
//   name = "deps-jq"                 the layer's name in the profile
//   source = "auto"                  the name of its source
//   source_identity = "apt host"     Source::identity()
//   allow_unsigned = true            only if: packages, or lists, of the source need no signature
//   packages = ["libjq1"]            what the profile asks for, sorted
//   auto = [                         only if any: packages added for libraries that were missing, sorted
//     { soname = "libx.so.1", package = "libx1" },
//   ]
//   [[layer.provided]]               packages of the closure that the stack has below: left out of this layer
//   name = "libc6"                   sorted by name
//   version = "2.36-9"               the version there; empty where files, not a package, say so
//   layer = "base"                   where
//   why = "…"                        only if that layer has no package of the name: how it was seen
//   [[layer.package]]                sorted by name
//   name = "libjq1"                  …, version, architecture, sha256, size, path, origin, reason: see
//                                    LockedPackage
//   [[image]]                        finished images, sorted by name; of `lock --images`, and of FEX's list
//   name = "deps-jq"                 the layer that it is of
//   sha256 = "…"                     size = …
//   recipe = "…"                     image_recipe() of the layer: what the image was built of, but for the tools
//   fex, url, xxh3                   only for FEX's: the name in the list, where it is, and the list's sum
//
// History: 1 (first; no base, auto, why, origin, allow_unsigned, image; reasons "asked" and "required"),
// which is read and becomes 2 when it is next written; 2. A file of another version is an error: it pins what
// the user chose, so it is never thrown away silently.
#pragma once

#include "base/result.hpp"
#include "model/profile.hpp"
#include "package/locked_package.hpp"
#include "package/source.hpp"

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

struct AutoPackage {
  std::string soname;
  std::string package;
  friend auto operator<=>(const AutoPackage&, const AutoPackage&) = default;
};

// A package that the stack has below this layer.
struct ProvidedPackage {
  std::string name;
  std::string version;
  std::string layer;
  std::string why;  // empty: the layer has a package of that name in this lock
  friend bool operator==(const ProvidedPackage&, const ProvidedPackage&) = default;
};

enum class LayerForm {
  packages,  // the closure of some packages, for x86_64
  package,   // one package by itself, out of which an image is taken
};

// What the profile asks of one layer.
struct LayerRequest {
  std::string name;
  std::string role;
  LayerForm form = LayerForm::packages;
  Source source;
  std::vector<std::string> packages;       // sorted, without duplicates
  std::string architecture;                // of form package; empty: the source's own
  bool refreshes = false;                  // class "base-refresh": may have what the base has, in its place
  bool automatic = false;                  // auto = true: packages may be added for missing libraries
  std::vector<AutoPackage> auto_packages;  // those to add, as far as the caller knows them
  // Which packages of the closure the stack below has already (by their files, say), each with a reason. May be
  // empty. Packages of lower layers in the same lock are found without it.
  std::function<Result<std::vector<ProvidedPackage>>(const std::vector<LockedPackage>&)> provided;
  base::SourceSpan span;
};

// The layers of kind "packages" and "package" of an expanded profile, bottom first.
Result<std::vector<LayerRequest>> layer_requests(const model::Profile& profile);

struct LockedLayer {
  std::string name;
  std::string source;
  std::string source_identity;
  std::vector<std::string> asked;
  std::vector<ProvidedPackage> provided;
  std::vector<LockedPackage> packages;
  std::vector<AutoPackage> auto_packages;
  bool allow_unsigned = false;
  friend bool operator==(const LockedLayer&, const LockedLayer&) = default;
};

// A finished image.
struct LockedImage {
  std::string name;  // of its layer
  hash::Sha256 sha256;
  std::uint64_t size = 0;
  std::string fex;   // of FEX's list: the name there
  std::string url;   // where it is; empty: built here
  std::string xxh3;  // 16 hexadecimal digits, or empty
  // image_recipe() of the layer that it was built of; empty for FEX's.
  std::string recipe{};
  friend bool operator==(const LockedImage&, const LockedImage&) = default;
};

// What a lock was made against. All empty: not known.
struct BaseIdentity {
  std::string distribution;
  std::string release;
  std::string package_set;
  bool known() const { return !distribution.empty(); }
  friend bool operator==(const BaseIdentity&, const BaseIdentity&) = default;
};

// Whether packages that were resolved against one base may lie on another: an error where the distribution is
// another, a warning where its release or packages are, nullopt where nothing changed or one of them is not
// known.
Result<std::optional<std::string>> check_base(const BaseIdentity& locked, const BaseIdentity& present);

struct LockFile {
  std::vector<LockedLayer> layers;
  BaseIdentity base;
  std::vector<LockedImage> images;
  friend bool operator==(const LockFile&, const LockFile&) = default;

  // nullopt if there is no such file. Errors carry file, line and column.
  static Result<std::optional<LockFile>> load(const std::string& path);
  static Result<LockFile> parse(std::string path, std::string text);
  std::string to_toml() const;
  // Atomically, and only if the bytes differ; true if it wrote.
  Result<bool> save(const std::string& path) const;

  const LockedLayer* find(std::string_view layer) const;
  const LockedImage* find_image(std::string_view layer) const;
  // Adds the image, in place of one of that name.
  void set_image(LockedImage image);
  // Why the lock does not answer the request; nullopt if it does. `lower`: the names of the packages layers
  // below.
  std::optional<std::string> mismatch(const LayerRequest& request,
                                      const std::vector<std::string>& lower) const;
  // The same for all requests at once: nullopt if the whole file fits, else the first reason, naming the
  // layer.
  std::optional<std::string> mismatch(const std::vector<LayerRequest>& requests) const;
};

// "NAME.lock.toml" in the profile's directory; for built-in profiles, in `user_profiles`.
std::string lock_path(const model::Profile& profile, const std::string& user_profiles);

// SHA-256 of everything in a layer of packages (after apply_lock()) that its image depends on, but for the
// tools: packages with their digests, and the keys of the profile. 64 hexadecimal digits.
std::string image_recipe(const Value& layer);

// Sets `locked` (see locked_package.hpp) and `provided`, [{name, layer, why}], in each layer with packages
// that the lock answers, and `locked_image`, a table {sha256, size, url, xxh3, recipe}, in each layer that has an
// image in it (of a FEX layer: if it is the one that the layer names; of a layer of packages: if it was built of just
// these; of one that is made of the stack: whoever takes the image has to look at its recipe); the other layers keep
// none, and their steps are unresolved.
Result<> apply_lock(model::Profile& profile, const LockFile& lock);

}  // namespace orch::package
