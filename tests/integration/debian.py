"""Packages of this machine's distribution, by apt's own client with private directories."""

import re
import shutil
from pathlib import Path

from tests.integration import lib

MACHINE_LISTS = Path("/var/lib/apt/lists")


class Archive:
    """Downloads packages into a folder of its own; the machine's package lists are used where they will do."""

    def __init__(self, folder, architecture="amd64"):
        self.folder, self.architecture = Path(folder), architecture
        self.lists = MACHINE_LISTS
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "state/status").touch()

    def apt(self, *argv):
        options = {"Dir::State": self.folder / "state", "Dir::State::status": self.folder / "state/status",
                   "Dir::State::lists": self.lists, "Dir::Cache": self.folder / "cache", "APT::Sandbox::User": "",
                   "APT::Architecture": self.architecture,
                   "APT::Architectures": self.architecture, "APT::Get::Assume-Yes": "true", "Debug::NoLocking": "true"}
        return lib.run_command([argv[0], "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
                                *argv[1:]], cwd=self.folder)

    def download(self, *names):
        """{name: path} of the packages and of all that they depend on, as if nothing were installed."""
        self.fetch("apt-get", "--no-install-recommends", "--download-only", "install", *names)
        return {path.name.split("_")[0]: path for path in sorted((self.folder / "cache/archives").glob("*.deb"))}

    def download_one(self, name):
        """The path of one package."""
        self.fetch("apt-get", "download", name)
        path, = self.folder.glob(f"{name}_*.deb")
        return path

    def depends(self, name):
        """The packages that a package depends on, from the lists alone."""
        listed = self.fetch("apt-cache", "depends", name).stdout
        return re.findall(r"^ *(?:Pre)?Depends: ([^ <]\S*)$", listed, re.M)

    def fetch(self, *argv):
        ran = self.apt(*argv)
        if ran.status != 0 and self.lists == MACHINE_LISTS:  # they are not there, or too old for what the archive has
            self.lists = self.folder / "state/lists"
            ran = self.apt("apt-get", "update")
            if ran.status == 0:
                ran = self.apt(*argv)
        if ran.status != 0:
            raise RuntimeError(str(ran))
        return ran


def unpack(package, folder):
    """The files of a package, in a new folder."""
    Path(folder).mkdir(parents=True)
    ran = lib.run_command(["dpkg-deb", "--extract", package, folder])
    if ran.status != 0:
        raise RuntimeError(str(ran))
    return Path(folder)


def fields(package):
    """{field: text} of a package's control file; continuation lines are left out."""
    ran = lib.run_command(["dpkg-deb", "--field", package])
    return dict(line.split(": ", 1) for line in ran.stdout.splitlines() if ": " in line and line[0] != " ")


def dependencies(package):
    """What a package depends on: for each dependency, the names of its alternatives."""
    control = fields(package)
    clauses = ",".join(control[name] for name in ("Pre-Depends", "Depends") if name in control)
    return [[word.split()[0].split(":")[0] for word in clause.split("|")] for clause in clauses.split(",") if clause.strip()]


def closure(packages, names, cut=()):
    """Names of the packages that one gets by following dependencies from `names`, without those in `cut`."""
    out, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name in out or name in cut or name not in packages:
            continue
        out.add(name)
        todo += [alternative for clause in dependencies(packages[name]) for alternative in clause[:1]]
    return sorted(out)


def strip(tree):
    """Takes away what no program needs to run: documentation and translations."""
    for name in ("doc", "man", "info", "locale", "lintian", "bug", "doc-base"):
        shutil.rmtree(Path(tree) / "usr/share" / name, ignore_errors=True)
