#include "package/locked_package.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace orch::package {

using base::Error;
using base::ErrorKind;

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

void append_quoted(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '_') {
      out += "%5f";
    } else if (c == ':') {
      out += "%3a";
    } else if (c == '%') {
      out += "%25";
    } else {
      out += c;
    }
  }
}

tl::unexpected<Error> bad(const Value& at, std::string what) {
  return base::fail(Error(ErrorKind::profile, std::move(what),
                          "write the lock file anew with 'appimage-orch lock --update'")
                        .at(at.span));
}

Result<std::string> member(const Value& table, std::string_view key) {
  const Value* value = table.find(key);
  if (value == nullptr || !value->is_string())
    return bad(value == nullptr ? table : *value,
               "a locked package needs '" + std::string(key) + "', a string");
  return value->as_string();
}

// The texts that reach command lines and file names.
Result<> check_names(const Value& table, const LockedPackage& package) {
  if (!(is_rpm(package) ? is_rpm_name(package.name) : is_package_name(package.name)))
    return bad(table, "'" + base::printable(package.name) + "' is no package name");
  if (!is_package_version(package.version))
    return bad(table, "'" + base::printable(package.version) + "' is no package version");
  if (package.architecture != "amd64" && package.architecture != "all" && package.architecture != "arm64" &&
      !is_rpm(package))
    return bad(table, "package '" + package.name + "' must be for amd64 or all, x86_64 or noarch, found '" +
                          base::printable(package.architecture) + "'");
  const bool plain =
      std::all_of(package.origin.begin(), package.origin.end(), [](char c) { return c >= ' ' && c < 127; });
  if (!plain || package.origin.size() > 200)
    return bad(table, "the origin of package '" + package.name + "' must be a short ASCII text");
  return {};
}

bool is_archive_path(std::string_view path) {
  if (path.empty()) return true;
  if (path.front() == '/') return false;
  for (std::string_view part : base::split(path, '/'))
    if (part.empty() || part == "." || part == "..") return false;
  return std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 127; });
}

}  // namespace

std::string archive_file_name(const LockedPackage& package) {
  std::string name;
  append_quoted(name, package.name);
  name += '_';
  append_quoted(name, package.version);
  name += '_';
  append_quoted(name, package.architecture);
  return name + (is_rpm(package) ? ".rpm" : ".deb");
}

bool is_rpm(const LockedPackage& package) {
  return package.architecture == "x86_64" || package.architecture == "noarch" ||
         package.architecture == "aarch64";
}

bool is_for_x86_64(const LockedPackage& package) {
  return package.architecture != "arm64" && package.architecture != "aarch64";
}

bool is_package_name(std::string_view name) {
  if (name.size() < 2 || name.size() > 200 || !(is_lower(name[0]) || is_digit(name[0]))) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return is_lower(c) || is_digit(c) || c == '+' || c == '-' || c == '.'; });
}

bool is_rpm_name(std::string_view name) {
  if (name.empty() || name.size() > 200) return false;
  if (!is_lower(name[0]) && !is_upper(name[0]) && !is_digit(name[0]) && name[0] != '_') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '+' || c == '-' || c == '.' || c == '_';
  });
}

bool is_reason(std::string_view reason) {
  if (reason == "asked" || reason == "required") return true;
  for (const std::string_view start : {"required by ", "provides "}) {
    if (!reason.starts_with(start)) continue;
    reason.remove_prefix(start.size());
    return !reason.empty() && reason.size() <= 200 &&
           std::all_of(reason.begin(), reason.end(), [](char c) { return c > ' ' && c < 127; });
  }
  return false;
}

bool is_package_version(std::string_view version) {
  if (version.empty() || version.size() > 200 ||
      !(is_digit(version[0]) || is_lower(version[0]) || is_upper(version[0])))
    return false;
  return std::all_of(version.begin(), version.end(), [](char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '+' || c == '-' || c == '.' || c == '~' ||
           c == ':' || c == '^' || c == '_';
  });
}

Value to_value(const std::vector<LockedPackage>& packages) {
  Value list = Value::array();
  for (const LockedPackage& package : packages) {
    Value table = Value::object({{"name", package.name},
                                 {"version", package.version},
                                 {"architecture", package.architecture},
                                 {"sha256", package.sha256.hex()},
                                 {"size", package.size},
                                 {"path", package.path},
                                 {"reason", package.reason}});
    if (!package.origin.empty()) table.set("origin", package.origin);
    if (package.allow_unsigned) table.set("allow_unsigned", true);
    list.push(std::move(table));
  }
  return list;
}

Result<LockedPackage> package_from_value(const Value& table) {
  if (!table.is_object())
    return bad(table, "a locked package must be a table, found " + std::string(table.type_name()));
  for (const Value::Member& item : table.as_object()) {
    static constexpr std::string_view k_keys[] = {"name", "version", "architecture", "sha256",        "size",
                                                  "path", "reason",  "origin",       "allow_unsigned"};
    if (std::find(std::begin(k_keys), std::end(k_keys), item.key) == std::end(k_keys))
      return base::fail(
          Error(ErrorKind::profile, "unknown key '" + base::printable(item.key) + "' in a locked package")
              .at(item.key_span));
  }
  LockedPackage package;
  ORCH_TRY(package.name, member(table, "name"));
  ORCH_TRY(package.version, member(table, "version"));
  ORCH_TRY(package.architecture, member(table, "architecture"));
  ORCH_TRY(const std::string sha256, member(table, "sha256"));
  if (table.find("path") != nullptr) {
    ORCH_TRY(package.path, member(table, "path"));
  }
  ORCH_TRY(package.reason, member(table, "reason"));
  if (table.find("origin") != nullptr) {
    ORCH_TRY(package.origin, member(table, "origin"));
  }
  package.allow_unsigned = table.bool_or("allow_unsigned", false);
  ORCH_CHECK(check_names(table, package));
  const std::optional<hash::Sha256> digest = hash::Sha256::parse(sha256);
  if (!digest)
    return bad(table, "the sha256 of package '" + package.name + "' must be 64 hexadecimal digits");
  package.sha256 = *digest;
  const Value* size = table.find("size");
  if (size == nullptr || !size->is_int() || size->as_int() < 0)
    return bad(size == nullptr ? table : *size,
               "package '" + package.name + "' needs 'size', the archive's bytes");
  package.size = static_cast<std::uint64_t>(size->as_int());
  if (!is_archive_path(package.path))
    return bad(table, "the path of package '" + package.name + "' must be relative and without '..'");
  if (!is_reason(package.reason))
    return bad(table, "the reason of package '" + package.name +
                          "' must be \"asked\", \"required by NAME\" or \"provides SONAME\"");
  return package;
}

Result<std::vector<LockedPackage>> packages_from_value(const Value& list) {
  if (!list.is_array())
    return bad(list, "the locked packages must be an array, found " + std::string(list.type_name()));
  std::vector<LockedPackage> packages;
  packages.reserve(list.as_array().size());
  for (const Value& item : list.as_array()) {
    ORCH_TRY(LockedPackage package, package_from_value(item));
    packages.push_back(std::move(package));
  }
  return packages;
}

void sort_packages(std::vector<LockedPackage>& packages) {
  std::sort(packages.begin(), packages.end(), [](const LockedPackage& a, const LockedPackage& b) {
    return std::tie(a.name, a.version, a.architecture) < std::tie(b.name, b.version, b.architecture);
  });
}

}  // namespace orch::package
