#include "package/source.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace orch::package {

using base::Error;
using base::ErrorKind;

namespace {

tl::unexpected<Error> bad(const Value& at, std::string what, std::string hint = {}) {
  return base::fail(Error(ErrorKind::profile, std::move(what), std::move(hint)).at(at.span));
}

Result<std::string> text_of(std::string_view source, const Value& table, std::string_view key) {
  const Value* value = table.find(key);
  if (value == nullptr) return std::string();
  if (!value->is_string())
    return bad(*value, "'" + std::string(key) + "' of source '" + base::printable(source) +
                           "' must be a string, found " + std::string(value->type_name()));
  return value->as_string();
}

Result<bool> flag_of(std::string_view source, const Value& table, std::string_view key) {
  const Value* value = table.find(key);
  if (value == nullptr) return false;
  if (!value->is_bool())
    return bad(*value, "'" + std::string(key) + "' of source '" + base::printable(source) +
                           "' must be a boolean, found " + std::string(value->type_name()));
  return value->as_bool();
}

// The words end up in a deb822 stanza: anything that could begin a new word or field is refused.
bool is_plain_word(std::string_view word) {
  return !word.empty() &&
         std::all_of(word.begin(), word.end(), [](char c) { return c > ' ' && c < 127 && c != '#'; });
}

Result<std::vector<std::string>> words_of(std::string_view source, const Value& table, std::string_view key) {
  std::vector<std::string> words;
  const Value* value = table.find(key);
  if (value == nullptr) return words;
  if (!value->is_array())
    return bad(*value, "'" + std::string(key) + "' of source '" + base::printable(source) +
                           "' must be an array of strings, found " + std::string(value->type_name()));
  for (const Value& item : value->as_array()) {
    if (!item.is_string() || !is_plain_word(item.as_string()))
      return bad(item, "'" + std::string(key) + "' of source '" + base::printable(source) +
                           "' must hold words without spaces");
    words.push_back(item.as_string());
  }
  return words;
}

Result<> check_consistent(const Source& source, const Value& table) {
  const std::string named = "source '" + base::printable(source.name) + "'";
  if (source.host) {
    if (!source.uris.empty() || !source.suites.empty() || !source.components.empty() ||
        !source.signed_by.empty())
      return bad(table, named + " has host = true, which takes everything from /etc/apt",
                 "remove uris, suites, components and signed_by, or host");
    return {};
  }
  if (source.uris.empty() || source.suites.empty())
    return bad(table, named + " needs uris and suites", "or host = true for this machine's own archives");
  const bool flat = std::all_of(source.suites.begin(), source.suites.end(),
                                [](const std::string& suite) { return suite.back() == '/'; });
  if (flat != source.components.empty())
    return bad(table,
               flat ? named + " names flat suites (ending in '/'), which have no components"
                    : named + " needs components",
               flat ? "remove components" : "for example components = [\"main\"]");
  if (!source.signed_by.empty() && (source.signed_by[0] != '/' || !is_plain_word(source.signed_by)))
    return bad(table,
               "signed_by of " + named + " must be an absolute path without spaces, found '" +
                   base::printable(source.signed_by) + "'",
               "write \"${profile_dir}/NAME.gpg\" for a key beside the profile");
  return {};
}

std::optional<SourceKind> other_kind(std::string_view kind) {
  if (kind == "dnf") return SourceKind::dnf;
  if (kind == "dir") return SourceKind::dir;
  if (kind == "files") return SourceKind::files;
  return std::nullopt;
}

std::string portable_text(const Value& table) {
  Value copy = table;
  for (const char* key : {"description", "signed_by", "fingerprints", "path"}) copy.erase(key);
  return copy.canonical();
}

std::string_view os_release_field(std::string_view text, std::string_view key) {
  for (std::string_view line : base::split(text, '\n')) {
    if (line.size() <= key.size() || !line.starts_with(key) || line[key.size()] != '=') continue;
    line.remove_prefix(key.size() + 1);
    if (line.size() >= 2 && line.front() == '"' && line.back() == '"') line = line.substr(1, line.size() - 2);
    return line;
  }
  return {};
}

}  // namespace

std::string Source::identity() const {
  if (kind != SourceKind::apt) return other;
  if (host) return "apt host";
  Value value = Value::object();
  value.set("kind", "apt");
  value.set("uris", Value::strings(uris));
  value.set("suites", Value::strings(suites));
  value.set("components", Value::strings(components));
  value.set("trusted", trusted);
  return value.canonical();
}

Result<Source> source_from_value(std::string_view name, const Value& table) {
  Source source;
  source.name = std::string(name);
  if (table.is_null() && name == "auto") {
    source.host = true;
    return source;
  }
  if (!table.is_object())
    return bad(table, "there is no source '" + base::printable(name) + "'",
               "add a [source." + base::printable(name) + "] table, or use source = \"auto\"");
  ORCH_TRY(const std::string kind, text_of(name, table, "kind"));
  if (const auto other = other_kind(kind)) {
    source.kind = *other;
    source.other = portable_text(table);
    return source;
  }
  if (kind != "apt")
    return bad(table,
               "source '" + base::printable(name) + "' has the unknown kind '" + base::printable(kind) + "'",
               "the kinds are \"apt\", \"dnf\", \"dir\" and \"files\"");
  ORCH_TRY(source.host, flag_of(name, table, "host"));
  ORCH_TRY(source.trusted, flag_of(name, table, "trusted"));
  ORCH_TRY(source.uris, words_of(name, table, "uris"));
  ORCH_TRY(source.suites, words_of(name, table, "suites"));
  ORCH_TRY(source.components, words_of(name, table, "components"));
  ORCH_TRY(source.signed_by, text_of(name, table, "signed_by"));
  ORCH_CHECK(check_consistent(source, table));
  return source;
}

Result<> check_host_serves_amd64(std::string_view os_release, std::string_view machine) {
  const std::string_view id = os_release_field(os_release, "ID");
  const std::string_view like = os_release_field(os_release, "ID_LIKE");
  const bool debian = id == "debian";
  const bool family = debian || id == "ubuntu" || like.find("debian") != std::string_view::npos;
  if (debian || (family && machine == "x86_64")) return {};
  return base::fail(ErrorKind::unsupported,
                    "source 'auto' means the archives of this machine, and '" + base::printable(id) +
                        "' on " + base::printable(machine) + " has no amd64 packages that apt-get can reach",
                    "name a source with uris and suites in the profile");
}

}  // namespace orch::package
