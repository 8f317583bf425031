"""What the tests of the muvm launcher share: an ordinary user with the double of tests/support/muvm_double as muvm."""

import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from tests.integration import lib
from tests.integration.launching import LaunchCase, Terminal

DOUBLE = Path(lib.SOURCE) / "tests/support/muvm_double"
# The interpreter of the tests need not be one that an ordinary user can reach.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
RELEASES = ("0.3.0", "0.4.0", "0.5.0", "0.6.0", "HEAD")
# An ordinary user with an entry in the user database: $0 is a folder with the database, $1 the uid. Not a mount of the one
# file: the double could not lay the images' /etc over a folder with a mount in it.
AS_USER = 'mount -t overlay -o "lowerdir=$0:/etc" overlay /etc && uid=$1 && shift && exec setpriv --reuid=$uid --regid=$uid --clear-groups "$@"'


def passwd_entry(home, uid):
    """Words of a command that runs another as this user, with a line in the user database; nothing for an ordinary user,
    who has one."""
    if not lib.is_root():
        return []
    line = f"guest:x:{uid}:{uid}::{home}:/bin/sh\n"
    folder = home / "etc"
    folder.mkdir(exist_ok=True)
    (folder / "passwd").write_text(Path("/etc/passwd").read_text() + line)
    return [shutil.which("unshare"), "-m", "sh", "-c", AS_USER, folder, str(uid)]


def install_double(folder):
    """The double as muvm, in a folder that is there and that an ordinary user can read."""
    shutil.copy(DOUBLE, folder / "muvm")
    shutil.copytree(DOUBLE.parent / "muvm_parts", folder / "muvm_parts", ignore=shutil.ignore_patterns("__pycache__"))


def install_muvm(folder):
    """What the launcher looks for on PATH, in a folder that is there. FEX as of 2510 to 2607, with both its names."""
    install_double(folder)
    for name in ("FEXInterpreter", "FEX", "FEXServer", "passt", "muvm-guest"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    (folder / "FEXBash").write_text('#!/bin/sh\necho "emulated shell" >&2\nexec /bin/sh "$@"\n')
    (folder / "FEXBash").chmod(0o755)
    (folder / "python3").symlink_to(PYTHON)


@lib.needs_user_namespaces
class MuvmCase(LaunchCase):
    """`muvm()` runs the tool with the muvm launcher; `record()` and `records()` are what the double got."""

    def setUp(self):
        self.user, self.home = self.as_user()
        self.prefix = passwd_entry(self.home, self.user)
        self.bin = self.home / "bin"
        self.runtime = Path(tempfile.mkdtemp(prefix="rt-"))  # not below a long name: sockets' names are short
        self.addCleanup(shutil.rmtree, self.runtime, True)
        self.scratch = self.home / "scratch"
        for folder in (self.bin, self.scratch):
            folder.mkdir(mode=0o700)
        install_muvm(self.bin)
        if lib.is_root():
            for path in (self.bin, self.runtime, self.scratch):
                os.chown(path, self.user, self.user)

    def muvm_env(self, **extra):
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(self.runtime), "TERM": "xterm",
               "MUVM_DOUBLE_RECORD": str(self.home / "record"), "TMPDIR": str(self.scratch)}
        return {**env, **extra}

    def muvm(self, profile, *words, status=0, env=None, prefix=None, **more):
        return self.orch("run", profile, "--launcher", "muvm", *words, status=status, home=self.home,
                         prefix=self.prefix if prefix is None else prefix, env=self.muvm_env(**(env or {})), **more)

    def muvm_terminal(self, profile, *words, size=(24, 80), **env):
        """The same on a terminal, left running."""
        argv = [*self.prefix, lib.shared_copy()[0], "run", profile, "--launcher", "muvm", *words]
        return Terminal([os.fspath(a) for a in argv], self.environment(self.home, **self.muvm_env(**env)), self.home, size)

    def message_golden(self, stderr, name=None):
        """Holds the error and its hint, as the user reads them, against tests/golden/launch/NAME."""
        lines = [line for line in stderr.splitlines() if line.startswith(("error: ", "  hint: "))]
        words = {str(self.runtime): "RUNTIME", self.tmp.name: "NAME", f"process {os.getpid()}": "process PID", f"uid {self.user}": "uid UID"}
        text = re.sub(r"process [0-9]+", "process PID", "".join(line + "\n" for line in lines))
        self.golden(f"launch/{name or self._testMethodName.removeprefix('test_')}.txt", text, words)

    def records(self):
        path = self.home / "record"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def record(self):
        return self.records()[-1]

    def started(self):
        return bool(self.records())

    def running(self, profile, *words, **env):
        """A run of an application that prints "ready"; on a terminal, until it is told to end."""
        terminal = self.muvm_terminal(profile, *words, **env)
        terminal.read_until(b"ready")
        return terminal
