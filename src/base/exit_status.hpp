// Exit statuses that mean something of their own, as env(1) and shells use them.
#pragma once

namespace orch::base {

inline constexpr int k_tool_failed = 125;  // the application was not started
inline constexpr int k_signal_base = 128;  // and the signal's number, for what a signal ended

}  // namespace orch::base
