"""`probe`: what the tools of the stack say, for real on Xvfb with Mesa's software drivers, and through the muvm double."""

import json
import re
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.display import Display
from tests.integration.launching import NATIVE, PROGRAMS, LaunchCase
from tests.integration.muvm import MuvmCase
from tests.integration.repository import Entry, Repository

BASE = ("dash", "libc-bin", "libc6", "libgl1-mesa-dri", "libglx-mesa0", "libegl-mesa0", "mesa-vulkan-drivers")


@lib.needs_tool("Xvfb", "apt-get", "mkfs.erofs", "mksquashfs")
class Real(lib.TestCase):
    """On a base with Mesa from this distribution's packages."""

    def setUp(self):
        if not lib.is_root() and not lib.user_namespaces():
            self.skipTest("unprivileged user namespaces are off")
        self.display = Display()
        self.addCleanup(self.display.close)
        tree = lib.make_tree(self.tmp / "tree", {"AppRun": "#!/bin/sh\n", "x.desktop": "[Desktop Entry]\nName=X\nExec=AppRun\nIcon=x\n"})
        lib.make_appimage(self.tmp / "X.AppImage", tree)
        names = ", ".join(f'"{name}"' for name in BASE)
        self.profile = self.write("x.toml", 'schema = 1\nname = "x"\nextends = "native"\n[app]\nappimage = "X.AppImage"\n'
                                            f'[stack]\nbase = {{ packages = [{names}], source = "auto" }}\n')

    def probe(self, kind, *words, status):
        ran = self.orch("probe", kind, self.profile, "--format", "json", *words, status=status, env={"DISPLAY": self.display.name})
        return ran.json

    def asked_of(self, display):
        """{tool: (state, whether its status is 0)} of a probe of the GPU that is not complete, and the platforms of EGL that failed."""
        said = self.orch("probe", "gpu", self.profile, "--format", "json", status=1, env={"DISPLAY": display}).json
        egl = next(t for t in said["tools"] if t["tool"] == "eglinfo")
        self.assertEqual(egl["status"], egl["text"].count("eglinfo: eglInitialize failed"), "what this version of eglinfo counts")
        return {t["tool"]: (t["state"], t["status"] == 0) for t in said["tools"]}, said["egl_failed"]

    def servers_that_cannot_do_all(self):
        display = Display("-extension", "GLX")
        self.addCleanup(display.close)
        tools, failed = self.asked_of(display.name)
        self.assertEqual(tools["glxinfo"], ("failed", True), "it ends with status 0 all the same")
        self.assertEqual((tools["eglinfo"][0], tools["vulkaninfo"]), ("ok", ("ok", True)))
        self.assertNotIn("X11", failed)
        tools, failed = self.asked_of(":9999")
        self.assertEqual((tools["glxinfo"], tools["eglinfo"]), (("failed", False), ("ok", False)))
        self.assertIn("X11", failed)

    def test_gpu_and_display(self):
        absent = self.probe("gpu", "--no-tools", status=1)
        self.assertEqual({t["tool"]: t["state"] for t in absent["tools"]}, {"glxinfo": "absent", "eglinfo": "absent", "vulkaninfo": "absent"})
        self.assertIsNone(absent["overlay"])
        lock = (self.tmp / "x.lock.toml").read_text()
        found = self.probe("gpu", status=0)
        self.assertEqual(found["overlay"], {"packages": ["mesa-utils", "vulkan-tools"], "problem": None})
        apis = {r["api"]: r for r in found["renderers"]}
        self.assertLessEqual({"GLX", "EGL", "Vulkan"}, set(apis))
        self.assertEqual({r["kind"] for r in found["renderers"]}, {"software"})
        self.assertIn("llvmpipe", apis["GLX"]["renderer"])
        self.assertRegex(apis["GLX"]["version"], r"Mesa [0-9.]+")
        self.assertIn("llvmpipe", apis["Vulkan"]["renderer"])
        self.assertEqual((self.tmp / "x.lock.toml").read_text(), lock, "the user's lock is the user's")
        self.servers_that_cannot_do_all()
        both = self.probe("gpu", "--ab-env", "GALLIUM_DRIVER=llvmpipe,softpipe", status=0)
        drawn = next(f["values"] for f in both["fields"] if f["field"] == "renderers[GLX].renderer")
        self.assertIn("llvmpipe", drawn["GALLIUM_DRIVER=llvmpipe"])
        self.assertEqual(drawn["GALLIUM_DRIVER=softpipe"], "softpipe")
        # This machine has the program, and the stack has not.
        absent = self.probe("display", "--no-tools", status=1)
        self.assertEqual(absent["display"], {"name": self.display.name, "promised": None, "as_promised": None, "answers": None})
        self.assertEqual((absent["server"], [t["state"] for t in absent["tools"]]), (None, ["absent"]))
        asked = self.probe("display", status=0)
        self.assertEqual(asked["display"], {"name": self.display.name, "promised": None, "as_promised": None, "answers": True})
        server = asked["server"]
        self.assertEqual(server["display"], self.display.name)
        self.assertIn("GLX", [e["name"] for e in server["extensions"]])
        self.assertEqual(server["screens"], [{"width": self.display.width, "height": self.display.height}])


