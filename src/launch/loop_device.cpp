#include "launch/loop_device.hpp"

#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cerrno>

namespace orch::launch {

base::Result<LoopDevice> LoopDevice::attach(int image) {
  ORCH_TRY(const sys::Fd control, sys::open_file("/dev/loop-control", O_RDWR));
  // Somebody else may take the free device before us.
  constexpr int k_attempts = 64;
  for (int i = 0; i < k_attempts; ++i) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return base::fail(base::errno_error(errno, "find", "a free loop device"));
    const std::string path = fmt::format("/dev/loop{}", number);
    ORCH_TRY(sys::Fd device, sys::open_file(path, O_RDONLY));
    loop_config config{};
    config.fd = static_cast<__u32>(image);
    config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return LoopDevice(path, std::move(device));
    if (errno != EBUSY) return base::fail(base::errno_error(errno, "set up", path));
  }
  errno = EBUSY;
  return base::fail(base::errno_error(EBUSY, "set up", "a loop device"));
}

}  // namespace orch::launch
