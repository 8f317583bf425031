"""The native launcher: what the application sees, as root and as an ordinary user, and how its end is told."""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.launching import LaunchCase, processes_with


def backing_files():
    """The files behind all loop devices; one may go away while they are listed."""
    found = []
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            found.append(path.read_text().strip())
    return found


class Shared:
    """Tests for both kinds of callers; who() gives (uid or None, home)."""

    def run_app(self, script, *options, args=(), ok=None, status=None, app=None, **more):
        user, home = self.who()
        path = script if isinstance(script, Path) else self.app(script, **(app or {}))
        words = ["run", path, *options, *(["--", *args] if args else [])]
        return self.orch(*words, ok=ok, status=status, user=user, home=home, **more)

    def last(self):
        return self.report(self.who()[1])

    def test_the_application_sees_the_stack_and_not_the_host(self):
        ran = self.run_app("ls /usr/lib /usr/bin; test -e /usr/bin/python3 || echo no python; echo $0", status=0)
        self.assertIn("no python", ran.stdout)
        self.assertEqual([w for w in ran.stdout.split() if w in ("perl", "apt", "gcc", "mount")], [])
        self.assertIn("/AppRun\n", ran.stdout)

    def test_environment_directory_and_arguments(self):
        user, home = self.who()
        profile = self.app('printf "%s|" "$@"; env; cat /etc/passwd > /dev/null && echo passwd')
        ran = self.orch("run", profile, "--env", "A=b c", "--env", "P=${appdir}/p", "--", "one", "two  words", "--help", "",
                        ok=None, status=0, user=user, home=home, env={"LD_LIBRARY_PATH": "/host", "KEPT": "yes"})
        self.assertTrue(ran.stdout.startswith("one|two  words|--help||"), ran)
        env = dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)
        self.assertEqual(env["A"], "b c")
        self.assertEqual(env["P"], env["APPDIR"] + "/p")
        self.assertEqual(env["APPIMAGE"], str(profile.parent / "Hello.AppImage"))
        self.assertEqual(env["ARGV0"], env["APPIMAGE"])
        self.assertEqual(env["OWD"], str(home or self.tmp))
        self.assertEqual(env["PWD"], str(home or self.tmp))
        self.assertEqual(env["KEPT"], "yes")
        self.assertNotIn("LD_LIBRARY_PATH", env)
        self.assertIn("passwd", ran.stdout)

    def test_the_home_directory_is_the_callers_own(self):
        user, home = self.who()
        self.run_app('echo mine > "$HOME/made"', status=0)
        made = Path(home or self.tmp) / "made"
        self.assertEqual(made.read_text(), "mine\n")
        self.assertEqual(made.stat().st_uid, os.geteuid() if user is None else user)

    def test_the_stack_is_read_only(self):
        self.run_app("echo x > /usr/made", ok=None)
        self.assertIn("Read-only", self.log(self.who()[1]).decode())

    def test_later_layers_win_and_absent_targets_of_links_do_no_harm(self):
        tree = lib.make_tree(self.tmp / "upper", {"etc/word": "upper", "etc/resolv.conf": ("link", "/nowhere/at/all")})
        upper = lib.make_erofs(self.tmp / "upper.erofs", tree)
        lower = lib.make_erofs(self.tmp / "lower.erofs", lib.make_tree(self.tmp / "lower", {"etc/word": "lower"}))
        ran = self.run_app("cat /etc/word; ls -d /tmp /proc/self > /dev/null && echo binds", "--image", lower, "--image", upper,
                           status=0)
        self.assertEqual(ran.stdout, "upperbinds\n")

    def test_many_layers(self):
        options = []
        for number in range(60):
            tree = lib.make_tree(self.tmp / f"t{number}", {f"etc/n{number}": str(number)})
            options += ["--image", lib.make_erofs(self.tmp / f"a-rather-long-name-of-an-image-{number}.erofs", tree)]
        ran = self.run_app("cat /etc/n0 /etc/n59", *options, status=0)
        self.assertEqual(ran.stdout, "059")

    def test_the_status_is_the_applications(self):
        self.run_app("echo out; exit 3", status=3)
        report = self.last()
        self.assertEqual((report["outcome"], report["status"], report["exit_status"], report["determined_by"]),
                         ("exited", 3, 3, "wait status"))
        self.assertEqual(self.log(self.who()[1]), b"out\n")
        self.assertEqual([p["name"] for p in report["phases"]], ["build", "preflight", "launch"])

    def test_a_signal_is_128_more(self):
        self.run_app("kill -SEGV $$", status=139)
        report = self.last()
        self.assertEqual((report["outcome"], report["signal"], report["status"]), ("signaled", 11, None))

    def test_a_missing_interpreter_is_named(self):
        ran = self.run_app("#!/opt/none/python -E\n", "--verify", "off", status=126)
        self.assertIn("needs the interpreter '/opt/none/python', which is not in the merged view", ran.stderr)
        report = self.last()
        self.assertEqual((report["outcome"], report["exit_status"]), ("launch_failed", 126))
        self.assertIn("/opt/none/python", report["error"]["what"])

    def test_a_missing_loader_is_named(self):
        empty = lib.make_erofs(self.tmp / "e.erofs", lib.make_tree(self.tmp / "e", {"etc/x": "x"}))
        user, home = self.who()
        program = Path("/bin/true").read_bytes()
        profile = self.app(program, base=empty)
        ran = self.orch("run", profile, "--verify", "off", status=126, user=user, home=home)
        self.assertIn("needs the interpreter '/lib64/ld-linux-x86-64.so.2'", ran.stderr)

    def test_what_verify_finds_stops_a_run(self):
        ran = self.run_app("#!/opt/none/python -E\n", status=125)
        self.assertIn("'hello' cannot start on its stack: missing program: /opt/none/python, needed by AppRun", ran.stderr)
        report = self.last()
        self.assertEqual((report["outcome"], report["exit_status"], report["verify"]["ok"]), ("preflight_failed", 125, False))
        ran = self.run_app("#!/opt/none/python -E\n", "--verify", "warn", status=126)
        self.assertIn("warning: 'hello' cannot start on its stack", ran.stderr)

    @lib.needs_tool("cc")
    def test_the_library_path_of_a_run_is_what_verify_looks_with(self):
        """Each answer is held against whether the program starts."""
        source, library, program = self.tmp / "source.c", self.tmp / "libanswer.so.1", self.tmp / "answer"
        for text, *words in (("int answer(void) { return 42; }", library, "-shared", "-fPIC", "-Wl,-soname,libanswer.so.1"),
                             ("int answer(void);\nint main(void) { return answer() - 42; }", program, library)):
            source.write_text(text + "\n")
            made = lib.run_command(["cc", "-o", words[0], source, *words[1:]])
            self.assertEqual(made.status, 0, msg=str(made))
        files = {"usr/bin/answer": program.read_bytes(), "usr/private/libanswer.so.1": library.read_bytes()}
        script = 'exec "$APPDIR/usr/bin/answer"'
        plain = self.app(script, files=files)
        named = self.app(script, files=files, profile='[app.env]\nLD_LIBRARY_PATH = "${appdir}/usr/private"\n')
        right, wrong = "LD_LIBRARY_PATH=/absent:${appdir}/usr/private", "LD_LIBRARY_PATH=${appdir}/usr/lib"
        for profile, words, found in ((plain, [], False), (plain, ["--env", right], True), (plain, ["--env", wrong], False),
                                      (named, [], True), (named, ["--env", wrong], False), (named, ["--env", "LD_LIBRARY_PATH="], False),
                                      (named, ["--env", wrong, "--env", right], True)):
            with self.subTest(profile=profile, words=words):
                ran = self.run_app(profile, *words, "--verify", "warn", status=0 if found else 127)
                self.assertEqual("missing library: libanswer.so.1" in ran.stderr, not found, msg=str(ran))
                self.assertEqual(self.last()["verify"]["ok"], found)
        # Handed on from the caller's environment.
        self.run_app(plain, "--env", "LD_LIBRARY_PATH", status=0, env={"LD_LIBRARY_PATH": "${appdir}/usr/private"})

    def test_a_program_that_the_script_does_not_find_is_its_own_status(self):
        self.run_app("exec /usr/bin/absent", status=127)
        self.assertEqual(self.last()["outcome"], "exited")

    def test_a_missing_library_becomes_advice(self):
        self.run_app("echo 'app: error while loading shared libraries: libonig.so.5: cannot open shared object file' >&2; exit 127",
                     status=127)
        self.assertIn("libonig.so.5", self.last()["advice"][0])

    def test_time_is_limited(self):
        mark = f"987{os.getpid() % 1000}"
        ran = self.run_app(f"trap '' TERM; setsid sleep {mark} & sleep {mark}", "--timeout", "300ms", status=124)
        self.golden("errors/run-timeout.txt", "\n".join(re.findall("^error: .*|^  hint: .*", ran.stderr, re.M)) + "\n")
        self.assertEqual(ran.stderr.count("give it more"), 1)
        self.assertEqual(self.last()["outcome"], "timed_out")
        self.assertEqual(processes_with(f"sleep\0{mark}"), [])

    def test_what_is_left_running_ends_with_the_application(self):
        mark = f"986{os.getpid() % 1000}"
        started = f'setsid sleep {mark} & until test "$(cat /proc/$!/comm)" = sleep; do :; done'
        self.run_app(started, status=0)
        self.assertEqual(processes_with(f"sleep\0{mark}"), [])
        self.assertIn("sleep", self.last()["warnings"][0])

    def test_nothing_is_left_mounted(self):
        before = Path("/proc/self/mounts").read_text()
        self.run_app("true", status=0)
        self.assertEqual(Path("/proc/self/mounts").read_text(), before)

    def test_binary_data_goes_through(self):
        data = bytes(range(256)) * 300
        user, home = self.who()
        ran = subprocess.run(
            [*([] if user is None or os.geteuid() == user else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]),
             lib.shared_copy()[0], "run", self.app("cat")], input=data, capture_output=True,
            env=self.environment(home), cwd=home or self.tmp)
        self.assertEqual(ran.stdout, data)
        self.assertEqual(self.log(home), data)

    def test_the_last_bytes_of_a_fast_exit(self):
        profile = self.app("printf last")
        for _ in range(10):
            self.assertEqual(self.run_app(profile, status=0).stdout, "last")

    def test_guest_pre_prevents_where_it_is_asked_to(self):
        for command in ("( exit 3 )", "exit 3"):
            profile = self.app("echo hello", profile=f'[launch]\nguest_pre = ["{command}"]\nguest_pre_failure = "stop"\n')
            ran = self.run_app(profile, status=125)
            self.assertNotIn("hello", ran.stdout)
            self.assertIn("a guest_pre command ended with status 3", ran.stderr)
            self.assertEqual(self.last()["outcome"], "launch_failed")

    def test_guest_pre_prepares_and_cannot_prevent(self):
        ran = self.run_app('echo "$PREPARED"', "--guest-pre", "PREPARED=yes; export PREPARED", "--guest-pre", "false",
                           "--guest-pre", "if", status=0)
        self.assertIn("yes\n", ran.stdout)
        self.assertIn("guest-pre ended with status 1", ran.stdout)

    def test_guest_pre_has_no_hold_on_the_application(self):
        for command in ("set -- /bin/echo hijacked", "shift", "exit 3", "trap 'echo not this' EXIT; exit 3", "exec 2>&-"):
            with self.subTest(command):
                ran = self.run_app('echo "got $#: $*"; exit 4', "--guest-pre", command, args=("a", "b c"), status=4)
                self.assertIn("got 2: a b c\n", ran.stdout)
                self.assertNotIn("hijacked", ran.stdout)
                self.assertNotIn("not this", ran.stdout)
        ran = self.run_app("echo hello", "--guest-pre", "exec /bin/true", status=125)
        self.assertIn("a guest_pre command replaced the shell", ran.stderr)
        self.assertEqual(self.last()["outcome"], "launch_failed")
        ran = self.run_app("echo hello", "--guest-pre", "command trap 'echo mine' EXIT; exit 3", status=125)
        self.assertIn("replaced the shell or ended it (with status 3)", ran.stderr)
        self.assertIn("`command trap`", ran.stderr)


