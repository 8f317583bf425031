"""inspect: what it says of AppImages, images and other files, from headers alone and without executing anything."""

import json
import os
import re
import struct
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.lib import (MACHINE_AARCH64, TestCase, make_appimage, make_runtime, make_tree, make_type1_appimage,
                                   needs_tool)

DESKTOP = "[Desktop Entry]\nType=Application\nName=Hello\nExec=hello %F\nIcon=hello\nX-AppImage-Version=1.2\n"
KEYS = {"schema", "kind", "type", "payload", "arch", "entry", "desktop", "update_information", "bundled", "needed", "glibc"}


def elf(machine=62, needed=(), soname=None, interpreter=None, versions=()):
    """A small 64-bit ELF file with the dynamic section of a library; `versions`: of libc.so.6."""
    strings = b"\0"

    def text(value):
        nonlocal strings
        strings += value.encode() + b"\0"
        return len(strings) - len(value) - 1

    items = [(1, text(name)) for name in needed] + ([(14, text(soname))] if soname else [])
    auxiliary = [text(version) for version in versions]
    library = text("libc.so.6")
    count = 3 if interpreter else 2
    start = 64 + 56 * count
    verneed = b"".join(struct.pack("<IHHII", 0, 0, 2, name, 16 if i + 1 < len(auxiliary) else 0)
                       for i, name in enumerate(auxiliary))
    if verneed:
        verneed = struct.pack("<HHIII", 1, len(auxiliary), library, 16, 0) + verneed
    strings += b"\0" * (-len(strings) % 8)
    versions_at, dynamic_at = start + len(strings), start + len(strings) + len(verneed)
    dynamic_at += -dynamic_at % 8
    items += [(5, start), (10, len(strings))] + ([(0x6ffffffe, versions_at), (0x6fffffff, 1)] if verneed else []) + [(0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *item) for item in items)
    name = (interpreter or "").encode() + b"\0"
    total = dynamic_at + len(dynamic) + len(name)
    segments = [struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, total, total, 4096),
                struct.pack("<IIQQQQQQ", 2, 4, dynamic_at, dynamic_at, 0, len(dynamic), len(dynamic), 8)]
    if interpreter:
        segments.append(struct.pack("<IIQQQQQQ", 3, 4, dynamic_at + len(dynamic), 0, 0, len(name), len(name), 1))
    header = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, count, 64, 0, 0)
    body = header + b"".join(segments) + strings + verneed
    return body.ljust(dynamic_at, b"\0") + dynamic + name


def runtime_with_section(name, text, kind=2):
    """An ELF runtime with a section; its section header table is at its end."""
    names = b"\0.shstrtab\0" + name.encode() + b"\0"
    data = text.encode().ljust(1024, b"\0")
    at = 64 + 56
    table = at + len(data) + len(names)
    table += -table % 8
    sections = (b"\0" * 64
                + struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, at + len(data), len(names), 0, 0, 1, 0)
                + struct.pack("<IIQQQQIIQQ", 11, 1, 0, 0, at, len(data), 0, 0, 1, 0))
    ident = b"\x7fELF\x02\x01\x01\x00AI" + bytes([kind]) + b"\0" * 5
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, table, 0, 64, 56, 1, 64, 3, 1)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, at, at, 4096)
    return (header + segment + data + names).ljust(table, b"\0") + sections


