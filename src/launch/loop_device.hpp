// A read-only loop device that goes away with its last user.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

#include <string>

namespace orch::launch {

class LoopDevice {
 public:
  // Binds the open file to a free device (LOOP_CONFIGURE, kernel 5.8), read-only, with autoclear: once it is
  // mounted the mount keeps it, and without a mount it is gone when this object is.
  static base::Result<LoopDevice> attach(int image);
  const std::string& path() const { return path_; }

 private:
  LoopDevice(std::string path, sys::Fd device) : path_(std::move(path)), device_(std::move(device)) {}
  std::string path_;
  sys::Fd device_;
};

}  // namespace orch::launch
