"""What a profile need not name: muvm, and the base image that FEX has already."""

import json
import os
import shutil
import unittest

from tests.integration import lib
from tests.integration.muvm import MuvmCase


@unittest.skipIf(os.path.exists("/usr/share/fex-emu/RootFS") or os.path.exists("/usr/local/share/fex-emu/RootFS"), "this machine has images of its own")
class Discovery(MuvmCase):
    def profile(self):
        profile = self.app("echo hello", extends="asahi")
        text = profile.read_text().replace(f'base = "{self.base}"\n', 'base = "auto"\n')
        profile.write_text(text)
        return profile

    def candidates(self, what):
        inputs = json.loads((self.evidence(self.home) / "inputs.json").read_text())
        return [c for c in inputs["discovery"] if c["what"] == what]

    def test_the_image_that_fex_is_configured_to_use(self):
        images = self.home / ".fex-emu/RootFS"
        images.mkdir(parents=True)
        shutil.copy(self.base, images / "Own.ero")
        (images / "notes.ero").write_text("no image")
        (self.home / ".fex-emu/Config.json").write_text('{"Config": {"RootFS": "Own.ero"}}')
        profile = self.profile()
        self.assertEqual(self.muvm(profile).stdout, "hello\n")
        self.assertEqual(self.report(self.home)["images"][0]["path"], str(images / "Own.ero"))
        found = {c["path"]: (c["verdict"], c["found_by"], c["reason"]) for c in self.candidates("base")}
        self.assertEqual(found[str(images / "Own.ero")], ("taken", "FEX's configuration", f"'{self.home}/.fex-emu/Config.json' names it (EROFS)"))
        self.assertEqual(found[str(images / "notes.ero")], ("passed over", "FEX's images", "it is neither EROFS nor SquashFS"))
        self.assertEqual(found["/usr/share/fex-emu/RootFS/default.erofs"][0], "absent")

    def test_no_image_at_all(self):
        profile = self.profile()
        ran = self.muvm(profile, status=125)
        self.golden("discovery/no-base.txt", ran.stderr, {str(profile.parent): "PLACE", str(self.home): "HOME"})

    def test_the_variable_names_a_muvm(self):
        other = self.home / "other"
        other.mkdir()
        for name in ("muvm", "muvm_parts"):
            os.rename(self.bin / name, other / name)
        profile = self.app("echo hello")
        self.assertIn("muvm", self.muvm(profile, status=125).stderr)
        self.muvm(profile, env={"APPIMAGE_ORCH_MUVM": str(other / "muvm")})
        self.assertEqual(self.report(self.home)["argv"][0], str(other / "muvm"))
        self.assertEqual([(c["verdict"], c["found_by"]) for c in self.candidates("muvm")], [("taken", "$APPIMAGE_ORCH_MUVM")])
        (self.bin / "muvm2").symlink_to(other / "muvm")  # a name on PATH, where there is no other muvm
        self.muvm(profile, env={"APPIMAGE_ORCH_MUVM": "muvm2"})
        self.assertEqual(self.report(self.home)["argv"][0], str(self.bin / "muvm2"))
        ran = self.muvm(profile, env={"APPIMAGE_ORCH_MUVM": "/no/muvm"}, status=125)
        self.message_golden(ran.stderr, "no_such_muvm")


if __name__ == "__main__":
    unittest.main()
