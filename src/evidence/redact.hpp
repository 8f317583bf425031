// One rule for secrets, applied to every document before it is written or printed.
//
// A name is secret if, letter case aside, it contains TOKEN, SECRET, PASSWORD, PASSWD, PASSPHRASE, CREDENTIAL
// or COOKIE, or if one of its parts (separated by '_' or '-') is AUTH, PASS or AUTHORIZATION or ends in KEY
// or KEYS. Replaced by k_redacted are:
//  - members of objects called "env" or "environment" whose name is secret;
//  - members of any object whose name has no lower-case letter and is secret (so a field "key" stays);
//  - the value in a text NAME=VALUE or --name=VALUE, and the array element that follows a secret --name;
//  - in longer texts, the word or quoted text that follows a secret NAME and '=', NAME without lower-case
//  letters;
//  - user and password in a URL.
// What is redacted stays the same when it is redacted again.
#pragma once

#include "base/value.hpp"

#include <string>
#include <string_view>

namespace orch::evidence {

inline constexpr const char* k_redacted = "[redacted]";

bool is_secret_name(std::string_view name);
std::string redact_text(std::string text);
base::Value redact(const base::Value& value);
// TOML in which those strings are replaced that redact() replaces in its meaning, however they and their keys are spelled;
// and comments from the value of a secret name on. The rest stays as it is. What is no TOML becomes k_redacted as a whole.
std::string redact_toml(const std::string& text);

}  // namespace orch::evidence
