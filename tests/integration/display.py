"""A display without a screen (Xvfb), and what a test wants to know of it: windows, their titles, and what is to be seen.

Speaks the X11 protocol itself, as far as that needs: X Window System Protocol, X11 Release 7.7, appendix B.
"""

import os
import socket
import struct
import subprocess
import tempfile

SETUP, QUERY_TREE, INTERN_ATOM, GET_PROPERTY, SEND_EVENT, GET_IMAGE, GET_GEOMETRY = 0, 15, 16, 20, 25, 73, 14
CREATE_WINDOW, MAP_WINDOW, CHANGE_PROPERTY, INPUT_OUTPUT, WM_CLASS, STRING = 1, 8, 18, 1, 67, 31
CLIENT_MESSAGE, Z_PIXMAP, ANY_TYPE = 33, 2, 0


class Display:
    """A server with one screen of 32 bits a pixel and without a window manager; close() ends it. `options`: of Xvfb, besides."""

    width, height = 1024, 768

    def __init__(self, *options):
        read, write = os.pipe()
        self.log = tempfile.TemporaryFile()
        self.server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{self.width}x{self.height}x24", "-nolisten", "tcp",
             "-noreset", *options], pass_fds=[write], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(write)
        with os.fdopen(read) as file:
            number = file.readline().strip()
        if not number:
            self.log.seek(0)
            raise RuntimeError(f"Xvfb does not start: {self.log.read().decode(errors='replace')}")
        self.name = f":{number}"
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(60)
        self.connection.connect(f"/tmp/.X11-unix/X{number}")
        self.connection.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        head = self.receive(8)
        body = self.receive(4 * struct.unpack_from("<H", head, 6)[0])
        if head[0] != 1:
            raise RuntimeError(f"the X server refuses: {body!r}")
        vendor, formats = struct.unpack_from("<H", body, 16)[0], body[21]
        self.next_window, = struct.unpack_from("<I", body, 4)
        self.root, = struct.unpack_from("<I", body, 32 + (vendor + 3) // 4 * 4 + 8 * formats)

    def close(self):
        self.connection.close()
        self.server.terminate()
        self.server.wait()
        self.log.close()

    def receive(self, size):
        data = bytearray()
        while len(data) < size:
            part = self.connection.recv(size - len(data))
            if not part:
                raise RuntimeError("the X server has gone")
            data += part
        return bytes(data)

    def send(self, opcode, detail, body):
        body += b"\0" * (-len(body) % 4)
        self.connection.sendall(struct.pack("<BBH", opcode, detail, 1 + len(body) // 4) + body)

    def ask(self, opcode, detail, body):
        """The reply to a request; None if the window is gone. Nothing else comes: no events are selected."""
        self.send(opcode, detail, body)
        head = self.receive(32)
        if head[0] != 1:
            return None
        return head + self.receive(4 * struct.unpack_from("<I", head, 4)[0])

    def atom(self, name):
        return struct.unpack_from("<I", self.ask(INTERN_ATOM, 0, struct.pack("<HH", len(name), 0) + name.encode()), 8)[0]

    def title(self, window):
        reply = self.ask(GET_PROPERTY, 0, struct.pack("<IIIII", window, self.atom("WM_NAME"), ANY_TYPE, 0, 1000))
        if reply is None:
            return ""
        size = struct.unpack_from("<I", reply, 16)[0] * reply[1] // 8
        return reply[32:32 + size].decode(errors="replace")

    def windows(self):
        """{title: window} of the windows that have a title, the lowest first."""
        reply = self.ask(QUERY_TREE, 0, struct.pack("<I", self.root))
        children = struct.unpack_from(f"<{struct.unpack_from('<H', reply, 16)[0]}I", reply, 32)
        return {title: window for window in children if (title := self.title(window))}

    def create(self, parent=None):
        """A window that is not shown yet; gone with the display's connection."""
        window, self.next_window = self.next_window, self.next_window + 1
        self.send(CREATE_WINDOW, 0, struct.pack("<IIhhHHHHII", window, parent or self.root, 0, 0, 40, 30, 0, INPUT_OUTPUT, 0, 0))
        return window

    def show(self, window):
        self.send(MAP_WINDOW, 0, struct.pack("<I", window))

    def sync(self):
        """Until the server has done all that it was asked."""
        self.size(self.root)

    def set_class(self, window, name):
        text = f"{name.lower()}\0{name}\0".encode()
        self.send(CHANGE_PROPERTY, 0, struct.pack("<IIIBxxxI", window, WM_CLASS, STRING, 8, len(text)) + text)

    def size(self, window):
        """(width, height)"""
        return struct.unpack_from("<HH", self.ask(GET_GEOMETRY, 0, struct.pack("<I", window)), 16)

    def picture(self):
        """What the screen shows, row by row: a list of rows, each a tuple of pixels 0xRRGGBB."""
        reply = self.ask(GET_IMAGE, Z_PIXMAP, struct.pack("<IhhHHI", self.root, 0, 0, self.width, self.height, 0xffffffff))
        row = struct.Struct(f"<{self.width}I")
        return [tuple(pixel & 0xffffff for pixel in row.unpack_from(reply, 32 + 4 * self.width * y))
                for y in range(self.height)]

    def close_windows(self):
        """What a window manager does when somebody closes one window after the other, the highest first (ICCCM 4.2.8.1)."""
        for window in reversed(self.windows().values()):
            event = struct.pack("<BBHIIII12x", CLIENT_MESSAGE, 32, 0, window, self.atom("WM_PROTOCOLS"),
                                self.atom("WM_DELETE_WINDOW"), 0)
            self.send(SEND_EVENT, 0, struct.pack("<II", window, 0) + event)
