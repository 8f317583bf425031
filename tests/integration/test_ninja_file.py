"""The generated file is ordinary ninja: ninja reads back the paths that were written, whatever their names."""

import json
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.staleness import StalenessCase

AWKWARD = ["with space", "colon:here", "dollar$x", "$$", "ümläut", "quote'\"", "back\\slash", "#hash", " leading", "trailing ",
           "a=b", "(paren)", "very " + "long " * 40 + "name"]


@lib.needs_tool("ninja")
class NinjaFile(StalenessCase):
    def setUp(self):
        text = 'schema = 1\nname = "awkward"\nextends = "native"\n'
        for number, name in enumerate(AWKWARD):
            self.write(f"leaves/{name}", name)
            text += f'[[step]]\nname = "s{number}"\ndescription = {json.dumps(name, ensure_ascii=False)}\n'
            text += 'command = ["sh", "-c", \'cat "$1" > "$2"\', "x", "{in.leaf}", "{out.copy}"]\n'
            text += f'inputs.leaf = {{ file = {json.dumps("leaves/" + name, ensure_ascii=False)} }}\n'
            text += 'outputs.copy = { kind = "file" }\n'
        self.write("profile.toml", text)

    def folder(self):
        (folder,) = (self.tmp / "cache/appimage-orch/build").iterdir()
        return folder

    def test_awkward_names(self):
        done = self.build_checked()
        self.assertEqual(done["executed"], len(AWKWARD))
        contents = sorted(Path(s["artifact"]).read_text(encoding="utf-8") for s in done["steps"])
        self.assertEqual(contents, sorted(AWKWARD))
        ran = lib.run_command(["ninja", "-C", self.folder(), "-t", "query", *sorted(f"stamps/{s['id']}" for s in done["steps"])],
                              env=self.environment())
        read_back = {line.strip()[2:] for line in ran.stdout.splitlines() if line.strip().startswith("| ")}
        # Query prints unescaped paths; a leading blank is lost to our strip on both sides.
        self.assertEqual({name.strip() for name in read_back},
                         {f"root/leaves/{name}".strip() for name in AWKWARD}, ran.stdout)
        again = lib.run_command(["ninja", "-C", self.folder()], env=self.environment())
        self.assertIn("no work to do", again.stdout)

    def test_directories_are_inputs_too(self):
        self.write("folder/one", "1")
        self.write("folder/deep/two", "2")
        self.write("profile.toml", """
schema = 1
name = "folders"
extends = "native"
[[step]]
name = "list"
command = ["sh", "-c", 'cd "$1" && find . -type f | sort > "$2"', "x", "{in.folder}", "{out.list}"]
inputs.folder = { file = "folder" }
outputs.list = { kind = "file" }
""")
        self.assertEqual(self.build_checked()["executed"], 1)
        self.write("folder/deep/three", "3")
        ran = lib.run_command(["ninja", "-C", self.folder()], env=self.environment())
        self.assertEqual(ran.status, 0, str(ran))
        self.assertNotIn("no work to do", ran.stdout)
        self.assertEqual(self.build_checked()["executed"], 0)
        (self.tmp / "folder/one").unlink()
        self.assertEqual(lib.run_command(["ninja", "-C", self.folder()], env=self.environment()).status, 0)
        self.assertEqual(self.build_checked()["executed"], 0)


if __name__ == "__main__":
    unittest.main()
