"""An overlay is the same bytes wherever, by whom and however it is built, and nothing but what the lock names gets into it."""

import hashlib
import json
import os
import re
import stat
import tarfile
import unittest
from pathlib import Path

from tests.integration import lib, newer_erofs
from tests.integration.repository import Entry, Repository, base_files
from tests.integration.stacks import StackTestCase
from tests.integration.test_inspect import elf
from tests.integration.test_invariants import message_of

LIBRARIES = "./usr/lib/x86_64-linux-gnu"

# Stands in PATH for mkfs.erofs: labels the staging tree as a host with SELinux would, then runs the real one.
LABELLING = """#!/usr/bin/python3
import os, sys
if os.path.isdir(sys.argv[-1]):
    labels = {"user.note": b"of this host"}
    if os.geteuid() == 0:
        labels["security.selinux"] = b"unconfined_u:object_r:user_tmp_t:s0"
    count = 0
    for folder, folders, files in os.walk(sys.argv[-1]):
        for name in [".", *folders, *files]:
            path = os.path.join(folder, name)
            for key, value in labels.items():
                if os.path.islink(path) and key.startswith("user."):
                    continue
                mode = os.lstat(path).st_mode
                if not os.path.islink(path):
                    os.chmod(path, mode | 0o200)
                os.setxattr(path, key, value, follow_symlinks=False)
                count += 1
                if not os.path.islink(path):
                    os.chmod(path, mode & 0o7777)
    with open(os.environ.get("MARK", "MARK_FILE"), "a") as mark:
        mark.write(f"{count}\\n")
os.execv("REAL", ["REAL", *sys.argv[1:]])
"""


def packages(repository):
    """Packages with what could differ between hosts: modes, hard links, bytes in names, a file that two have."""
    repository.add("base-one", "1.0", base_files())
    repository.add("lib-a", "1.0", {
        f"{LIBRARIES}/": Entry(type=tarfile.DIRTYPE, mode=0o700), f"{LIBRARIES}/liba.so.1": Entry(b"a" * 70000, mode=0o600),
        f"{LIBRARIES}/liba.so": ("link", "liba.so.1"), f"{LIBRARIES}/libsame.so.1": Entry(type=tarfile.LNKTYPE, link=f"{LIBRARIES}/liba.so.1"),
        "./usr/share/x/text": Entry(b"words " * 5000, mode=0o664), "./usr/share/both": b"of a"}, depends="lib-b")
    repository.add("lib-b", "2:1.0~rc1", {
        f"{LIBRARIES}/libb.so.1": os.urandom(3) * 30000, "./usr/share/both": b"of b", "./usr/share/b\u00e9/\u4e2d": b"name",
        "./usr/share/empty/": None, "./var/lib/x/": Entry(type=tarfile.DIRTYPE, mode=0o1777)}, depends="lib-c")
    repository.add("lib-c", "1.0", {f"./usr/share/c/{n}": str(n).encode() for n in range(200)})
    return repository.publish()


def stack_packages(repository):
    """A base with a loader, and an overlay with what the last layer makes caches of."""
    schema = (b'<schemalist><schema id="org.example.a" path="/a/"><key name="k" type="s"><default>"v"</default></key></schema></schemalist>')
    mime = (b'<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info"><mime-type type="text/x-a">'
            b'<glob pattern="*.a"/></mime-type></mime-info>')
    repository.add("base-one", "1.0", {
        "./usr/lib64/ld-linux-x86-64.so.2": Path("/lib64/ld-linux-x86-64.so.2").read_bytes(), "./usr/lib64/libbase.so.1": elf(soname="libbase.so.1"),
        "./usr/bin/tool": b"#!/bin/sh\n", "./etc/ld.so.conf": b"/usr/lib/own\n"})
    repository.add("lib-a", "1.0", {
        "./usr/lib64/liba.so.1.2": elf(soname="liba.so.1", needed=["libbase.so.1", "libb.so.1"]), "./usr/lib64/liba.so.1": ("link", "liba.so.1.2"),
        "./usr/share/glib-2.0/schemas/org.example.a.gschema.xml": schema, "./usr/share/mime/packages/a.xml": mime}, depends="lib-b")
    repository.add("lib-b", "1.0", {"./usr/lib/own/libb.so.1": elf(soname="libb.so.1") + b"b" * 70000})
    return repository.publish()


