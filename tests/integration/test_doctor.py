"""`doctor`: what it says of a host, held against a host in which one thing after the other is broken for real."""

import os
import platform
import shutil
import stat
import tempfile
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.muvm import MuvmCase


def empty_erofs(block_bits):
    """An image of one block with an empty root directory: mkfs.erofs need not know other sizes. Linux, fs/erofs/erofs_fs.h."""
    image = bytearray(1 << block_bits)
    image[1024:1028] = bytes.fromhex("e2e1f5e0")
    image[1036] = block_bits
    image[1038] = 1152 // 32  # number of the root directory
    image[1060] = 1  # blocks
    image[1156:1158] = (0o40755).to_bytes(2, "little")
    return bytes(image)


class Native(lib.TestCase):
    def setUp(self):
        self.user, self.home = self.as_user()
        self.bin = Path(tempfile.mkdtemp(prefix="t-"))  # a short name, for lines of a known width
        self.bin.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.bin, True)
        for name in ("ninja", "mkfs.erofs", "fsck.erofs", "unsquashfs", "apt-get"):
            self.tool(name, f'echo "{name} 1.2"')

    def tool(self, name, script):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def doctor(self, *words, status=0, **env):
        prefix = [shutil.which("env"), f"PATH={self.bin}"]
        return self.orch("doctor", "--launcher", "native", *words, status=status, user=self.user, home=self.home, prefix=prefix, env=env)

    def checks(self, *words, **more):
        document = self.doctor("--format", "json", *words, **more).json
        self.assertEqual(document["ok"], not [c for c in document["checks"] if c["status"] == "failed"])
        ids = [c["id"] for c in document["checks"]]
        self.assertEqual(len(ids), len(set(ids)))
        for check in document["checks"]:
            self.assertEqual(check["remedy"] != "", check["status"] in ("warning", "failed"), check)
            self.assertTrue(check["detail"], check)
        return {c["id"]: (c["status"], c["detail"], c["remedy"]) for c in document["checks"]}

    @lib.needs_user_namespaces
    def test_the_page(self):
        words = {platform.release(): "RELEASE", platform.machine(): "MACHINE", str(self.bin): "BIN", str(self.home): "HOME", f"{os.sysconf('SC_PAGESIZE')} bytes": "PAGE bytes"}
        text = self.doctor().stdout
        self.assertLessEqual(max(map(len, text.replace(str(self.home), "HOME").splitlines())), 80)
        self.golden("doctor/native.txt", text, words)
        self.assertEqual(self.doctor(NO_COLOR="1", TERM="dumb").stdout, text)

    def test_tools_that_are_absent_or_broken(self):
        (self.bin / "mkfs.erofs").unlink()
        self.tool("unsquashfs", "kill -9 $$")
        checks = self.checks(status=1)
        self.assertEqual(checks["mkfs.erofs"][0], "failed")
        self.assertRegex(checks["mkfs.erofs"][1], "^it is not on PATH: ")
        self.assertEqual(checks["unsquashfs"][:2], ("warning", f"{self.bin}/unsquashfs, which does not say its version: it was ended by signal 9 (SIGKILL)"))
        self.assertEqual(checks["ninja"], ("ok", f"{self.bin}/ninja: ninja 1.2", ""))
        (self.bin / "apt-get").unlink()
        self.assertEqual(self.checks(status=1)["packages"][0], "warning")

    def test_tools_that_cannot_start(self):
        """Words of the dynamic loader, of which the second has a version in it."""
        for script, said in (("echo mkfs.erofs: error while loading shared libraries: liblz4.so.1: cannot open >&2; exit 127", "it exited with status 127: mkfs.erofs: error while loading shared libraries: liblz4.so.1: cannot open"),
                             ("echo \"libc.so.6: version 'GLIBC_2.38' not found\" >&2; exit 1", "it exited with status 1: libc.so.6: version 'GLIBC_2.38' not found"),
                             ("echo mkfs.erofs 1.5; exit 126", "it exited with status 126: mkfs.erofs 1.5"), ("exit 0", "it exited with status 0")):
            self.tool("mkfs.erofs", script)
            self.assertEqual(self.checks(status=1)["mkfs.erofs"][:2], ("failed", f"{self.bin}/mkfs.erofs, which does not say its version: {said}"))
        self.tool("mkfs.erofs", "echo mkfs.erofs 1.5; echo \"invalid option -- 'V'\" >&2; exit 1")  # as 1.5 itself
        self.assertEqual(self.checks()["mkfs.erofs"], ("ok", f"{self.bin}/mkfs.erofs: mkfs.erofs 1.5", ""))
        self.tool("mkfs.erofs", "echo mkfs.erofs 1.4 >&2")
        self.assertEqual(self.checks()["mkfs.erofs"], ("ok", f"{self.bin}/mkfs.erofs: mkfs.erofs 1.4", ""))

    def test_a_cache_that_cannot_be_written(self):
        place = self.home / "closed"
        place.mkdir(mode=0o555)
        checks = self.checks(status=1, XDG_CACHE_HOME=str(place))
        self.assertEqual(checks["cache"][:2], ("failed", f"'{place}' cannot be written: Permission denied"))
        self.assertEqual(self.checks()["cache"], ("ok", f"{self.home}/cache/appimage-orch", ""))

    def test_an_x_server_that_is_not_there(self):
        self.assertEqual(self.checks()["x-server"][0], "skipped")
        self.assertEqual(self.checks(DISPLAY=":4711")["x-server"][:2], ("warning", "no X server takes connections at DISPLAY ':4711'"))
        self.assertEqual(self.checks(DISPLAY="far:0")["x-server"][0], "skipped")

    @unittest.skipUnless(shutil.which("Xvfb"), "needs Xvfb")
    def test_an_x_server_that_is_there(self):
        from tests.integration.display import Display
        display = Display()
        self.addCleanup(display.close)
        self.assertEqual(self.checks(DISPLAY=display.name)["x-server"], ("ok", f"{display.name} takes connections", ""))

    @lib.needs_root
    def test_no_user_namespaces(self):
        """In a chroot the kernel refuses them."""
        root = self.tmp / "root"
        root.mkdir()
        command = (f"mount --rbind / {root} && exec chroot {root} setpriv --reuid={self.user} --regid={self.user} --clear-groups "
                   f"{lib.shared_copy()[0]} doctor --launcher native")
        ran = lib.run_command(["unshare", "-m", "--propagation", "private", "sh", "-c", command], env=self.environment(self.home), cwd="/")
        if "mount:" in ran.stderr:
            self.skipTest("may not bind the root directory")
        self.assertEqual(ran.status, 1, ran)
        self.assertRegex(ran.stdout, r"(?m)^failed  namespaces +cannot make a user and mount namespace")
        self.assertNotIn("failed", self.doctor().stdout.replace("0 failed", ""))

    @lib.needs_root
    def test_root_may_mount(self):
        document = self.orch_json("doctor", "--launcher", "native")
        self.assertIn({"id": "namespaces", "status": "ok", "detail": "may mount", "remedy": ""}, document["checks"])

    def test_settings_that_are_known_to_do_harm(self):
        self.assertEqual(self.checks()["variables"][0], "ok")
        checks = self.checks(LIBGL_ALWAYS_SOFTWARE="1", GDK_BACKEND="wayland", MESA_LOADER_DRIVER_OVERRIDE="zink")
        self.assertEqual({name for name in checks if name.startswith("variable")}, {"variable-LIBGL_ALWAYS_SOFTWARE", "variable-MESA_LOADER_DRIVER_OVERRIDE"})
        self.assertIn("is set in this environment: OpenGL is drawn by the processor", checks["variable-LIBGL_ALWAYS_SOFTWARE"][1])


