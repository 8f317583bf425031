// A profile after extends, defaults and variables: every key present, every path absolute.
#pragma once

#include "base/value.hpp"
#include "model/rule.hpp"

#include <string>
#include <vector>

namespace orch::model {

// The expanded profile keeps the form of the TOML file (app, extract, stack, source, launch, preflight,
// evidence, …) in `value`, with these differences:
//  - `layers`: the stack in order, bottom first, one table per layer:
//      name   unique in the profile ("base", "deps-webkit", a file's name)
//      role   "base" | "gpu" | "compat" | "deps" | "image" | "finish" | "step"
//      kind   "file" | "url" | "packages" | "package" | "fex" | "compat" | "finish"
//      image  kind "file": absolute path of a ready-made image; for the others provided by a step
//      convert, only_lz4: the image goes through convert-image (load/layers.hpp)
//      url, sha256 (kind "url"); packages, source, source_name, class, auto (kind "packages");
//      compressor: text for mkfs.erofs -z ("lz4", "" for none); cluster: bytes (0: one block)
//      made: kinds "packages" and "package": "here", or "elsewhere" for a finished image that is taken from
//      image_urls, with locked_image
//      key_file: the one of a dnf source, if it is there: packages are held against its keys
//      locked: filled in from the lock file by the caller, absent before; see src/package
//  - `app.appimage` is an absolute path, or absent where the application is fetched (`app.url`,
//  `app.sha256`).
//  - `launch.launcher` and `launch.gpu_mode` may still be "auto"; the caller decides them.
struct Profile {
  std::string name;
  std::string path;       // the file, absolute; built-in profiles lie in the data directory
  std::string directory;  // what relative paths in it are relative to
  bool built_in = false;
  base::Value value;
  std::vector<Rule> steps;  // [[step]] tables, as rules of their own (id "step:NAME", once per profile)
  std::string verbatim;     // the file's text
  std::vector<std::string> chain;  // files that took part, this one first, then what it extends

  // `layers` of the value; none before they are made (load/layers.hpp).
  const base::Value::Array& layers() const;
  base::Value::Array& layers();
};

// A layer of kind "packages" or "package".
bool takes_packages(const base::Value& layer);
// Whether the tool makes it from the layers below: compat, finish.
bool is_made_of_stack(const base::Value& layer);

}  // namespace orch::model
