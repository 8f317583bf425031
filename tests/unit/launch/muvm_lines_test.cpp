#include "launch/muvm_lines.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace orch::launch;

TEST_CASE("muvm's own lines, whole and while they come") {
  for (const std::string line : {
           "No IPv6 nameserver available for NDP/DHCPv6",
           "No routable interface for IPv6: IPv6 is disabled",
           "Using default interface naming scheme 'v257'.",
           "/usr/lib/udev/rules.d/50-udev-default.rules:42 Unknown group 'sgx', ignoring.",
           "Configuration file /etc/udev/rules.d/99-local.rules is marked executable. Please remove "
           "executable "
           "permission bits. Proceeding anyway.",
           "Failed to mount FEX rootfs, carrying on without. Error: Failed to mount erofs",
           "Failed to set the new pressure in the guest: could not connect to muvm server: Connection reset "
           "by "
           "peer (os error 104)",
           "ptrace::attach(12, ...) failed (continuing)",
           "[2026-05-14T10:00:00Z INFO  rutabaga_gfx::cross_domain] Futex dropped without shutdown",
           "Waiting for 2 other commands launched through this muvm server to exit...",
           "Press Ctrl+C to force quit",
       }) {
    CAPTURE(line);
    CHECK(is_line_of_muvm(line));
    CHECK(may_be_line_of_muvm(line));
    CHECK_FALSE(is_line_of_muvm("it says: " + line.substr(0, 12)));
  }
  CHECK(may_be_line_of_muvm("Waiting"));
  CHECK(may_be_line_of_muvm("P"));
  CHECK_FALSE(may_be_line_of_muvm(""));
  CHECK_FALSE(may_be_line_of_muvm("Waiting for the server"));
}

TEST_CASE("an application's lines that begin like muvm's") {
  for (const std::string line : {"", "P", "Waiting for ", "Waiting for the server", "Using default interface",
                                 "Configuration file /etc/x not found", "Press Ctrl+C"}) {
    CAPTURE(line);
    CHECK_FALSE(is_line_of_muvm(line));
  }
}
