// Whether an application can start on a stack: what its ELF files need, who provides it, and what is missing.
// What `verify` shows; architecture.md, sections 7 and 9 ("appimage-orch/verify/1"), but for packages and conflicts.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "elf/app_start.hpp"
#include "elf/linkage.hpp"
#include "elf/stack_files.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::elf {

// required: the application does not start without it: reachable from the entry point through PT_INTERP and
// DT_NEEDED. optional: a plugin, or a program that nothing known starts. hint: a name that stands as a string
// in a file, which it may load by dlopen.
enum class Severity { required, optional, hint };
std::string_view to_string(Severity severity);

// In a detail: behind it stand the files of the name that the loader found and could not use, and why.
inline constexpr std::string_view k_passed_over = "passed over: ";

struct ReportOptions {
  unsigned isa_level = 3;  // what the processor offers; FEX: 3
  std::vector<std::string>
      library_path;  // LD_LIBRARY_PATH of the launch, in front of what the entry point sets
  // Sonames, or paths (relative to the application, or absolute): required are they with all that they load, or their
  // problems are not looked at. What is required and not there is missing, whether anything asks for it or not.
  std::vector<std::string> require;
  std::vector<std::string> ignore;
  bool fex = false;  // FEX starts the programs: it looks for interpreters in its own way (image/fex_path.hpp)
  unsigned threads = 1;
};

struct MissingItem {
  ProblemKind kind = ProblemKind::missing_library;
  Severity severity = Severity::optional;
  std::string object;                  // the soname, or the path of what is wrong
  std::string version;                 // a symbol version that is missing
  std::vector<std::string> needed_by;  // paths, sorted
  std::string detail;
};

struct ReportNeed {
  std::string soname;
  std::string provider;  // path; empty: missing
  std::string layer;     // "app" or a layer's name; empty: missing
};

struct ReportObject {
  std::string path;  // absolute, without links
  std::string layer;
  // required: it is loaded when the application starts. Of an overlay, what the application does not load is listed
  // only where it lacks something.
  Severity severity = Severity::optional;
  std::vector<ReportNeed> needs;
};

struct LinkageReport {
  bool ok = true;  // nothing required is missing
  AppStart start;
  std::vector<ReportObject> objects;  // sorted by path
  std::vector<MissingItem> missing;   // by severity, then object
};

// Errors only where an index contradicts itself.
Result<LinkageReport> report_linkage(const StackFiles& files, const ReportOptions& options);

// "appimage-orch/linkage/1": docs/schemas/linkage-1.schema.json
base::Value to_value(const LinkageReport& report);

}  // namespace orch::elf
