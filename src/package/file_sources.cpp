#include "package/file_sources.hpp"

#include "base/text.hpp"
#include "package/apt_contents.hpp"
#include "package/archive_cache.hpp"
#include "package/deb.hpp"
#include "package/deb_control.hpp"
#include "package/deb_version.hpp"
#include "package/download.hpp"
#include "package/rpm.hpp"
#include "package/rpm_version.hpp"
#include "sys/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

Result<> read_deb_facts(const std::string& file, HeapPackage& out) {
  ORCH_TRY(const std::string text, read_deb_control(file));
  const DebControl control = parse_control(text);
  out.package.name = control.name;
  out.package.version = control.version;
  out.package.architecture = control.architecture;
  out.needs = control.depends;
  out.provides = control.provides;
  return {};
}

Result<> read_rpm_facts(const std::string& file, HeapPackage& out) {
  ORCH_TRY(const RpmHeader header, read_rpm_header(file));
  out.package.name = header.name;
  out.package.version = header.version;
  out.package.architecture = header.architecture;
  for (const RpmRelation& relation : header.requires_list) {
    if (relation.is_rpmlib()) continue;
    if (relation.name.starts_with('('))
      out.rich_needs.push_back(relation.name);
    else
      out.needs.push_back({relation.name});
  }
  for (const RpmRelation& relation : header.provides) out.provides.push_back(relation.name);
  out.provides.insert(out.provides.end(), header.files.begin(), header.files.end());
  return {};
}

Result<> check_facts(const std::string& file, const HeapPackage& found) {
  const LockedPackage& package = found.package;
  const bool named = is_rpm(package) ? is_rpm_name(package.name) : is_package_name(package.name);
  const bool known = package.architecture == "amd64" || package.architecture == "all" ||
                     package.architecture == "arm64" || is_rpm(package);
  if (named && is_package_version(package.version) && known) return {};
  return base::fail(ErrorKind::unsupported,
                    "'" + base::printable(file) + "' is package '" + base::printable(package.name) + "' " +
                        base::printable(package.version) + " for '" + base::printable(package.architecture) +
                        "', expected one for amd64, all, x86_64 or noarch",
                    "take it out of the source");
}

int compare_versions(const LockedPackage& a, const LockedPackage& b) {
  return is_rpm(a) ? compare_rpm_versions(a.version, b.version) : compare_deb_versions(a.version, b.version);
}

// The newest of each name and format of architecture, by name.
std::vector<HeapPackage> newest(std::vector<HeapPackage> heap) {
  std::stable_sort(heap.begin(), heap.end(), [](const HeapPackage& a, const HeapPackage& b) {
    if (a.package.name != b.package.name) return a.package.name < b.package.name;
    return compare_versions(a.package, b.package) > 0;
  });
  heap.erase(std::unique(
                 heap.begin(), heap.end(),
                 [](const HeapPackage& a, const HeapPackage& b) { return a.package.name == b.package.name; }),
             heap.end());
  return heap;
}

// What is taken from a heap, and why.
class HeapClosure {
 public:
  explicit HeapClosure(const std::vector<HeapPackage>& heap) : heap_(heap) {
    for (std::size_t i = 0; i < heap.size(); ++i) {
      names_.push_back(heap[i].package.name);
      for (const std::string& name : heap[i].provides) providers_.emplace(name, i);
    }
  }

  const std::vector<std::string>& names() const { return names_; }

