"""The rules for deps overlays: one poisoned package for each, refused by package, path and layer, and built where allowed.

Rules that concern the stack and not the layer alone are check-stack's: test_check_stack.py.
"""

import json
import re
import struct
import tarfile
import unittest

from tests.integration import lib
from tests.integration.repository import Entry, Repository, base_files
from tests.integration.test_inspect import elf

LIBRARIES = "./usr/lib/x86_64-linux-gnu"


def elf32(machine, order="<"):
    """The header of a 32-bit ELF library, of either byte order."""
    ident = b"\x7fELF\x01" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + b"\0" * 9
    return ident + struct.pack(f"{order}HHIIIIIHHHHHH", 3, machine, 1, 0, 0, 0, 0, 52, 32, 0, 40, 0, 0)


# rule: (package, its files, what the finding is about: the path, or the package itself)
POISON = {
    "foreign-machine": ("lib-arm", {f"{LIBRARIES}/libarm.so.1": elf(machine=lib.MACHINE_AARCH64, soname="libarm.so.1")},
                        "usr/lib/x86_64-linux-gnu/libarm.so.1"),
    "abi-library": ("lib-thread", {f"{LIBRARIES}/libpthread.so.0": ("link", "libother.so")},
                    "usr/lib/x86_64-linux-gnu/libpthread.so.0"),
    "abi-soname": ("lib-hidden", {f"{LIBRARIES}/libhidden.so": elf(soname="libgcc_s.so.1")}, "usr/lib/x86_64-linux-gnu/libhidden.so"),
    "abi-package": ("libstdc++6", {"./usr/share/doc/libstdc++6/copyright": b"free"}, "libstdc++6"),
    "loader-config": ("lib-conf", {"./etc/ld.so.preload": b"/usr/lib/evil.so\n"}, "etc/ld.so.preload"),
    "unmerged-usr": ("lib-unmerged", {"./usr/up": ("link", ".."), "./usr/up/lib64/libfoo.so": b"x"}, "lib64"),
    "whiteout": ("lib-whiteout", {f"{LIBRARIES}/libc.so.6.old": Entry(type=tarfile.CHRTYPE)}, "usr/lib/x86_64-linux-gnu/libc.so.6.old"),
    "opaque-directory": ("lib-opaque", {f"{LIBRARIES}/gio/": Entry(type=tarfile.DIRTYPE, mode=0o755,
                                                                   xattrs={"trusted.overlay.opaque": "y"})},
                         "usr/lib/x86_64-linux-gnu/gio"),
    "redirect-mark": ("lib-redirect", {f"{LIBRARIES}/libx.so": Entry(b"x", xattrs={"user.overlay.redirect": "/etc"})},
                      "usr/lib/x86_64-linux-gnu/libx.so"),
    "device-node": ("lib-device", {"./dev/kmem": Entry(type=tarfile.CHRTYPE, device=(1, 2))}, "dev/kmem"),
    "fifo-or-socket": ("lib-fifo", {"./run/initctl": Entry(type=tarfile.FIFOTYPE)}, "run/initctl"),
    "set-id": ("lib-setuid", {"./usr/lib/helper": Entry(b"x", mode=0o4755)}, "usr/lib/helper"),
    "absolute-directory-link": ("lib-absolute", {"./usr/share/data/x": b"x", "./usr/lib/data": ("link", "/usr/share/data")}, "usr/lib/data"),
    "executable-directory": ("lib-tools", {"./usr/tools": ("link", "bin"), "./usr/tools/bash": b"#!"}, "usr/bin/bash"),
}
MULTIARCH = LIBRARIES.removeprefix("./")
# rule: further poison, all of it in one overlay: {path: its content}, or the names of packages
FURTHER = {
    "foreign-machine": {"usr/lib/libi386.so.1": elf32(3), "usr/lib64/libppc.so.1": elf32(20, ">"),
                        "usr/share/data/backwards": elf32(62 << 8, ">"),  # 62, if one does not look at the byte order
                        "usr/lib/bpf2/x.o": elf(machine=247), "usr/share/seabios.bin": elf32(3), "usr/lib/app/seabios/x": elf32(3)},
    "abi-soname": {f"{MULTIARCH}/libmusic.so.1": elf(soname="libc.so.6"), "usr/lib64/libstdc++.so.6.0.33": elf(soname="libstdc++.so.6"),
                   "usr/lib/libx.so": elf(soname="ld-linux-x86-64.so.2"), "usr/lib64/glibc-hwcaps/x86-64-v3/libm.so": elf(soname="libm.so.6")},
    "abi-library": {**{f"usr/lib64/{name}": b"x" for name in ("ld-linux-x86-64.so.2", "libc.so.6", "libstdc++.so.6", "libgcc_s.so.1")},
                    **{f"{MULTIARCH}/{name}": b"x" for name in (
                        "libm.so.6", "libdl.so.2", "librt.so.1", "libresolv.so.2", "libutil.so.1", "libanl.so.1", "libnsl.so.1",
                        "libnss_dns.so.2", "libthread_db.so.1", "libmvec.so.1", "libgomp.so.1", "libatomic.so.1")},
                    "usr/lib/ld-linux.so.2": ("link", "nowhere"), "usr/lib/libm.so.6": None},
    "abi-package": ["glibc", "glibc-common", "gcc-libs", "libgcc", "libstdc++", "libgomp", "libatomic", "libasan", "libubsan",
                    "libc6", "libc-bin", "libgcc-s1", "lib32gcc-s1", "libgomp1", "libatomic1", "libasan8", "libubsan1"],
    "loader-config": {"etc/ld.so.cache": b"cache", "etc/ld.so.conf": b"/opt\n", "etc/ld.so.preload": b"/opt/x.so\n"},
}
EXEMPT = {"usr/lib/bpf/x.o": elf(machine=247), "usr/lib64/bpf/sub/x.o": elf(machine=247), "usr/share/seabios/bios.elf": elf32(3)}
# Of the stack, not of a layer alone.
OF_THE_STACK = {"base-override", "base-duplicate", "other-override", "directory-attributes", "type-conflict", "interpreter"}
NOTED = {"exempt-machine"}


