// Where the tool keeps things, below the folders of the session.
#pragma once

#include "cli/command.hpp"

#include <string>

namespace orch::cli {

inline std::string store_root(const Session& session) {
  return session.cache_dir + "/store";
}
inline std::string stat_cache_path(const Session& session) {
  return session.state_dir + "/stat-cache";
}
inline std::string user_profiles(const Session& session) {
  return session.config_dir + "/profiles";
}
inline std::string user_rules(const Session& session) {
  return session.config_dir + "/rules";
}

// The variable of the session's environment, or the fallback where it is unset or empty.
inline std::string variable(const Session& session, const std::string& name,
                            const std::string& fallback = {}) {
  const auto found = session.environment.find(name);
  return found == session.environment.end() || found->second.empty() ? fallback : found->second;
}

}  // namespace orch::cli
