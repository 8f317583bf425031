"""A small RPM repository of a test's own: packages by rpmbuild, signed with a key of the test, listed by createrepo_c."""

import shutil
from pathlib import Path

from tests.integration import lib
from tests.integration.keys import KeyRing

SPEC = """Name: {name}
Version: {version}
Release: {release}
Summary: of a test
License: MIT
AutoReqProv: no
{lines}
%description
Of a test.
%prep
%build
%install
mkdir -p %{{buildroot}}
cp -a {tree}/. %{{buildroot}}
%files -f {list}
"""


class RpmRepository(KeyRing):
    """Packages in a folder; publish() writes what dnf reads."""

    def __init__(self, folder, signed=True):
        super().__init__(f"{folder}-work")
        self.folder = Path(folder)
        (self.folder / "Packages").mkdir(parents=True)
        self.key, self.fingerprint = self.make_key("key") if signed else (None, None)

    def add(self, name, version, files, release="1.fc42", lines="", sign=True, architecture="x86_64"):
        """Adds a package; `files` as in repository.tar_of, paths absolute; `lines`: further lines of its head."""
        tree = self.work / f"tree-{name}"
        shutil.rmtree(tree, ignore_errors=True)
        listed = []
        for path, content in files.items():
            place = tree / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, tuple):
                place.symlink_to(content[1])
            elif isinstance(content, Path):
                shutil.copy2(content, place)
            else:
                place.write_bytes(content)
            listed.append(path)
        tree.mkdir(exist_ok=True)
        (self.work / "list").write_text("".join(f'"{p}"\n' for p in listed))
        spec = self.work / f"{name}.spec"
        spec.write_text(SPEC.format(name=name, version=version, release=release, lines=lines, tree=tree,
                                    list=self.work / "list"))
        self.build(spec, architecture)
        path = self.folder / f"Packages/{name}-{version}-{release}.{architecture}.rpm"
        if sign and self.key:
            self.sign(self.fingerprint, path)
        return path

    def build(self, spec, architecture, *options):
        """The packages of a spec file, unsigned."""
        self.run("rpmbuild", "-bb", "--quiet", "--target", f"{architecture}-linux", "--define", f"_topdir {self.work}/top",
                 "--define", f"_rpmdir {self.folder}/Packages", "--define", "_build_id_links none",
                 "--define", "__os_install_post %{nil}", "--define", "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
                 "--define", "_buildhost test", *options, spec)

    def sign(self, fingerprint, *paths):
        self.run("rpmsign", "--define", f"_gpg_name {fingerprint}", "--define", f"_gpg_path {self.home}",
                 "--define", f"__gpg {shutil.which('gpg')}", "--resign", *paths)

    def remove(self, name):
        for path in self.folder.glob(f"Packages/{name}-*.rpm"):
            path.unlink()

    def publish(self):
        shutil.rmtree(self.folder / "repodata", ignore_errors=True)
        self.run("createrepo_c", "--quiet", self.folder)
        return self

    def sign_lists(self):
        self.run("gpg", "--batch", "--yes", "--armor", "--detach-sign", "--local-user", self.fingerprint,
                 self.folder / "repodata/repomd.xml")

    def table(self, more=""):
        """The source table, in TOML."""
        keys = f'signed_by = "{self.key}"\nfingerprints = ["{self.fingerprint}"]\n' if self.key else ""
        return f'kind = "dnf"\nuris = ["file://{self.folder}"]\nrelease = "42"\n{keys}{more}'


def needs_rpm_tools(test):
    return lib.needs_tool("dnf", "rpmbuild", "rpmsign", "createrepo_c", "gpg", "mkfs.erofs")(test)
