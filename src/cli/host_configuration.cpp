#include "cli/host_configuration.hpp"

#include "format/json.hpp"
#include "sys/file.hpp"

#include <optional>
#include <string>

namespace orch::cli {

namespace {

std::optional<launch::Configuration> read(const std::string& name, const std::string& path) {
  constexpr off_t k_most_bytes = 1 << 20;
  const sys::Result<struct stat> info = sys::stat_file(path);
  if (!info || !S_ISREG(info->st_mode)) return std::nullopt;
  launch::Configuration out{name, path, "", {}, ""};
  sys::Result<std::string> text = info->st_size <= k_most_bytes
                                      ? sys::read_file(path)
                                      : sys::Result<std::string>(tl::unexpected(base::Error(
                                            base::ErrorKind::unsupported, "it is larger than 1 MiB")));
  if (!text) {
    out.problem = text.error().what;
    return out;
  }
  out.text = *std::move(text);
  base::Result<base::Value> content = format::parse_json(out.text, path);
  if (content)
    out.content = *std::move(content);
  else
    out.problem = base::one_line(content.error());
  return out;
}

}  // namespace

std::vector<launch::Configuration> host_configurations(const sys::Environment& environment) {
  const std::string home = sys::variable(environment, "HOME", "");
  const std::string config = home + "/.config";
  std::vector<launch::Configuration> out;
  for (const std::string& folder :
       {sys::variable(environment, "XDG_CONFIG_DIR", config), std::string("/etc"), std::string("/usr/lib")})
    if (auto found = read("muvm", folder + "/muvm/config.json")) {
      out.push_back(*std::move(found));
      break;
    }
  std::string folder = sys::variable(environment, "XDG_CONFIG_HOME", config) + "/fex-emu";
  if (sys::exists(home + "/.fex-emu")) folder = home + "/.fex-emu";
  if (auto found =
          read("FEX", sys::variable(environment, "FEX_APP_CONFIG_LOCATION", folder) + "/Config.json"))
    out.push_back(*std::move(found));
  return out;
}

}  // namespace orch::cli
