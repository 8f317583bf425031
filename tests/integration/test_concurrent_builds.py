"""Several builds at once on one store: the work is done once, and nobody sees half of it."""

import subprocess
import unittest

from tests.integration import lib
from tests.integration.staleness import StalenessCase

PROFILE = """
schema = 1
name = "NAME"
extends = "native"
[[step]]
name = "slow"
command = ["sh", "-c", 'echo ran >> "$1"; sleep 0.3; mkdir "$3"; for i in 1 2 3; do cat "$2" > "$3/$i"; done', "x",
           "TMP/journal", "{in.leaf}", "{out.tree}"]
inputs.leaf = { file = "leaf" }
outputs.tree = { kind = "tree" }
"""


@lib.needs_tool("ninja")
class Concurrent(StalenessCase):
    def test_equal_keys_are_made_once(self):
        places = []
        for number in range(4):
            self.write(f"p{number}/leaf", "the same content")
            self.write(f"p{number}/profile.toml", PROFILE.replace("NAME", f"p{number}").replace("TMP", str(self.tmp)))
            places.append(self.tmp / f"p{number}")
        builds = [subprocess.Popen([lib.shared_copy()[0], "build", "--format", "json"], cwd=place, env=self.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                  for place in places]
        for build in builds:
            errors = build.communicate()[1]
            self.assertEqual(build.returncode, 0, errors)
        self.assertEqual((self.tmp / "journal").read_text(), "ran\n")
        done = [self.build(cwd=place) for place in places]
        self.assertEqual({d["steps"][0]["artifact"] for d in done}, {done[0]["steps"][0]["artifact"]})
        self.assertEqual(list((self.tmp / "cache/appimage-orch/store/tmp").iterdir()), [])

    def test_one_profile_twice_at_once(self):
        self.write("leaf", "x")
        self.write("profile.toml", PROFILE.replace("NAME", "one").replace("TMP", str(self.tmp)))
        builds = [subprocess.Popen([lib.shared_copy()[0], "build"], cwd=self.tmp, env=self.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                  for _ in range(3)]
        for build in builds:
            errors = build.communicate()[1]
            self.assertEqual(build.returncode, 0, errors)
        self.assertEqual((self.tmp / "journal").read_text(), "ran\n")


if __name__ == "__main__":
    unittest.main()
