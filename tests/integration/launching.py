"""What the tests of launches share: applications out of a script, base images, the evidence of the last run, terminals."""

import json
import os
import pty
import select
import shutil
import signal
import struct
import fcntl
import tempfile
import termios
import time
import unittest
from pathlib import Path

from tests.integration import lib

NATIVE = unittest.skipUnless(lib.can_mount_erofs() or lib.user_namespaces(), "neither mounts nor user namespaces")
PROGRAMS = ("/bin/sh", "/bin/cat", "/usr/bin/env", "/bin/true", "/bin/echo", "/bin/ls", "/bin/sleep", "/bin/stty",
            "/usr/bin/setsid")


class LaunchCase(lib.TestCase):
    """A test with a base image of this machine's programs, made once per class."""

    @classmethod
    def setUpClass(cls):
        cls.shared = Path(tempfile.mkdtemp(prefix="orch-launch-"))
        cls.shared.chmod(0o755)
        cls.base = lib.make_base_image(cls.shared / "base.erofs", PROGRAMS)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared)

    def app(self, script, *, files=None, profile="", base=None, extends="native"):
        """An AppImage with this AppRun (text of a shell script, or what make_tree takes), and a profile for it."""
        folder = Path(tempfile.mkdtemp(prefix="app-", dir=self.tmp))
        folder.chmod(0o755)
        run = script if not isinstance(script, str) or script.startswith("#!") else "#!/bin/sh\n" + script
        tree = lib.make_tree(folder / "tree", {
            "AppRun": run, "hello.desktop": "[Desktop Entry]\nName=Hello\nExec=AppRun\nIcon=x\n", **(files or {})})
        lib.make_appimage(folder / "Hello.AppImage", tree)
        shutil.rmtree(tree)
        path = folder / "hello.toml"
        path.write_text(f'schema = 1\nname = "hello"\nextends = "{extends}"\n'
                        f'[app]\nappimage = "Hello.AppImage"\n[stack]\nbase = "{base or self.base}"\n{profile}')
        return path

    def evidence(self, home=None, number=-1):
        """The folder of a run, the last one by default."""
        runs = sorted((Path(home or self.tmp) / "state/appimage-orch/evidence/hello").iterdir(),
                      key=lambda p: p.stat().st_ctime_ns)
        return runs[number]

    def report(self, home=None, folder=None):
        """The last run's report; all its documents are held against their schemas."""
        folder = folder or self.evidence(home)
        self.check_document(json.loads((folder / "inputs.json").read_text()), "inputs")
        return self.check_document(json.loads((folder / "run.report.json").read_text()), "run-report")

    def log(self, home=None):
        return (self.evidence(home) / "run.log").read_bytes()


class Terminal:
    """A command on a pseudo-terminal, as a user at a keyboard has it."""

    def __init__(self, argv, env, cwd, size=(24, 80)):
        self.master, self.slave = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self.slave)
        self.output = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(self.slave, fd)
            os.closerange(3, 100)
            os.chdir(cwd)
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # as after a login, whatever started the tests
                signal.signal(number, signal.SIG_DFL)
            os.execve(argv[0], [os.fspath(a) for a in argv], env)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, text, timeout=60):
        deadline = time.monotonic() + timeout
        while text not in self.output:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{text!r} did not come within {timeout} s: {self.output!r}")
            if select.select([self.master], [], [], left)[0]:
                self.output += os.read(self.master, 65536)

    def type(self, data):
        os.write(self.master, data)

    def wait(self, timeout=60):
        """The exit status (negative: the signal) once the command has ended; reads its output meanwhile."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.02)[0]:
                self.output += os.read(self.master, 65536)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while select.select([self.master], [], [], 0)[0]:
                    self.output += os.read(self.master, 65536)
                self.after = termios.tcgetattr(self.slave)
                os.close(self.master)
                os.close(self.slave)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"did not end: {self.output!r}")


def wait_for(condition, what, timeout=60):
    """Polls until condition() gives something true, and gives that."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what}: did not happen within {timeout} s")


def processes_with(text):
    """Pids of processes whose command line holds the text."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                if text.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                    found.append(int(name))
            except OSError:
                pass
    return found
