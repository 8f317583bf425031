"""What the tool makes and says for muvm, held against a virtual machine in software that mounts images as muvm's does.

One boot for each test, as a boot takes seconds; tests/support/vm_double.py says what the machine is.
"""

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path

from tests.integration import erofs_large_blocks
from tests.integration import jsonschema_mini
from tests.integration import lib
from tests.integration import newer_erofs
from tests.integration.muvm import install_muvm, passwd_entry
from tests.integration.stacks import StackTestCase
from tests.support import vm_double

NOT_MOUNTED = "Failed to mount FEX rootfs, carrying on without. Error: Failed to mount erofs\n"
BASE = '{ packages = ["coreutils", "dash", "libc6"], source = "auto" }'  # as the example hello has it
JQ = '[[stack.deps]]\nname = "jq"\npackages = ["libjq1", "libonig5"]\n'
ANSWER = "usr/lib/x86_64-linux-gnu/libanswer.so.1"
# A layer that is taken as it is.
OWN_STEP = """[[step]]
name = "own"
command = ["cp", "{}", "{{out.image}}"]
[step.outputs]
image = {{ kind = "image", provides = "layers+" }}
"""
# $1: a status, or "signal"; $2: what it writes into the file of that name, in the directory where it is started.
PROGRAM = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
int answer(void);
int main(int count, char **words) {
  if (count > 2) { FILE *file = fopen(words[2], "w"); fprintf(file, "%s\n", words[2]); fclose(file); }
  printf("answer %d\n", answer()); fflush(stdout);
  if (count > 1 && words[1][0] == 's') raise(SIGSEGV);
  return count > 1 ? atoi(words[1]) : 0;
}
"""


def machine_or_skip():
    """The guest's kernel and programs; without QEMU or packages for arm64 there is nothing to test with. In CI they have to be
    there."""
    try:
        vm_double.check()
        vm_double.parts()
    except vm_double.Unavailable as reason:
        if os.environ.get("CI"):
            raise
        raise unittest.SkipTest(str(reason)) from reason


def compile_program(folder):
    """{file: bytes} of a program and of two versions of its library, the older one without what the program wants."""
    (folder / "program.c").write_text(PROGRAM)
    (folder / "answer.c").write_text("int answer(void) { return 42; }\n")
    out = {}
    for version in ("1", "2"):
        (folder / "versions").write_text(f"ANSWER_{version} {{ global: answer; }};\n")
        run(folder, "cc", "-shared", "-fPIC", "-Wl,-soname,libanswer.so.1", "-Wl,--version-script,versions", "-o", "libanswer.so.1", "answer.c")
        out[f"answer-{version}"] = (folder / "libanswer.so.1").read_bytes()
    run(folder, "cc", "-o", "program", "program.c", "libanswer.so.1")
    return out | {"program": (folder / "program").read_bytes()}


def run(folder, *argv):
    done = lib.run_command(argv, cwd=folder)
    if done.status != 0:
        raise RuntimeError(str(done))


def in_rootfs(path):
    """Reads a file of the merged view with a native program."""
    return vm_double.Command(["cat", f"{vm_double.ROOTFS}/{path}"])


@lib.needs_root
@lib.needs_tool("apt-get", "dpkg-deb", "mkfs.erofs", "mksquashfs", "cc")
class VmDouble(StackTestCase):
    """Two applications, the example hello (a script and jq) and a program, on stacks that an ordinary user builds."""

    @classmethod
    def setUpClass(cls):
        machine_or_skip()
        cls.shared = Path(tempfile.mkdtemp(prefix="orch-vm-home-")).resolve()
        cls.addClassCleanup(lib.remove_tree, cls.shared)
        cls.shared.chmod(0o755)
        cls.uid, cls.home, cls.bin = lib.ORDINARY_USER, cls.shared / "home", cls.shared / "bin"
        cls.bin.mkdir()
        install_muvm(cls.bin)
        for place in (cls.home, cls.home / "runtime"):
            place.mkdir(mode=0o700)
            os.chown(place, cls.uid, cls.uid)
        made = compile_program(cls.shared)
        run(cls.shared, lib.SOURCE / "examples/hello/make-appimage.sh", cls.shared / "Hello.AppImage")
        lib.make_appimage(cls.shared / "Program.AppImage", lib.make_tree(cls.shared / "program-tree", {"AppRun": made["program"]}))
        for version in ("1", "2"):
            cls.image(f"answer-{version}", {ANSWER: made[f"answer-{version}"], "etc/top": version})
        cls.unmountable = cls.make_unmountable()

    @classmethod
    def make_unmountable(cls):
        """Names of images that muvm's guest does not mount."""
        erofs_large_blocks.make(cls.shared / "large.erofs", lib.make_tree(cls.shared / "tree-large", {"etc/large": "text\n"}))
        try:
            tool = newer_erofs.tools("trixie").program("mkfs.erofs")
        except unittest.SkipTest:
            return ["large"]
        tree = lib.make_tree(cls.shared / "tree-lzma", {"etc/lzma": "text\n", "etc/long": "text\n" * 40_000})
        run(cls.shared, *tool, "--quiet", "--all-root", "-x-1", "-b4096", "-zlzma", "lzma.erofs", tree)
        return ["large", "lzma"]

    @classmethod
    def image(cls, name, files, options=()):
        return lib.make_erofs(cls.shared / f"{name}.erofs", lib.make_tree(cls.shared / f"tree-{name}", files), options=options)

    def profile(self, app, images, more=JQ):
        listed = ", ".join(f'"{self.shared}/{image}.erofs"' for image in images)
        path = self.home / f"{app.lower()}.toml"
        path.write_text(f'schema = 1\nname = "{app.lower()}"\nextends = "asahi"\n[app]\nappimage = "{self.shared}/{app}.AppImage"\n'
                        f'[stack]\nbase = {BASE}\ngpu = []\nimages = [{listed}]\n{more}')
        return path

    def tool(self, *words, **more):
        return self.orch(*words, user=self.uid, home=self.home, **more)

    def predicted(self, profile):
        """What `verify` says is missing, as (kind, soname, version)."""
        ran = self.tool("verify", profile, "--format", "json", ok=None)
        self.assertEqual(jsonschema_mini.check_document(ran.json, "verify"), [])
        self.assertEqual(ran.json["ok"], ran.status == 0)
        return [(m["kind"], os.path.basename(m["soname"]), m["version"]) for m in ran.json["missing"] if m["severity"] == "required"]

    def with_own_step(self, image):
        """A profile whose own step gives an image, which the tool takes as it is."""
        return self.profile("Program", ["answer-2"], OWN_STEP.format(self.shared / f"{image}.erofs"))

    def refused(self, profile, words, verify="off"):
        """A run does not get as far as muvm."""
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": self.home / "runtime"}
        prefix = passwd_entry(self.home, self.uid)  # which muvm asks for
        ran = self.orch("run", profile, "--verify", verify, status=125, env=env, home=self.home, prefix=prefix)
        self.assertIn(words, ran.stderr)

    def muvm_words(self, profile, *arguments):
        """What the tool would call muvm with."""
        words = self.tool("run", profile, "--dry-run", "--format", "json", "--", *arguments, status=0).json["argv"][1:]
        return [word.replace("(evidence)", str(self.home)) for word in words]

    def boot(self, *words, commands=(), replaced=None):
        """Boots with the images of these muvm command lines, which have the same, and runs what they run."""
        parsed = [vm_double.parse(line) for line in words]
        images, = {tuple(options.fex_image) for options, _ in parsed}
        images = [(replaced or {}).get(image, image) for image in images]
        booted = vm_double.boot(images, [*(command for _, command in parsed), *commands], shares=[self.shared], user=self.uid)
        self.note(f"booted and ended in {booted.seconds:.1f} s, commands after {booted.phases['commands']:.1f} s")
        return booted

    def test_applications_run_on_what_the_tool_makes(self):
        images = ["answer-1", "answer-2", *self.unmountable]  # the last ones are converted
        hello, program = self.profile("Hello", images), self.profile("Program", images)
        self.assertEqual((self.predicted(hello), self.predicted(program)), ([], []))
        script = self.home / "script"
        script.write_text("#!/bin/sh\necho emulated; exit 5\n")
        script.chmod(0o755)
        booted = self.boot(
            self.muvm_words(hello, "Ada"), self.muvm_words(program, "3", "made"), self.muvm_words(program, "signal"),
            commands=[vm_double.Command([self.shared / "Program.AppImage"]), vm_double.Command([script], chroot=True),
                      in_rootfs("etc/top"), *(in_rootfs(f"etc/{name}") for name in self.unmountable)])
        self.assertNotIn("Failed", booted.before)
        greeted, ended, crashed, runtime, emulated, top, *converted = booted.done
        self.assertEqual((greeted.status, greeted.output), (0, "Hello, Ada!\n"))  # a native shell reads AppRun, jq is emulated
        self.assertEqual((ended.status, ended.output), (3, "answer 42\n"))
        self.assertEqual((crashed.status, crashed.output.splitlines()[0]), (139, "answer 42"))
        self.assertEqual((runtime.status, runtime.output), (9, ""))  # the program in front of the payload, with the mark AI 02
        self.assertEqual((emulated.status, emulated.output), (5, "emulated\n"))  # by the shell of the base
        self.assertEqual((top.status, top.output), (0, "2"))
        self.assertEqual([seen.output for seen in converted], ["text\n"] * len(self.unmountable))
        made = self.home / "made"
        self.assertEqual((made.read_text(), made.stat().st_uid), ("made\n", self.uid))

    def test_a_wrong_order_and_a_missing_overlay(self):
        images = ["answer-2", "answer-1"]
        hello, program = self.profile("Hello", images, more=""), self.profile("Program", images, more="")
        self.assertEqual(self.predicted(hello), [("missing library", "libjq.so.1", "")])
        self.assertEqual(self.predicted(program), [("missing version", "libanswer.so.1", "ANSWER_2")])
        for profile in (hello, program):
            self.refused(profile, "cannot start on its stack", verify="stop")
        lacking, older, top = self.boot(self.muvm_words(hello), self.muvm_words(program), commands=[in_rootfs("etc/top")]).done
        self.assertEqual(lacking.status, 127)
        self.assertIn("error while loading shared libraries: libjq.so.1: cannot open shared object file", lacking.output)
        self.assertEqual(older.status, 1)
        self.assertIn("version `ANSWER_2' not found (required by ", older.output)
        self.assertEqual(top.output, "1")

    def test_more_images_than_there_are_letters(self):
        images = [self.image(f"n{number}", {"etc/top": str(number)}) for number in range(1, 27)]
        profile = self.profile("Program", [image.stem for image in images], more="")
        self.refused(profile, "the stack has 28 images, muvm keeps the order of at most 26")
        top, = vm_double.boot(vm_double.parse(self.muvm_words(profile))[0].fex_image, [in_rootfs("etc/top")]).done
        self.assertEqual(top.output, "25")  # vdz; n26 is vdaa, right above the base

    def test_one_image_by_hand_is_a_link(self):
        image, said, console = self.image("one", {"etc/top": "one"}), io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(console):
            status = vm_double.main(["--emu=fex", "-f", str(image), "-e", "NAME=a b", "--share", str(self.shared), "--marks", "--", "sh", "-c",
                                     f'readlink {vm_double.ROOTFS}; cat {vm_double.ROOTFS}/etc/top; echo "-$NAME-$1-"; pwd; exit 3', "sh", "c 'd"])
        self.assertEqual((status, said.getvalue()), (3, f"/run/fex-emu/vda\none-a b-c 'd-\n{self.shared}\n"))
        self.assertIn("vm-double: done (", console.getvalue())

    def not_mounted(self, name, reason, kernel):
        """The tool converts such an image, and says why; as it was it stops the guest's mounts."""
        profile = self.profile("Program", ["answer-2", name], more="")
        step, = [s for s in self.tool("build", profile, "--format", "json", status=0).json["steps"] if s["rule"] == "convert-image"]
        self.assertEqual(self.documents(step, self.home)["conversion"]["reason"], reason)
        words = self.muvm_words(profile)
        self.assertEqual(words.count(step["artifact"]), 1)
        booted = self.boot(words, commands=[in_rootfs("etc/top"), vm_double.Command(["echo", "carries on"])],
                           replaced={step["artifact"]: str(self.shared / f"{name}.erofs")})
        self.assertIn(NOT_MOUNTED, booted.before)
        self.assertRegex(booted.before, kernel)
        ran, view, native = booted.done
        self.assertEqual((ran.status, view.status), (255, 1))
        self.assertIn("Could not open '/lib64/ld-linux-x86-64.so.2'", ran.output)
        self.assertEqual((native.status, native.output), (0, "carries on\n"))

    def test_blocks_of_16_kib(self):
        self.not_mounted("large", "it has blocks of 16384 bytes", "blkszbits 14 isn't supported")
        self.refused(self.with_own_step("large"), "has blocks of 16384 bytes, a kernel with 4 KiB pages mounts no more than 4096")

    def test_lzma(self):
        if "lzma" not in self.unmountable:
            self.skipTest("no mkfs.erofs that compresses with lzma")
        self.not_mounted("lzma", "it is compressed with lzma", "algorithm 1 isn't enabled|unidentified algorithms")
        self.refused(self.with_own_step("lzma"), "is compressed with lzma, the kernel of muvm's guest reads lz4 only")


if __name__ == "__main__":
    unittest.main()
