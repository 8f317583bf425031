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

    def test_an_image_that_cannot_be_read(self):
        images = self.home / ".fex-emu/RootFS"
        images.mkdir(parents=True)
        data = self.base.read_bytes()
        (images / "a.ero").write_bytes(data[:12288])
        shutil.copy(self.base, images / "b.ero")
        profile = self.profile()
        self.assertEqual(self.muvm(profile).stdout, "hello\n")
        self.assertEqual(self.report(self.home)["images"][0]["path"], str(images / "b.ero"))
        found = {c["path"]: (c["verdict"], c["reason"]) for c in self.candidates("base")}
        self.assertEqual(found[str(images / "a.ero")], ("passed over", f"it cannot be read: the EROFS image is cut short: it has 12288 bytes, its superblock says {len(data)}"))
        self.assertEqual(found[str(images / "b.ero")], ("taken", "the first of FEX's own root images (EROFS)"))

    def test_what_the_profile_names(self):
        """What FEX has is not taken then, and is not told to be."""
        images = self.home / ".fex-emu/RootFS"
        images.mkdir(parents=True)
        shutil.copy(self.base, images / "other.ero")
        self.muvm(self.app("echo hello", extends="asahi"))
        stack = [image["path"] for image in self.report(self.home)["images"]]
        self.assertEqual(stack[0], str(self.base))
        base = {c["path"]: (c["verdict"], c["found_by"], c["reason"]) for c in self.candidates("base")}
        self.assertEqual(base[str(self.base)], ("taken", "profile", "the profile names it"))
        self.assertEqual(base[str(images / "other.ero")], ("passed over", "FEX's images", "the profile names its base"))
        self.assertEqual({c["path"] for c in self.candidates("base") if c["verdict"] == "taken"}, {str(self.base)})

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


class GpuMode(MuvmCase):
    """gpu_mode = "auto", which is also what a profile says that says nothing."""

    def sysfs(self, **drivers):
        folder = self.home / f"sys-{len(list(self.home.glob('sys-*')))}"
        folder.mkdir()
        for node, driver in drivers.items():
            (folder / f"class/drm/{node}/device").mkdir(parents=True)
            (folder / f"class/drm/{node}/device/uevent").write_text(f"MODALIAS=x\nDRIVER={driver}\n")
        return str(folder)

    def chosen(self, profile, sysfs, *words, **env):
        self.muvm(profile, *words, env={"APPIMAGE_ORCH_SYSFS": sysfs, **env})
        report, inputs = self.report(self.home), json.loads((self.evidence(self.home) / "inputs.json").read_text())
        check, = [c["detail"] for c in report["checks"] if c["id"] == "gpu-mode"]
        mode = [word for word in report["argv"] if word.startswith("--gpu-mode")]
        self.assertEqual(inputs["launch"]["gpu_mode"], mode[0].partition("=")[2] if mode else "")
        return mode, check, inputs["launch"]["gpu_mode_reason"]

    def test_by_what_the_host_has(self):
        profile = self.app("exit 0")
        reason = "renderD128 (asahi): there is a native context for this driver"
        self.assertEqual(self.chosen(profile, self.sysfs(renderD128="asahi", card0="asahi")), ([], f"drm, chosen: {reason}", reason))
        reason = "renderD128 (panthor): native contexts are for asahi, msm alone"
        self.assertEqual(self.chosen(profile, self.sysfs(renderD128="panthor")), (["--gpu-mode=venus"], f"venus, chosen: {reason}", reason))
        reason = "renderD128 (msm_dpu, part of msm): there is a native context for this driver"
        self.assertEqual(self.chosen(profile, self.sysfs(renderD128="msm_dpu")), ([], f"drm, chosen: {reason}", reason))
        reason = "this host has no render node (/sys/class/drm/renderD*), so there is no GPU to hand on"
        none = self.sysfs(card0="simpledrm")
        self.assertEqual(self.chosen(profile, none), (["--gpu-mode=software"], f"software, chosen: {reason}", reason))
        self.assertEqual(self.chosen(profile, none, "--gpu-mode", "venus"), (["--gpu-mode=venus"], "venus", ""))

    def test_a_muvm_without_modes(self):
        """What the host would have is told, and nothing else of it is done."""
        profile = self.app("exit 0")
        panthor = self.sysfs(renderD128="panthor")
        why = "this muvm has drm alone (else venus: renderD128 (panthor): native contexts are for asahi, msm alone)"
        self.assertEqual(self.chosen(profile, panthor, MUVM_DOUBLE_RELEASE="0.4.0"), ([], f"drm, chosen: {why}", why))
        guest = json.loads((self.evidence(self.home) / "inputs.json").read_text())["guest"]["environment"]
        self.assertNotIn("MESA_LOADER_DRIVER_OVERRIDE", guest)
        ran = self.muvm(profile, env={"APPIMAGE_ORCH_SYSFS": panthor, "MUVM_DOUBLE_RELEASE": "0.4.0"})
        self.assertIn("warning: drm, chosen: this muvm has drm alone (else venus: ", ran.stderr)
        asahi = "renderD128 (asahi): there is a native context for this driver"
        self.assertEqual(self.chosen(profile, self.sysfs(renderD128="asahi"), MUVM_DOUBLE_RELEASE="0.4.0"), ([], f"drm, chosen: {asahi}", asahi))
        self.assertEqual(self.chosen(profile, panthor)[0], ["--gpu-mode=venus"])
        guest = json.loads((self.evidence(self.home) / "inputs.json").read_text())["guest"]["environment"]
        self.assertEqual(guest["MESA_LOADER_DRIVER_OVERRIDE"], "zink")

    def test_a_plan_says_it(self):
        profile = self.app("exit 0")
        ran = self.orch("plan", profile, "--launcher", "muvm", home=self.home, env=self.muvm_env(APPIMAGE_ORCH_SYSFS=self.sysfs()), prefix=self.prefix)
        self.assertIn("--gpu-mode=software", ran.stdout)

    def test_the_host_of_ninja_s_launch_is_the_same(self):
        """launch/NAME of the generated file takes the mode of the host on which it runs."""
        profile = self.app("exit 0", profile='[launch]\nlauncher = "muvm"\n')
        env = self.muvm_env(APPIMAGE_ORCH_SYSFS=self.sysfs())
        self.orch("build", profile, home=self.home, env=env, prefix=self.prefix)
        folder, = (self.home / "cache/appimage-orch/build").iterdir()
        ran = lib.run_command([*self.prefix, "ninja", "-C", folder, "launch/hello"], env=self.environment(self.home, **env), cwd=self.home)
        self.assertEqual(ran.status, 0, ran)
        self.assertIn("--gpu-mode=software", self.report(self.home)["argv"])


if __name__ == "__main__":
    unittest.main()
