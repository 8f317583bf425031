// Reads EROFS images by the library, for integration tests:
//   erofs-driver list IMAGE...               {"image": …}, then a JSON line for each entry, the root first
//   erofs-driver mutate SEED COUNT IMAGE...  damages copies of the images in memory and reads all of each
#include "base/text.hpp"
#include "format/json.hpp"
#include "hash/digest.hpp"
#include "image/erofs.hpp"
#include "support/erofs_damage.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using orch::base::ErrorKind;
using orch::base::Result;
using orch::base::Value;
namespace base = orch::base;
namespace image = orch::image;
namespace test = orch::test;

void print(const Value& value) {
  const std::string text = orch::format::to_json(value, orch::format::JsonStyle::compact) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
}

int complain(const base::Error& error) {
  std::fputs(base::render(error).c_str(), stderr);
  return 1;
}

// Reads at most `most` bytes from front to back, in pieces of many sizes; their SHA-256.
Result<std::string> digest_of(const image::RandomAccess& file, std::uint64_t most) {
  constexpr std::size_t k_sizes[] = {4096, 1, 70'000, 511, 1U << 20, 8192, 300'000};
  orch::hash::Sha256Hasher hasher;
  // No larger than needed: sanitizers take long for large ones.
  std::vector<std::uint8_t> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(1U << 20, std::min(file.size(), most))));
  std::uint64_t at = 0;
  for (std::size_t turn = 0; at < std::min(file.size(), most); ++turn) {
    const std::size_t size = std::min(k_sizes[turn % std::size(k_sizes)], buffer.size());
    ORCH_TRY(const std::size_t got, file.read_at(at, std::span(buffer).first(size)));
    if (got != std::min<std::uint64_t>(size, file.size() - at))
      return base::fail(ErrorKind::internal, fmt::format("{} bytes read at {}, expected {}", got, at, size));
    hasher.update(buffer.data(), got);
    at += got;
  }
  return hasher.finish().hex();
}

// The same bytes again, at random places, by two threads.
Result<> read_at_random(const image::RandomAccess& file, std::uint64_t seed) {
  if (file.size() == 0 || file.size() > (1U << 22)) return {};
  ORCH_TRY(const std::string whole, image::read_exact(file, 0, static_cast<std::size_t>(file.size())));
  const auto pieces = [&](std::uint64_t own) -> Result<> {
    std::mt19937_64 random(own);
    for (int i = 0; i < 6; ++i) {
      const std::uint64_t at = random() % file.size();
      const std::size_t size = static_cast<std::size_t>(std::min(random() % 9000, file.size() - at));
      ORCH_TRY(const std::string piece, image::read_exact(file, at, size));
      if (piece != whole.substr(static_cast<std::size_t>(at), size))
        return base::fail(ErrorKind::internal,
                          fmt::format("{} bytes at {} differ when read alone", size, at));
    }
    return {};
  };
  Result<> other;
  std::thread thread([&] { other = pieces(seed + 1); });
  const Result<> own = pieces(seed);
  thread.join();
  return own ? other : own;
}

Result<Value> describe(const image::FileTree& tree, const std::string& path, image::NodeId node) {
  ORCH_TRY(const image::NodeInfo info, tree.stat(node));
  Value value = Value::object({{"path", path},
                               {"type", image::to_string(info.type)},
                               {"mode", info.mode},
                               {"uid", info.uid},
                               {"gid", info.gid},
                               {"links", info.links},
                               {"size", info.size},
                               {"mtime", info.mtime},
                               {"nsec", info.mtime_nsec},
                               {"rdev", fmt::format("{}:{}", info.device_major, info.device_minor)},
                               {"opaque", info.opaque}});
  if (info.type == image::NodeType::symlink) {
    ORCH_TRY(std::string target, tree.readlink(node));
    value.set("target", std::move(target));
  }
  if (info.type == image::NodeType::file) {
    ORCH_TRY(const auto file, tree.open(node));
    ORCH_TRY(std::string digest, digest_of(*file, ~std::uint64_t{0}));
    value.set("sha256", std::move(digest));
    ORCH_CHECK(read_at_random(*file, node.value));
  }
  return value;
}

// That lookup() agrees with list() on the entry at `path`.
Result<> check_lookup(const image::FileTree& tree, std::map<std::string, image::NodeId>& folders,
                      const image::WalkEntry& entry) {
  const std::size_t slash = entry.path.rfind('/');
  const std::string parent = slash == std::string::npos ? "" : entry.path.substr(0, slash);
  const std::string name = slash == std::string::npos ? entry.path : entry.path.substr(slash + 1);
  ORCH_TRY(const auto found, tree.lookup(folders.at(parent), name));
  ORCH_TRY(const auto absent, tree.lookup(folders.at(parent), name + "\x01"));
  if (!found || found->node != entry.node || found->type != entry.type || absent)
    return base::fail(ErrorKind::internal,
                      "lookup() does not agree on '" + base::printable(entry.path) + "'");
  if (entry.type == image::NodeType::directory) folders[entry.path] = entry.node;
  return {};
}

Result<> list(const std::string& path) {
  ORCH_TRY(const auto file, image::FileAccess::open(path));
  ORCH_TRY(const auto tree, image::ErofsTree::open(file));
  print(Value::object({{"image", path}}));
  ORCH_TRY(const Value root, describe(*tree, "", tree->root()));
  print(root);
  std::map<std::string, image::NodeId> folders = {{"", tree->root()}};
  return image::walk(*tree, [&](const image::WalkEntry& entry) -> Result<> {
    Result<Value> value = describe(*tree, entry.path, entry.node);
    if (!value)
      return base::fail(
          std::move(value).error().while_doing("reading '" + base::printable(entry.path) + "'"));
    print(*value);
    return check_lookup(*tree, folders, entry);
  });
}