@lib.needs_tool("apt-get", "mkfs.erofs", "fsck.erofs")
class Invariants(lib.TestCase):
    def setUp(self):
        self.repository = Repository(self.tmp / "repository")
        self.repository.add("base-one", "1.0", base_files())

    def publish(self, package, files):
        self.repository.add(package, "1.0", {**files, "./usr/share/own/" + package: b"own"}).publish()

    def profile(self, package, allow=(), layer_class="deps"):
        packages = [package] if isinstance(package, str) else package
        return self.write("p.toml", f"""schema = 1
extends = "native"
[stack]
base = {{ packages = ["base-one"], source = "own" }}
[[stack.deps]]
name = "app"
source = "own"
packages = {json.dumps(packages)}
class = "{layer_class}"
allow = {json.dumps(list(allow))}
[source.own]
{self.repository.table()}""")

    def build(self, *args, **options):
        """Builds the overlay alone: what check-stack says of it is another test's."""
        return self.orch("build", self.tmp / "p.toml", "--only", "deps-overlay", *args, **options)

    def manifest(self):
        found = [p for p in (self.tmp / "cache").rglob("*") if p.name == "document.json"]
        documents = [json.loads(p.read_text()) for p in found]
        (manifest,) = [d for d in documents if d.get("schema") == "appimage-orch/image-manifest/1" and d["role"] == "deps"]
        return manifest

    def test_every_rule_of_a_layer_alone_has_a_poisoned_package_here(self):
        self.publish("lib-x", {})
        self.profile("lib-x", ["no-such-rule:usr/lib"])
        ran = self.build(status=1)
        self.golden("invariants/unknown_rule.txt", message_of(ran.stderr))
        listed = ran.stderr.split("the rules are: ")[1].split("\n")[0].split(", ")
        self.assertEqual(set(listed), set(POISON) | OF_THE_STACK | NOTED)

    def refused_then_allowed(self, rule):
        package, files, subject = POISON[rule]
        self.publish(package, files)
        self.profile(package)
        ran = self.build(status=1)
        self.golden(f"invariants/{rule}.txt", message_of(ran.stderr))
        for name in (f"'{package}'", f"'{subject}'", "layer 'deps-app'"):
            self.assertIn(name, ran.stderr)
        self.profile(package, [f"{rule}:{subject}"])
        self.build()
        manifest = self.manifest()
        (finding,) = [f for f in manifest["findings"] if f["rule"] == rule]
        self.assertEqual((finding["overridden"], finding["severity"], finding["package"]), (True, "refused", package))
        self.assertEqual(finding["path"], None if rule == "abi-package" else subject)
        return manifest

    def test_the_abi_boundary_is_the_bases_but_for_a_base_refresh(self):
        package, files, _ = POISON["abi-library"]
        self.publish(package, {**files, **POISON["abi-soname"][1], **POISON["loader-config"][1]})
        self.profile(package)
        self.golden("invariants/several.txt", message_of(self.build(status=1).stderr))
        self.profile(package, layer_class="base-refresh")
        self.build()
        self.assertEqual(self.manifest()["findings"], [])
        self.assertEqual(self.manifest()["class"], "base-refresh")

    def each_refused_alone_then_allowed(self, rule):
        poison = FURTHER[rule]
        packages = poison if isinstance(poison, list) else ["lib-poison"]
        for package in packages:
            self.publish(package, {} if package in poison else {f"./{path}{'' if content else '/'}": content for path, content in poison.items()})
        for one in poison:
            self.profile(packages, [f"{rule}:{other}" for other in poison if other != one])
            errors = self.build(status=1).stderr
            self.assertEqual(re.findall(r"allow = (\[.*\])", errors), [f'["{rule}:{one}"]'])
            for name in ("layer 'deps-app'", f"'{one}'", *([f"package '{packages[0]}'"] if len(packages) == 1 else [])):
                self.assertIn(name, errors)
        self.profile(packages, [f"{rule}:{one}" for one in poison])
        self.build()
        found = [f for f in self.manifest()["findings"] if f["rule"] == rule]
        self.assertEqual({f["path"] or f["package"] for f in found}, set(poison))
        self.assertEqual({(f["severity"], f["overridden"]) for f in found}, {("refused", True)})

    def test_exempt_programs_of_other_processors_are_listed(self):
        self.publish("lib-bpf", {f"./{path}": content for path, content in EXEMPT.items()})
        self.profile("lib-bpf")
        self.build()
        findings = self.manifest()["findings"]
        self.assertEqual({(f["rule"], f["severity"], f["path"], f["package"]) for f in findings},
                         {("exempt-machine", "noted", path, "lib-bpf") for path in EXEMPT})
        self.assertEqual({f["detail"].split(",")[0] for f in findings}, {"is an ELF file for bpf", "is an ELF file for i386"})
        self.assertLessEqual(set(EXEMPT), {f["path"] for f in self.manifest()["files"]})

    def test_executables_are_left_out_with_a_reason_or_kept_where_allowed(self):
        self.publish("lib-with-tool", {"./usr/bin/tool": b"#!", "./usr/lib/libx.so": b"x"})
        self.profile("lib-with-tool")
        self.build()
        manifest = self.manifest()
        self.assertEqual([(s["path"], s["reason"]) for s in manifest["skipped"]],
                         [("usr/bin/tool", "a deps overlay carries no executables")])
        lib.remove_tree(self.tmp / "cache")
        self.profile("lib-with-tool", ["executable-directory:usr/bin/*"])
        self.build()
        manifest = self.manifest()
        self.assertIn("usr/bin/tool", [f["path"] for f in manifest["files"]])
        self.assertEqual([(f["rule"], f["path"], f["overridden"]) for f in manifest["findings"]],
                         [("executable-directory", "usr/bin/tool", True)])


def message_of(text):
    """The error of the step, without what `build` says around it, the step's identity and its log."""
    error = re.search(r"^failed: .*\n(  .*\n)+", text, re.M)
    if not error:
        return text
    lines = [line for line in error[0].splitlines(True) if not re.match(r"  log: |  its last lines:|    ", line)]
    return re.sub(r"-[0-9a-f]{12}\)", "-ID)", "".join(lines))


def add_test(name, rule, check):
    def test(self):
        check(self, rule)
    test.__name__ = f"test_{rule.replace('-', '_')}_{name}"
    setattr(Invariants, test.__name__, test)


for _rule in POISON:
    add_test("is_refused_and_with_the_override_built", _rule, Invariants.refused_then_allowed)
for _rule in FURTHER:
    add_test("finds_all_of_its_kinds", _rule, Invariants.each_refused_alone_then_allowed)

if __name__ == "__main__":
    unittest.main()
