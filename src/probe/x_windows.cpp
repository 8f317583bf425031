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
  decltype(&xcb_screen_next) screen_next = nullptr;
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
  library.find("xcb_screen_next", xcb.screen_next);
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

  // Frames have no class of their own; the client is in them, up to `depth` levels below.
  std::string class_below(xcb_window_t window, int depth) const {
    for (const xcb_window_t child : children_of(window)) {
      std::string out = class_of(child);
      if (out.empty() && depth > 1) out = class_below(child, depth - 1);
      if (!out.empty()) return out;
    }
    return {};
  }

  // Takes what the server has said. False if that changed nothing.
  bool take_events() {
    bool changed = false;
    while (const auto event = owned(xcb.poll_for_event(x))) {
      const int kind = event->response_type & k_event_mask;
      if (kind == XCB_MAP_NOTIFY) {
        xcb_map_notify_event_t map{};
        std::copy_n(reinterpret_cast<const char*>(event.get()), sizeof map, reinterpret_cast<char*>(&map));
        if (mapped.size() < k_most_windows) mapped.push_back({map.window, map.override_redirect == 0});
      } else if (kind == XCB_UNMAP_NOTIFY) {
        xcb_unmap_notify_event_t unmap{};
        std::copy_n(reinterpret_cast<const char*>(event.get()), sizeof unmap,
                    reinterpret_cast<char*>(&unmap));
        std::erase_if(mapped, [&](const Mapped& window) { return window.id == unmap.window; });
      }
      changed = true;
    }
    return changed;
  }

  struct Mapped {
    xcb_window_t id;
    bool plain;  // else override-redirect
  };
  static constexpr std::size_t k_most_windows = 256;
  Xcb xcb;
  xcb_connection_t* x;
  std::vector<Mapped> mapped;  // since open() or forget(), and still so
  unsigned looks = 0;
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
  for (auto screens = xcb.setup_roots_iterator(xcb.get_setup(connection->x)); screens.rem > 0;
       xcb.screen_next(&screens)) {
    const auto asked =
        xcb.change_window_attributes_checked(connection->x, screens.data->root, XCB_CW_EVENT_MASK, &events);
    if (owned(xcb.request_check(connection->x, asked)))
      return fail(ErrorKind::unsupported, "the X server does not say which windows appear",
                  "wait for something else: --ready exit, log:TEXT or after:DURATION");
  }
  return XWindows(std::move(connection));
}

void XWindows::forget() {
  connection_->take_events();
  connection_->mapped.clear();
}

bool XWindows::is_gone() const {
  return connection_->xcb.connection_has_error(connection_->x) != 0;
}

bool XWindows::has_appeared(std::string_view window_class) {
  constexpr unsigned k_now_and_then = 10;  // looks: a class may come later, and nothing tells
  constexpr int k_frames = 3;              // KWin has two
  Connection& server = *connection_;
  const bool changed = server.take_events();
  if (!changed && ++server.looks % k_now_and_then != 0) return false;
  return std::any_of(server.mapped.begin(), server.mapped.end(), [&](const Connection::Mapped& window) {
    if (window.plain && window_class.empty()) return true;
    // Some window managers' frames are override-redirect, too; a menu has no client in it.
    std::string classes = window.plain ? server.class_of(window.id) : std::string();
    if (classes.empty()) classes = server.class_below(window.id, k_frames);
    return !classes.empty() && (window_class.empty() || has_class(classes, window_class));
  });
}

}  // namespace orch::probe