def says(text):
    return f"#!/bin/sh\necho '{text}'\n"


GLX, EGL, VULKAN = "OpenGL renderer string: Apple M1", "EGL API version: 1.5", "GPU0:\n\tdeviceName = Apple M1"


@NATIVE
class Native(LaunchCase):
    def stack(self, distribution, files):
        """A profile whose base is of that distribution, and has these files besides some programs."""
        tree = self.tmp / f"base-{distribution}"
        lib.copy_programs(tree, PROGRAMS)
        release = {"etc/os-release": f"ID={distribution}\nVERSION_ID=1\n"} if distribution else {}
        return self.app("exit 1", base=lib.make_erofs(self.tmp / f"{distribution}.erofs", lib.make_tree(tree, {**files, **release})))

    def gpu(self, profile, status):
        return self.orch("probe", "gpu", profile, "--format", "json", status=status)

    def test_a_stack_that_has_the_tools_needs_no_overlay(self):
        profile = self.stack("fake", {"usr/bin/glxinfo": says(GLX), "bin/eglinfo": says(EGL), "usr/local/bin/vulkaninfo": says(VULKAN)})
        ran = self.gpu(profile, 0)
        self.assertEqual([t["state"] for t in ran.json["tools"]], ["ok"] * 3)
        self.assertIsNone(ran.json["overlay"])
        self.assertNotIn("resolving", ran.stderr)
        self.assertNotIn("warning", ran.stderr, "nothing of the script's own is left behind")
        self.assertFalse((self.tmp / "state/appimage-orch/probes").exists())

    def test_without_an_overlay_the_tools_are_absent(self):
        """No source for the distribution: what the stack has is asked all the same."""
        profile = self.stack("fake", {"usr/bin/glxinfo": says(GLX)})
        ran = self.gpu(profile, 1)
        self.assertEqual([t["state"] for t in ran.json["tools"]], ["ok", "absent", "absent"])
        self.assertIn("there is no source for it", ran.json["overlay"]["problem"])
        self.assertIn("warning: no overlay has eglinfo, vulkaninfo for this probe: the base image's distribution is fake 1", ran.stderr)
        text = self.orch("probe", "gpu", profile, status=1).stdout
        self.assertRegex(text, r"^  tools +those of the stack alone: the base image's")
        self.assertRegex(text, r"(?m)^  eglinfo +absent$")

    def own_source(self):
        repository = Repository(self.tmp / "repository")
        self.write("config/appimage-orch/profiles/sources/base.toml", f'schema = 1\ndistribution = "own"\nrelease = "1"\n{repository.table()}')
        return repository

    @lib.needs_tool("apt-get")
    def test_what_the_stack_has_is_the_stacks(self):
        """A package with a tool that the stack lacks has a library and a tool that it does not, and asks for drivers."""
        repository = self.own_source()
        repository.add("vulkan-tools", "1.0", {"./usr/bin/vulkaninfo": Entry(b"#!/bin/sh\necho GPU0:\necho deviceName = $(cat /usr/lib/libGLX_mesa.so.0 /usr/lib/new)\n", 0o755),
                                               "./usr/lib/libGLX_mesa.so.0": b"the overlay's", "./usr/lib/new": b", with what was lacking",
                                               "./usr/bin/glxinfo": Entry(says("the overlay's").encode(), 0o755)}, depends="libgl1-mesa-dri")
        repository.add("mesa-utils", "1.0", {"./usr/bin/eglinfo": ("link", "elsewhere")})
        repository.add("libgl1-mesa-dri", "1.0", {"./usr/lib/dri/asahi_dri.so": b"a driver"}).publish()
        profile = self.stack("own", {"usr/bin/glxinfo": says(GLX), "usr/bin/eglinfo": says(EGL), "usr/lib/libGLX_mesa.so.0": "the stack's"})
        document = self.gpu(profile, 0).json
        self.assertEqual(document["overlay"], {"packages": ["vulkan-tools"], "problem": None})
        self.assertEqual([r["renderer"] for r in document["renderers"]], ["Apple M1", None, "the stack's, with what was lacking"])
        run = max((self.tmp / "state/appimage-orch/evidence/hello-probe-gpu").iterdir())
        inputs = json.loads((run / "inputs.json").read_text())
        self.assertEqual([i["role"] for i in inputs["launch"]["images"]][:2], ["deps", "base"])
        manifest = next(m["content"] for m in inputs["manifests"] if m["role"] == "deps")
        self.assertEqual([p["name"] for p in manifest["packages"]], ["vulkan-tools"])

    @lib.needs_tool("apt-get")
    def test_an_overlay_that_cannot_be_built(self):
        """A package that is not what its list says, in a step that fails."""
        repository = self.own_source()
        repository.add("mesa-utils", "1.0", {"./usr/bin/glxinfo": Entry(says(GLX).encode(), 0o755)}).publish()
        for archive in (self.tmp / "repository/pool").iterdir():
            archive.write_bytes(archive.read_bytes()[:-512] + b"x" * 512)
        profile = self.stack("own", {"usr/bin/eglinfo": says(EGL), "usr/bin/vulkaninfo": says(VULKAN)})
        document = self.gpu(profile, 1).json
        self.assertEqual([t["state"] for t in document["tools"]], ["absent", "ok", "ok"])
        self.assertEqual(document["overlay"]["packages"], ["mesa-utils"])
        self.assertTrue(document["overlay"]["problem"])

    def test_devices_need_no_tool(self):
        """Each kind that was looked for is told, also where there is none."""
        profile = self.app("exit 1")
        document = self.orch_json("probe", "devices", profile)
        self.assertTrue(document["complete"])
        run = max((self.tmp / "state/appimage-orch/evidence/hello-probe-devices").iterdir())
        self.assertEqual(json.loads((run / "probe.json").read_text()), document)
        kinds = {k["name"]: k for k in document["kinds"]}
        self.assertEqual(list(kinds), ["render", "input", "usb", "hidraw", "pcsc"])
        nodes = sorted(p.name for p in Path("/dev/dri").glob("renderD*"))
        self.assertEqual(kinds["render"]["devices"], [f"dri/{name}" for name in nodes])
        text = self.orch("probe", "devices", profile).stdout
        for name, kind in kinds.items():
            self.assertRegex(text, rf"(?m)^  {name} +{re.escape(', '.join(kind['devices'])) if kind['state'] == 'there' else kind['state']}")

    def test_a_tool_that_takes_the_shell_with_it(self):
        profile = self.stack("fake", {"usr/bin/glxinfo": says(GLX), "usr/bin/eglinfo": says(EGL), "usr/bin/vulkaninfo": "#!/bin/sh\necho first\nkill -KILL $PPID\nsleep 1\n"})
        document = self.gpu(profile, 137).json
        self.assertEqual([(t["tool"], t["state"], t["status"]) for t in document["tools"]],
                         [("glxinfo", "ok", 0), ("eglinfo", "ok", 0), ("vulkaninfo", "failed", None)])
        self.assertEqual((document["finished"], document["complete"]), (False, False))
        self.assertEqual([r["api"] for r in document["renderers"]], ["GLX", "EGL"])
        self.assertEqual(document["tools"][2]["text"], "first\n")
        run = max((self.tmp / "state/appimage-orch/evidence/hello-probe-gpu").iterdir())
        self.assertEqual(json.loads((run / "probe.json").read_text()), document)

    def test_tools_that_end_well_and_say_nothing(self):
        """glxinfo 8.5.0 does where the server has no GLX; eglinfo's status counts what did not start."""
        failed = "platform:\\neglinfo: eglInitialize failed\\n\\n"
        profile = self.stack("fake", {
            "usr/bin/glxinfo": says("Error: could not find RGB GLX visual or fbconfig"), "usr/bin/vulkaninfo": says(VULKAN),
            "usr/bin/eglinfo": f"#!/bin/sh\nprintf 'X11 {failed}GBM {failed}Surfaceless platform:\\nEGL API version: 1.5\\n'\nexit 2\n"})
        document = self.gpu(profile, 1).json
        self.assertEqual([(t["state"], t["status"]) for t in document["tools"]], [("failed", 0), ("ok", 2), ("ok", 0)])
        self.assertEqual(document["egl_failed"], ["X11", "GBM"])
        text = self.orch("probe", "gpu", profile, status=1).stdout
        self.assertRegex(text, r"(?m)^  EGL X11 +could not be initialised\n  EGL GBM +could not be initialised$")
        self.assertRegex(text, r"(?m)^  EGL Surfaceless unknown: \?$")
        self.assertIn("  glxinfo     failed: Error: could not find RGB GLX visual or fbconfig\n", text)


