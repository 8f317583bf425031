#include "probe/x_windows.hpp"

#include "base/text.hpp"
#include "sys/shared_library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>
#include <xcb/xcb.h>

namespace orch::probe {

using base::ErrorKind;
using base::fail;

namespace {

// The functions of libxcb that are used here.
struct Xcb {
  decltype(&xcb_connect) connect = nullptr;
  decltype(&xcb_connection_has_error) connection_has_error = nullptr;
  decltype(&xcb_disconnect) disconnect = nullptr;
  decltype(&xcb_get_setup) get_setup = nullptr;
  decltype(&xcb_setup_roots_iterator) setup_roots_iterator = nullptr;
  decltype(&xcb_change_window_attributes_checked) change_window_attributes_checked = nullptr;
  decltype(&xcb_request_check) request_check = nullptr;
  decltype(&xcb_poll_for_event) poll_for_event = nullptr;
  decltype(&xcb_get_property) get_property = nullptr;
  decltype(&xcb_get_property_reply) get_property_reply = nullptr;
  decltype(&xcb_get_property_value) get_property_value = nullptr;
  decltype(&xcb_get_property_value_length) get_property_value_length = nullptr;
  decltype(&xcb_query_tree) query_tree = nullptr;
  decltype(&xcb_query_tree_reply) query_tree_reply = nullptr;
  decltype(&xcb_query_tree_children) query_tree_children = nullptr;
  decltype(&xcb_query_tree_children_length) query_tree_children_length = nullptr;
};

Result<Xcb> load_xcb() {
  ORCH_TRY(sys::SharedLibrary library,
           sys::SharedLibrary::load({"libxcb.so.1"}, "libxcb", "windows that are waited for",
                                    "install the package 'libxcb1' (Debian) or 'libxcb' (Fedora)"));
  Xcb xcb;
  library.find("xcb_connect", xcb.connect);
  library.find("xcb_connection_has_error", xcb.connection_has_error);
  library.find("xcb_disconnect", xcb.disconnect);
  library.find("xcb_get_setup", xcb.get_setup);
  library.find("xcb_setup_roots_iterator", xcb.setup_roots_iterator);
  library.find("xcb_change_window_attributes_checked", xcb.change_window_attributes_checked);
  library.find("xcb_request_check", xcb.request_check);
  library.find("xcb_poll_for_event", xcb.poll_for_event);
  library.find("xcb_get_property", xcb.get_property);
  library.find("xcb_get_property_reply", xcb.get_property_reply);
  library.find("xcb_get_property_value", xcb.get_property_value);
  library.find("xcb_get_property_value_length", xcb.get_property_value_length);
  library.find("xcb_query_tree", xcb.query_tree);
  library.find("xcb_query_tree_reply", xcb.query_tree_reply);
  library.find("xcb_query_tree_children", xcb.query_tree_children);
  library.find("xcb_query_tree_children_length", xcb.query_tree_children_length);
  ORCH_CHECK(library.complete());
  return xcb;
}

template <class Reply>
std::unique_ptr<Reply, decltype(&std::free)> owned(Reply* reply) {
  return {reply, &std::free};
}

constexpr std::uint8_t k_event_mask = 0x7F;     // without the mark of events that another client sent
constexpr std::uint32_t k_longest_class = 256;  // in units of 4 bytes

}  // namespace

struct XWindows::Connection {
  Connection(const Xcb& functions, xcb_connection_t* server) : xcb(functions), x(server) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { xcb.disconnect(x); }

  // The two words of WM_CLASS, each with its end; empty where the window has none.
  std::string class_of(xcb_window_t window) const {
    const auto cookie =
        xcb.get_property(x, 0, window, XCB_ATOM_WM_CLASS, XCB_ATOM_STRING, 0, k_longest_class);
    const auto reply = owned(xcb.get_property_reply(x, cookie, nullptr));
    if (!reply) return {};
    return {static_cast<const char*>(xcb.get_property_value(reply.get())),
            static_cast<std::size_t>(xcb.get_property_value_length(reply.get()))};
  }

  std::vector<xcb_window_t> children_of(xcb_window_t window) const {
    const auto reply = owned(xcb.query_tree_reply(x, xcb.query_tree(x, window), nullptr));
    if (!reply) return {};
    const xcb_window_t* first = xcb.query_tree_children(reply.get());
    return {first, first + xcb.query_tree_children_length(reply.get())};
  }

  // A frame has no class of its own, and its client is in it.
  std::string class_of_client(xcb_window_t window) const {
    std::string out = class_of(window);
    if (!out.empty()) return out;
    for (const xcb_window_t child : children_of(window))
      if (out = class_of(child); !out.empty()) return out;
    return {};
  }

  Xcb xcb;
  xcb_connection_t* x;
};

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool has_class(const std::string& classes, std::string_view wanted) {
  for (const std::string_view word : base::split(classes, '\0'))
    if (lower(word) == lower(wanted)) return true;
  return false;
}

}  // namespace

XWindows::XWindows(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
XWindows::XWindows(XWindows&&) noexcept = default;
XWindows& XWindows::operator=(XWindows&&) noexcept = default;
XWindows::~XWindows() = default;

Result<XWindows> XWindows::open() {
  ORCH_TRY(const Xcb xcb, load_xcb());
  const char* display = std::getenv("DISPLAY");
  if (display == nullptr || *display == '\0')
    return fail(ErrorKind::unsupported, "no window can be waited for: DISPLAY is not set",
                "run it in a graphical session, or with --ready exit, log:TEXT or after:DURATION");
  auto connection = std::make_unique<Connection>(xcb, xcb.connect(nullptr, nullptr));
  const int problem = xcb.connection_has_error(connection->x);
  if (problem != 0)
    return fail(ErrorKind::unsupported,
                fmt::format("the X server of DISPLAY={} does not answer (libxcb's error {})",
                            base::printable(display), problem),
                "see 'appimage-orch doctor'");
  const std::uint32_t events = XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY;
  auto screens = xcb.setup_roots_iterator(xcb.get_setup(connection->x));
  const auto asked =
      xcb.change_window_attributes_checked(connection->x, screens.data->root, XCB_CW_EVENT_MASK, &events);
  if (owned(xcb.request_check(connection->x, asked)))
    return fail(ErrorKind::unsupported, "the X server does not say which windows appear");
  return XWindows(std::move(connection));
}

void XWindows::forget() {
  while (owned(connection_->xcb.poll_for_event(connection_->x))) {
  }
}

bool XWindows::has_appeared(std::string_view window_class) {
  const Connection& server = *connection_;
  while (const auto event = owned(server.xcb.poll_for_event(server.x))) {
    if ((event->response_type & k_event_mask) != XCB_MAP_NOTIFY) continue;
    xcb_map_notify_event_t map{};
    std::copy_n(reinterpret_cast<const char*>(event.get()), sizeof map, reinterpret_cast<char*>(&map));
    const bool plain = map.override_redirect == 0;
    if (plain && window_class.empty()) return true;
    // Some window managers' frames are override-redirect, too; a menu has no client in it.
    std::string classes = plain ? server.class_of_client(map.window) : std::string();
    if (!plain)
      for (const xcb_window_t child : server.children_of(map.window))
        if (classes.empty()) classes = server.class_of(child);
    if (!classes.empty() && (window_class.empty() || has_class(classes, window_class))) return true;
  }
  return false;
}

}  // namespace orch::probe
