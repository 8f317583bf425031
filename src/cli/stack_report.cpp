#include "cli/stack_report.hpp"

#include "base/text.hpp"
#include "elf/linkage_report.hpp"
#include "format/json.hpp"
#include "image/layer_rules.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

namespace orch::cli {

using base::printable;
using base::quantity;
using base::Value;

namespace {

constexpr std::string_view k_appdir = "/AppDir/";  // as action verify-stack has it
constexpr std::size_t k_most_noted = 3;

Result<Value> read_document(const std::string& path) {
  ORCH_TRY(const std::string text, sys::read_file(path));
  return format::parse_json(text, path);
}

// {path, kind, layers} and what check-stack says of it.
Value conflicts_of(const Value& check) {
  Value out = Value::array();
  const Value* findings = check.find("findings");
  if (findings == nullptr || !findings->is_array()) return out;
  for (const Value& finding : findings->as_array())
    out.push(Value::object({{"path", finding.string_or("path", "")},
                            {"kind", finding.string_or("rule", "")},
                            {"layers", Value::strings({finding.string_or("layer", "")})},
                            {"overridden", finding.bool_or("overridden", false)},
                            {"detail", finding.string_or("sentence", "")}}));
  return out;
}

std::vector<std::string> texts(const Value& table, std::string_view key) {
  std::vector<std::string> out;
  const Value* list = table.find(key);
  if (list == nullptr || !list->is_array()) return out;
  for (const Value& item : list->as_array())
    if (item.is_string()) out.push_back(item.as_string());
  return out;
}

const Value::Array& items(const Value& table, std::string_view key) {
  static const Value::Array k_none;
  const Value* list = table.find(key);
  return list != nullptr && list->is_array() ? list->as_array() : k_none;
}

// Paths of the application as they are in it.
std::string short_path(const std::string& path) {
  return printable(path.starts_with(k_appdir) ? std::string_view(path).substr(k_appdir.size())
                                              : std::string_view(path));
}

std::string needers(const std::vector<std::string>& paths) {
  if (paths.empty()) return {};
  std::string out = "needed by " + short_path(paths.front());
  if (paths.size() > 1) out += fmt::format(" and {} more", paths.size() - 1);
  return out;
}

std::string needers(const Value& item) {
  return needers(texts(item, "needed_by"));
}

// "libfoo.so.1", "GLIBC_2.38 of libc.so.6".
std::string subject(const Value& item) {
  const std::string object = printable(item.string_or("soname", ""));
  const std::string version = printable(item.string_or("version", ""));
  return version.empty() ? short_path(object) : fmt::format("{} of {}", version, short_path(object));
}

// The C library, the loader, the compilers' libraries: no overlay may bring them.
bool is_of_the_base(const Value& item) {
  return item.string_or("kind", "") == "missing library" &&
         image::is_abi_library(item.string_or("soname", ""));
}

std::string item_text(const Value& item) {
  std::string out = fmt::format("  {:<9} {}: {}", item.string_or("severity", ""), item.string_or("kind", ""),
                                subject(item));
  if (const std::string by = needers(item); !by.empty()) out += fmt::format(", {}", by);
  out += '\n';
  if (const std::string detail = printable(item.string_or("detail", "")); !detail.empty())
    out += fmt::format("            {}\n", detail);
  if (const std::vector<std::string> packages = texts(item, "packages"); !packages.empty())
    out += fmt::format("            in package {}{}\n", printable(base::join(packages, ", ")),
                       is_of_the_base(item) ? ", which the base has to bring: no overlay may" : "");
  return out;
}

std::size_t count(const Value& report, std::string_view severity) {
  const Value::Array& list = items(report, "missing");
  return static_cast<std::size_t>(std::count_if(list.begin(), list.end(), [&](const Value& item) {
    return item.string_or("severity", "") == severity;
  }));
}

// ": 120 base, 34 app": which layer gives how many objects; empty without any.
std::string provided_text(const Value& report) {
  std::map<std::string, std::size_t> layers;
  for (const Value& object : items(report, "objects")) ++layers[object.string_or("layer", "")];
  std::string out;
  for (const auto& [layer, number] : layers)
    out += fmt::format("{} {} {}", out.empty() ? ":" : ",", number, layer);
  return out;
}

// Each name that is found: by whom it is needed, who provides it and from which layer.
std::string found_text(const Value& report) {
  struct Provider {
    std::string layer;
    std::vector<std::string> needed_by;
  };
  std::map<std::pair<std::string, std::string>, Provider> found;
  for (const Value& object : items(report, "objects"))
    for (const Value& need : items(object, "needs")) {
      const std::string path = need.string_or("provider", "");
      if (path.empty()) continue;
      Provider& provider = found[{need.string_or("soname", ""), path}];
      provider.layer = need.string_or("layer", "");
      provider.needed_by.push_back(object.string_or("path", ""));
    }
  std::string out;
  for (const auto& [name, provider] : found)
    out += fmt::format("  found     {}: {} of {}, {}\n", printable(name.first), short_path(name.second),
                       printable(provider.layer), needers(provider.needed_by));
  return out;
}

// What check-stack found: what the profile allows in full, of what is only noted the first of each rule and layer.
std::string conflicts_text(const Value& report, bool all) {
  std::string out;
  std::map<std::pair<std::string, std::string>, std::size_t> noted;
  for (const Value& conflict : items(report, "conflicts")) {
    const bool overridden = conflict.bool_or("overridden", false);
    const std::vector<std::string> layers = texts(conflict, "layers");
    const std::string layer = layers.empty() ? "" : layers.front();
    if (!overridden && ++noted[{conflict.string_or("kind", ""), layer}] > k_most_noted && !all) continue;
    out += fmt::format("  {:<9} {}\n", overridden ? "allowed" : "noted",
                       printable(conflict.string_or("detail", "")));
  }
  for (const auto& [kind, number] : noted)
    if (number > k_most_noted && !all)
      out += fmt::format("  noted     {} of '{}' in layer '{}' (--verbose shows them)\n",
                         quantity(number - k_most_noted, "more finding", "more findings"), kind.first,
                         printable(kind.second));
  return out;
}

}  // namespace

Result<Value> stack_report(const std::string& verify, const std::string& check) {
  if (verify.empty()) return Value();
  ORCH_TRY(Value report, read_document(verify));
  Value conflicts = Value::array();
  if (!check.empty()) {
    ORCH_TRY(const Value document, read_document(check));
    conflicts = conflicts_of(document);
  }
  report.set("schema", "appimage-orch/verify/1");
  report.set("conflicts", std::move(conflicts));
  // Filled in by whoever asks a source of packages.
  if (Value* missing = report.find("missing"); missing != nullptr && missing->is_array())
    for (Value& item : missing->as_array()) item.set("source", nullptr);
  return report;
}

Result<Value> stack_report(const Project& project, const std::string& profile, const plan::Plan& plan) {
  return stack_report(project.output_of(profile, "verify-stack", "report", plan),
                      project.output_of(profile, "check-stack", "check", plan));
}

Value stack_summary(const Value& report) {
  Value missing = Value::array();
  for (const Value& item : items(report, "missing"))
    if (item.string_or("severity", "") != "hint") missing.push(item);
  return Value::object({{"ok", report.bool_or("ok", false)}, {"missing", std::move(missing)}});
}

std::vector<std::string> required_sonames(const Value& report) {
  std::vector<std::string> out;
  for (const Value& item : items(report, "missing"))
    if (item.string_or("severity", "") == "required" && item.string_or("kind", "") == "missing library")
      out.push_back(item.string_or("soname", ""));
  return out;
}

std::string stack_report_text(const std::string& profile, const Value& report, bool all) {
  const std::size_t required = count(report, "required");
  const std::size_t optional = count(report, "optional");
  const std::size_t hints = count(report, "hint");
  std::string out = fmt::format(
      "{}: {}\n", printable(profile),
      required == 0
          ? "can start on its stack"
          : "cannot start: " + quantity(required, "requirement is", "requirements are") + " not met");
  for (const Value& item : items(report, "missing"))
    if (all || item.string_or("severity", "") != "hint") out += item_text(item);
  if (hints > 0 && !all)
    out += fmt::format("  hint      {} that may be loaded by dlopen (--verbose shows them)\n",
                       quantity(hints, "name", "names"));
  if (all) out += found_text(report);
  out += conflicts_text(report, all);
  for (const std::string& note : texts(report, "notes"))
    out += fmt::format("  note      {}\n", printable(note));
  out += fmt::format("  {} looked at{}; {} optional missing\n",
                     quantity(items(report, "objects").size(), "ELF file", "ELF files"),
                     provided_text(report), optional);
  return out;
}

namespace {

constexpr std::string_view k_all_the_same =
    "'appimage-orch verify' shows all of it; [verify] ignore and mode = \"warn\" let it start all the same";

bool has_layer(const Value& profile, const std::function<bool(const Value&)>& is_it) {
  const Value::Array& layers = items(profile, "layers");
  return std::any_of(layers.begin(), layers.end(), is_it);
}

bool base_is_made_here(const Value& profile) {
  return has_layer(profile, [](const Value& layer) {
    return layer.string_or("role", "") == "base" && layer.string_or("kind", "") == "packages";
  });
}

// What to do about the libraries that only the base may have; empty where none of them is missing.
std::string base_hint(const Value& profile, const Value& report) {
  std::vector<std::string> names;
  for (const Value& item : items(report, "missing"))
    if (item.string_or("severity", "") == "required" && is_of_the_base(item)) {
      const std::vector<std::string> packages = texts(item, "packages");
      names.push_back(packages.empty()
                          ? printable(item.string_or("soname", ""))
                          : fmt::format("{} (package '{}')", printable(item.string_or("soname", "")),
                                        printable(packages.front())));
    }
  if (names.empty()) return {};
  const bool made_here = base_is_made_here(profile);
  return fmt::format(
      "no overlay may bring {}: {}; {}", base::join(names, ", "),
      fmt::format(
          fmt::runtime(made_here ? "add {} to the packages of stack.base" : "take a base that has {}"),
          names.size() == 1 ? (made_here ? "its package" : "it") : (made_here ? "their packages" : "them")),
      k_all_the_same);
}

// Programs of the stack (a script's interpreter) come from the base; empty where none of them is missing.
std::string program_hint(const Value& profile, const Value& report) {
  for (const Value& item : items(report, "missing")) {
    const std::string path = item.string_or("soname", "");
    if (item.string_or("severity", "") != "required" || item.string_or("kind", "") != "missing program" ||
        !path.starts_with('/') || path.starts_with(k_appdir))
      continue;
    return fmt::format("programs come from the base: {} '{}'; {}",
                       base_is_made_here(profile) ? "add to the packages of stack.base the one that has"
                                                  : "take a base that has",
                       printable(path), k_all_the_same);
  }
  return {};
}

// "/usr/lib/libfoo.so.1 (is for aarch64)": what the stack has of the library, and the loader cannot use; mostly empty.
std::string passed_over(const Value& item) {
  const std::string detail = item.string_or("detail", "");
  const std::size_t at = detail.find(elf::k_passed_over);
  return at == std::string::npos ? ""
                                 : printable(std::string_view(detail).substr(at + elf::k_passed_over.size()));
}

bool is_lacking(const Value& item) {
  return item.string_or("severity", "") == "required" && item.string_or("kind", "") == "missing library";
}

// Whether an automatic overlay could bring a package that has it: not one that the profile takes already.
bool can_be_added(const Value& profile, const Value& item) {
  const std::vector<std::string> packages = texts(item, "packages");
  return std::any_of(packages.begin(), packages.end(), [&](const std::string& package) {
    return !has_layer(profile, [&](const Value& layer) {
      const std::vector<std::string> taken = texts(layer, "packages");
      return std::find(taken.begin(), taken.end(), package) != taken.end();
    });
  });
}

// What to do about a library that is there and cannot be used; empty where more packages may help.
std::string unusable_hint(const Value& profile, const Value& report) {
  const bool has_overlay =
      has_layer(profile, [](const Value& layer) { return layer.bool_or("auto", false); });
  for (const Value& item : items(report, "missing")) {
    const std::string what = is_lacking(item) ? passed_over(item) : "";
    if (!what.empty() && (has_overlay || !can_be_added(profile, item)))
      return fmt::format("the loader passes over what is there: {}; take that out, or replace it; {}", what,
                         k_all_the_same);
  }
  return {};
}

// What packages can do about the libraries that are missing; empty where none is.
std::string library_hint(const Value& profile, const Value& report) {
  const Value::Array& missing = items(report, "missing");
  const auto lacking = std::count_if(missing.begin(), missing.end(), is_lacking);
  const auto addable = std::count_if(missing.begin(), missing.end(), [&](const Value& item) {
    return is_lacking(item) && can_be_added(profile, item);
  });
  if (lacking == 0) return {};
  if (addable == 0)
    return "no further package is known that has it: add a source that does ([[stack.deps]]), or an image; ";
  return fmt::format("'run --auto-deps' adds packages that have {}what is missing; ",
                     addable == lacking ? "" : "a part of ");
}

std::string way_out(const Value& profile, const Value& report) {
  if (std::string hint = base_hint(profile, report); !hint.empty()) return hint;
  if (std::string hint = program_hint(profile, report); !hint.empty()) return hint;
  if (std::string hint = unusable_hint(profile, report); !hint.empty()) return hint;
  if (has_layer(profile, [](const Value& layer) { return layer.bool_or("auto", false); }))
    return fmt::format("the overlay has what its source has: add a [[stack.deps]] with another source; {}",
                       k_all_the_same);
  return library_hint(profile, report) + std::string(k_all_the_same);
}

}  // namespace

std::optional<base::Error> stack_problem(const std::string& name, const Value& profile, const Value& report) {
  if (report.is_null() || report.bool_or("ok", false)) return std::nullopt;
  std::string what;
  for (const Value& item : items(report, "missing")) {
    if (item.string_or("severity", "") != "required") continue;
    what = fmt::format("{}: {}", item.string_or("kind", ""), subject(item));
    if (const std::string by = needers(item); !by.empty()) what += ", " + by;
    if (const std::vector<std::string> packages = texts(item, "packages"); !packages.empty())
      what +=
          fmt::format(", in package '{}' of {}", printable(packages.front()), item.string_or("source", ""));
    break;
  }
  const std::size_t required = count(report, "required");
  if (required > 1) what += fmt::format(" (and {} more)", required - 1);
  return base::Error(base::ErrorKind::step,
                     fmt::format("'{}' cannot start on its stack: {}", printable(name), what),
                     way_out(profile, report));
}

}  // namespace orch::cli
