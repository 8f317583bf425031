"""Newer erofs-utils than the distribution's: from a newer suite of the same archive, unpacked privately, run by its own loader."""

import functools
import os
import re
import tempfile
import unittest
from pathlib import Path

from tests.integration.lib import run_command

CONFIGURATION = """Dir "{root}";
Dir::State "state";
Dir::State::status "status";
Dir::Cache "cache";
Dir::Etc "etc";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
Dir::Log "log";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Debug::NoLocking "true";
"""


def fields(stanza):
    return {k.lower(): v.strip() for k, v in re.findall(r"^([\w-]+):(.*(?:\n[ \t].*)*)", stanza, re.M)}


def own_release():
    return dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.M))


def debian_archive():
    """(URI, keyring) of the machine's own archive of Debian's main packages; None if it has none."""
    codename = own_release().get("VERSION_CODENAME", "?")
    for path in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")):
        for stanza in path.read_text().split("\n\n"):
            entry = fields("\n".join(line for line in stanza.splitlines() if not line.startswith("#")))
            if codename in entry.get("suites", "").split() and "deb" in entry.get("types", "").split():
                return entry["uris"].split()[0], entry.get("signed-by", "")
    names = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.list"))]
    for path in filter(Path.is_file, names):
        for line in path.read_text().splitlines():
            if found := re.match(rf"deb\s+(?:\[(?:.*signed-by=(\S+?))?[^]]*\]\s+)?(\S+)\s+{codename}\s", line):
                return found[2], found[1] or ""
    return None


def install(suite, folder):
    """Downloads and unpacks erofs-utils of a suite with what it needs; an error text, or None."""
    archive = debian_archive()
    if own_release().get("ID") != "debian" or not archive:
        return "no Debian archive in this machine's apt configuration"
    root = folder / "apt"
    for name in ("etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "state/lists/partial", "cache/archives/partial", "log"):
        (root / name).mkdir(parents=True)
    (root / "status").touch()
    (root / "apt.conf").write_text(CONFIGURATION.format(root=root))
    uri, keyring = archive
    (root / "etc/sources.list.d/own.sources").write_text(
        f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n" + (f"Signed-By: {keyring}\n" if keyring else ""))
    env = {**os.environ, "APT_CONFIG": str(root / "apt.conf"), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-q"], ["install", "-q", "-y", "--download-only", "erofs-utils"]):
        ran = run_command(["apt-get", *arguments], env=env, timeout=300)
        if ran.status != 0:
            return f"apt-get {arguments[0]} for {suite} failed: {ran.stderr.strip().splitlines()[-1:]}"
    for deb in sorted((root / "cache/archives").glob("*.deb")):
        ran = run_command(["dpkg-deb", "-x", deb, folder / "tree"])
        if ran.status != 0:
            return f"dpkg-deb failed for {deb.name}: {ran.stderr.strip()}"
    return None


class Tools:
    """One version of mkfs.erofs and fsck.erofs."""

    def __init__(self, name, prefix, suffix=""):
        self.name, self.prefix, self.suffix = name, prefix, suffix
        ran = run_command([*self.program("mkfs.erofs"), "-V"])
        found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", ran.stdout + ran.stderr)
        self.version = tuple(int(n or 0) for n in found.groups()) if found else ()

    def program(self, name):
        return [*self.prefix, self.suffix + name] if self.prefix else [name]

    def __str__(self):
        return f"{self.name} ({'.'.join(map(str, self.version))})"


@functools.lru_cache(None)
def tools(suite):
    """The tools of a suite, "own" being those of this machine; SkipTest with the reason where there are none."""
    if suite == "own":
        found = Tools(suite, [])
        if not found.version:
            raise unittest.SkipTest("not installed: mkfs.erofs")
        return found
    folder = Path(tempfile.mkdtemp(prefix=f"orch-erofs-utils-{suite}-"))
    import atexit
    import shutil
    atexit.register(shutil.rmtree, folder, True)
    if problem := install(suite, folder):
        raise unittest.SkipTest(problem)
    tree = folder / "tree"
    libraries = ":".join(str(p) for p in (tree / "usr/lib/x86_64-linux-gnu", tree / "lib/x86_64-linux-gnu") if p.is_dir())
    loader = next((p for p in (tree / "usr/lib64/ld-linux-x86-64.so.2", tree / "lib64/ld-linux-x86-64.so.2",
                               tree / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2") if p.exists()), None)
    if loader is None:
        raise unittest.SkipTest(f"the loader of {suite} is not among its packages")
    found = Tools(suite, [str(loader), "--library-path", libraries], f"{tree}/usr/bin/")
    if not found.version:
        raise unittest.SkipTest(f"mkfs.erofs of {suite} does not run here")
    return found
