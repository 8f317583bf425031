#include "launch/muvm_lines.hpp"

#include <algorithm>
#include <array>

namespace orch::launch {

namespace {

struct Pattern {
  std::string_view prefix;  // where the line begins; empty: anywhere
  std::string_view then;    // is to follow in the line, if it is not empty
};

constexpr std::array k_patterns = {
    // Printed while the VM boots.
    Pattern{"No IPv6 nameserver available for NDP/DHCPv6", ""},
    Pattern{"No routable interface for IPv6: IPv6 is disabled", ""},
    Pattern{"Using default interface naming scheme '", ""},
    Pattern{"Configuration file ", " is marked executable"},
    Pattern{"", "Unknown group '"},
    Pattern{"Failed to mount FEX rootfs, carrying on without", ""},
    Pattern{"Error setting up FEX in binfmt_misc: ", ""},
    // At any time.
    Pattern{"Failed to set the new pressure in the guest: ", ""},
    Pattern{"ptrace::attach(", ""},
    Pattern{"", " rutabaga_gfx::cross_domain] "},
    // At the end.
    Pattern{"Waiting for ", " other commands launched through this muvm server to exit"},
    Pattern{"Press Ctrl+C to force quit", ""},
};

}  // namespace

bool is_line_of_muvm(std::string_view line) {
  return std::any_of(k_patterns.begin(), k_patterns.end(), [line](const Pattern& pattern) {
    return line.starts_with(pattern.prefix) &&
           line.find(pattern.then, pattern.prefix.size()) != std::string_view::npos;
  });
}

bool may_be_line_of_muvm(std::string_view beginning) {
  return is_line_of_muvm(beginning) ||
         std::any_of(k_patterns.begin(), k_patterns.end(), [beginning](const Pattern& pattern) {
           return !beginning.empty() && pattern.prefix.starts_with(beginning);
         });
}

}  // namespace orch::launch
