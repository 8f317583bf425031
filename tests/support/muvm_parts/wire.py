"""How a muvm that joins a VM and the VM's server talk, and what both need for terminals and pipes.

A request is a JSON object before EOM. Frames of an interactive command: u16, of which the lowest two bits say what it is
(0 output or input, 1 errors or the size of the terminal, 2 the end), and the others the length or the status.
"""

import contextlib
import fcntl
import os
import socket
import struct
import termios

EOM = b"\nEOM\n"


def frame(kind, data):
    return struct.pack("<H", len(data) << 2 | kind) + data


def end_frame(status):
    return struct.pack("<H", max(status, 0) << 2 | 2)  # a signal counts as 0


def receive(stream):
    """(kind, length or status, data) of the next frame; None at the end."""
    try:
        head = stream.recv(2, socket.MSG_WAITALL)
    except OSError:
        return None
    if len(head) < 2:
        return None
    (value,) = struct.unpack("<H", head)
    has_data = value & 3 != 2 and value >> 2
    return value & 3, value >> 2, stream.recv(value >> 2, socket.MSG_WAITALL) if has_data else b""


def read_some(fd):
    """What can be read; nothing where the other side is closed (a terminal says that by an error)."""
    try:
        return os.read(fd, 8192)
    except OSError:
        return b""


def write_some(fd, data):
    """What is typed to a command that has ended is lost, and nothing else."""
    with contextlib.suppress(OSError):
        os.write(fd, data)


def send_some(stream, data):
    with contextlib.suppress(OSError):
        stream.sendall(data)


def window_size(fd):
    return fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8)
