"""Argument vectors of any bytes reach the application as they are, through both launchers."""

import importlib.machinery
import importlib.util
import random
import subprocess
import unittest

from tests.integration import lib
from tests.integration.launching import LaunchCase
from tests.integration.muvm import DOUBLE, MuvmCase

DRIVER = lib.BINARY.parents[2] / "tests/support/launch-driver"
COUNT = 1000
# What some part of the way could take for something of its own.
SPECIAL = [b"", b"-", b"--", b"-h", b"--help", b"-e", b"-f", b"--env=A=b", b"-it", b"\n", b"a\n\n", b"*", b"$HOME", b"`id`", b"$(id)",
           b"'", b'"', b"\\", b"\\n", b"a b", b"\t", b"\xff", b"\xc3", b"\xf0\x9f\x98\x80", b"${appdir}", b"%s", b"#", b"~", b"!", b"{a,b}",
           b"\x01\x02\x7f", b"\r", b"-n", b"--gpu-mode=venus", b"x" * 5000]
APP = 'printf "%s\\n" $#; for word; do printf "%s\\0" "$word"; done'


def vectors(seed, count):
    """The same ones for everybody with the same seed: words out of SPECIAL, and random bytes other than NUL."""
    chance = random.Random(seed)

    def word():
        if chance.random() < 0.5:
            return chance.choice(SPECIAL)
        return bytes(chance.randrange(1, 256) for _ in range(chance.randrange(12)))
    return [[word() for _ in range(chance.randrange(6))] for _ in range(count)]


def encoded(words):
    return b"%d\n" % len(words) + b"".join(w + b"\0" for w in words)


def decoded(stream):
    """The vectors that encoded() wrote."""
    while head := stream.readline():
        words = []
        for _ in range(int(head)):
            words.append(b"")
            while (byte := stream.read(1)) != b"\0":
                words[-1] += byte
        yield words


class Native(LaunchCase):
    @lib.needs_root
    def test_native(self):
        seed = lib.chosen_seed()
        self.note(f"seed {seed}, {COUNT} vectors")
        appdir = lib.make_tree(self.tmp / "app", {"AppRun": "#!/bin/sh\n" + APP})
        given = vectors(seed, COUNT)
        done = subprocess.run([DRIVER, "native", self.base, appdir, self.tmp], input=b"".join(map(encoded, given)),
                              capture_output=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        rest = done.stdout
        for words in given:
            size, _, rest = rest.partition(b"\n")
            self.assertEqual(rest[:int(size)], encoded(words), f"seed {seed}: {words}")
            rest = rest[int(size):]
        self.assertEqual(rest, b"")


class Muvm(MuvmCase):
    def test_muvms_line_is_parsed_back_to_the_same_words(self):
        """The double's parser takes the line apart, and the shell that it names runs."""
        seed = lib.chosen_seed()
        self.note(f"seed {seed}, {COUNT} vectors")
        loader = importlib.machinery.SourceFileLoader("muvm_double", str(DOUBLE))
        double = importlib.util.module_from_spec(importlib.util.spec_from_loader("muvm_double", loader))
        loader.exec_module(double)
        appdir = lib.make_tree(self.tmp / "app", {"AppRun": "#!/bin/sh\n" + APP})
        given = vectors(seed, COUNT)
        done = subprocess.run([DRIVER, "muvm", self.base, appdir, self.tmp], input=b"".join(map(encoded, given)),
                              capture_output=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.tmp / "lines", "w+b") as lines:
            lines.write(done.stdout)
            lines.seek(0)
            answers = list(decoded(lines))
        self.assertEqual(len(answers), COUNT)
        for words, line in zip(given, answers):
            parsed = double.Line(line[1:])
            for word in parsed.command[1:]:
                word.decode()  # or muvm would refuse it
            self.assertEqual(parsed.get("fex-image"), [str(self.base)])
            got = subprocess.run(parsed.command, capture_output=True, cwd="/", check=True, timeout=60)
            self.assertEqual(got.stdout, encoded(words), f"seed {seed}: {words}")

    def test_whole_runs(self):
        seed = lib.chosen_seed() + 1
        profile = self.app(APP)
        for words in [SPECIAL, *vectors(seed, 8)]:
            self.muvm(profile, "--out-dir", self.home / "run", "--force", "--", *words)
            self.assertEqual((self.home / "run/run.log").read_bytes(), encoded(words), f"seed {seed}: {words}")
            self.assertEqual(self.record()["reused"], False)


if __name__ == "__main__":
    unittest.main()