@lib.needs_root
@lib.needs_erofs_mounts
class AsRoot(Shared, LaunchCase):
    """Images are mounted."""

    def who(self):
        return None, None

    def test_images_on_tmpfs_go_through_a_loop_device_that_goes_away(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            base = shutil.copy(self.base, folder)
            self.orch("run", self.app("exit 5", base=base), status=5)
            # Other programs of this machine may use loop devices of their own at the same time.
            self.assertEqual([file for file in backing_files() if file.startswith(folder)], [])
        self.assertEqual(self.report()["warnings"], [])

    def test_nothing_is_extracted(self):
        self.orch("run", self.app("true"), status=0)
        self.assertFalse((self.tmp / "cache/appimage-orch/native").exists())


@lib.needs_user_namespaces
@lib.needs_tool("fsck.erofs")
class AsOrdinaryUser(Shared, LaunchCase):
    """Images are extracted once per digest."""

    def setUp(self):
        self.user = self.as_user()

    def who(self):
        return self.user

    def test_images_are_extracted_once_and_again_where_torn(self):
        user, home = self.user
        profile = self.app("cat /etc/word 2> /dev/null; true")
        self.run_app(profile, status=0)
        digest = hashlib.sha256(Path(self.base).read_bytes()).hexdigest()
        entry = home / "cache/appimage-orch/native" / digest
        self.assertEqual((entry / "complete").read_text(), digest + "\n")
        self.assertEqual(entry.parent.stat().st_mode & 0o777, 0o700)
        (entry / "root/etc/word").write_text("seen")
        self.assertEqual(self.run_app(profile, status=0).stdout, "seen")
        (entry / "complete").unlink()
        self.assertEqual(self.run_app(profile, status=0).stdout, "")

    def test_the_caller_is_itself_inside_without_privileges(self):
        ran = self.run_app("cat /proc/self/status", status=0)
        status = dict(line.split(":\t", 1) for line in ran.stdout.splitlines() if ":\t" in line)
        self.assertEqual(status["Uid"].split("\t")[0], str(self.user[0]))
        self.assertEqual(int(status["CapEff"], 16), 0)


class NoNamespaces(LaunchCase):
    @lib.needs_root
    def test_without_user_namespaces_the_error_says_what_to_do(self):
        """In a chroot the kernel refuses user namespaces."""
        if not lib.have("unshare"):
            self.skipTest("needs unshare")
        user, home = self.as_user()
        profile = self.app("true")
        root = self.tmp / "root"
        root.mkdir()
        command = (f"mount --rbind / {root} && exec chroot {root} setpriv --reuid={user} --regid={user} --clear-groups "
                   f"{lib.shared_copy()[0]} run {profile}")
        ran = lib.run_command(["unshare", "-m", "--propagation", "private", "sh", "-c", command],
                              env=self.environment(home), cwd="/")
        if "mount:" in ran.stderr:
            self.skipTest("may not bind the root directory")
        self.assertEqual(ran.status, 125, ran)
        self.assertIn("cannot make a user and mount namespace", ran.stderr)
        self.assertIn("hint:", ran.stderr)
        self.assertEqual(self.report(home)["outcome"], "preflight_failed")


if __name__ == "__main__":
    unittest.main()