  // False if the heap has no package of that name.
  bool ask(const std::string& name) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) return false;
    asked_.insert(static_cast<std::size_t>(found - names_.begin()));
    return true;
  }

  Resolution take(const std::string& label) {
    std::vector<std::size_t> open(asked_.begin(), asked_.end());
    while (!open.empty()) {
      while (!open.empty()) {
        const std::size_t at = open.back();
        open.pop_back();
        if (!needed_.emplace(at, std::vector<std::size_t>()).second) continue;
        look_at(at, label);
        open.insert(open.end(), needed_[at].begin(), needed_[at].end());
      }
      if (const auto chosen = decide()) open.push_back(*chosen);
    }
    Resolution out = described();
    out.notes.assign(notes_.begin(), notes_.end());
    return out;
  }

 private:
  void look_at(std::size_t at, const std::string& label) {
    const HeapPackage& package = heap_[at];
    for (const std::vector<std::string>& alternatives : package.needs) {
      if (!satisfy(at, alternatives))
        notes_.insert("'" + package.package.name + "' needs '" +
                      base::printable(base::join(alternatives, " | ")) + "', which " + label + " has not");
    }
    for (const std::string& expression : package.rich_needs)
      notes_.insert("'" + package.package.name + "' needs '" + base::printable(expression) +
                    "', an expression that is not looked at: name what it means in 'packages'");
  }

  // By the first alternative that anybody has; what is not clear yet is put off. False: nobody has one.
  bool satisfy(std::size_t at, const std::vector<std::string>& alternatives) {
    for (const std::string& name : alternatives) {
      std::set<std::size_t> found;
      const auto [first, last] = providers_.equal_range(name);
      for (auto it = first; it != last; ++it) found.insert(it->second);
      if (found.empty()) continue;
      if (found.count(at) != 0) return true;  // itself
      const auto real =
          std::find_if(found.begin(), found.end(), [&](std::size_t i) { return names_[i] == name; });
      if (real != found.end()) found = {*real};
      if (found.size() == 1)
        needed_[at].push_back(*found.begin());
      else
        put_off_.emplace(names_[at], name, at, std::vector<std::size_t>(found.begin(), found.end()));
      return true;
    }
    return false;
  }

  // Decides, in alphabetical order, what was put off: what is taken anyway will do. Else gives the first choice that
  // brings something new, as that may bring what others need.
  std::optional<std::size_t> decide() {
    for (auto it = put_off_.begin(); it != put_off_.end(); it = put_off_.erase(it)) {
      const auto& [name, need, at, found] = *it;
      const auto better = [&](std::size_t a, std::size_t b) {
        const bool has_a = needed_.count(a) != 0;
        const bool has_b = needed_.count(b) != 0;
        if (has_a != has_b) return has_a;
        return std::pair(names_[a].size(), names_[a]) < std::pair(names_[b].size(), names_[b]);
      };
      const std::size_t chosen = *std::min_element(found.begin(), found.end(), better);
      needed_[at].push_back(chosen);
      if (needed_.count(chosen) != 0) continue;
      put_off_.erase(it);
      return chosen;
    }
    return std::nullopt;
  }

  Resolution described() const {
    Resolution out;
    std::map<std::size_t, std::size_t> place;  // of the heap's packages in the answer
    for (const auto& [at, needs] : needed_) {
      place[at] = out.packages.size();
      out.packages.push_back(heap_[at].package);
      out.packages.back().reason = asked_.count(at) != 0 ? "asked" : "required";
    }
    std::vector<std::vector<std::size_t>> indices(out.packages.size());
    for (const auto& [from, needs] : needed_)
      for (const std::size_t to : needs) indices[place[from]].push_back(place[to]);
    explain_closure(out.packages, indices);
    sort_packages(out.packages);
    return out;
  }

  const std::vector<HeapPackage>& heap_;
  std::vector<std::string> names_;
  std::multimap<std::string, std::size_t> providers_;
  std::set<std::size_t> asked_;
  std::map<std::size_t, std::vector<std::size_t>> needed_;  // what was taken, with what each needs
  // Who needs what (names, for the order), and who has it.
  std::set<std::tuple<std::string, std::string, std::size_t, std::vector<std::size_t>>> put_off_;
  std::set<std::string> notes_;
};

class FileSource final : public PackageSource {
 public:
  FileSource(Source source, Surroundings around) : source_(std::move(source)), around_(std::move(around)) {}

  Result<> refresh() override;
  Result<> refresh_if_missing() override { return loaded_ ? Result<>() : refresh(); }
  Result<Resolution> resolve(const std::vector<std::string>& names) override;
  Result<LockedPackage> exact(const std::string& name, const std::string& architecture) override;
  Result<Providers> providers(const std::vector<std::string>& sonames) override;
  Result<> download(const std::vector<Download>& wanted) override;

 private:
  Result<std::vector<std::string>> files() const;
  std::vector<HeapPackage> for_x86_64() const;

  Source source_;
  Surroundings around_;
  bool loaded_ = false;
  std::vector<HeapPackage> heap_;
};

// Where the packages lie; those of addresses are fetched first.
Result<std::vector<std::string>> FileSource::files() const {
  std::vector<std::string> out;
  if (source_.kind == SourceKind::files) {
    for (const SourceFile& file : source_.files) {
      ORCH_TRY(std::string cached,
               download_verified(file.url, hash::Sha256::parse(file.sha256).value_or(hash::Sha256()),
                                 around_.cache_dir, around_.log));
      out.push_back(std::move(cached));
    }
    return out;
  }
  auto names = sys::list_dir(source_.path);
  if (!names)
    return base::fail(std::move(names).error().with_hint("name the folder of the packages in 'path' of " +
                                                         source_label(source_)));
  for (const std::string& name : *names)
    if (name.ends_with(".deb") || name.ends_with(".rpm")) out.push_back(source_.path + "/" + name);
  if (out.empty())
    return base::fail(ErrorKind::not_found,
                      "the folder '" + base::printable(source_.path) + "' of " + source_label(source_) +
                          " has no .deb and no .rpm file",
                      "name the folder of the packages in 'path'");
  return out;
}

Result<> FileSource::refresh() {
  heap_.clear();
  ORCH_TRY(const std::vector<std::string> found, files());
  for (const std::string& file : found) {
    ORCH_TRY(HeapPackage package, read_heap_package(file));
    package.package.path = source_.kind == SourceKind::dir ? sys::file_name(file) : std::string();
    package.package.origin = source_.kind == SourceKind::dir ? "dir" : "files";
    if (!heap_.empty() && is_rpm(heap_.front().package) != is_rpm(package.package))
      return base::fail(ErrorKind::profile, source_label(source_) + " has .deb and .rpm packages",
                        "make two sources of them");
    heap_.push_back(std::move(package));
  }
  loaded_ = true;
  return {};
}

