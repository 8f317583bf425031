"""A later muvm, which joins the VM of the one that holds the lock."""

import errno
import json
import os
import select
import signal
import socket
import termios
import time
import tty

from muvm_parts import TRICK, Failure, fail, os_error
from muvm_parts.wire import EOM, frame, receive, send_some, window_size


def join(runtime, line, env):
    """The status of a muvm that hands its command on. What concerns the VM is ignored."""
    interactive = bool(line.get("interactive"))
    if interactive and line.get("tty") and not os.isatty(1):
        fail("could not request launch to server", "Asked to allocate a tty for the command, but stdin is not a tty")
    port, listener = listen(runtime) if interactive else (None, None)
    request = {"command": line.command[0].decode("utf-8", "surrogateescape"), "command_args": [a.decode() for a in line.command[1:]],
               "env": env, "vsock_port": port, "tty": bool(line.get("tty")), "privileged": bool(line.get("privileged"))}
    ask(runtime, request)
    if not interactive:
        return 0
    try:
        select.epoll().register(0)
    except OSError as error:
        if error.errno == errno.EPERM:  # a regular file, /dev/null: cannot be polled
            fail("could not request launch to server: EPERM: Operation not permitted")
    if TRICK == "die":
        time.sleep(0.2)
        os.kill(int((runtime / "krun/double.pid").read_text()), signal.SIGKILL)
    before = termios.tcgetattr(0) if line.get("tty") and os.isatty(0) else None
    try:
        if before is not None:
            tty.setraw(0)
        status = relay_to(listener.accept()[0], runtime / f"krun/socket/port-{port}", before is not None)
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSANOW, before)
    if TRICK.startswith("late|"):
        print(TRICK[5:])
    while TRICK == "hang":
        time.sleep(1)
    return status


def listen(runtime):
    """(port, socket) for the command's input and output."""
    port, listener = 50000, socket.socket(socket.AF_UNIX)
    (runtime / "krun/socket").mkdir(parents=True, exist_ok=True)
    while (runtime / f"krun/socket/port-{port}").exists():
        port += 1
    listener.bind(str(runtime / f"krun/socket/port-{port}"))
    listener.listen(1)
    return port, listener


def ask(runtime, request):
    server = socket.socket(socket.AF_UNIX)
    for attempt in range(4):  # without a pause between them
        try:
            server.connect(str(runtime / "krun/server"))
            break
        except OSError as error:
            if attempt == 3:
                fail(f"could not request launch to server: could not connect to muvm server: {os_error(error)}")
    server.sendall(json.dumps(request).encode() + EOM)
    answer = b""
    while more := server.recv(4096):
        answer += more
    if answer != b"OK":
        first_line = answer.split(b"\n")[0].decode()
        fail(f"could not request launch to server: muvm server returned an error: {first_line}")


def relay_to(stream, place, terminal):
    place.unlink()
    inputs, size = [0], None
    while True:
        if terminal and size != (size := window_size(0)):
            send_some(stream, frame(1, size))
        for ready in select.select([stream, *inputs], [], [], 0.05)[0]:
            if ready == 0:
                data = os.read(0, 8192)
                send_some(stream, frame(0, data))
                inputs = [0] if data else []
                continue
            received = receive(stream)
            if received is None:  # the VM is gone
                raise Failure("could not request launch to server: ECONNRESET: Connection reset by peer")
            kind, number, data = received
            if kind == 2:
                return number
            os.write(1 if kind == 0 else 2, data)