class Muvm(MuvmCase):
    def checks(self, status=None, prefix=None, **env):
        ran = self.orch("doctor", "--launcher", "muvm", "--format", "json", ok=None, status=status, home=self.home,
                        prefix=self.prefix if prefix is None else prefix, env=self.muvm_env(**env))
        self.assertIn(ran.status, (0, 1))
        for check in ran.json["checks"]:
            self.assertTrue(check["detail"], check)
        return {c["id"]: (c["status"], c["detail"]) for c in ran.json["checks"]}

    def test_what_there_is_none_of_is_no_success(self):
        self.assertEqual(self.checks(DISPLAY="")["display"], ("skipped", "DISPLAY is not set: no X11 in the guest"))
        self.assertEqual(self.checks(APPIMAGE_ORCH_MUVM=str(self.home / "no-muvm"))["input"], ("skipped", "muvm's options are not known"))
        self.assertIn("not needed", self.checks()["input"][1])

    def test_a_muvm_that_is_not_on_path(self):
        """Where a run finds it."""
        place = self.home / ".local/bin"
        place.mkdir(parents=True)
        self.assertEqual(self.checks()["muvm"][1].split(",")[0], f"{self.bin}/muvm")
        (self.bin / "muvm").rename(self.bin / "not-muvm")
        (place / "muvm").write_text(f'#!/bin/sh\nexec {self.bin}/not-muvm "$@"\n')
        (place / "muvm").chmod(0o755)
        self.assertEqual(self.checks()["muvm"], ("ok", f"{place}/muvm, 0.6.0 or later"))
        (place / "muvm").rename(self.home / "elsewhere")
        self.assertEqual(self.checks()["muvm"], ("failed", "muvm was not found"))
        self.assertEqual(self.checks(APPIMAGE_ORCH_MUVM=str(self.home / "elsewhere"))["muvm"][0], "ok")

    def test_a_host_that_has_it_all_but_images(self):
        checks = self.checks(status=1, DISPLAY=":0")
        for name in ("user", "runtime-dir", "muvm", "vm", "account", "emulator", "display"):
            self.assertEqual(checks[name][0], "ok", (name, checks[name]))
        for name, program in (("passt", "passt"), ("muvm-guest", "muvm-guest"), ("fex-server", "FEXServer")):
            self.assertEqual(checks[name], ("ok", f"{self.bin}/{program}"))
        self.assertRegex(" ".join(checks["gpu-mode"]), "^ok (drm|venus|software), chosen: .*render")
        self.assertEqual(checks["base-image"][0], "failed")

    def test_an_authority_that_is_no_file(self):
        """A pipe would be waited for."""
        pipe = self.home / "authority"
        os.mkfifo(pipe)
        for path, why in ((pipe, "is no file"), (self.home, "is no file"), (self.home / "none", "cannot be read")):
            self.assertEqual(self.checks(DISPLAY=":0", XAUTHORITY=str(path))["display"], ("failed", f"XAUTHORITY '{path}' {why}, and muvm ends without it"))
        pipe.unlink()
        pipe.write_text("")
        self.assertNotEqual(self.checks(DISPLAY=":0", XAUTHORITY=str(pipe))["display"][0], "failed")

    def test_images(self):
        images = self.home / ".fex-emu/RootFS"
        images.mkdir(parents=True)
        shutil.copy(self.base, images / "good.ero")
        self.assertEqual(self.checks()["base-image"], ("ok", f"{images}/good.ero, it does not say which distribution it is"))
        fedora = lib.make_tree(self.tmp / "fedora", {"usr/lib/os-release": 'ID=fedora\nVERSION_ID=42\nPRETTY_NAME="Fedora Linux 42"\n', "etc/os-release": ("link", "../usr/lib/os-release")})
        lib.make_erofs(images / "all.ero", fedora)
        self.assertEqual(self.checks()["base-image"], ("ok", f"{images}/all.ero, Fedora Linux 42 (packages of fedora 42 match it)"))
        (images / "all.ero").unlink()
        (images / "good.ero").write_bytes(empty_erofs(14))
        self.assertEqual(self.checks()["base-image"], ("warning", f"{images}/good.ero, it does not say which distribution it is: the first of FEX's own root images (EROFS with blocks larger than 4 KiB, to be converted)"))

    def test_images_that_cannot_be_read(self):
        images = self.home / ".fex-emu/RootFS"
        images.mkdir(parents=True)
        data = self.base.read_bytes()
        (images / "a.ero").write_bytes(data[:12288])
        cut = f"it cannot be read: the EROFS image is cut short: it has 12288 bytes, its superblock says {len(data)}"
        status, detail = self.checks(status=1)["base-image"]
        self.assertEqual(status, "failed")
        self.assertIn(f"'{images}/a.ero': {cut}", detail)
        (images / "a.ero").write_bytes(empty_erofs(12)[:1024] + bytes.fromhex("e2e1f5e0") + bytes(8) + b"\x0c" + bytes(3059))
        self.assertEqual(self.checks(status=1)["base-image"][0], "failed")
        (images / "a.ero").write_bytes(data[:12288])
        shutil.copy(self.base, images / "b.ero")
        self.assertEqual(self.checks()["base-image"], ("warning", f"{images}/b.ero, it does not say which distribution it is; passed over: '{images}/a.ero': {cut}"))

    def test_the_runtime_directory(self):
        self.runtime.chmod(0o755)
        self.assertEqual(self.checks()["runtime-dir"][0], "warning")
        self.assertIn("with mode 0755", self.checks()["runtime-dir"][1])
        checks = self.checks(XDG_RUNTIME_DIR="")
        self.assertEqual((checks["runtime-dir"], checks["vm"][0]), (("failed", "XDG_RUNTIME_DIR is not set"), "skipped"))

    def test_root_is_told(self):
        if lib.is_root():
            self.assertEqual(self.checks(status=1, prefix=[])["user"][0], "failed")

    @lib.needs_root
    def test_kvm(self):
        for dev, wanted in (("touch /dev/kvm; chmod 000 /dev/kvm", "cannot be opened: Permission denied"), ("touch /dev/kvm; chmod 666 /dev/kvm", ""), ("true", "does not exist")):
            checks = self.checks(prefix=self.in_namespace(dev))
            self.assertEqual(checks["kvm"][0], "failed" if wanted else "ok", (dev, checks["kvm"]))
            self.assertIn(wanted, checks["kvm"][1])

    def in_namespace(self, dev, usr=None):
        """Words of a command that runs another with a /dev that this script fills, and with the files of `usr` in /usr."""
        over = f"mount -t overlay -o lowerdir={usr}:/usr overlay /usr; " if usr else ""
        setup = f'{over}mount -t tmpfs none /dev && touch /dev/null && mknod -m 666 /dev/null2 c 1 3 && mount --bind /dev/null2 /dev/null; {dev}; exec "$@"'
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", setup, "sh", *self.prefix]

    def whole_host(self):
        """A folder for /usr with all that muvm needs and this machine may not have, and what fills its /dev."""
        if any(map(shutil.which, ("muvm", "muvm-guest", "FEX", "FEXInterpreter", "FEXServer"))) or list(Path("/usr").glob("lib*/libkrunfw.so.*")):
            self.skipTest("this machine has muvm or FEX, which could not be taken from it")
        usr = self.home / "usr"
        for name in ("lib/libkrunfw.so.5", "lib/systemd/systemd-udevd"):
            (usr / name).parent.mkdir(parents=True, exist_ok=True)
            (usr / name).write_text("")
            (usr / name).chmod(0o755)
        for name in ("RootFS/default", "overlays/mesa-i386", "overlays/mesa-x86_64"):
            (usr / f"share/fex-emu/{name}.erofs").parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.base, usr / f"share/fex-emu/{name}.erofs")
        return usr, "touch /dev/kvm; chmod 666 /dev/kvm; mkdir /dev/input"

    @staticmethod
    def hide(path):
        """What this machine has there is not there."""
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))

    def failed(self, dev, usr, **env):
        checks = self.checks(prefix=self.in_namespace(dev, usr), **env)
        return {name for name, (status, _) in checks.items() if status == "failed"}, checks

    @lib.needs_root
    def test_what_ends_a_launch_has_failed(self):
        """One after the other is taken from a host that has it all (reference: what muvm ends by with --emu=fex)."""
        usr, dev = self.whole_host()
        self.assertEqual(self.failed(dev, usr)[0], set())
        self.assertEqual(self.orch("doctor", "--launcher", "muvm", home=self.home, prefix=self.in_namespace(dev, usr), env=self.muvm_env(), status=0).status, 0)
        for name, path in (("libkrunfw", usr / "lib/libkrunfw.so.5"), ("fex-server", self.bin / "FEXServer"), ("muvm-guest", self.bin / "muvm-guest")):
            away = path.rename(path.with_name("away"))
            self.assertEqual(self.failed(dev, usr)[0], {name})
            away.rename(path)
        udevd = usr / "lib/systemd/systemd-udevd"
        udevd.unlink()
        self.hide(udevd)
        self.assertEqual(self.failed(dev, usr)[0], {"udevd"})
        udevd.unlink()
        udevd.write_text("")
        udevd.chmod(0o755)
        self.assertEqual(self.failed(dev.replace("666", "000"), usr)[0], {"kvm"})
        no_input = dev.replace("; mkdir /dev/input", "")
        self.assertEqual(self.failed(no_input, usr)[0], set())
        self.assertEqual(self.failed(no_input, usr, MUVM_DOUBLE_RELEASE="0.5.0")[0], {"input"})
        (self.bin / "muvm-guest").write_text("FEXInterpreter")
        away = (self.bin / "FEXInterpreter").rename(self.bin / "away")
        self.assertEqual(self.failed(dev, usr)[0], {"emulator"})
        away.rename(self.bin / "FEXInterpreter")
        resolv = self.home / "etc/resolv.conf"  # over that of this machine, see passwd_entry()
        self.hide(resolv)
        self.assertEqual(self.failed(dev, usr)[0], {"resolv-conf"})
        resolv.unlink()
        resolv.symlink_to("/no/such/file")
        failed, checks = self.failed(dev, usr)
        self.assertEqual((failed, checks["resolv-conf"][0]), (set(), "warning"))

    @lib.needs_root
    def test_the_kernel_of_the_guest(self):
        usr, dev = self.whole_host()
        self.assertEqual(self.failed(dev, usr)[1]["libkrunfw"], ("ok", "/usr/lib/libkrunfw.so.5"))
        (usr / "lib/libkrunfw.so.5").rename(usr / "lib/libkrunfw.so.4")
        status, detail = self.failed(dev, usr)[1]["libkrunfw"]
        self.assertEqual(status, "warning")
        self.assertIn("only '/usr/lib/libkrunfw.so.4' is there: libkrun 1.19 loads libkrunfw.so.5", detail)
        (usr / "lib/libkrunfw.so.4").rename(self.home / "libkrunfw.so.5")
        self.assertEqual(self.failed(dev, usr)[1]["libkrunfw"][0], "failed")
        self.assertEqual(self.failed(dev, usr, LD_LIBRARY_PATH=str(self.home))[1]["libkrunfw"], ("ok", f"{self.home}/libkrunfw.so.5"))
        (self.home / "etc/ld.so.cache").write_bytes(b"glibc-ld.so.cache1.1\0libkrunfw.so.5\0" + f"{self.home}/libkrunfw.so.5".encode() + b"\0")
        self.assertEqual(self.failed(dev, usr)[1]["libkrunfw"], ("ok", f"{self.home}/libkrunfw.so.5"))

    def test_a_server_beside_fex(self):
        place = self.home / "fex"
        place.mkdir()
        for name in ("FEX", "FEXInterpreter", "FEXServer"):
            (self.bin / name).rename(place / name)
        (self.bin / "FEX").symlink_to(place / "FEX")
        self.assertEqual(self.checks()["fex-server"], ("ok", f"{place}/FEXServer"))

    def test_the_emulated_shell(self):
        self.assertEqual(self.checks()["fexbash"], ("ok", f"{self.bin}/FEXBash"))
        (self.bin / "FEXBash").unlink()
        status, detail = self.checks()["fexbash"]
        self.assertEqual(status, "warning")
        self.assertIn("FEXBash, the emulated shell of the stack, is not on this host", detail)

    @lib.needs_root
    def test_gpu_overlays(self):
        usr, dev = self.whole_host()
        folder = usr / "share/fex-emu/overlays"
        self.assertEqual(self.failed(dev, usr)[1]["gpu-image"], ("ok", "/usr/share/fex-emu/overlays/mesa-i386.erofs; /usr/share/fex-emu/overlays/mesa-x86_64.erofs"))
        (folder / "mesa-i386.erofs").write_bytes(self.base.read_bytes()[:12288])
        failed, checks = self.failed(dev, usr)
        self.assertEqual(failed, {"gpu-image"})
        self.assertIn("'/usr/share/fex-emu/overlays/mesa-i386.erofs': it cannot be read: the EROFS image is cut short", checks["gpu-image"][1])
        (folder / "mesa-i386.erofs").write_bytes(empty_erofs(14))
        self.assertEqual(self.failed(dev, usr)[1]["gpu-image"], ("warning", "'/usr/share/fex-emu/overlays/mesa-i386.erofs': muvm would stack it on this base (EROFS with blocks larger than 4 KiB, to be converted)"))
        shutil.rmtree(folder)
        (self.home / "etc/os-release").write_text("ID=fedora\n")
        ran = self.orch("doctor", "--launcher", "muvm", "--format", "json", home=self.home, prefix=self.in_namespace(dev, usr), env=self.muvm_env(), status=0)
        check, = [c for c in ran.json["checks"] if c["id"] == "gpu-image"]
        self.assertEqual(check["status"], "warning")
        self.assertRegex(check["detail"], "^no GPU overlays: x86 programs have no driver that matches an Apple GPU without those of Mesa")
        self.assertIn("(sudo dnf install mesa-fex-emu-overlay-i386 mesa-fex-emu-overlay-x86-64)", check["remedy"])

    def test_settings_that_are_known_to_do_harm(self):
        checks = self.checks(LD_PRELOAD="/no/such.so", LD_LIBRARY_PATH="/usr/lib", QT_QPA_PLATFORM="wayland", MESA_LOADER_DRIVER_OVERRIDE="zink")
        self.assertEqual({name for name in checks if name.startswith("variable-")},
                         {"variable-LD_PRELOAD", "variable-LD_LIBRARY_PATH", "variable-MESA_LOADER_DRIVER_OVERRIDE"})  # muvm hands on no QT_*

    def test_what_a_profile_sets_is_looked_at_before_a_run(self):
        profile = self.app("exit 0")
        ran = self.muvm(profile, "--env", "GDK_BACKEND=wayland,broadway", "--env", "LD_LIBRARY_PATH=${appdir}/usr/lib:/usr/lib64")
        self.assertIn("GDK_BACKEND is set in the profile, or by --env: muvm's guest has X11 only", ran.stderr)
        self.assertIn("LD_LIBRARY_PATH is set in the profile, or by --env: the host's libraries come before", ran.stderr)
        self.assertNotIn("LD_LIBRARY_PATH", self.muvm(profile, "--env", "LD_LIBRARY_PATH=${appdir}/usr/lib").stderr)
        for choices in ("GDK_BACKEND=wayland,x11", "QT_QPA_PLATFORM=wayland;xcb"):
            self.assertNotIn(choices.partition("=")[0], self.muvm(profile, "--env", choices).stderr)


if __name__ == "__main__":
    unittest.main()
