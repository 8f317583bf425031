// The one error value of the project: what happened, where, and what to do next. It knows nothing of how it
// is shown.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::base {

// A text that diagnostics point into. Held by every span of it, so a message can quote the line that was
// parsed even when the file on disk has changed since.
struct SourceFile {
  std::string path;
  std::string text;
};

// A place in a SourceFile. Lines and columns count from 1, columns in bytes; line 0 means "the whole file".
struct SourceSpan {
  std::shared_ptr<const SourceFile> file;
  int line = 0;
  int column = 0;
  int length = 1;

  // "path:line:column", or as much of it as is known. Empty without a file.
  std::string location() const;
  // The source line without its end; empty if unknown.
  std::string_view line_text() const;
};

enum class ErrorKind {
  usage,        // the command line is wrong
  profile,      // a profile, rule, source or lock file is wrong
  not_found,    // a file, program or package that is needed is absent
  permission,   // present, but the caller may not
  no_space,     // the file system is full
  io,           // any other system failure
  corrupt,      // data does not have the form that its format demands
  unsupported,  // well-formed, but outside of what this tool does
  tool,         // a program that was run failed
  step,         // a step of the graph failed
  interrupted,  // a signal asked for the end
  timed_out,
  internal,  // a defect of this tool
};

// Text conventions: lower case, names in single quotes, no full stop. `what` has expectation and finding,
// `hint` an action, `related` further places ("first defined at …"), `context` outer operations (innermost
// first).
struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string what;
  std::optional<SourceSpan> where;
  std::string hint;
  std::vector<std::pair<std::string, SourceSpan>> related;
  std::vector<std::string> context;

  Error() = default;
  Error(ErrorKind k, std::string w, std::string h = {}) : kind(k), what(std::move(w)), hint(std::move(h)) {}

  Error&& at(SourceSpan span) && {
    where = std::move(span);
    return std::move(*this);
  }
  Error&& with_hint(std::string text) && {
    hint = std::move(text);
    return std::move(*this);
  }
  Error&& while_doing(std::string text) && {
    context.push_back(std::move(text));
    return std::move(*this);
  }
};

// An Error from errno, worded "cannot ACTION 'NAME': REASON"; its kind follows from the number.
Error errno_error(int number, std::string_view action, std::string_view name);

// One line: "what" and its context, without place and hint. For logs and for JSON documents.
std::string one_line(const Error& error);

// The whole message, with source line, caret, related places and hint; ends with a newline.
// Colour is the caller's: `bold` and `reset` are put around the "error:" mark.
std::string render(const Error& error, std::string_view bold = {}, std::string_view reset = {});

}  // namespace orch::base
