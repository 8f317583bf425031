"""Damaged packages and lock files: no crash, no hang, nothing outside of the staging directory; with sanitizers in CI."""

import base64
import gzip
import json
import shutil
import subprocess
import tarfile
import unittest
import zlib

from tests.integration import lib
from tests.integration.repository import Entry, make_deb

DRIVER = lib.BINARY.parents[2] / "tests/support/mutate-driver"
SEED = lib.chosen_seed()
FILES = {
    "./usr/": None, "./usr/lib/": None, "./usr/lib/liba.so.1": b"library " * 300, "./usr/lib/liba.so": ("link", "liba.so.1"),
    "./usr/lib/same": Entry(type=tarfile.LNKTYPE, link="./usr/lib/liba.so.1"), "./usr/evil": ("link", "../../../.."),
    "./usr/abs": ("link", "/tmp"), "./usr/evil/planted": b"x", "./lib/x": b"y", "./dev/null": Entry(type=tarfile.CHRTYPE, device=(1, 3)),
    "./usr/lib/" + "n" * 120 + "/" + "m" * 120: b"long", "./etc/opaque/": Entry(type=tarfile.DIRTYPE, mode=0o755),
}

KEY = b"\x98\x06\x04\x01\x02\x03\x04\x01"  # a packet of a public key
CONTROL = """Package: app
Version: 1:1.0-1
Architecture: amd64
Depends: libx (>= 2), liby:any | libz
Pre-Depends: dpkg

Package: libx
Version: 2
Provides: virtual (= 1)

"""
URIS = f"'http://127.0.0.1/pool/a/app_1%3a1.0-1_amd64.deb' app_1%3a1.0-1_amd64.deb 1234 SHA256:{'0a' * 32}\n" * 2
POLICY = """jq:
  Installed: (none)
  Candidate: 1.6-2
  Version table:
     1.6-2 500
        500 http://127.0.0.1/debian bookworm/main amd64 Packages
"""
IMAGES = {"v1": {f"Fedora 42 ({kind})": {"DistroMatch": "fedora", "DistroVersion": "42", "Type": kind, "Hash": "0123456789abcdef",
                                         "URL": f"https://example.org/{kind}.img"} for kind in ("erofs", "squashfs")}}
PRIMARY = """<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" packages="2">
""" + "".join(f"""<package type="rpm"><name>p{n}</name><arch>x86_64</arch><version epoch="{n}" ver="1.0" rel="1.fc42"/>
<checksum type="sha256" pkgid="YES">{'0b' * 32}</checksum><size package="6036" installed="3" archive="516"/>
<location href="Packages/p{n}.rpm"/><format><rpm:provides><rpm:entry name="p{n} &amp; &#x3b1;" flags="EQ" epoch="0"/></rpm:provides>
<rpm:requires><rpm:entry name="libx.so.1()(64bit)"/></rpm:requires><file>/usr/bin/p{n}</file></format></package>
""" for n in range(2)) + "</metadata>\n"