@needs_tool("mksquashfs")
class Inspect(TestCase):
    def hello(self, name="Hello.AppImage", files=None, **options):
        files = {"AppRun": "#!/bin/sh -eu\nexec true\n", "hello.desktop": DESKTOP, "usr/bin/hello": "#!/bin/sh\n",
                 "usr/lib/liba.so.1": elf(soname="liba.so.1", needed=["libb.so.2", "libc.so.6"], versions=["GLIBC_2.4"]),
                 "usr/lib/libb.so.2.0": elf(needed=["libmissing.so.5"], versions=["GLIBC_2.34", "GLIBC_PRIVATE", "GLIBC_2.9"]),
                 "usr/lib/libb.so.2": ("link", "libb.so.2.0"), **(files or {})}
        return make_appimage(self.tmp / name, make_tree(self.tmp / f"{name}.tree", files), **options)

    def inspect(self, path, *options, **run):
        return self.orch_json("inspect", path, *options, **run)

    def test_json(self):
        document = self.inspect(self.hello())
        self.assertLessEqual(KEYS, set(document))
        self.assertEqual(document["schema"], "appimage-orch/inspect/1")
        self.assertEqual((document["kind"], document["type"], document["arch"]), ("appimage", 2, "x86_64"))
        payload = document["payload"]
        self.assertEqual((payload["format"], payload["compressor"], payload["offset"]), ("squashfs", "gzip", len(make_runtime())))
        self.assertEqual({k: document["entry"][k] for k in ("kind", "path", "interpreter", "argument")},
                         {"kind": "script", "path": "AppRun", "interpreter": "/bin/sh", "argument": "-eu"})
        self.assertEqual((document["desktop"]["name"], document["desktop"]["version"]), ("Hello", "1.2"))
        self.assertEqual(document["bundled"], ["liba.so.1", "libb.so.2.0"])
        self.assertEqual(document["needed"], ["libc.so.6", "libmissing.so.5"])
        self.assertEqual(document["glibc"], "2.34")
        self.assertIsNone(document["update_information"])
        self.assertNotIn("files", document)

    def test_files(self):
        appimage = self.hello(files={"odd\n\x1b[31mname": "x", "usr/bin/setuid": "x"}, options=["-action", "chmod(04755)@name(setuid)"])
        files = {f["path"]: f for f in self.inspect(appimage, "--files")["files"]}
        self.assertEqual(files["usr/lib/libb.so.2"], {"path": "usr/lib/libb.so.2", "type": "symlink", "mode": 0o777, "size": 11,
                                                      "target": "libb.so.2.0"})
        self.assertEqual((files["usr"]["type"], files["AppRun"]["mode"], files["AppRun"]["size"]), ("directory", 0o755, 24))
        self.assertEqual(files["usr/bin/setuid"]["mode"], 0o4755)
        self.assertEqual(list(files), sorted(files))
        text = self.orch("inspect", appimage, "--files").stdout
        self.assertIn("odd\\x0a\\x1b[31mname", text)
        self.assertNotIn("\x1b", text)

    def test_the_files_of_an_image_come_biggest_first_with_totals(self):
        tree = make_tree(self.tmp / "tree", {"usr/lib/big.so": "b" * 90_000, "usr/lib/small.so": "s" * 20, "usr/share/x/text": "t" * 3000,
                                             "usr/lib/link.so": ("link", "big.so"), "etc/conf": "c", "top": "12345"})
        os.link(tree / "usr/lib/big.so", tree / "usr/share/again")
        image = lib.make_erofs(self.tmp / "x.erofs", tree)
        document = self.inspect(image, "--files")
        self.assertEqual([(d["path"], d["files"], d["bytes"]) for d in document["directories"]],
                         [("usr/lib", 2, 90_020), ("usr/share", 1, 3000), (".", 1, 5), ("etc", 1, 1)])
        text = self.orch("inspect", "--files", image).stdout
        self.golden("inspect/files.txt", re.search(r"^ +[\d.]+ \w+ .*", text, re.M | re.S)[0])

    def test_text_goldens(self):
        for name, path in {
                "appimage": self.hello(),
                "aarch64": self.hello("arm.AppImage", {
                    "AppRun": ("link", "usr/bin/app"), "usr/bin/app": elf(MACHINE_AARCH64, interpreter="/lib/ld-linux-aarch64.so.1"),
                    "usr/lib/liba.so.1": elf(MACHINE_AARCH64, soname="liba.so.1"), "usr/lib/libb.so.2.0": "no ELF"},
                    runtime=make_runtime(machine=MACHINE_AARCH64)),
                "no_entry": make_appimage(self.tmp / "x.AppImage", make_tree(self.tmp / "x", {"AppRun": ("link", "/opt/app")})),
                "elf": self.write("lib.so", elf(soname="lib.so.1", needed=["libc.so.6"])),
        }.items():
            with self.subTest(name=name):
                text = self.orch("inspect", path).stdout
                self.assertTrue(all(len(line) <= 80 for line in text.replace(str(self.tmp), "TMP").splitlines()), text)
                # How small mksquashfs gets it is not ours.
                self.golden(f"inspect/{name}.txt", re.sub(r"\d+ bytes at byte 200", "SIZE at byte 200", text))

    def test_error_goldens(self):
        whole = self.hello().read_bytes()
        dwarfs = make_runtime() + b"DWARFS\x02\x05" + b"\0" * 48 + struct.pack("<Q", 100) + b"x" * 100
        for name, path in {
                "missing": self.tmp / "none.AppImage",
                "truncated": self.write("cut.AppImage", whole[:len(make_runtime()) + 300]),
                "truncated_runtime": self.write("short.AppImage", whole[:100]),
                "text": self.write("text.AppImage", "I am a text\n"),
                "html": self.write("page.AppImage", "<!DOCTYPE html><html></html>"),
                "empty": self.write("empty.AppImage", ""),
                "folder": make_tree(self.tmp / "Folder.AppImage", {"x": "y"}),
                "dwarfs_files": self.write("dwarfs.AppImage", dwarfs),
        }.items():
            with self.subTest(name=name):
                options = ["--files"] if name.endswith("_files") else []
                ran = self.orch("inspect", path, *options, ok=False)
                self.assertIn(ran.status, (1, 2))
                self.assertEqual(ran.stdout, "")
                self.golden(f"inspect/error_{name}.txt", re.sub(r"payload has \d+ bytes", "payload has SIZE bytes", ran.stderr))

    def test_dwarfs_is_described(self):
        data = make_runtime() + b"DWARFS\x02\x05" + b"\0" * 48 + struct.pack("<Q", 100) + b"x" * 100
        document = self.inspect(self.write("x.AppImage", data))
        self.assertEqual((document["payload"]["format"], document["payload"]["offset"]), ("dwarfs", len(make_runtime())))
        self.assertIn("dwarfsextract", document["notes"][0])

    def test_unknown_file_gives_its_kind_and_fails(self):
        ran = self.orch("inspect", "--format", "json", self.write("x", "text"), ok=False)
        self.assertEqual(json.loads(ran.stdout)["kind"], "unknown")

    def test_payload_is_found_behind_padding_and_decoys(self):
        runtime = make_runtime() + b"\0" * 40 + b"hsqs" + b"\xff" * 200 + b"\0" * 5000
        document = self.inspect(self.hello(runtime=runtime))
        self.assertEqual(document["payload"]["offset"], len(runtime))
        self.assertTrue(document["payload"]["scanned"])

    def test_a_decoy_in_the_right_place_is_not_looked_behind(self):
        ran = self.orch("inspect", self.hello(runtime=make_runtime() + b"hsqs" + b"\xff" * 200), ok=False)
        self.assertIn("SquashFS", ran.stderr)

    def test_mark_overwritten_with_zeros(self):
        document = self.inspect(self.hello(runtime=make_runtime(kind=0)))
        self.assertEqual((document["kind"], document["type"]), ("appimage", 2))

    def test_runimage(self):
        runtime = bytearray(make_runtime())
        runtime[8:11] = b"RI\x02"
        document = self.inspect(self.hello(runtime=bytes(runtime)))
        self.assertEqual((document["kind"], document["type"], document["payload"]["format"]), ("elf", "runimage", "squashfs"))

    def test_update_information(self):
        runtime = runtime_with_section(".upd_info", "gh-releases-zsync|a|b|latest|*.zsync")
        document = self.inspect(self.hello(runtime=runtime))
        self.assertEqual(document["update_information"], "gh-releases-zsync|a|b|latest|*.zsync")
        self.assertFalse(document["payload"]["scanned"])

    def test_bare_squashfs(self):
        appimage = self.hello()
        bare = self.write("bare", appimage.read_bytes()[len(make_runtime()):])
        document = self.inspect(bare)
        self.assertEqual((document["kind"], document["payload"]["offset"], document["entry"]["kind"]), ("squashfs", 0, "script"))

    @needs_tool("xorriso")
    def test_type_1(self):
        tree = make_tree(self.tmp / "tree", {"AppRun": "#!/bin/sh\n", "x.desktop": DESKTOP,
                                             "usr/lib/liba.so": elf(soname="liba.so.1", needed=["libz.so.1"]) + b"\0" * 90_000})
        path = make_type1_appimage(self.tmp / "x.AppImage", tree)
        for mark in (b"AI\x01", b"\0\0\0"):  # the mark is only a SHOULD
            data = bytearray(path.read_bytes())
            data[8:11] = mark
            data[33651:33651 + 20] = b"zsync|https://x/y.zs"
            document = self.inspect(self.write("y.AppImage", bytes(data)), "--files")
            self.assertEqual((document["kind"], document["type"], document["payload"]["format"]), ("appimage", 1, "iso9660"))
            self.assertEqual((document["bundled"], document["needed"]), (["liba.so.1"], ["libz.so.1"]))
            self.assertEqual(document["entry"]["interpreter"], "/bin/sh")
            self.assertEqual(document["update_information"], "zsync|https://x/y.zs")
            self.assertEqual([f["path"] for f in document["files"]],
                             ["AppRun", "usr", "usr/lib", "usr/lib/liba.so", "x.desktop"])

    @needs_tool("mkfs.erofs")
    def test_erofs(self):
        tree = make_tree(self.tmp / "tree", {"a": "b" * 9000})
        image = self.tmp / "x.erofs"
        ran = lib.run_command(["mkfs.erofs", "--quiet", "-zlz4", "-Enosbcrc", "-T0", "-U00112233-4455-6677-8899-aabbccddeeff", image, tree])
        self.assertEqual(ran.status, 0, msg=str(ran))
        with open(image, "r+b") as file:  # mkfs.erofs 1.5 has no option for the label
            file.seek(1024 + 64)
            file.write(b"label\0")
        document = self.inspect(image)
        self.assertEqual((document["kind"], document["payload"]["format"]), ("erofs", "erofs"))
        facts = document["erofs"]
        self.assertEqual((facts["block_size"], facts["uuid"], facts["label"], facts["compressors"]),
                         (4096, "00112233-4455-6677-8899-aabbccddeeff", "label", ["lz4"]))
        self.assertEqual(document["payload"]["size"], os.path.getsize(image))

    @needs_tool("mkfs.erofs")
    def test_what_is_inside_an_erofs_image_is_listed_and_looked_at(self):
        tree = make_tree(self.tmp / "tree", {"usr/bin/true": Path("/bin/true").read_bytes(), "usr/share/text": "b" * 9000,
                                             "bin": ("link", "usr/bin")})
        for options in ([], ["-zlz4hc", "-C65536"]):
            image = lib.make_erofs(self.tmp / "x.erofs", tree, options=options)
            document = self.inspect(image, "--files")
            self.assertEqual([(f["path"], f["type"], f["target"]) for f in document["files"]],
                             [("bin", "symlink", "usr/bin"), ("usr", "directory", None), ("usr/bin", "directory", None),
                              ("usr/bin/true", "file", None), ("usr/share", "directory", None), ("usr/share/text", "file", None)])
            self.assertEqual((document["needed"], document["entry"], document["notes"]), (["libc.so.6"], None, []))
            self.assertEqual(document["payload_archs"], [os.uname().machine])
            text = self.orch("inspect", image).stdout
            self.assertIn("from outside: libc.so.6", text)
        with open(image, "r+b") as file:
            file.seek(1024 + 48)
            file.write(b"x")
        self.assertIn("superblock is damaged", self.orch("inspect", image, ok=False).stderr)
        with open(image, "r+b") as file:
            file.truncate(3000)
        self.assertIn("cut short", self.orch("inspect", image, ok=False).stderr)

    def test_nothing_is_executed_or_written(self):
        appimage = self.hello(files={"AppRun": f"#!/bin/sh\ntouch {self.tmp}/ran\n"})
        appimage.chmod(0o400)
        before = sorted(os.listdir(self.tmp))
        self.inspect(appimage, "--files")
        self.assertEqual(sorted(os.listdir(self.tmp)), before)


if __name__ == "__main__":
    unittest.main()
