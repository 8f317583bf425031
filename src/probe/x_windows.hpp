// Windows that appear on the X server of this process.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace orch::probe {

using base::Result;

class XWindows {
 public:
  // Connects to $DISPLAY with $XAUTHORITY, and from now on sees which windows are shown. libxcb is loaded.
  static Result<XWindows> open();
  XWindows(XWindows&&) noexcept;
  XWindows& operator=(XWindows&&) noexcept;
  ~XWindows();

  // What has appeared until now does not count.
  void forget();

  // Whether since open() or forget() a window of an application was mapped, directly below the root or in the frames that a window
  // manager gave it. `window_class`: either word of its WM_CLASS (ICCCM 4.1.2.5), in any case of letters; empty: any. Menus, tool
  // tips and the like (override-redirect) do not count. A class that comes after the window is seen at the next call. Waits for nothing but
  // answers of the server.
  bool has_appeared(std::string_view window_class);
  bool is_gone() const;  // the connection is broken

 private:
  struct Connection;
  explicit XWindows(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace orch::probe