@lib.needs_tool("apt-get", "mkfs.erofs", "mksquashfs", "glib-compile-schemas", "update-mime-database")
class WholeStack(StackTestCase):
    def build(self, profile, *args, **options):
        """({step: what its artifact holds, with digests}, {rule: size of its image}); each step just ran."""
        artifacts, sizes = {}, {}
        for step in self.orch_json("build", profile, *args, **options)["steps"]:
            self.assertEqual(step["result"], "executed", msg=step["id"])
            artifacts[step["id"]] = lib.listing(step["artifact"]), self.documents(step)
            if step["artifact"].endswith(".erofs"):
                sizes[step["rule"]] = os.path.getsize(step["artifact"])
        return artifacts, sizes

    def test_from_its_lock_and_an_empty_cache_every_image_is_the_same(self):
        repository = stack_packages(Repository(self.tmp / "repository"))
        tree = lib.make_tree(self.tmp / "gpu", {"lib64/libgpu.so.1": elf(soname="libgpu.so.1")})
        lib.run_command(["mksquashfs", tree, self.tmp / "gpu.squashfs", "-quiet", "-no-progress"])
        profile = self.write("p.toml", 'schema = 1\nname = "p"\nextends = "native"\n[stack]\nbase = { packages = ["base-one"], source = "own" }\n'
                             'gpu = ["gpu.squashfs"]\nallow = ["type-conflict:lib64"]\n'
                             f'[[stack.deps]]\nname = "app"\nsource = "own"\npackages = ["lib-a"]\n[source.own]\n{repository.table()}')
        first, sizes = self.build(profile)
        self.assertEqual({rule for rule, size in sizes.items() if size}, {
            "base-image", "convert-image", "rootfs-compat", "deps-overlay", "finish-stack"}, msg=sizes)
        (finish,) = [documents["finish"] for _, documents in first.values() if "finish" in documents]
        self.assertEqual({part["id"] for part in finish["parts"] if part["status"] == "made"}, {"ld-so-cache", "gsettings-schemas", "mime-database"})
        lib.remove_tree(self.tmp / "cache")
        lib.remove_tree(self.tmp / "state")
        again, _ = self.build(profile, "--locked", env={"TZ": "Asia/Kathmandu"}, preexec=lambda: os.umask(0o077))
        self.assertEqual(again, first)


