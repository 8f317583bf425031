#include "package/source.hpp"

#include "base/text.hpp"
#include "hash/digest.hpp"

#include <algorithm>
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

std::string label(const Source& source) {
  return "source '" + base::printable(source.name) + "'";
}

Result<> check_key_file(const Source& source, const Value& table) {
  if (!source.signed_by.empty() && (source.signed_by[0] != '/' || !is_plain_word(source.signed_by)))
    return bad(table,
               "signed_by of " + label(source) + " must be an absolute path without spaces, found '" +
                   base::printable(source.signed_by) + "'",
               "write \"${profile_dir}/NAME.gpg\" for a key beside the profile");
  if (!source.fingerprints.empty() && source.signed_by.empty())
    return bad(table, label(source) + " has fingerprints and no key file that they could be held against",
               "name the key file in signed_by");
  return {};
}

Result<> check_apt(const Source& source, const Value& table) {
  const std::string named = label(source);
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
  return check_key_file(source, table);
}

Result<> check_dnf(const Source& source, const Value& table) {
  if (source.uris.empty() && source.metalinks.empty())
    return bad(table, label(source) + " needs uris or metalinks",
               "uris = [\"https://…/os/\"] names repositories by the folder that has their repodata");
  if (source.signed_by.empty() && !source.allow_unsigned)
    return bad(table, label(source) + " needs the key file that its packages are signed with",
               "name it in signed_by, or write allow_unsigned = true");
  return check_key_file(source, table);
}

Result<std::vector<SourceFile>> files_of(const Source& source, const Value& table) {
  std::vector<SourceFile> files;
  const Value* list = table.find("files");
  if (list == nullptr || !list->is_array() || list->as_array().empty())
    return bad(table, label(source) + " needs files, an array of { url, sha256 }");
  for (const Value& item : list->as_array()) {
    SourceFile file{item.string_or("url", ""), item.string_or("sha256", "")};
    if (!is_plain_word(file.url) || !hash::Sha256::parse(file.sha256))
      return bad(item, "each file of " + label(source) + " needs url and sha256, 64 hexadecimal digits");
    files.push_back(std::move(file));
  }
  return files;
}

// What only some kinds have.
Result<> read_kind(Source& source, const std::string& kind, const Value& table) {
  if (kind == "apt") return check_apt(source, table);
  if (kind == "dnf") {
    source.kind = SourceKind::dnf;
    return check_dnf(source, table);
  }
  if (kind == "dir") {
    source.kind = SourceKind::dir;
    if (source.path.empty() || source.path[0] != '/')
      return bad(table, label(source) + " needs path, the folder of its packages");
    return {};
  }
  if (kind == "files") {
    source.kind = SourceKind::files;
    ORCH_TRY(source.files, files_of(source, table));
    return {};
  }
  return bad(table, label(source) + " has the unknown kind '" + base::printable(kind) + "'",
             "the kinds are \"apt\", \"dnf\", \"dir\" and \"files\"");
}

// "0123 abcd" to "0123ABCD"
std::string plain_fingerprint(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != ' ') out += c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

Result<std::vector<std::string>> fingerprints_of(const Source& source, const Value& table) {
  std::vector<std::string> out;
  const Value* list = table.find("fingerprints");
  if (list == nullptr) return out;
  for (const Value& item : list->is_array() ? list->as_array() : Value::Array{*list}) {
    const std::string plain = plain_fingerprint(item.is_string() ? item.as_string() : "");
    if ((plain.size() != 40 && plain.size() != 64) || !base::unhex(plain))
      return bad(item,
                 "fingerprints of " + label(source) + " must be strings of 40 or 64 hexadecimal digits");
    out.push_back(plain);
  }
  return out;
}

}  // namespace

std::string_view os_release_field(std::string_view text, std::string_view key) {
  for (std::string_view line : base::split(text, '\n')) {
    if (line.size() <= key.size() || !line.starts_with(key) || line[key.size()] != '=') continue;
    line.remove_prefix(key.size() + 1);
    if (line.size() >= 2 && line.front() == '"' && line.back() == '"') line = line.substr(1, line.size() - 2);
    return line;
  }
  return {};
}

std::string Source::identity() const {
  if (host) return "apt host";
  Value value = Value::object();
  switch (kind) {
    case SourceKind::apt:
      value.set("kind", "apt");
      value.set("uris", Value::strings(uris));
      value.set("suites", Value::strings(suites));
      value.set("components", Value::strings(components));
      value.set("trusted", allow_unsigned);
      break;
    case SourceKind::dnf:
      value.set("kind", "dnf");
      value.set("uris", Value::strings(uris));
      value.set("metalinks", Value::strings(metalinks));
      value.set("release", release);
      value.set("allow_unsigned", allow_unsigned);
      break;
    case SourceKind::dir:  // what lies in it is not known before it is read, and its path is this machine's
      value.set("kind", "dir");
      break;
    case SourceKind::files: {
      std::vector<std::string> sums;
      for (const SourceFile& file : files) sums.push_back(file.sha256);
      std::sort(sums.begin(), sums.end());
      value.set("kind", "files");
      value.set("sha256", Value::strings(sums));
      break;
    }
  }
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
  ORCH_TRY(source.host, flag_of(name, table, "host"));
  ORCH_TRY(const bool trusted, flag_of(name, table, "trusted"));
  ORCH_TRY(source.allow_unsigned, flag_of(name, table, "allow_unsigned"));
  source.allow_unsigned = source.allow_unsigned || trusted;
  ORCH_TRY(source.repo_gpgcheck, flag_of(name, table, "repo_gpgcheck"));
  ORCH_TRY(source.uris, words_of(name, table, "uris"));
  ORCH_TRY(source.suites, words_of(name, table, "suites"));
  ORCH_TRY(source.components, words_of(name, table, "components"));
  ORCH_TRY(source.metalinks, words_of(name, table, "metalinks"));
  ORCH_TRY(source.archive_uris, words_of(name, table, "archive_uris"));
  ORCH_TRY(source.signed_by, text_of(name, table, "signed_by"));
  ORCH_TRY(source.path, text_of(name, table, "path"));
  ORCH_TRY(source.distribution, text_of(name, table, "distribution"));
  ORCH_TRY(source.release, text_of(name, table, "release"));
  ORCH_TRY(source.fingerprints, fingerprints_of(source, table));
  ORCH_CHECK(read_kind(source, kind, table));
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
