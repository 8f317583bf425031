// Extracts an AppImage or image by the library, for integration tests and benchmarks:
//   extract-driver FILE TARGET [BACKEND [THREADS [digest]]]
// Prints one JSON document: the digests of the listing and, without the last word, its entries.
#include "elf/inspection.hpp"
#include "format/json.hpp"
#include "image/appimage.hpp"
#include "image/extract.hpp"
#include "sys/process.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using orch::base::Result;
using orch::base::Value;
namespace hash = orch::hash;
namespace image = orch::image;
namespace sys = orch::sys;

Value listing_value(const hash::TreeListing& listing) {
  Value out = Value::array();
  for (const hash::TreeEntry& entry : listing.entries)
    out.push(
        Value::object({{"path", entry.path},
                       {"type", std::string(1, static_cast<char>(entry.type))},
                       {"mode", entry.mode},
                       {"size", entry.size},
                       {"xxh3", entry.type == hash::EntryType::file ? Value(entry.digest.hex()) : Value()},
                       {"target", entry.target},
                       {"hard_link", entry.hard_link}}));
  return out;
}

Result<Value> extract(const std::string& file, const std::string& target, const std::string& backend_name,
                      unsigned threads, bool with_files) {
  ORCH_TRY(const image::Backend backend, image::parse_backend(backend_name));
  ORCH_TRY(const auto data, image::FileAccess::open(file));
  ORCH_TRY(const image::Identity identity, image::identify(*data));
  sys::SystemProcessRunner processes;
  const sys::Environment environment = sys::current_environment();
  const auto path = environment.find("PATH");
  const image::BackendTool tool{
      sys::find_program("unsquashfs", path == environment.end() ? "" : path->second).value_or(""),
      &processes};
  image::ExtractOptions options;
  options.threads = threads;
  ORCH_TRY(const image::Extraction done,
           image::extract_payload(file, identity, target, backend, tool, options));
  Value skipped = Value::array();
  for (const image::SkippedNode& node : done.skipped)
    skipped.push(Value::object({{"path", node.path}, {"type", image::to_string(node.type)}}));
  return Value::object({{"digest", done.listing.digest().hex()},
                        {"sha256", done.listing.sha256().hex()},
                        {"skipped", std::move(skipped)},
                        {"special_bits", Value::strings(done.special_bits)},
                        {"files", with_files ? listing_value(done.listing) : Value()}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: extract-driver FILE TARGET [BACKEND [THREADS [digest]]]\n", stderr);
    return 2;
  }
  const unsigned threads = argc > 4 ? static_cast<unsigned>(std::atoi(argv[4])) : 2;
  const Result<Value> done = extract(argv[1], argv[2], argc > 3 ? argv[3] : "auto", threads, argc <= 5);
  if (!done) {
    std::fputs(orch::base::render(done.error()).c_str(), stderr);
    return 1;
  }
  const std::string text = orch::format::to_json(*done, orch::format::JsonStyle::compact);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}
