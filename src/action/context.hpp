// What a built-in action gets. An action turns inputs and parameters into outputs below one private
// directory; it knows neither keys nor the store's layout, and no other action.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "hash/tree.hpp"
#include "model/artifact.hpp"
#include "sys/process.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace orch::action {

using base::Result;
using base::Value;

struct Input {
  std::string name;
  std::string path;  // of the file, or of the tree's root
  model::ArtifactKind kind = model::ArtifactKind::file;
};

struct Context {
  std::vector<Input> inputs;
  Value parameters;                          // object
  Value settings;                            // object; cannot change the result
  std::map<std::string, std::string> tools;  // name to path; absent optional tools are missing
  std::map<std::string, std::string>
      outputs;            // name to the path to create: a directory for trees, else a file
  std::string scratch;    // an empty private directory on the store's file system
  std::string cache_dir;  // the tool's cache directory (downloads live in it)
  unsigned jobs = 1;      // threads this action may use
  sys::ProcessRunner* processes = nullptr;
  // A line for the step's log.
  std::function<void(std::string_view)> log;
  // Optional: the listing of a tree output, where the action hashed it while writing. Saves the store a
  // second reading.
  std::map<std::string, hash::TreeListing> listings;
  // The same for other outputs.
  std::map<std::string, hash::FileDigests> digests;

  // The only input of that name; an Error of kind internal if there is none.
  Result<const Input*> input(std::string_view name) const;
  // The paths of "NAME[0]", "NAME[1]", …: an input that is a list.
  std::vector<std::string> input_list(std::string_view name) const;
  // A parameter that is a list of strings; empty where it is absent.
  std::vector<std::string> texts(std::string_view parameter) const;
  std::vector<std::string> setting_texts(std::string_view setting) const;
  // What an image is called in messages: by the setting "layer" where the rule has it, else by its path.
  std::string called(const std::string& path) const;
  // The path of a tool; empty where it is absent.
  std::string tool(std::string_view name) const;
};

using Function = Result<> (*)(Context&);

// The built-in action of that name, or nullptr.
Function find_action(std::string_view name);
std::vector<std::string> action_names();

}  // namespace orch::action
