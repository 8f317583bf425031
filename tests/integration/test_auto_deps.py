"""From an application whose libraries the base lacks to one that runs: verify names the package, a yes adds it."""

import shutil
import tomllib
import unittest
from pathlib import Path

from tests.integration import debian
from tests.integration import launching
from tests.integration import lib
from tests.integration.repository import Repository
from tests.integration.rpm_repository import RpmRepository, needs_rpm_tools
from tests.integration.test_inspect import elf

OS_RELEASE = 'ID={}\nVERSION_ID="{}"\n'


@lib.needs_tool("apt-get", "dpkg-deb", "mksquashfs", "mkfs.erofs")
class AutoDeps(lib.TestCase):
    """The hello example, whose jq needs libjq, on a base of this machine's C library."""

    def setUp(self):
        shutil.copytree(lib.SOURCE / "examples/hello", self.tmp / "hello", ignore=shutil.ignore_patterns("*.AppImage", "*.lock.toml"))
        made = lib.run_command([self.tmp / "hello/make-appimage.sh", self.tmp / "Hello.AppImage"], env=self.environment())
        self.assertEqual(made.status, 0, msg=str(made))
        host = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
        self.distribution = host["ID"].strip('"'), host.get("VERSION_ID", "").strip('"')
        self.own_source = f"source 'auto' ({' '.join(filter(None, self.distribution))})"
        self.make_base(*self.distribution)
        self.profile = self.write("hello.toml", 'schema = 1\nextends = "native"\n[app]\nappimage = "Hello.AppImage"\n'
                                                '[stack]\nbase = "base.erofs"\n')

    def make_base(self, *distribution, more=None):
        shutil.rmtree(self.tmp / "base", ignore_errors=True)
        (self.tmp / "base.erofs").unlink(missing_ok=True)
        lib.make_tree(self.tmp / "base", {"etc/os-release": OS_RELEASE.format(*distribution), **(more or {})})
        listed = lib.run_command(["ldd", "/bin/sh", "/bin/cat"]).stdout
        for path in {word for word in listed.split() if word.startswith("/lib")} | {"/bin/sh", "/bin/cat", "/lib/x86_64-linux-gnu/libm.so.6"}:
            copy = self.tmp / "base" / path.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        lib.make_erofs(self.tmp / "base.erofs", self.tmp / "base")

    def rules(self, document, result):
        return sorted(step["rule"] for step in document["steps"] if step["result"] == result)

    def test_what_is_missing_is_named_with_its_package_and_added_on_request(self):
        text = self.profile.read_text()
        ran = self.orch("run", self.profile, status=125)
        self.golden("auto-deps/named.txt", self.of_the_error(ran), {self.own_source: "source 'auto' (DISTRIBUTION)"})
        self.assertEqual(self.profile.read_text(), text)
        report = self.orch_json("verify", self.profile, status=1)
        (item,) = [m for m in report["missing"] if m["severity"] == "required"]
        self.assertEqual((item["soname"], item["packages"][0]), ("libjq.so.1", "libjq1"))

        ran = self.orch("run", self.profile, "--auto-deps", "--", "you", status=0)
        self.assertIn(f"looking for 'libjq.so.1' in source 'auto'\n'hello' lacks libjq.so.1, and {self.own_source} has libjq1\n", ran.stderr)
        self.assertEqual(ran.stdout.strip().splitlines()[-1], "Hello, you!")
        self.assertIn('[[stack."+deps"]]\nname = "auto"\nauto = true\n', self.profile.read_text())
        lock = (self.tmp / "hello.lock.toml").read_text()
        self.assertIn('{ soname = "libjq.so.1", package = "libjq1" }', lock)
        self.assertIn('reason = "provides libjq.so.1"', lock)
        self.assertNotIn('name = "libc6"\nversion = "2', lock)
        again = self.orch_json("build", self.profile)
        self.assertEqual((again["executed"], again["cached"]), (0, 0))
        self.assertEqual(self.orch_json("verify", self.profile)["missing"], [])

        # The lock is all that another machine needs.
        shutil.rmtree(self.tmp / "cache")
        self.orch("build", self.profile, "--locked")
        self.assertEqual((self.tmp / "hello.lock.toml").read_text(), lock)

    def of_the_error(self, ran):
        return ran.stderr[ran.stderr.index("error: "):ran.stderr.index("evidence: ")]

    def test_package_lists_are_brought_once(self):
        ran = self.orch("run", self.profile, "--auto-deps", status=0)
        self.assertEqual(ran.stderr.count("updating the package lists of source 'auto'"), 1, msg=str(ran))

    def broken_source(self):
        """A source for the base's distribution that has libjq in a package that cannot be installed."""
        repository = Repository(self.tmp / "repository")
        repository.add("libjq1", "1.0", {"./usr/lib/x86_64-linux-gnu/libjq.so.1": elf(soname="libjq.so.1")}, depends="absent-package").publish()
        self.make_base("own", "1")
        self.write("config/appimage-orch/profiles/sources/own.toml", f'schema = 1\ndistribution = "own"\nrelease = "1"\n{repository.table()}')

    def test_an_overlay_that_cannot_be_resolved_leaves_the_profile_as_it_was(self):
        self.broken_source()
        text = self.profile.read_text()
        self.profile.chmod(0o600)
        ran = self.orch("run", self.profile, "--auto-deps", status=125)
        self.golden("auto-deps/not-resolved.txt", self.of_the_error(ran))
        self.assertIn("added an overlay with auto = true", ran.stderr)
        self.assertEqual(self.profile.read_text(), text)
        self.assertEqual(self.profile.stat().st_mode & 0o777, 0o600)
        self.assertEqual(list(self.tmp.glob("*.lock.toml")), [])
        shutil.rmtree(self.tmp / "cache")
        terminal = launching.Terminal([lib.BINARY, "run", self.profile], self.environment(), self.tmp)
        terminal.read_until(b"[y/N] ")
        terminal.type(b"y\n")
        self.assertEqual(terminal.wait(), 125, terminal.output)
        self.assertEqual(self.profile.read_text(), text)

    def test_an_overlay_that_cannot_be_made_leaves_profile_and_lock_as_they_were(self):
        self.broken_source()
        repository = Repository(self.tmp / "more")
        library = elf(soname="libjq.so.1")
        repository.add("libjq1", "1.0", {"./usr/lib/x86_64-linux-gnu/libjq.so.1": library, "./etc/os-release": b"ID=other\n"})
        repository.add("libown1", "1.0", {"./usr/lib/x86_64-linux-gnu/libown.so.1": elf(soname="libown.so.1")}).publish()
        self.write("config/appimage-orch/profiles/sources/own.toml", f'schema = 1\ndistribution = "own"\nrelease = "1"\n{repository.table()}')
        self.profile.write_text(self.profile.read_text() + '[[stack.deps]]\nname = "own"\npackages = ["libown1"]\n')
        self.orch("build", self.profile)
        before = [(path, path.read_text()) for path in (self.profile, self.tmp / "hello.lock.toml")]
        ran = self.orch("run", self.profile, "--auto-deps", status=125)
        self.golden("auto-deps/not-made.txt", self.of_the_error(ran))
        self.assertEqual(ran.stderr.count("'etc/os-release'"), 2)  # what was found, and how to allow it; said once
        self.assertEqual([(path, path.read_text()) for path, _ in before], before)

    def test_where_nobody_can_be_asked_what_helps_is_looked_for_in_all_sources(self):
        repository = Repository(self.tmp / "repository")
        repository.add("libown1", "1.0", {"./usr/lib/x86_64-linux-gnu/libown.so.1": elf(soname="libown.so.1")})
        repository.add("libjq1-own", "1.0", {"./usr/lib/x86_64-linux-gnu/libjq.so.1": elf(soname="libjq.so.1")}).publish()
        self.make_base("own", "")
        self.write("hello.toml", self.profile.read_text() + '[[stack.deps]]\nname = "own"\nsource = "own"\npackages = ["libown1"]\n'
                   f"[source.own]\n{repository.table()}")
        ran = self.orch("run", self.profile, status=125)
        self.assertIn(", in package 'libjq1-own' of source 'own'", ran.stderr)
        report = self.orch_json("verify", self.profile, status=1)
        self.assertEqual([(m["soname"], m["packages"], m["source"]) for m in report["missing"] if m["severity"] == "required"],
                         [("libjq.so.1", ["libjq1-own"], "source 'own'")])
        self.golden("auto-deps/no-release.txt", self.of_the_error(self.orch("run", self.profile, "--auto-deps", status=125)))

    def test_what_a_base_of_packages_lacks_is_to_be_added_to_it(self):
        text = self.profile.read_text().replace('base = "base.erofs"', 'base = { packages = ["bare"], source = "own" }')
        files = {f"./{path.relative_to(self.tmp / 'base')}": path.read_bytes() for path in (self.tmp / "base").rglob("*")
                 if path.is_file() and "libm.so" not in path.name}
        repository = Repository(self.tmp / "repository").add("bare", "1.0", files)
        repository.add("libjq1", "1.0", {"./usr/lib/libjq.so.1": elf(soname="libjq.so.1", needed=["libm.so.6", "libc.so.6"])})
        repository.add("libc6-math", "1.0", {"./usr/lib/libm.so.6": elf(soname="libm.so.6")}).publish()
        self.write("hello.toml", text + '[[stack.deps]]\nname = "jq"\nsource = "own"\npackages = ["libjq1"]\n'
                   f"[source.own]\n{repository.table()}")
        self.golden("auto-deps/of-a-base-of-packages.txt", self.of_the_error(self.orch("run", self.profile, status=125)))
        self.assertIn("in package libc6-math, which the base has to bring: no overlay may", self.orch("verify", self.profile, status=1).stdout)

    def test_what_only_a_base_may_have_is_named_and_not_taken(self):
        (self.tmp / "base/lib/x86_64-linux-gnu/libm.so.6").unlink()
        (self.tmp / "base.erofs").unlink()
        lib.make_erofs(self.tmp / "base.erofs", self.tmp / "base")
        ran = self.orch("run", self.profile, "--auto-deps", status=125)
        self.assertIn("'libm.so.6' is of package 'libc6', which the base has to bring", ran.stderr)
        layers = tomllib.loads((self.tmp / "hello.lock.toml").read_text())["layer"]
        self.assertNotIn("libc6", [p["name"] for layer in layers for p in layer.get("package", [])])
        self.assertEqual([a["package"] for a in layers[-1].get("auto", [])], ["libjq1"])

    def own_layer(self, library, more=""):
        """The profile with libjq of a source of its own, which is the automatic one as well."""
        repository = Repository(self.tmp / "repository")
        repository.add("libjq1", "1.0", {"./usr/lib/x86_64-linux-gnu/libjq.so.1": library}).publish()
        self.make_base("own", "1")
        self.write("config/appimage-orch/profiles/sources/own.toml", f'schema = 1\ndistribution = "own"\nrelease = "1"\n{repository.table()}')
        self.profile.write_text(self.profile.read_text() + f'[[stack.deps]]\nname = "own"\npackages = ["libjq1"]\n{more}')

    def test_a_package_that_the_stack_has_already_is_not_offered(self):
        self.own_layer(elf(machine=183, soname="libjq.so.1"), 'allow = ["foreign-machine:usr/lib/x86_64-linux-gnu/libjq.so.1"]\n')
        self.golden("auto-deps/passed-over.txt", self.of_the_error(self.orch("run", self.profile, status=125)))
        again = self.of_the_error(self.orch("run", self.profile, "--auto-deps", status=125))
        self.assertIn("hint: the loader passes over what is there: /usr/lib/x86_64-linux-gnu/libjq.so.1 (is for aarch64)", again)

    def test_what_no_package_has_is_not_offered(self):
        self.own_layer(elf(soname="libjq.so.1", needed=["libnot.so.9"]))
        text = self.profile.read_text()
        self.golden("auto-deps/nowhere.txt", self.of_the_error(self.orch("run", self.profile, status=125)))
        ran = self.orch("run", self.profile, "--auto-deps", status=125)
        self.assertIn("no package of source 'auto' (own 1) has 'libnot.so.9'", ran.stderr)
        self.golden("auto-deps/nowhere.txt", self.of_the_error(ran))
        self.assertEqual(self.profile.read_text(), text)

    def test_a_link_to_a_profile_stays_one(self):
        (self.tmp / "link.toml").symlink_to("hello.toml")
        self.orch("run", self.tmp / "link.toml", "--auto-deps", "--", "you", status=0)
        self.assertTrue((self.tmp / "link.toml").is_symlink())
        self.assertIn("auto = true", self.profile.read_text())

    @needs_rpm_tools
    def test_packages_come_from_the_distribution_of_the_base_image(self):
        self.make_base("fedora", "42")
        ran = self.orch("run", self.profile, "--auto-deps", env={"APPIMAGE_ORCH_DATA_DIR": str(self.data_without_sources())}, status=125)
        self.golden("auto-deps/no-source.txt", ran.stderr[ran.stderr.index("error: "):ran.stderr.index("evidence: ")])
        self.assertNotIn("auto = true", self.profile.read_text())

        repository = RpmRepository(self.tmp / "repository")
        self.addCleanup(repository.close)
        archive = debian.Archive(self.tmp / "archive")
        for name, soname, lines in (("libonig5", "libonig.so.5", ""), ("libjq1", "libjq.so.1", "Requires: libonig.so.5()(64bit)")):
            files = debian.unpack(archive.download_one(name), self.tmp / name)
            library = (next(files.rglob(soname)).resolve()).read_bytes()
            repository.add(name, "1.0", {f"/usr/lib/x86_64-linux-gnu/{soname}": library},
                           lines=f"Provides: {soname}()(64bit)\n{lines}")
        repository.publish()
        self.write("config/appimage-orch/profiles/sources/fedora-42.toml",
                   f'schema = 1\ndistribution = "fedora"\n{repository.table()}')
        ran = self.orch("run", self.profile, "--auto-deps", status=0)
        self.assertEqual(ran.stdout.strip().splitlines()[-1], "Hello, world!")
        lock = tomllib.loads((self.tmp / "hello.lock.toml").read_text())
        self.assertEqual((lock["base"]["distribution"], lock["base"]["release"]), ("fedora", "42"))
        self.assertEqual({p["name"]: p["origin"] for p in lock["layer"][0]["package"]}, {"libjq1": "repo-1", "libonig5": "repo-1"})

    def data_without_sources(self):
        """The shipped rules and profiles, and none of the sources."""
        data = self.tmp / "data"
        shutil.copytree(lib.SOURCE / "rules", data / "rules")
        shutil.copytree(lib.SOURCE / "profiles", data / "profiles", ignore=shutil.ignore_patterns("sources"))
        return data

    def test_what_no_overlay_may_bring_is_said_to_be_the_bases(self):
        self.write("hello.toml", self.profile.read_text() + '[[stack."+deps"]]\nname = "auto"\nauto = true\n')
        (self.tmp / "base/lib/x86_64-linux-gnu/libm.so.6").unlink()
        lib.make_erofs(self.tmp / "base.erofs", self.tmp / "base")
        ran = self.orch("run", self.profile, status=125)
        self.golden("auto-deps/of-the-base.txt", ran.stderr[ran.stderr.index("error: "):ran.stderr.index("evidence: ")])

    def test_another_base_is_checked_again_and_rebuilds_no_overlay(self):
        self.orch("run", self.profile, "--auto-deps", status=0)
        lock = (self.tmp / "hello.lock.toml").read_text()
        self.assertIn(f'distribution = "{self.distribution[0]}"', lock)
        self.make_base(*self.distribution, more={"etc/new": "new"})
        ran = self.orch("build", self.profile, "--format", "json")
        self.assertEqual(self.rules(ran.json, "executed"),
                         ["check-stack", "finish-stack", "index-image", "rootfs-compat", "verify-stack"])
        self.assertIn("warning: ", ran.stderr)
        self.assertEqual((self.tmp / "hello.lock.toml").read_text(), lock)
        self.make_base("fedora", "42")
        ran = self.orch("build", self.profile, status=2)
        self.assertIn("fedora", ran.stderr)

    def test_an_overlay_that_would_poison_the_base_is_refused(self):
        bad = lib.make_tree(self.tmp / "bad", {"lib64/ld-linux-x86-64.so.2/x": "a directory over the loader"})
        ran = self.orch("build", self.profile, "--image", lib.make_erofs(self.tmp / "bad.erofs", bad), status=1)
        self.assertIn("'lib64/ld-linux-x86-64.so.2' in layer 'bad' is a directory over a ", ran.stderr)
        self.assertIn("layer 'base'", ran.stderr)

    def test_at_a_terminal_it_is_a_question(self):
        for answer, status in ((b"\n", 125), (b"y\n", 0)):
            terminal = launching.Terminal([lib.BINARY, "run", self.profile, "--", "there"], self.environment(), self.tmp)
            terminal.read_until(b"[y/N] ")
            self.assertIn(b"has libjq1", terminal.output)
            terminal.type(answer)
            self.assertEqual(terminal.wait(), status, terminal.output)
            self.assertEqual("auto = true" in self.profile.read_text(), status == 0)
            self.assertLessEqual(terminal.output.count(b"updating the package lists"), 1)
        self.assertIn(b"Hello, there!", terminal.output)


if __name__ == "__main__":
    unittest.main()
