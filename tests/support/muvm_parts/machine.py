"""The first muvm, with its VM: the console, the command, and the server for commands that later muvms bring."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import tty

from muvm_parts import TRICK, Failure, fail, guest, os_error, quoted, since
from muvm_parts.host import make_noise
from muvm_parts.wire import EOM, end_frame, frame, read_some, receive, window_size, write_some


class Machine:
    def __init__(self, runtime, view, environment):
        self.runtime, self.view, self.environment = runtime, view, environment
        self.master, self.console = pty.openpty()  # hvc0
        self.other = set()  # commands that later muvms brought
        self.lock = threading.Lock()
        self.bridge = None

    def say(self, text):
        if text:
            os.write(self.console, text.encode() + b"\n")

    def noise(self, *lines):
        if TRICK == "noise":
            for text in lines:
                self.say(text)

    def serve(self):
        (self.runtime / "krun").mkdir(exist_ok=True)
        path = self.runtime / "krun/server"
        path.unlink(missing_ok=True)
        (self.runtime / "krun/double.pid").write_text(str(os.getpid()))
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen(8)

        def loop():
            while True:
                connection, _ = server.accept()
                threading.Thread(target=self.answer, args=(connection,), daemon=True).start()
        threading.Thread(target=loop, daemon=True).start()

    def answer(self, connection):
        data = b""
        while not data.endswith(EOM):
            if not (more := connection.recv(65536)):
                return
            data += more
        request = json.loads(data[:-len(EOM)])
        command = [request["command"].encode("utf-8", "surrogateescape"), *(a.encode() for a in request["command_args"])]
        env = {**self.environment, **request["env"]}
        interactive, tty_wanted = request["vsock_port"] is not None, request["tty"]
        streams = {name: subprocess.PIPE if interactive else subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
        terminal = pty.openpty() if interactive and tty_wanted else None
        if terminal:
            streams = {name: terminal[1] for name in streams}
        if TRICK.startswith("slow|"):
            time.sleep(float(TRICK[5:]))
        try:
            process = guest.spawn(command, env, self.view, tty=bool(terminal), **streams)
        except OSError as error:
            text = guest.start_message(command, error)
            self.say(text)
            connection.sendall(text.encode() + b"\n")
            connection.close()
            return
        with self.lock:
            self.other.add(process.pid)
        with contextlib.suppress(OSError):  # the muvm that brought it may be gone
            connection.sendall(b"OK")
        connection.close()
        if interactive:
            with contextlib.suppress(OSError):
                self.relay(process, request["vsock_port"], terminal)
        status = process.wait()
        self.say(guest.end_message(command, status))
        with self.lock:
            self.other.discard(process.pid)

    def relay(self, process, port, terminal):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(str(self.runtime / f"krun/socket/port-{port}"))
        if terminal:
            os.close(terminal[1])
        open_fds = {terminal[0]: 0} if terminal else {process.stdout.fileno(): 0, process.stderr.fileno(): 1}
        inputs = [stream]
        while open_fds:
            for ready in select.select([*open_fds, *inputs], [], [])[0]:
                if ready is stream:
                    kind, _, data = receive(stream) or (0, 0, b"")
                    if kind == 1 and terminal:
                        fcntl.ioctl(terminal[0], termios.TIOCSWINSZ, data)
                    elif data:
                        write_some(terminal[0] if terminal else process.stdin.fileno(), data)
                    else:  # the end of the input, or of the muvm that brought the command, which goes on
                        inputs = []
                        None if terminal else process.stdin.close()
                elif data := read_some(ready):
                    stream.sendall(frame(open_fds[ready], data))
                else:
                    del open_fds[ready]
        stream.sendall(end_frame(process.wait()))
        stream.close()

    def drain(self, ended):
        """Shows what the console prints until `ended`; without a terminal it is lost."""
        shown = os.isatty(1)
        typed = [0] if os.isatty(0) else []
        size = None
        while True:
            if shown and size != (size := window_size(1)):
                fcntl.ioctl(self.console, termios.TIOCSWINSZ, size)
            ready = select.select([self.master, *typed], [], [], 0.05)[0]
            if self.master in ready and (data := os.read(self.master, 65536)) and shown:
                os.write(1, data)
            if 0 in ready and (data := os.read(0, 4096)):
                os.write(self.master, data)
            if not ready and ended():
                return

    def set_up(self, line, execute_pre):
        """Up to the command; a Failure ends the VM."""
        if not self.view.complete:  # printed before the guest opens its console: a channel of its own
            print("Failed to mount FEX rootfs, carrying on without. Error: Failed to mount erofs", flush=True)
        self.noise("Using default interface naming scheme 'v257'.",
                   "/usr/lib/udev/rules.d/50-udev-default.rules:42 Unknown group 'sgx', ignoring.",
                   "Configuration file /etc/udev/rules.d/99-local.rules is marked executable. Please remove executable permission bits. Proceeding anyway.")
        guest.set_up_emulator((line.get("emu") or [""])[0], self.environment, self.say)
        self.run_before([*execute_pre, *line.get("execute-pre")], named=since("0.5.0"), root=True)
        guest.add_user(self.environment)
        self.run_before(line.get("user-execute-pre"), named=False, root=False)
        self.bridge = guest.forward_display(self.environment, self.view, self.say)

    def run_before(self, programs, *, named, root):
        """-x and -X programs, one after the other. `named`: an error names the one that cannot be started."""
        for program in programs:
            try:
                process = guest.spawn([program], self.environment, self.view, folder=os.getcwd(), root=root, stdin=self.console,
                                      stdout=self.console, stderr=self.console)
            except OSError as error:
                fail(*([f"Failed to execute init command {quoted(os.fsencode(program))}"] if named else []), os_error(error))
            self.drain(lambda: process.poll() is not None)  # pylint: disable=cell-var-from-loop
            if process.returncode != 0:
                raise Failure(f"Executing `{program}` failed")

    def run(self, line, execute_pre):
        tty.setraw(0) if os.isatty(0) else None
        if os.isatty(1):
            fcntl.ioctl(self.console, termios.TIOCSWINSZ, window_size(1))
        try:
            self.set_up(line, execute_pre)
        except Failure as failure:
            self.say(f"Error: {failure}")
            self.drain(lambda: True)
            return 1
        make_noise(sys.stdout, "Failed to set the new pressure in the guest: could not connect to muvm server: No such file or directory (os error 2)")
        self.serve()
        try:
            process = guest.spawn(line.command, self.environment, self.view, tty=True, stdin=self.console, stdout=self.console,
                                  stderr=self.console)
        except OSError as error:
            self.say(guest.start_message(line.command, error))
            self.drain(lambda: True)
            return 1
        if TRICK == "die":
            time.sleep(0.1)
            process.kill()
            os.kill(os.getpid(), signal.SIGKILL)
        self.drain(lambda: process.poll() is not None)
        return self.end(line.command, process.returncode)

    def end(self, command, status):
        self.say(guest.end_message(command, status))
        if TRICK.startswith("late|"):
            self.say(TRICK[5:])
        self.noise("ptrace::attach(1234, ...) failed (continuing)")
        if self.other:
            self.say(f"Waiting for {len(self.other)} other commands launched through this muvm server to exit...")
            self.say("Press Ctrl+C to force quit")
        self.drain(lambda: not self.other)
        if self.bridge:  # has a process for a moment, which is not to be left
            self.bridge.join()
        make_noise(sys.stdout, "Failed to set the new pressure in the guest: could not connect to muvm server: Connection reset by peer (os error 104)")
        make_noise(sys.stderr, "[2026-05-14T10:00:00Z INFO  rutabaga_gfx::cross_domain] Futex dropped without shutdown")
        while TRICK == "hang":
            time.sleep(1)
        return (1 if status < 0 else status) if since("0.5.0") else 0