// ---- damage

struct Counts {
  int opened = 0;
  int walked = 0;
  int refused = 0;
  int summed = 0;                         // opened, with a checksum that is right
  std::map<test::Part, int> hits;         // images in which that part was damaged
  std::map<test::Part, int> noticed;      // and in which something was refused then
  std::map<std::string, int> noticed_in;  // the same for each original
  std::string defect;                     // an error that is neither corrupt nor unsupported
};

// Everything of one image that damage can reach, with a bound on what is read. Errors are what is expected.
class Reader {
 public:
  Reader(const test::Original& original, Counts& counts) : original_(original), counts_(counts) {}

  void run(test::Damaged damaged) {
    const int before = counts_.refused;
    const int opened = counts_.opened;
    read(std::move(damaged.bytes));
    const int noticed = counts_.refused != before ? 1 : 0;
    if (damaged.summed) counts_.summed += counts_.opened - opened;
    counts_.noticed_in[original_.name] += noticed;
    for (const test::Part part : damaged.parts) {
      ++counts_.hits[part];
      counts_.noticed[part] += noticed;
    }
  }

 private:
  void read(std::string bytes) {
    auto tree = image::ErofsTree::open(std::make_shared<image::MemoryAccess>(std::move(bytes)));
    if (!accept(tree)) return;
    ++counts_.opened;
    if (accept(image::walk(**tree,
                           [&](const image::WalkEntry& entry) -> Result<> {
                             visit(**tree, entry.node);
                             return {};
                           },
                           {20'000, 64})))
      ++counts_.walked;
    for (const image::NodeId node : original_.nodes) visit(**tree, node);
  }

  template <class T>
  bool accept(const Result<T>& result) {
    if (result) return true;
    ++counts_.refused;
    if (result.error().kind != ErrorKind::corrupt && result.error().kind != ErrorKind::unsupported)
      counts_.defect = base::render(result.error());
    return false;
  }

  void visit(const image::FileTree& tree, image::NodeId node) {
    const auto info = tree.stat(node);
    if (!accept(info) || left_ == 0) return;
    if (info->type == image::NodeType::directory) {
      accept(tree.list(node));
      accept(tree.lookup(node, "name"));
    }
    if (info->type == image::NodeType::symlink) accept(tree.readlink(node));
    if (info->type != image::NodeType::file) return;
    const auto file = tree.open(node);
    if (!accept(file)) return;
    const std::uint64_t most = std::min<std::uint64_t>({1U << 20, left_, (*file)->size()});
    left_ -= most;
    accept(digest_of(**file, most));
    std::vector<std::uint8_t> piece(4096);
    for (const std::uint64_t part : {1U, 2U, 3U}) accept((*file)->read_at((*file)->size() / 4 * part, piece));
    accept((*file)->read_at((*file)->size() - std::min<std::uint64_t>((*file)->size(), 4096), piece));
  }

  const test::Original& original_;
  Counts& counts_;
  std::uint64_t left_ = 4U << 20;
};

Value to_value(const Counts& counts) {
  Value parts = Value::object();
  for (const auto& [part, hits] : counts.hits)
    parts.set(std::string(test::k_parts[static_cast<std::size_t>(part)]),
              Value::object({{"hits", hits}, {"noticed", counts.noticed.at(part)}}));
  Value images = Value::object();
  for (const auto& [name, noticed] : counts.noticed_in) images.set(name, noticed);
  return Value::object({{"opened", counts.opened},
                        {"walked", counts.walked},
                        {"refused", counts.refused},
                        {"summed", counts.summed},
                        {"parts", std::move(parts)},
                        {"noticed", std::move(images)}});
}

// A seed decides which image is damaged and how; seeds that follow one another take the images in turn.
Result<> mutate(std::uint64_t seed, int count, const std::vector<std::string>& paths) {
  constexpr unsigned k_seconds = 60;  // for one image; its alarm ends the program
  std::vector<test::Original> originals;
  for (const std::string& path : paths) {
    ORCH_TRY(test::Original original, test::load_original(path));
    originals.push_back(std::move(original));
  }
  Counts counts;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t own = seed + static_cast<std::uint64_t>(i);
    const test::Original& original = originals[own % originals.size()];
    std::fprintf(stderr, "\rseed %llu ", static_cast<unsigned long long>(own));
    ::alarm(k_seconds);
    Reader(original, counts).run(test::ErofsDamage(own).of(original));
    if (!counts.defect.empty())
      return base::fail(ErrorKind::internal,
                        fmt::format("seed {} of '{}': {}", own, original.name, counts.defect));
  }
  ::alarm(0);
  print(to_value(counts));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() >= 2 && words[0] == "list") {
    int status = 0;
    for (std::size_t i = 1; i < words.size(); ++i)
      if (const Result<> done = list(words[i]); !done) {
        status = complain(done.error());
        print(Value::object({{"failed", words[i]}, {"error", base::one_line(done.error())}}));
      }
    return status;
  }
  if (words.size() >= 4 && words[0] == "mutate") {
    const Result<> done = mutate(std::strtoull(words[1].c_str(), nullptr, 10), std::atoi(words[2].c_str()),
                                 {words.begin() + 3, words.end()});
    return done ? 0 : complain(done.error());
  }
  std::fputs("usage: erofs-driver list IMAGE... | mutate SEED COUNT IMAGE...\n", stderr);
  return 2;
}
