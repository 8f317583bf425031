"""A small package archive of a test's own (a flat apt repository in a folder, signed or not), and the driver of src/package."""

import hashlib
import io
import json
import os
import shutil
import tarfile
import tomllib
from pathlib import Path

from tests.integration import lib


def driver():
    """The path of build/tests/support/package-driver, in a place that an ordinary user can reach."""
    built = lib.BINARY.parents[2] / "tests/support/package-driver"
    if not lib.is_root():
        return built
    if lib.run_command(["test", "-x", built], user=lib.ORDINARY_USER, cwd="/").status == 0:
        return built
    place = lib.shared_copy()[1] / "package-driver"
    if not place.exists():
        shutil.copy(built, place)
    return place


class Entry:
    """What a plain value cannot say of a tar entry: its mode, a device (major, minor), a FIFO, extended attributes."""

    def __init__(self, data=b"", mode=0o644, type=tarfile.REGTYPE, device=(0, 0), link="", xattrs=()):
        self.data, self.mode, self.type, self.device, self.link = data, mode, type, device, link
        self.xattrs = dict(xattrs)


def tar_of(files):
    """A tar archive: {"path": bytes, ("link", target), None for a folder, or an Entry}; owners and times are fixed."""
    out = io.BytesIO()
    entries = {name: content if isinstance(content, Entry)
               else Entry(mode=0o755, type=tarfile.DIRTYPE) if content is None
               else Entry(mode=0o755, type=tarfile.SYMTYPE, link=content[1]) if isinstance(content, tuple)
               else Entry(content) for name, content in files.items()}
    pax = any(entry.xattrs for entry in entries.values())
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) as tar:
        for name, entry in entries.items():
            info = tarfile.TarInfo(name)
            info.mode, info.type, info.linkname = entry.mode, entry.type, entry.link
            info.devmajor, info.devminor = entry.device
            info.size = len(entry.data)
            info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in entry.xattrs.items()}
            tar.addfile(info, io.BytesIO(entry.data))
    return out.getvalue()


def make_deb(name, version, files, depends="", architecture="amd64"):
    """(control text, bytes) of a Debian package. Not compressed, so that its bytes depend on no library."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: T <t@example.invalid>\n"
    control += f"Depends: {depends}\n" if depends else ""
    control += "Description: of a test\n"
    members = [("debian-binary", b"2.0\n"),
               ("control.tar", tar_of({"./control": control.encode()})), ("data.tar", tar_of(files))]
    out = b"!<arch>\n"
    for member, data in members:
        out += f"{member:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return control, out


class Repository:
    """Packages in a folder; publish() writes what apt reads."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "pool").mkdir(parents=True, exist_ok=True)
        self.packages, self.paths = {}, {}

    def add(self, name, version, files, depends="", file=None):
        """Adds a package, or another version in place of the one that is there; `file`: the archive's name."""
        control, data = make_deb(name, version, files, depends)
        path = f"pool/{file or name + '_' + version.replace(':', '%3a')}_amd64.deb"
        (self.folder / path).write_bytes(data)
        self.packages[name] = (f"{control}Filename: ./{path}\nSize: {len(data)}\n"
                               f"SHA256: {hashlib.sha256(data).hexdigest()}\n", path)
        self.paths[name] = sorted(f.removeprefix("./") for f, content in files.items() if content is not None)
        return self

    def remove(self, name):
        (self.folder / self.packages.pop(name)[1]).unlink()
        return self

    def publish(self):
        """Writes the index of the packages, and the one of their files, by which libraries are found."""
        holders = {}
        for name in self.packages:
            for path in self.paths[name]:
                holders.setdefault(path, []).append(f"libs/{name}")
        indices = {"Packages": "\n".join(text for text, _ in self.packages.values()).encode(),
                   "Contents-amd64": "".join(f"{p} {','.join(holders[p])}\n" for p in sorted(holders)).encode("utf-8", "surrogateescape")}
        for name, index in indices.items():
            (self.folder / name).write_bytes(index)
        sums = "".join(f" {hashlib.sha256(i).hexdigest()} {len(i)} {n}\n" for n, i in indices.items())
        (self.folder / "Release").write_text(f"Origin: Own\nCodename: test\nSHA256:\n{sums}")
        return self

    def sign(self, keys, fingerprint):
        """Signs what publish() wrote, with a key of a KeyRing."""
        keys.run("gpg", "--batch", "--yes", "--clear-sign", "--local-user", fingerprint, "--output", self.folder / "InRelease",
                 self.folder / "Release")
        return self

    def table(self, more="trusted = true\n"):
        """The source table, in TOML."""
        return f'kind = "apt"\nuris = ["file:{self.folder}"]\nsuites = ["./"]\n{more}'


class PackagesCase(lib.TestCase):
    """Tests of one profile, p.toml: what its lock file has, and the manifests of its images."""

    def layers(self, lock=None):
        return tomllib.loads((lock or self.tmp / "p.lock.toml").read_text())["layer"]

    def packages(self, lock=None):
        return {p["name"]: p for layer in self.layers(lock) for p in layer.get("package", [])}

    def manifest(self, role="base", home=None):
        store = Path(home or self.tmp) / "cache/appimage-orch/store"
        documents = [json.loads(p.read_text()) for p in store.glob("cas/document/*/*/*")]
        return next(d for d in documents if d.get("schema") == "appimage-orch/image-manifest/1" and d["role"] == role)


def base_files(text="one"):
    """What a package of a base could hold."""
    return {"./bin/": None, "./bin/tool": b"#!/bin/sh\n", "./lib/": None, "./lib/libbase.so.1": text.encode(),
            "./usr/share/doc/base/copyright": b"free"}


def snapshot(folder):
    """Names, sizes and times below a folder of the host, as far as one may look."""
    out = {}
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            info = os.lstat(os.path.join(place, name))
            out[os.path.join(place, name)] = (info.st_mode, info.st_size, info.st_mtime_ns)
    return out


