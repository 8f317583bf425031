"""The capture of a terminal's bytes, and the terminal as people use it: many bytes, sizes, full-screen programs, job control."""

import hashlib
import os
import shlex
import shutil
import subprocess
import time
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.launching import LaunchCase, wait_for
from tests.integration.muvm import MuvmCase

NATIVE = unittest.skipUnless(lib.can_mount_erofs() or lib.user_namespaces(), "neither mounts nor user namespaces")
MIB = 1 << 20


@NATIVE
class ManyBytes(LaunchCase):
    def test_a_hundred_megabytes_are_captured_as_they_are(self):
        size = (16 if os.environ.get("ORCH_SANITIZED") else 100) * MIB
        data = self.tmp / "data"
        with open(data, "wb") as file:
            for _ in range(size // MIB):
                file.write(os.urandom(MIB))
        profile = self.app(f"stty raw -echo 2>/dev/null <&1; exec cat {data}")
        with open(self.tmp / "shown", "wb") as shown:
            argv = [lib.shared_copy()[0], "run", profile, "--out-dir", self.tmp / "run"]
            self.assertEqual(subprocess.run(argv, env=self.environment(), cwd=self.tmp, stdin=subprocess.DEVNULL, stdout=shown,
                                            stderr=subprocess.DEVNULL, check=False).returncode, 0)
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (data, self.tmp / "run/run.log", self.tmp / "shown")]
        self.assertEqual(digests[1:], digests[:1] * 2)
        self.assertEqual(self.report(folder=self.tmp / "run")["log"], {"bytes": size, "truncated": False, "left_out": 0})


class Screen:
    """A person at a terminal: tmux shows what is on the screen. Mixed into a test case that has `line(profile)`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        programs = ["/bin/sh", "/bin/cat", "/bin/sleep", "/bin/stty", *(os.path.realpath(shutil.which(name)) for name in ("less", "vi", "bash"))]
        cls.base = lib.make_base_image(cls.shared / "tools.erofs", programs)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.tmux, "kill-server")

    def tmux(self, *words):
        return lib.run_command(["tmux", "-S", self.tmp / "tmux", "-f", "/dev/null", *words], env={**os.environ, "TERM": "xterm"}).stdout

    def session(self, script):
        terminfo = next((p for p in ("/lib/terminfo/s/screen", "/usr/share/terminfo/s/screen") if os.path.exists(p)), None)
        files = {"terminfo/s/screen": Path(terminfo).read_bytes()} if terminfo else {}
        profile = self.app('export TERMINFO="$APPDIR/terminfo"\n' + script, files=files)
        argv, env = self.line(profile)
        words = ["env", "-i", *(f"{k}={v}" for k, v in env.items()), *map(os.fspath, argv)]
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", shlex.join(words) + "; echo status $?; exec cat")

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def see(self, text):
        try:
            wait_for(lambda: text in self.screen(), text, 20)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen()}") from None

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def test_a_shell_with_jobs(self):
        self.session("exec /bin/bash --norc --noprofile -i")
        self.see("bash-")
        self.type("PS1='guest> '", "Enter")
        self.see("\nguest>")
        self.type("sleep 1000", "Enter")
        time.sleep(0.3)
        self.type("C-c")
        self.type("echo status-$?", "Enter")
        self.see("status-130")  # the shell lives, its job got the interrupt
        self.type("cat", "Enter")
        time.sleep(0.2)
        self.type("C-z")
        self.see("Stopped")
        self.type("kill %1; stty size", "Enter")
        self.see("24 80")
        self.tmux("resize-window", "-x", "100", "-y", "30")
        time.sleep(0.3)
        self.type("stty size", "Enter")
        self.see("30 100")
        self.type("exit 5", "Enter")
        self.see("status 5")

    def test_less(self):
        text = self.write("text", "".join(f"line {i}\n" for i in range(1, 200)), 0o644)
        self.session(f"exec less {text}")
        self.see("line 23")
        self.type("G")
        self.see("line 199")
        self.type("q")
        self.see("status 0")

    def test_vi(self):
        text = self.write("text", "first\n", 0o666)
        self.session(f"exec {os.path.realpath(shutil.which('vi'))} -u NONE -i NONE -n {text}")
        self.see("first")
        self.type("ohello there", "Escape", ":wq", "Enter")
        self.see("status 0")
        self.assertEqual(text.read_text(), "first\nhello there\n")


@NATIVE
@lib.needs_tool("tmux", "less", "vi")
class NativeScreen(Screen, LaunchCase):
    def line(self, profile):
        return [lib.shared_copy()[0], "run", profile], self.environment(TERM="screen")


@lib.needs_tool("tmux", "less", "vi")
class MuvmScreen(Screen, MuvmCase):
    def line(self, profile):
        argv = [*self.prefix, lib.shared_copy()[0], "run", profile, "--launcher", "muvm"]
        return argv, self.environment(self.home, **self.muvm_env(TERM="screen"))


if __name__ == "__main__":
    unittest.main()
