"""What people read: plan, doctor, probe and bench, in 80 columns, in a pipe and on terminals of several kinds."""

import re
import unittest

from tests.integration import lib
from tests.integration.launching import NATIVE, LaunchCase, Terminal

ESCAPE = re.compile(r"\x1b\[[0-9;]*[mK]")
WIDTH = 80
# Where one word alone (a path) is longer than a line, it stands behind no more than this.
LABEL = 30
BENCH = lib.GOLDEN / "bench/bench.json"


def too_wide(text):
    return [line for line in text.splitlines() if len(line) > WIDTH and len(line.rpartition(" ")[0]) > LABEL]


@NATIVE
class Pages(LaunchCase):
    def on_terminal(self, words, errors="2>/dev/null", **env):
        """What a command shows on a terminal; standard error is not it, unless it is wanted."""
        argv = ["/bin/sh", "-c", f'exec "$@" {errors}', "sh", lib.shared_copy()[0], *words]
        environment = {**self.environment(), **env}
        terminal = Terminal(argv, {k: v for k, v in environment.items() if v is not None}, self.tmp)
        terminal.wait()
        return terminal.output.decode().replace("\r\n", "\n")

    def page(self, name, *words, status=0, colour=False, change=lambda text: text):
        """Holds a page against its golden, and its forms against each other."""
        ran = self.orch(*words, status=status)
        text = change(ran.stdout)
        self.assertTrue(text.strip())
        self.assertEqual(too_wide(text), [])
        self.assertNotIn("\x1b", text)
        self.golden(f"pages/{name}.txt", text)
        for surroundings, env in (("NO_COLOR", {"TERM": "xterm-256color"}), ("dumb", {"TERM": "dumb", "NO_COLOR": None}), ("no TERM", {"TERM": None, "NO_COLOR": None})):
            with self.subTest(name, surroundings=surroundings):
                self.assertEqual(change(self.on_terminal(words, **env)), text)
        coloured = self.on_terminal(words, errors="" if colour else "2>/dev/null", TERM="xterm-256color", NO_COLOR=None)
        self.assertEqual(change(ESCAPE.sub("", coloured)), text, "colour adds nothing that is not there without it")
        self.assertEqual("\x1b" in coloured, colour)

    def test_plan(self):
        profile = self.app("exit 0")
        def change(text):
            text = re.sub(r"-[0-9a-f]{12}", "-ID", text).replace(str(profile.parent), "PLACE").replace(str(self.base), "BASE")
            return re.sub(r"store/cas/(\w+)/[0-9a-f]{2}/[0-9a-f]{32}", r"store/cas/\1/DIGEST", text)
        self.page("plan-stale", "plan", profile, change=change)
        self.orch("build", profile)
        self.page("plan-fresh", "plan", profile, change=change)

    def test_doctor(self):
        # What this machine is differs; that it fits and has no colours where there are none does not.
        def change(text):
            return re.sub(r"(?ms)^(ok|warning|failed|skipped) +(\S+) .*?(?=^\S|\n\n|\Z)", r"\2\n", re.sub(r"\n\d+ ok.*", "\nSUMMARY", text))
        ran = self.orch("doctor", ok=None)
        self.assertEqual(too_wide(ran.stdout), [])
        self.page("doctor", "doctor", status=ran.status, colour=True, change=change)

    def probed(self):
        tools = {"glxinfo": "OpenGL vendor string: Mesa\\nOpenGL renderer string: llvmpipe (LLVM 15.0.6, 256 bits)\\nOpenGL version string: 4.5 (Compatibility Profile) Mesa 22.3.6\\n",
                 "xdpyinfo": "name of display: :1\\nvendor string: The X.Org Foundation\\nvendor release number: 12101007\\n    GLX  (opcode: 150)\\n  dimensions: 1024x768 pixels\\n"}
        tree = lib.make_tree(self.tmp / "tools", {f"usr/bin/{name}": f'#!/bin/sh\nprintf "{text}"\n' for name, text in tools.items()})
        return self.app("exit 0", profile=f'images = ["{lib.make_erofs(self.tmp / "tools.erofs", tree)}"]\n')

    def test_probe(self):
        profile = self.probed()
        self.page("probe-gpu", "probe", "gpu", profile, "--no-tools", status=1)
        self.page("probe-display", "probe", "display", profile, "--no-tools", change=lambda text: re.sub(r"(?m)^  (XAUTH|DISPLAY|XDG_|WAYLAND).*\n", "", text))
        self.page("probe-ab", "probe", "gpu", profile, "--no-tools", "--ab-env", "DISPLAY=:1,:2", status=1)

    def test_bench(self):
        self.page("bench-show", "bench", "show", BENCH)
        self.page("bench-compare", "bench", "compare", BENCH, BENCH)
        profile = self.app("exit 0")
        def change(text):
            # Which unit, where a line is broken and whether there are outliers depends on how long the starts took.
            text = re.sub(r"(?m)^  outliers .*\n( {5,}.*\n)*", "", text)
            text = re.sub(r"\n {5,}", " ", text)
            text = re.sub(r"phases \(m?s\) +", "phases (UNIT) ", re.sub(r"(\d) m?s\b", r"\1 UNIT", text))
            return re.sub(r"\d+\.\d+", "N", text)
        self.page("bench", "bench", profile, "--warm", "3", "--cold", "0", change=change)

    def test_the_progress_of_a_benchmark(self):
        """A bar where a line can be drawn over, else lines; neither where nobody wants to know."""
        profile = self.app("exit 0")
        self.orch("build", profile)
        words = ("bench", profile, "--warm", "3", "--cold", "0")
        plain = self.orch(*words).stderr
        self.golden("pages/bench-progress.txt", re.sub(r"(?m)^benchmark: .*/bench.json", "benchmark: PLACE", re.sub(r"[0-9.]+ m?s\b", "TIME", plain)))
        self.assertEqual(self.orch("--quiet", *words).stderr, "")
        terminal = Terminal([lib.shared_copy()[0], *words], self.environment(TERM="xterm"), self.tmp)
        self.assertEqual(terminal.wait(), 0)
        text = terminal.output.decode()
        self.assertIn("[####", text)
        self.assertRegex(text, r"3/4, about [0-9.]+ m?s left, warm; last: warm [0-9.]+ m?s")
        self.assertNotIn("[1/4]", text)


if __name__ == "__main__":
    unittest.main()
