"""RPM packages out of the files of Debian packages: real libraries, with the dependencies that rpmbuild itself finds.

Names, files and the names in Depends are Debian's; which library a package has and needs, rpm's own generators say.
"""

from tests.integration import debian

SPEC = """Name: of-debian
Version: 1
Release: 1
Summary: of a test
License: as in Debian
%global debug_package %{{nil}}
%global __requires_exclude ^/
%description
Of a test.
%prep
%build
%install
{install}
"""

PACKAGE = """%package -n {name}
Summary: of Debian's {name}
Version: {version}
Release: {release}
{lines}
%description -n {name}
Of Debian's {name}.
%files -n {name} -f {list}
"""


def add_debian_packages(repository, packages, release="fc42"):
    """Adds {name: path of a .deb}, all by one build, signed. Packages of nothing but documentation are left out."""
    work = repository.work / "debian"
    trees = {name: unpack(package, work / "trees" / name) for name, package in sorted(packages.items())}
    trees = {name: tree for name, tree in trees.items() if files_of(tree)}
    sections = []
    for name, tree in trees.items():
        listed = work / f"{name}.list"
        listed.write_text("".join(f'"/{str(p.relative_to(tree)).replace("%", "%%")}"\n' for p in files_of(tree)))
        sections.append(section(packages[name], trees.keys(), listed, release))
    install = "".join(f"cp -al {tree}/. %{{buildroot}}\n" for tree in trees.values())
    spec = work / "of-debian.spec"
    spec.write_text(SPEC.format(install="mkdir -p %{buildroot}\n" + install) + "".join(sections))
    repository.build(spec, "x86_64", "--define", "_unpackaged_files_terminate_build 0", "--define", "_binary_payload w1.gzdio")
    repository.sign(repository.fingerprint, *sorted((repository.folder / "Packages").glob("*.rpm")))


def unpack(package, folder):
    tree = debian.unpack(package, folder)
    debian.strip(tree)
    for path in files_of(tree):
        if not path.is_symlink() and path.read_bytes().startswith(b"\x7fELF"):
            path.chmod(0o755)  # rpm's generators look at executable files only; Debian's libraries are not
    return tree


def files_of(tree):
    return [path for path in sorted(tree.rglob("*")) if path.is_symlink() or not path.is_dir()]


def section(package, names, listed, release):
    control = debian.fields(package)
    epoch, _, version = control["Version"].rpartition(":")
    upstream, _, revision = version.partition("-")
    needed = sorted({clause[0] for clause in debian.dependencies(package)} & names)
    lines = [f"Requires: {name}" for name in needed]
    if epoch:
        lines.append(f"Epoch: {epoch}")
    if control["Architecture"] == "all":
        lines.append("BuildArch: noarch")
    if control["Package"] == "libc6":
        lines.append("Provides: rtld(GNU_HASH)")  # as Fedora's glibc says
    return PACKAGE.format(name=control["Package"], version=upstream, release=f"{revision.replace('-', '_') or 0}.{release}",
                          lines="\n".join(lines), list=listed)
