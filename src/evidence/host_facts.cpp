#include "evidence/host_facts.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>

namespace orch::evidence {

using base::Value;

namespace {

// PRETTY_NAME of os-release(5).
Value os_name() {
  const sys::Result<std::string> text = sys::read_file("/etc/os-release");
  if (!text) return {};
  constexpr std::string_view k_key = "PRETTY_NAME=";
  for (const std::string_view line : base::split(*text, '\n')) {
    if (line.substr(0, k_key.size()) != k_key) continue;
    std::string_view name = line.substr(k_key.size());
    if (name.size() >= 2 && (name[0] == '"' || name[0] == '\'')) name = name.substr(1, name.size() - 2);
    return name;
  }
  return {};
}

// MemTotal of /proc/meminfo, given in KiB.
Value memory_bytes() {
  const sys::Result<std::string> text = sys::read_file("/proc/meminfo");
  constexpr std::string_view k_key = "MemTotal:";
  const std::size_t at = text ? text->find(k_key) : std::string::npos;
  if (at == std::string::npos) return {};
  const std::int64_t kib = std::strtoll(text->c_str() + at + k_key.size(), nullptr, 10);
  return kib * 1024;
}

// The device tree's names of the machine, the most exact first; null where there is none.
Value soc() {
  const sys::Result<std::string> text = sys::read_file("/proc/device-tree/compatible");
  if (!text || text->empty()) return {};
  Value out = Value::array();
  for (const std::string_view name : base::split(*text, '\0'))
    if (!name.empty()) out.push(std::string(name));
  return out;
}

// {"card0": "asahi"}: which kernel driver each graphics device has.
Value gpu_drivers() {
  const std::string folder = "/sys/class/drm";
  Value out = Value::object();
  const sys::Result<std::vector<std::string>> names = sys::list_dir(folder);
  if (!names) return out;
  for (const std::string& name : *names) {
    const bool device =
        name.find('-') == std::string::npos && (name.starts_with("card") || name.starts_with("renderD"));
    if (!device) continue;
    const sys::Result<std::string> driver = sys::real_path(folder + "/" + name + "/device/driver");
    out.set(name, driver ? Value(sys::file_name(*driver)) : Value());
  }
  return out;
}

}  // namespace

Value host_facts() {
  utsname name{};
  const bool known = ::uname(&name) == 0;
  return Value::object({{"kernel", known ? Value(std::string(name.release) + " " + name.version) : Value()},
                        {"machine", known ? Value(name.machine) : Value()},
                        {"os", os_name()},
                        {"page_size", std::int64_t{::sysconf(_SC_PAGESIZE)}},
                        {"cpus", std::int64_t{::sysconf(_SC_NPROCESSORS_ONLN)}},
                        {"memory_bytes", memory_bytes()},
                        {"boot_id", sys::boot_id()},
                        {"soc", soc()},
                        {"gpu_drivers", gpu_drivers()}});
}

}  // namespace orch::evidence