@lib.needs_tool("apt-get", "mkfs.erofs", "fsck.erofs")
class OverlayDeterminism(lib.TestCase):
    def setUp(self):
        self.repository = packages(Repository(self.tmp / "repository"))
        self.lock_text = None

    def home(self, name, names=("lib-a",), user=False, where=None):
        """A folder with the profile, and the lock of the first one."""
        home = (where or self.tmp) / name
        home.mkdir(parents=True, exist_ok=True)
        (home / "p.toml").write_text(
            f'schema = 1\nname = "p"\nextends = "native"\n[stack]\nbase = {{ packages = ["base-one"], source = "own" }}\n'
            f'[[stack.deps]]\nname = "app"\nsource = "own"\npackages = {list(names)}\n[source.own]\n{self.repository.table()}')
        if self.lock_text is not None:
            (home / "p.lock.toml").write_text(self.lock_text)
        if user:
            lib.run_command(["chown", "-R", f"{lib.ORDINARY_USER}:{lib.ORDINARY_USER}", home])
        return home

    def build(self, home, *args, user=False, umask=None, **env):
        """The digests of image and manifest."""
        self.orch("build", home / "p.toml", "--only", "deps-overlay", *args, home=home, env=env, cwd=home,
                  user=lib.ORDINARY_USER if user else None, preexec=(lambda: os.umask(umask)) if umask is not None else None)
        return self.digests(home)

    def digests(self, home):
        images = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (home / "cache").rglob("image.erofs")}
        self.assertEqual(len(images), 1)
        manifests = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (home / "cache").rglob("document.json")
                     if b'"appimage-orch/image-manifest/1"' in p.read_bytes()}
        self.assertEqual(len(manifests), 1)
        return images.pop(), manifests.pop()

    def first(self):
        home = self.home("first")
        expected = self.build(home)
        self.lock_text = (home / "p.lock.toml").read_text()
        return home, expected

    def test_neither_place_nor_user_nor_order_nor_jobs_matter(self):
        _, expected = self.first()
        self.assertEqual(self.build(self.home("a place with a much longer name"), "-j", "1", "--locked"), expected)
        self.assertEqual(self.build(self.home("zone"), "-j", "2", umask=0o077, TZ="Asia/Kathmandu", LC_ALL="tr_TR.UTF-8",
                                    SOURCE_DATE_EPOCH="1234567"), expected)
        if lib.is_root():
            self.assertEqual(self.build(self.home("user", user=True), "-j", "2", "--locked", user=True, umask=0o002), expected)
        self.lock_text = None
        image, manifest = self.build(self.home("order", ["lib-c", "lib-a", "lib-b", "lib-c"]))
        self.assertEqual(image, expected[0])
        self.assertNotEqual(manifest, expected[1])  # more of them were asked for by name

    def test_labels_of_the_host_stay_out(self):
        _, expected = self.first()
        real = lib.shutil.which("mkfs.erofs")
        mark = self.tmp / "mark"
        tools = self.write("tools/mkfs.erofs", LABELLING.replace("REAL", real).replace("MARK_FILE", str(mark)), mode=0o755)
        path = f"{tools.parent}:{os.environ['PATH']}"
        digests = self.build(self.home("labelled"), PATH=path)
        if not mark.exists():
            self.fail("the labels were not set")
        self.assertGreater(int(mark.read_text().split()[0]), 200)
        self.assertEqual(digests[0], expected[0])
        # And once more, with packages that were kept unpacked and have their labels already.
        lib.remove_tree(self.tmp / "labelled/cache/appimage-orch/store")
        self.assertEqual(self.build(self.tmp / "labelled", PATH=path)[0], expected[0])
        ran = lib.run_command(["fsck.erofs", "--xattrs", f"--extract={self.tmp}/out", next((self.tmp / "labelled").rglob("image.erofs"))])
        for folder, folders, files in os.walk(self.tmp / "out"):
            for name in [*folders, *files]:
                self.assertEqual(os.listxattr(os.path.join(folder, name), follow_symlinks=False), [], msg=str(ran))

    def test_the_image_has_what_the_packages_say(self):
        home, _ = self.first()
        image = next(home.rglob("image.erofs"))
        ran = lib.run_command(["fsck.erofs", f"--extract={self.tmp}/out", image])
        self.assertEqual(ran.status, 0, msg=str(ran))
        libraries = self.tmp / "out/usr/lib/x86_64-linux-gnu"
        self.assertEqual(stat.S_IMODE(os.lstat(libraries).st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(os.lstat(libraries / "liba.so.1").st_mode), 0o600)
        self.assertEqual((libraries / "libsame.so.1").read_bytes(), b"a" * 70000)
        listed = {f["path"]: f for f in self.orch_json("inspect", "--files", image)["files"]}
        self.assertEqual(listed["usr/share/x/text"]["mode"], 0o664)
        self.assertEqual((self.tmp / "out/usr/share/both").read_bytes(), b"of b")

    def test_the_manifest_has_the_documented_form(self):
        self.repository.add("lib-c", "1.0", {"./usr/share/c/\udcff": b"no UTF-8", "./usr/bin/tool": b"#!", "./usr/lib/bpf/x": b"x",
                                             "./usr/lib/su": Entry(b"x", mode=0o4755)}).publish()
        home = self.home("first")
        profile = (home / "p.toml").read_text().replace("[source.own]", 'allow = ["set-id"]\n[source.own]')
        (home / "p.toml").write_text(profile)
        self.build(home)
        self.orch("build", home / "p.toml", "--only", "base-image", home=home, cwd=home)
        manifests = [json.loads(p.read_text()) for p in (home / "cache").rglob("document.json")
                     if b'"appimage-orch/image-manifest/1"' in p.read_bytes()]
        self.assertEqual(sorted(m["class"] for m in manifests), ["base", "deps"])
        for manifest in manifests:
            self.check_document(manifest, "image-manifest")
        (deps,) = [m for m in manifests if m["class"] == "deps"]
        self.assertEqual({p["name"]: p["reason"].split()[0] for p in deps["packages"]},
                         {"lib-a": "asked", "lib-b": "required", "lib-c": "required"})
        self.assertEqual({p["allow_unsigned"] for p in deps["packages"]}, {True})
        self.assertEqual([(s["path"], s["package"]) for s in deps["skipped"]], [("usr/bin/tool", "lib-c")])
        self.assertEqual([f["rule"] for f in deps["findings"]], ["set-id"])
        self.assertIn({"base64": "dXNyL3NoYXJlL2Mv/w=="}, [f["path"] for f in deps["files"]])
        image = next(p for p in (home / "cache").rglob("image.erofs")
                     if hashlib.sha256(p.read_bytes()).hexdigest() == deps["image"]["sha256"])
        self.assertEqual(image.stat().st_size, deps["image"]["size"])
        listed = self.orch_json("inspect", "--files", image)["files"]
        self.assertEqual([(f["path"], f["size"]) for f in listed if f["type"] == "file"],
                         [(f["path"], f["size"]) for f in deps["files"] if f["type"] == "file"])

    def test_the_lock_alone_brings_back_the_same_image(self):
        home, expected = self.first()
        lib.remove_tree(home / "cache")
        lib.remove_tree(home / "state")
        self.assertEqual(self.build(home, "--locked"), expected)

    def test_one_package_that_changed_is_the_only_one_unpacked(self):
        home, expected = self.first()
        self.repository.add("lib-c", "1.1", {"./usr/share/c/0": b"new"}).publish()
        self.orch("lock", home / "p.toml", "--update", home=home, cwd=home)
        self.orch("build", home / "p.toml", "--only", "deps-overlay", home=home, cwd=home)
        logs = "".join(p.read_text() for p in (home / "cache").rglob("deps-overlay*.log"))
        self.assertIn("3 packages, 2 of them kept unpacked", logs)
        # The same as on a machine that never saw the older one.
        self.lock_text = (home / "p.lock.toml").read_text()
        fresh = self.build(self.home("fresh"), "--locked")
        images = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (home / "cache").rglob("image.erofs")}
        self.assertEqual(images, {expected[0], fresh[0]})

    def test_a_damaged_unpacked_package_is_made_again(self):
        home, expected = self.first()
        for folder in (home / "cache").rglob("unpacked"):
            for file in folder.rglob("0"):
                file.chmod(0o644)
                file.write_bytes(b"damaged")
        lib.remove_tree(home / "cache/appimage-orch/store")
        self.assertEqual(self.build(home, "--locked"), expected)
        logs = "".join(p.read_text() for p in (home / "cache").rglob("deps-overlay*.log"))
        self.assertIn("0 of them kept unpacked", logs)
        self.assertIn("package 'lib-c' was damaged in the cache of unpacked packages and was unpacked again", logs)

    def test_a_package_whose_bytes_differ_from_the_lock_is_refused(self):
        home, _ = self.first()
        locked = re.search(r'name = "lib-c"\n(?:.+\n)*?sha256 = "(\w+)"', self.lock_text)[1]
        lib.remove_tree(home / "cache")
        self.repository.add("lib-c", "1.0", {"./usr/share/c/0": b"other"}).publish()
        ran = self.orch("build", home / "p.toml", "--only", "deps-overlay", "--locked", home=home, cwd=home, status=1)
        text = re.sub(r"found [0-9a-f]{64}", "found DIGEST", message_of(ran.stderr).replace(locked, "LOCKED"))
        self.golden("overlay/other_bytes.txt", re.sub(r"\d+ bytes", "N bytes", text))
        self.assertEqual(list((home / "cache").rglob("image.erofs")), [])

    def test_a_name_that_this_mkfs_cannot_write_is_refused(self):
        if newer_erofs.tools("own").version >= (1, 6):
            self.skipTest("this mkfs.erofs writes names of 255 bytes")
        self.repository.add("lib-long", "1.0", {"./usr/share/" + "n" * 255: b"x"}).publish()
        home = self.home("long", ["lib-long"])
        ran = self.orch("build", home / "p.toml", "--only", "deps-overlay", home=home, cwd=home, status=1)
        self.golden("overlay/long_name.txt", message_of(ran.stderr))

    def test_a_compressor_that_this_mkfs_has_not_is_refused_before_anything_is_unpacked(self):
        if newer_erofs.tools("own").version >= (1, 8):
            self.skipTest("this mkfs.erofs may have zstd")
        home = self.home("zstd")
        text = (home / "p.toml").read_text().replace("[source.own]", 'compressor = "zstd"\n[source.own]')
        (home / "p.toml").write_text(text)
        ran = self.orch("build", home / "p.toml", "--only", "deps-overlay", home=home, cwd=home, status=1)
        self.golden("overlay/compressor.txt", message_of(ran.stderr))
        self.assertFalse((home / "cache/appimage-orch/unpacked").exists())

    def test_a_newer_mkfs_gives_the_same_image_with_any_number_of_workers(self):
        tools = newer_erofs.tools("trixie")
        _, _ = self.first()
        command = " ".join(tools.program("mkfs.erofs"))
        wrapper = self.write("tools/mkfs.erofs", f'#!/bin/sh\nexec {command} "$@"\n', mode=0o755)
        path = f"{wrapper.parent}:{os.environ['PATH']}"
        one = self.build(self.home("one"), "-j", "1", PATH=path)
        two = self.build(self.home("two"), "-j", "2", PATH=path, umask=0o077)
        self.assertEqual(one, two)
        ran = lib.run_command([*tools.program("fsck.erofs"), next((self.tmp / "two").rglob("image.erofs"))])
        self.assertEqual(ran.status, 0, msg=str(ran))


if __name__ == "__main__":
    unittest.main()