std::vector<HeapPackage> FileSource::for_x86_64() const {
  std::vector<HeapPackage> out;
  for (const HeapPackage& item : heap_)
    if (is_for_x86_64(item.package)) out.push_back(item);
  return newest(std::move(out));
}

Result<Resolution> FileSource::resolve(const std::vector<std::string>& names) {
  ORCH_CHECK(refresh_if_missing());
  return resolve_in_heap(source_label(source_), for_x86_64(), names);
}

Result<LockedPackage> FileSource::exact(const std::string& name, const std::string& architecture) {
  ORCH_CHECK(refresh_if_missing());
  const bool arm = architecture == "arm64" || architecture == "aarch64";
  std::vector<HeapPackage> fit;
  for (const HeapPackage& item : heap_) {
    const std::string& own = item.package.architecture;
    const bool neutral = own == "all" || own == "noarch";
    if (item.package.name == name && (neutral || arm != is_for_x86_64(item.package))) fit.push_back(item);
  }
  if (fit.empty())
    return base::fail(ErrorKind::profile,
                      source_label(source_) + " has no package '" + base::printable(name) + "'" +
                          (architecture.empty() ? "" : " for " + base::printable(architecture)),
                      "add it to the source");
  LockedPackage package = newest(std::move(fit)).front().package;
  package.reason = "asked";
  return package;
}

Result<Providers> FileSource::providers(const std::vector<std::string>& sonames) {
  ORCH_CHECK(refresh_if_missing());
  Providers out;
  std::map<std::string, std::map<std::string, bool>> found;
  for (const HeapPackage& item : for_x86_64()) {
    const bool neutral = item.package.architecture == "all" || item.package.architecture == "noarch";
    ORCH_TRY(const std::vector<std::string> libraries, libraries_of(item));
    for (const std::string& library : libraries) found[library][item.package.name] = neutral;
  }
  for (const std::string& soname : sonames) out[soname] = best_first(found[soname]);
  return out;
}

Result<> FileSource::download(const std::vector<Download>& wanted) {
  for (const Download& item : wanted) {
    if (source_.kind == SourceKind::dir) {
      const std::string file = source_.path + "/" + item.package.path;
      if (!item.package.path.empty() && sys::exists(file)) ORCH_CHECK(place_download(file, item.file));
      continue;
    }
    for (const SourceFile& file : source_.files) {
      if (hash::Sha256::parse(file.sha256) != item.package.sha256) continue;
      Result<std::string> cached =
          download_verified(file.url, item.package.sha256, around_.cache_dir, around_.log, item.package.size);
      if (!cached)
        return base::fail(std::move(cached).error().while_doing("downloading package '" + item.package.name +
                                                                "' " + item.package.version));
      ORCH_CHECK(place_download(*cached, item.file));
      break;
    }
  }
  return {};
}

}  // namespace

Result<HeapPackage> read_heap_package(const std::string& file) {
  HeapPackage out;
  out.file = file;
  ORCH_TRY(const ArchiveFormat format, package_format(file));
  ORCH_CHECK(format == ArchiveFormat::deb ? read_deb_facts(file, out) : read_rpm_facts(file, out));
  ORCH_CHECK(check_facts(file, out));
  ORCH_TRY(const sys::Fd fd, sys::open_file(file, O_RDONLY));
  ORCH_TRY(out.package.sha256, hash::sha256_fd(fd.get(), file));
  ORCH_TRY(const struct stat info, sys::stat_file(file));
  out.package.size = static_cast<std::uint64_t>(info.st_size);
  out.provides.push_back(out.package.name);
  return out;
}

Result<std::vector<std::string>> libraries_of(const HeapPackage& package) {
  std::vector<std::string> out;
  const auto take = [&](std::string_view path) {
    while (path.starts_with("./") || path.starts_with('/')) path.remove_prefix(path[0] == '/' ? 1 : 2);
    if (in_library_directory(path)) out.push_back(sys::file_name(std::string(path)));
  };
  if (is_rpm(package.package)) {
    for (const std::string& name : package.provides)
      if (name.starts_with('/')) take(name);
    return out;
  }
  ORCH_CHECK(read_deb(package.file, [&](const ArchiveEntry& entry, const ContentReader&) -> Result<> {
    if (entry.kind != EntryKind::directory && entry.kind != EntryKind::other) take(entry.path);
    return {};
  }));
  return out;
}

Result<Resolution> resolve_in_heap(const std::string& label, const std::vector<HeapPackage>& heap,
                                   const std::vector<std::string>& names) {
  HeapClosure closure(heap);
  for (const std::string& name : names) {
    if (closure.ask(name)) continue;
    const auto near = base::nearest(name, closure.names());
    return base::fail(ErrorKind::profile, label + " has no package '" + base::printable(name) + "'",
                      near ? "did you mean '" + *near + "'?" : "add it to the source");
  }
  return closure.take(label);
}

std::unique_ptr<PackageSource> open_file_source(const Source& source, const Surroundings& around) {
  return std::make_unique<FileSource>(source, around);
}

}  // namespace orch::package
