#include "evidence/redact.hpp"

#include <doctest/doctest.h>

using orch::base::Value;
using orch::evidence::is_secret_name;
using orch::evidence::redact;
using orch::evidence::redact_text;

TEST_CASE("names of secrets") {
  for (const char* name :
       {"GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "npm_config__auth", "SSH_AUTH_SOCK", "APIKEY",
        "GPG_PASSPHRASE", "SESSION_COOKIE", "my-credentials", "SIGNING_KEYS"})
    CHECK_MESSAGE(is_secret_name(name), name);
  for (const char* name :
       {"PATH", "HOME", "XAUTHORITY", "KEYBOARD_LAYOUT", "XDG_SESSION_ID", "DBUS_SESSION_BUS_ADDRESS", "PWD"})
    CHECK_MESSAGE(!is_secret_name(name), name);
}

TEST_CASE("secrets are taken out of texts") {
  CHECK(redact_text("API_TOKEN=a b c") == "API_TOKEN=[redacted]");
  CHECK(redact_text("--password=x") == "--password=[redacted]");
  CHECK(redact_text("env = { API_TOKEN = \"s3 cret\", A = \"b\" }") ==
        "env = { API_TOKEN = \"[redacted]\", A = \"b\" }");
  CHECK(redact_text("export MY_SECRET=abc; run") == "export MY_SECRET=[redacted]; run");
  CHECK(redact_text("args = [\"--password=x\", \"--token\", \"y\", \"--token\", \"--v\"]\n") ==
        "args = [\"--password=[redacted]\", \"--token\", \"[redacted]\", \"--token\", \"--v\"]\n");
  CHECK(redact_text("https://u:p@host/x?y") == "https://[redacted]@host/x?y");
  CHECK(redact_text(R"(x "GITHUB_TOKEN" = "a\"b, c" y)") == R"(x "GITHUB_TOKEN" = "[redacted]" y)");
  CHECK(redact_text("x\nA_TOKEN = \"\"\"a\n\"b\"\"\"\nB_TOKEN = '''a\n'b'''\n") ==
        "x\nA_TOKEN = \"\"\"[redacted]\"\"\"\nB_TOKEN = '''[redacted]'''\n");
  CHECK(redact_text(R"(["--api-key=a,b c", "--token", "y z", '--pass=a\'])") ==
        R"(["--api-key=[redacted]", "--token", "[redacted]", '--pass=[redacted]'])");
  CHECK(redact_text(R"(run --token="a b" --api-key 'c d' "--pass=e\")") ==
        R"(run --token="[redacted]" --api-key '[redacted]' "--pass=[redacted]")");
  for (const char* text :
       {"a --token=[redacted] b", "a A_TOKEN=[redacted] b", "a A_TOKEN = \"[redacted]\" b"})
    CHECK(redact_text(text) == text);
  for (const char* text :
       {"https://host/a@b:c", "key = \"plain\"", "PATH=/bin", "=", "a = ", "://@", "x=y=z"})
    CHECK(redact_text(text) == text);
}

TEST_CASE("secrets are taken out of documents, fields called key stay") {
  const Value before = Value::object({{"key", "abc"},
                                      {"env", Value::object({{"auth_token", "x"}, {"A", "b"}})},
                                      {"argv", Value::strings({"app", "--token", "x", "--password", "--v"})},
                                      {"API_TOKEN", "x"},
                                      {"n", 1}});
  const Value after =
      Value::object({{"key", "abc"},
                     {"env", Value::object({{"auth_token", "[redacted]"}, {"A", "b"}})},
                     {"argv", Value::strings({"app", "--token", "[redacted]", "--password", "--v"})},
                     {"API_TOKEN", "[redacted]"},
                     {"n", 1}});
  CHECK(redact(before) == after);
}