def compressed_deb(path, files, tool):
    """A package whose data archive is compressed by a program."""
    _, plain = make_deb("damaged", "1", files)
    start = plain.index(b"data.tar")
    data = plain[start + 60:]
    packed = {"gz": gzip.compress(data, mtime=0)}.get(tool) or subprocess.run([tool, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    name = {"gz": "data.tar.gz", "xz": "data.tar.xz", "zstd": "data.tar.zst"}[tool]
    path.write_bytes(plain[:start] + f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(packed):<10}`\n".encode() + packed
                     + b"\n" * (len(packed) % 2))
    return path


class Damaged(lib.TestCase):
    PACKAGES, LOCKS, READERS = 4000, 1000, 3000

    def setUp(self):
        self.originals = self.tmp / "originals"
        self.originals.mkdir()

    def drive(self, *args):
        self.note(f"seed {SEED}, {args[2]} damaged {args[0]}")
        ran = lib.run_command([DRIVER, *args], cwd=self.tmp, **lib.in_bounded_memory(self.environment()))
        self.assertEqual(ran.status, 0, msg=f"seed {SEED}: status {ran.status}: {ran.stderr[-3000:]}")
        return ran.json

    def packages(self):
        deb = self.originals / "plain.deb"
        deb.write_bytes(make_deb("damaged", "1", FILES)[1])
        pax = self.originals / "pax.deb"
        pax.write_bytes(make_deb("damaged", "1", {**FILES, "./usr/x": Entry(b"x", xattrs={"user.overlay.redirect": "/"}),
                                                  "./usr/\u00e9" * 60: b"long pax name"})[1])
        found = [deb, deb, pax]  # the plain one twice: damage reaches the tar archive itself
        for tool in ("gz", "xz", "zstd"):
            if tool == "gz" or lib.have(tool):
                found.append(compressed_deb(self.originals / f"{tool}.deb", FILES, tool))
        if lib.have("rpmbuild"):
            found += self.rpms()
        return found

    def rpms(self):
        """Small RPM packages, with the payload as it is and compressed."""
        found = []
        for payload in ("w.ufdio", "w6.xzdio", "w9.gzdio"):
            top = self.tmp / "rpm" / payload
            spec = self.write(f"rpm/{payload}/d.spec", """Name: damaged
Version: 1
Release: 1
Summary: s
License: x
BuildArch: noarch
%description
d
%install
mkdir -p %{buildroot}/usr/lib %{buildroot}/etc
echo library > %{buildroot}/usr/lib/liba.so.1
ln -s liba.so.1 %{buildroot}/usr/lib/liba.so
ln %{buildroot}/usr/lib/liba.so.1 %{buildroot}/usr/lib/same
ln -s ../../../../tmp %{buildroot}/usr/evil
echo conf > %{buildroot}/etc/conf
%files
/usr/lib/*
/usr/evil
/etc/conf
""")
            ran = lib.run_command(["rpmbuild", "-bb", "--define", f"_topdir {top}", "--define", f"_binary_payload {payload}", spec],
                                  env=self.environment())
            self.assertEqual(ran.status, 0, msg=str(ran))
            (rpm,) = top.rglob("*.rpm")
            found.append(rpm.rename(self.originals / f"{payload}.rpm"))
        return found

    def test_damaged_packages_are_refused_or_unpacked_inside(self):
        place = self.tmp / "place"
        (place / "neighbour").mkdir(parents=True)
        (place / "neighbour/file").write_text("untouched")
        counts = self.drive("packages", str(SEED), str(self.PACKAGES), place, *self.packages())
        self.assertEqual(counts["opened"] + counts["refused"], self.PACKAGES)
        self.assertGreater(counts["opened"], self.PACKAGES // 50)
        self.assertGreater(counts["refused"], self.PACKAGES // 4)
        self.assertEqual([p.name for p in self.tmp.rglob("planted")], [])

    def texts(self):
        """A sound file for each reader of headers, lists and texts."""
        primary = PRIMARY.encode()
        files = {"primary.xml": primary, "primary.xml.gz": gzip.compress(primary, mtime=0), "a.control": CONTROL.encode(),
                 "a.uris": URIS.encode(), "a.policy": POLICY.encode(), "list.json": json.dumps(IMAGES).encode(), "k.gpg": KEY * 2,
                 "k.asc": b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\n" + base64.b64encode(KEY * 3)
                          + b"\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"}
        if lib.have("zstd"):
            files["primary.xml.zst"] = subprocess.run(["zstd", "-c"], input=primary, stdout=subprocess.PIPE, check=True).stdout
        for name, content in files.items():
            (self.originals / name).write_bytes(content)
        return [self.originals / name for name in files]

    def test_damaged_headers_lists_and_texts_are_refused_or_safe(self):
        deb = self.originals / "a.deb"
        deb.write_bytes(make_deb("damaged", "1", FILES, depends="libx (>= 1) | liby, libz")[1])
        files = [deb, *self.texts(), *(self.rpms() if lib.have("rpmbuild") else [])]
        counts = self.drive("readers", str(SEED), str(self.READERS), self.tmp, *files)
        self.assertEqual(sum(c["opened"] + c["refused"] for c in counts.values()), self.READERS)
        for kind, both in counts.items():
            if kind not in ("zst", "gz"):  # their checksums leave nothing to open
                self.assertGreater(both["opened"], 0, msg=kind)
            if kind not in ("control", "policy"):  # which skip what is no field
                self.assertGreater(both["refused"], 0, msg=kind)

    def hostile(self, name, data):
        """What a build says of a folder with that package."""
        (self.tmp / "heap").mkdir()
        (self.tmp / "heap" / name).write_bytes(data)
        profile = self.write("p.toml", 'schema = 1\nextends = "native"\n[stack]\ncompat = "off"\nfinish = "off"\n'
                                       'base = { packages = ["damaged"], source = "own" }\n'
                                       f'[source.own]\nkind = "dir"\npath = "{self.tmp}/heap"\n')
        return self.orch("build", profile, status=1).stderr

    @lib.needs_tool("rpmbuild", "mkfs.erofs")
    def test_names_that_wait_for_content_are_bounded(self):
        whole = next(p for p in self.rpms() if "gz" in p.name).read_bytes()
        tail = "".join(f"{n:08x}" for n in (0o100644, 0, 0, 2, 0, 0, 0, 0, 0, 0, 2, 0)) + "a\0"  # mode, …, two names, …
        entries = "".join(f"070701{i:08x}{tail}" for i in range(540000)).encode()
        payload = whole.rindex(b"\x1f\x8b\x08")
        errors = self.hostile("x.rpm", whole[:payload] + gzip.compress(entries, 1))
        self.assertIn("it has more than 524288 entries, which no package has", errors)

    @lib.needs_tool("mkfs.erofs")
    def test_names_that_take_much_memory_are_bounded(self):
        name, head = (b"n" * 199 + b"/") * 20 + b"n", tarfile.TarInfo("././@LongLink")
        head.type, head.size = tarfile.GNUTYPE_LONGNAME, len(name) + 1
        entry = head.tobuf(tarfile.GNU_FORMAT) + name.ljust(-(-(len(name) + 1) // 512) * 512, b"\0") + \
            tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT)
        path = compressed_deb(self.tmp / "x.deb", FILES, "gz").read_bytes()
        start = path.index(b"data.tar.gz")
        pack = zlib.compressobj(1, wbits=31)
        data = b"".join(pack.compress(entry) for _ in range(68000)) + pack.flush()
        errors = self.hostile("x.deb", path[:start] + f"{'data.tar.gz':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data)
        self.assertIn("its names take more than 256 MiB, which no package's do", errors)

    def test_damaged_lock_files_are_refused_or_safe(self):
        lock = self.originals / "p.lock.toml"
        shutil.copy(lib.GOLDEN / "lock/p.lock.toml", lock)
        counts = self.drive("locks", str(SEED), str(self.LOCKS), lock)
        self.assertEqual(counts["opened"] + counts["refused"], self.LOCKS)
        self.assertGreater(counts["opened"], self.LOCKS // 100)
        self.assertGreater(counts["refused"], self.LOCKS // 4)


if __name__ == "__main__":
    unittest.main()
