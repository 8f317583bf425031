#include "cli/host_configuration.hpp"

#include "format/json.hpp"
#include "sys/file.hpp"

#include <algorithm>
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

void add_fex(const sys::Environment& guest, std::vector<launch::Configuration>& out) {
  const std::string home = sys::variable(guest, "HOME", "");
  std::string folder = sys::variable(guest, "XDG_CONFIG_HOME", home + "/.config") + "/fex-emu";
  if (sys::exists(home + "/.fex-emu")) folder = home + "/.fex-emu";
  folder = sys::variable(guest, "FEX_APP_CONFIG_LOCATION", folder);
  std::vector<std::string> paths = {folder + "/Config.json"};
  std::vector<std::string> names = sys::list_dir(folder + "/AppConfig").value_or(std::vector<std::string>());
  std::sort(names.begin(), names.end());
  for (const std::string& name : names)
    if (name.ends_with(".json")) paths.push_back(folder + "/AppConfig/" + name);
  if (const std::string own = sys::variable(guest, "FEX_APP_CONFIG"); !own.empty()) paths.push_back(own);
  for (const std::string& path : paths)
    if (auto found = read("FEX", path)) out.push_back(*std::move(found));
}

}  // namespace

std::vector<launch::Configuration> host_configurations(
    const sys::Environment& environment, const std::vector<std::pair<std::string, std::string>>& given) {
  const std::string home = sys::variable(environment, "HOME", "");
  const std::string config = home + "/.config";
  std::vector<launch::Configuration> out;
  for (const std::string& folder :
       {sys::variable(environment, "XDG_CONFIG_DIR", config), std::string("/etc"), std::string("/usr/lib")})
    if (auto found = read("muvm", folder + "/muvm/config.json")) {
      out.push_back(*std::move(found));
      break;
    }
  sys::Environment guest = {{"HOME", home}};
  for (const auto& [name, value] : given) guest[name] = value;
  add_fex(guest, out);
  return out;
}

}  // namespace orch::cli