class Muvm(MuvmCase):
    def test_the_emulated_shell_asks_the_stack(self):
        profile = self.app("exit 1")
        tools = lib.make_erofs(self.tmp / "tools.erofs", lib.make_tree(self.tmp / "tools", {
            "usr/bin/glxinfo": "#!/bin/sh\necho 'OpenGL renderer string: Apple M1 (G13G B1)'\n", "usr/bin/vulkaninfo": "#!/bin/sh\necho trouble >&2\nexit 3\n"}))
        ran = self.orch("probe", "gpu", profile, "--launcher", "muvm", "--no-tools", "--image", tools, "--format", "json", status=1, home=self.home,
                        prefix=self.prefix, env=self.muvm_env())
        self.assertEqual([(t["tool"], t["state"], t["status"]) for t in ran.json["tools"]], [("glxinfo", "ok", 0), ("eglinfo", "absent", None), ("vulkaninfo", "failed", 3)])
        self.assertEqual([(r["renderer"], r["kind"]) for r in ran.json["renderers"]], [("Apple M1 (G13G B1)", "hardware")])

    @lib.needs_tool("apt-get")
    def test_the_tools_lie_below_the_stack(self):
        repository = Repository(self.tmp / "repository")
        repository.add("x11-utils", "1.0", {"./usr/bin/xdpyinfo": Entry(b"#!/bin/sh\necho vendor string: $(cat /run/fex-emu/rootfs/usr/lib/libX11.so.6)\n", 0o755),
                                            "./usr/lib/libX11.so.6": b"the overlay's"}).publish()
        sources = self.home / "config/appimage-orch/profiles/sources"
        sources.mkdir(parents=True)
        (sources / "own.toml").write_text(f'schema = 1\ndistribution = "own"\nrelease = "1"\n{repository.table()}')
        tree = lib.copy_programs(self.tmp / "own", PROGRAMS)
        base = lib.make_erofs(self.tmp / "own.erofs", lib.make_tree(tree, {"etc/os-release": "ID=own\nVERSION_ID=1\n", "usr/lib/libX11.so.6": "the stack's"}))
        ran = self.orch("probe", "display", self.app("exit 1", base=base), "--launcher", "muvm", "--format", "json", home=self.home, prefix=self.prefix, env=self.muvm_env(DISPLAY=":7"))
        self.assertEqual((ran.json["server"]["vendor"], ran.json["overlay"]), ("the stack's", {"packages": ["x11-utils"], "problem": None}))
        images = self.record()["options"]["fex-image"]
        self.assertEqual(images[1], str(base))

    def test_the_display_that_muvm_promises(self):
        """DISPLAY is :1 in the guest, x11bridge's; a profile that sets another one is told, and a server that does not answer."""
        tools = lib.make_erofs(self.tmp / "tools.erofs", lib.make_tree(self.tmp / "tools", {"usr/bin/xdpyinfo": """#!/bin/sh
[ "$DISPLAY" = :1 ] && [ -z "$MUTE" ] || { echo "unable to open display" >&2; exit 1; }
echo "name of display:    :1"; echo "vendor string:    The X.Org Foundation"; echo "vendor release number:    12101007"
"""}))

        def display(status, text=False, **env):
            variables = "".join(f'{name} = "{value}"\n' for name, value in env.items())
            profile = self.app("exit 1", profile=f'images = ["{tools}"]\n[app.env]\n{variables}')
            words = ("probe", "display", profile, "--launcher", "muvm", "--no-tools")
            ran = self.orch(*words, *([] if text else ["--format", "json"]), status=status, home=self.home, prefix=self.prefix, env=self.muvm_env(DISPLAY=":7"))
            return ran.stdout if text else ran.json["display"]

        self.assertEqual(display(0), {"name": ":1", "promised": ":1", "as_promised": True, "answers": True})
        self.assertEqual(display(1, MUTE="1"), {"name": ":1", "promised": ":1", "as_promised": True, "answers": False})
        self.assertIn("X server    does not answer", display(1, text=True, MUTE="1"))

    def ab(self, *words, status, **env):
        """A probe of GPU modes, on a stack whose glxinfo says what the double was told, or takes the script that asked it with it."""
        mode = f"mode=$(grep -o '\"gpu-mode\": *\\[\"[a-z]*' {self.home}/record | tail -1); mode=${{mode##*\\\"}}"
        tools = lib.make_erofs(self.tmp / "tools.erofs", lib.make_tree(self.tmp / "tools", {"usr/bin/glxinfo": f"""#!/bin/sh
{mode}
case $mode in
  venus) echo "OpenGL renderer string: zink Vulkan 1.3 (Virtio-GPU Venus (Apple M1))" ;;
  software) kill -KILL $PPID ;;
  *) echo "OpenGL renderer string: Apple M1 (G13G B1)" ;;
esac
"""}))
        return self.orch("probe", "gpu", self.app("exit 1"), "--launcher", "muvm", "--no-tools", "--image", tools, "--format", "json", "--ab", *words,
                         status=status, home=self.home, prefix=self.prefix, env=self.muvm_env(**env)).json

    def test_modes_one_after_another(self):
        document = self.ab("software,venus,drm", status=1)
        self.assertEqual([v["name"] for v in document["variants"]], ["software", "venus", "drm"])
        self.assertEqual([(v["outcome"], v["ran"]) for v in document["variants"]], [("signaled", True), ("exited", True), ("exited", True)])
        self.assertEqual([r["variant"] for r in document["ranking"]], ["drm", "venus", "software"])
        self.assertEqual([r["options"]["gpu-mode"] for r in self.records()], [["software"], ["venus"], ["drm"]])
        self.assertFalse([r for r in self.records() if r["reused"]], "each has a VM of its own")
        values = next(f["values"] for f in document["fields"] if f["field"] == "renderers[GLX].kind")
        self.assertEqual(values, {"software": None, "venus": "virtualised", "drm": "hardware"})
        (root,) = (self.home / "state/appimage-orch/evidence/hello-probe-gpu").iterdir()
        self.assertEqual(json.loads((root / "diff.json").read_text()), document)
        self.assertEqual(sorted(p.name for p in root.iterdir()), ["diff.json", "variant-1", "variant-2", "variant-3"])

    def test_auto_goes_by_what_was_found(self):
        """venus is better than drm here; that counts for this profile until machine or kernel are others."""
        tools = lib.make_erofs(self.tmp / "tools.erofs", lib.make_tree(self.tmp / "tools", {"usr/bin/glxinfo": f"""#!/bin/sh
case $(grep -o '"gpu-mode": *\\["[a-z]*' {self.home}/record | tail -1) in
  *venus) echo "OpenGL renderer string: Apple M1 (G13G B1)" ;;
  *) echo "OpenGL renderer string: llvmpipe" ;;
esac
"""}))
        profile = self.app("exit 0", profile=f'images = ["{tools}"]\n')
        ran = self.orch("probe", "gpu", profile, "--launcher", "muvm", "--no-tools", "--ab", "drm,venus", status=1, home=self.home, prefix=self.prefix, env=self.muvm_env())
        self.assertIn('gpu_mode = "auto" of \'hello\' is venus from now on, on this machine', ran.stderr)
        self.muvm(profile)
        self.assertIn("--gpu-mode=venus", self.report(self.home)["argv"])
        detail, = [c["detail"] for c in self.report(self.home)["checks"] if c["id"] == "gpu-mode"]
        self.assertIn("the first of an A/B on this machine", detail)
        other = self.home / "other-sys/class/drm/renderD129/device"
        other.mkdir(parents=True)
        (other / "uevent").write_text("DRIVER=asahi\n")
        self.muvm(profile, env={"APPIMAGE_ORCH_SYSFS": str(self.home / "other-sys")})
        self.assertFalse([w for w in self.report(self.home)["argv"] if w.startswith("--gpu-mode")])

    def test_a_mode_that_this_muvm_has_not_got(self):
        document = self.ab("venus,drm", status=1, MUVM_DOUBLE_RELEASE="0.4.0")
        self.assertEqual(document["variants"][0]["outcome"], "preflight_failed")
        self.assertIn("no --gpu-mode", document["ranking"][1]["reason"])


if __name__ == "__main__":
    unittest.main()
