"""The rules for deps overlays: one poisoned package for each, refused by package, path and layer, and built where allowed.

Rules that concern the stack and not the layer alone are check-stack's: test_check_stack.py.
"""

import json
import re
import tarfile
import unittest

from tests.integration import lib
from tests.integration.repository import Entry, Repository, base_files
from tests.integration.test_inspect import elf

LIBRARIES = "./usr/lib/x86_64-linux-gnu"

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
        return self.write("p.toml", f"""schema = 1
extends = "native"
[stack]
base = {{ packages = ["base-one"], source = "own" }}
[[stack.deps]]
name = "app"
source = "own"
packages = ["{package}"]
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

    def test_exempt_programs_of_other_processors_are_listed(self):
        self.publish("lib-bpf", {"./usr/lib/bpf/prog.o": elf(machine=247)})
        self.profile("lib-bpf")
        self.build()
        (finding,) = self.manifest()["findings"]
        self.assertEqual((finding["rule"], finding["severity"], finding["path"]), ("exempt-machine", "noted", "usr/lib/bpf/prog.o"))
        self.assertIn("bpf", finding["detail"])

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


def add_test(rule):
    def test(self):
        self.refused_then_allowed(rule)
    test.__name__ = "test_" + rule.replace("-", "_") + "_is_refused_and_with_the_override_built"
    setattr(Invariants, test.__name__, test)


for _rule in POISON:
    add_test(_rule)

if __name__ == "__main__":
    unittest.main()
