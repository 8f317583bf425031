"""The muvm launcher against the double: the command line, what is refused beforehand, and how the guest's end is read."""

import fcntl
import json
import os
import shutil
import tempfile
import time
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.launching import Terminal, wait_for
from tests.integration.muvm import MuvmCase


class CommandLine(MuvmCase):
    def unseen(self):
        """A folder for evidence that the guest does not see: no record of its own."""
        if not os.access("/dev/shm", os.W_OK):
            self.skipTest("/dev/shm is not writable")
        folder = Path(tempfile.mkdtemp(prefix="orch-unseen-", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, folder, True)
        if lib.is_root():
            os.chown(folder, self.user, self.user)
        return folder / "run"

    def test_the_whole_line(self):
        upper = lib.make_erofs(self.tmp / "upper.erofs", lib.make_tree(self.tmp / "u", {"etc/a": "a"}))
        profile = self.app("exit 0")
        self.muvm(profile, "--image", upper, "--gpu-mode", "venus", "--env", "A=b c", "--", "x", "y z", status=0)
        record = self.record()
        report = self.report(self.home)
        argv = record["argv"]
        appdir = next(word[7:] for word in argv if word.startswith("APPDIR="))
        self.assertEqual(argv, [
            "--interactive", "--tty", "--emu=fex", "--gpu-mode=venus", "-f", str(self.base), "-f", str(upper), "-f", report["images"][-1]["path"],
            "-e", "FEX_ROOTFS=/run/fex-emu/rootfs", "-e", "TERM=xterm", "-e", f"APPDIR={appdir}",
            "-e", f"APPIMAGE={profile.parent}/Hello.AppImage", "-e", f"ARGV0={profile.parent}/Hello.AppImage",
            "-e", f"OWD={self.home}", "-e", "A=b c", "--", "/bin/sh", "-c",
            argv[-7], "appimage-orch", f"{self.evidence(self.home)}/guest.record", str(self.home), f"{appdir}/AppRun", "x", "y z"])
        self.assertIn('cd -- "$1" || { echo directory >&4; exit 125; }', argv[-7])
        self.assertEqual(record["terminals"], [True, True, True])
        self.assertEqual(report["launcher"], "muvm")
        self.assertEqual(report["argv"], [str(self.bin / "muvm"), *argv])
        self.assertEqual([i["role"] for i in report["images"]], ["base", "image", "finish"])

    def test_a_dry_run_shows_what_a_run_passes(self):
        profile = self.app("exit 0")
        self.muvm(profile, status=0)
        shown = self.muvm(profile, "--dry-run", "--format", "json", status=0).json
        record = f"{self.evidence(self.home)}/guest.record"
        self.assertEqual([record if w == "(evidence)/guest.record" else w for w in shown["argv"][1:]], self.record()["argv"])
        self.assertEqual(shown["launcher"], "muvm")

    def test_an_old_muvm_gets_no_option_that_it_does_not_know(self):
        self.muvm(self.app("exit 0"), "--gpu-mode", "drm", status=0, env={"MUVM_DOUBLE_RELEASE": "0.4.0"})
        record = self.record()
        self.assertEqual(record["command"][0], "/bin/sh")
        self.assertNotIn("--gpu-mode=drm", record["argv"])

    def test_arguments_that_muvm_cannot_carry_arrive(self):
        profile = self.app("printf '%s|' \"$@\"")
        self.muvm(profile, "--", "--help", "-h", b"\xff'\n", "it's", "", status=0)
        log = (self.evidence(self.home) / "run.log").read_bytes()
        self.assertEqual(log.replace(b"\r\n", b"\n"), b"--help|-h|\xff'\n|it's||")

    def test_the_application_runs_in_the_callers_directory(self):
        ran = self.muvm(self.app("pwd; echo $OWD"), status=0)
        self.assertEqual(ran.stdout.split(), [str(self.home)] * 2)

    def test_piped_input_is_typed(self):
        ran = self.muvm(self.app("cat"), status=0, stdin=b"a line\nno end")
        self.assertEqual(ran.stdout, "a line\nno end")

    def test_input_that_a_terminal_changes_is_told(self):
        for given in (b"a\x1bb\n", b"x" * 5000 + b"\n", b"bell\x07\n"):
            ran = self.muvm(self.app("cat >/dev/null"), status=0, stdin=given)
            self.assertIn("standard input reaches a VM as if it were typed", ran.stderr)

    def test_in_the_background_the_terminal_s_lines_are_the_shell_s(self):
        out = self.scratch / "out"
        script = f'set -m; "$@" >{out} 2>&1 & read line; echo "shell got $line"; fg >/dev/null; echo over'
        argv = [*self.prefix, "/bin/sh", "-c", script, "sh", lib.shared_copy()[0], "run",
                self.app('echo ready; read line; echo "application got $line"'), "--launcher", "muvm"]
        terminal = Terminal([os.fspath(a) for a in argv], self.environment(self.home, **self.muvm_env()), self.home)
        wait_for(lambda: out.exists() and b"ready" in out.read_bytes(), "the application")
        terminal.type(b"one\n")
        terminal.read_until(b"shell got one")
        time.sleep(0.5)
        self.assertNotIn(b"application got", out.read_bytes())
        terminal.type(b"two\n")
        terminal.read_until(b"over")
        self.assertIn(b"application got two", out.read_bytes())
        terminal.wait()

    def test_portable_home_reaches_the_application(self):
        """muvm sets HOME itself, whatever -e says."""
        profile = self.app('echo "$HOME|$XDG_CONFIG_HOME|$APPDIR|$ARGV0"')
        image = profile.parent / "Hello.AppImage"
        for name in ("home", "config"):
            (profile.parent / f"Hello.AppImage.{name}").mkdir()
        home, config, appdir, argv0 = self.muvm(profile).stdout.rstrip("\n").split("|")
        self.assertEqual((home, config, argv0), (f"{image}.home", f"{image}.config", str(image)))
        self.assertTrue(os.path.isdir(appdir))

    def test_the_environment_that_reached_the_guest_is_recorded(self):
        """What inputs.json says before the start is what the application then has, but for what only the VM knows."""
        other = self.home / "other"  # a HOME that is not the user database's
        for firefox in (self.home / ".mozilla/firefox", other / ".mozilla/firefox"):
            firefox.mkdir(parents=True)
            if lib.is_root():
                os.chown(firefox, self.user, self.user)
        authority = self.home / "authority"
        authority.write_text("")
        env = {"LANG": "de_DE.UTF-8", "SECRET_TOKEN": "x", "LD_LIBRARY_PATH": "/opt/x"}
        screen = {"DISPLAY": ":7", "XAUTHORITY": str(authority)}
        cases = {
            "venus": (["--gpu-mode", "venus"], {"DISPLAY": ":7"}), "drm": ([], {"DISPLAY": ":7"}), "no screen": ([], {}),
            "empty screen": ([], {"DISPLAY": "", "XAUTHORITY": ""}), "authority": ([], screen),
            "authority alone": ([], {"XAUTHORITY": str(authority)}), "given": (["--env", "DISPLAY=:9", "--env", "XRE_PROFILE_PATH=/x"], screen),
            "another HOME": ([], {"HOME": str(other)}), "HOME given": (["--env", "HOME=/given"], {"HOME": str(other)}),
            "0.4": ([], {**screen, "MUVM_DOUBLE_RELEASE": "0.4.0"}),
        }
        profile = self.app("exec /usr/bin/env -0")
        for name, (words, more) in cases.items():
            with self.subTest(name):
                self.muvm(profile, *words, "--env", "A=b\nc", "--env", "MY_KEY=secret", env={**env, **more})
                seen = dict(word.split("=", 1) for word in self.log(self.home).decode().split("\0") if "=" in word)
                told = json.loads((self.evidence(self.home) / "inputs.json").read_text())["guest"]["environment"]
                self.assertEqual((told.pop("MY_KEY"), seen.pop("MY_KEY")), ("[redacted]", "secret"))
                for variable in ("PWD", "OLDPWD", "SHLVL", "_", "HK_SYSMEM"):  # the shell's own, and the VM's memory
                    seen.pop(variable, None)
                if name == "0.4":
                    self.assertRegex(seen.pop("XDG_RUNTIME_DIR"), "/tmp/muvm-run-")
                    self.assertRegex(seen.pop("XAUTHORITY"), "/tmp/muvm-run-")
                self.assertEqual(told, seen)

    def test_of_a_joined_vm_s_environment_what_this_run_gives_is_recorded(self):
        """The VM's own variables are not known from outside."""
        first = self.running(self.app("echo ready; read line"), "--env", "OTHERS=1", "--env", "A=1", DISPLAY=":7")
        self.muvm(self.app("exec /usr/bin/env -0"), "--env", "A=2", env={"DISPLAY": ":7"})
        self.assertTrue(self.record()["reused"])
        seen = dict(word.split("=", 1) for word in self.log(self.home).decode().split("\0") if "=" in word)
        told = json.loads((self.evidence(self.home) / "inputs.json").read_text())["guest"]["environment"]
        self.assertEqual({name: seen[name] for name in told}, told)
        self.assertEqual((told["A"], told["HOME"]), ("2", str(self.home)))
        self.assertEqual({"OTHERS", "DISPLAY", "XSHMFENCE_NO_MEMFD"} - set(seen), set())
        self.assertEqual({"OTHERS", "DISPLAY", "XSHMFENCE_NO_MEMFD"} & set(told), set())
        first.type(b"\r")
        self.assertEqual(first.wait(), 0)

    def test_versions_of_the_host_s_packages_are_recorded(self):
        """Of those that the tool asks the package manager for."""
        dpkg = {"muvm*": "muvm\\t0.6.0-1\\tinstalled", "fex-emu*": "fex-emu\\t2510-2\\tinstalled", "libkrun*": "libkrun1\\t1.9\\tconfig-files"}
        rpm = {"muvm*": "muvm\\t0.6.0-1", "fex-emu*": "fex-emu\\t2510-2"}
        for name, answers in (("dpkg-query", dpkg), ("rpm", rpm)):
            cases = "".join(f"'{pattern}') printf '{line}\\n' ;;\n" for pattern, line in answers.items())
            (self.bin / name).write_text(f'#!/bin/sh\nfor word; do case $word in\n{cases}esac; done\nexit 1\n')
            (self.bin / name).chmod(0o755)
        self.muvm(self.app("exit 0"))
        inputs = json.loads((self.evidence(self.home) / "inputs.json").read_text())
        self.assertEqual(inputs["packages"], [{"name": "fex-emu", "version": "2510-2"}, {"name": "muvm", "version": "0.6.0-1"}])
        page = self.orch("evidence", "show", "hello", home=self.home).stdout
        self.assertRegex(page, "packages +fex-emu 2510-2\n +muvm 0.6.0-1\n")

    def test_a_guest_pre_that_fails(self):
        warn = self.app("echo hello", profile='[launch]\nguest_pre = ["echo before", "exit 3", "false"]\n')
        self.assertEqual(self.muvm(warn).stdout,
                         "before\nappimage-orch: guest-pre called exit with status 3: the commands after it do not run\nhello\n")
        warn = self.app("echo hello", profile='[launch]\nguest_pre = ["echo before", "( exit 3 )"]\n')
        self.assertEqual(self.muvm(warn).stdout, "before\nappimage-orch: guest-pre ended with status 3\nhello\n")
        stop = self.app("echo hello", profile='[launch]\nguest_pre = ["( exit 3 )", "echo not this"]\nguest_pre_failure = "stop"\n')
        ran = self.muvm(stop, status=125)
        self.assertNotIn("hello", ran.stdout)
        self.assertNotIn("not this", ran.stdout)
        report = self.report(self.home)
        self.assertEqual(report["outcome"], "launch_failed")
        self.assertIn("a guest_pre command ended with status 3", report["error"]["what"])

    def test_guest_pre_has_no_hold_on_the_application(self):
        """Also where the guest cannot write a record; who replaces the shell is told so where it can."""
        def run(command, *words, **more):
            options = ["--guest-pre", command, *(words or ("--out-dir", self.home / "run")), "--force"]
            return self.muvm(self.app('echo "got $#: $*"; exit 4'), *options, "--", "a", "b c", **more)
        for command in ("set -- /bin/echo hijacked", "shift", "exit 3", "trap 'echo not this' EXIT; exit 3", "exec 2>&-"):
            for words in ((), ("--out-dir", self.unseen())):
                with self.subTest(command, words=words):
                    ran = run(command, *words, status=4)
                    self.assertIn("got 2: a b c\n", ran.stdout)
                    self.assertNotIn("hijacked", ran.stdout)
                    self.assertNotIn("not this", ran.stdout)
        ran = run("exec /bin/true", status=125)
        self.assertIn("a guest_pre command replaced the shell", ran.stderr)
        report = self.report(folder=self.home / "run")
        self.assertEqual((report["outcome"], report["determined_by"]), ("launch_failed", "guest record"))
        ran = run("command trap 'echo mine' EXIT; exit 3", status=125)
        self.assertIn("replaced the shell or ended it (with status 3)", ran.stderr)
        self.assertIn("`command trap`", ran.stderr)
        script = self.app("#!/no/interpreter\n", profile='[launch]\nguest_pre = ["exec 2>&-"]\n')
        self.muvm(script, "--verify", "off", status=127)
        self.assertEqual(self.report(self.home)["outcome"], "launch_failed")

    def test_another_command_of_the_vm_does_not_end_this_one(self):
        """All are /bin/sh to muvm, and the messages about all stand on the first one's console."""
        first = self.running(self.app("echo ready; read line"), "--out-dir", self.unseen())
        self.muvm(self.app("exit 3"), status=3)
        self.assertEqual([r["reused"] for r in self.records()], [False, True])
        first.type(b"\r")
        self.assertEqual(first.wait(), 0, first.output)
        self.assertIn(b"process exited with status code: 3", first.output)

    @lib.needs_root
    @lib.needs_tool("mkfs.btrfs")
    def test_a_full_disk_that_copies_on_write(self):
        """There the guest's record needs new space for what overwrites it, unless it is asked to be written in place."""
        image, disk = self.tmp / "disk.img", self.home / "disk"
        with open(image, "wb") as file:
            file.truncate(200 << 20)
        lib.run_command(["mkfs.btrfs", "-q", image])
        disk.mkdir()
        if lib.run_command(["mount", "-o", "loop", image, disk]).status != 0:
            self.skipTest("cannot mount btrfs")
        self.addCleanup(lib.run_command, ["umount", disk])
        os.chown(disk, self.user, self.user)
        profile = self.app('cat /dev/zero > "$1/fill" 2> /dev/null; cat /dev/zero > "$1/more" 2> /dev/null; exit "$2"')

        def fill(number):
            self.muvm(profile, "--out-dir", disk / "run", "--force", "--", disk, number, status=int(number))
            (disk / "fill").unlink()
            (disk / "more").unlink()
            return (disk / "run/guest.record").read_text(), self.report(folder=disk / "run")
        for number in ("0", "3"):
            record, report = fill(number)
            self.assertIn(f"ended {number}\n", record.rstrip("\n") + "\n")
            self.assertEqual(report["determined_by"], "guest record")
            self.assertNotIn("record ends before", " ".join(report["warnings"]))

    def test_two_equal_runs_differ_in_nothing_and_others_in_what_was_changed(self):
        profile = self.app("exit 0")
        for name, words in (("one", ()), ("two", ()), ("three", ("--env", "A=1")), ("four", ("--env", "A=2"))):
            self.muvm(profile, "--out-dir", self.home / name, *words)

        def diff(one, two, status):
            ran = self.orch("evidence", "diff", self.home / one, self.home / two, "--format", "json", home=self.home, status=status)
            return [(d["field"], d["a"], d["b"]) for d in ran.json["differences"]]
        self.assertEqual(diff("one", "two", 0), [])
        self.assertEqual(diff("three", "four", 1), [("report.environment.A", "1", "2")])
        self.assertEqual(diff("one", "three", 1), [("report.environment.A", None, "1")])

    def test_what_shells_and_loaders_print_is_no_signal(self):
        """Only a line of the shell about its child is; preludes may leave any setting, and messages of their own."""
        settings = ("set -e", "set -u", "set -x", "export LC_ALL=no_SUCH.UTF-8", "export LD_PRELOAD=/no/where.so", "( exit 4 )")
        listed = ", ".join(f'"{command}"' for command in settings)
        profile = self.app('exit "$1"', profile=f"[launch]\nguest_pre = [{listed}]\n")
        first = self.running(self.app("echo ready; read line"))
        for joined in (True, False):
            for status in (0, 3, 126, 127, 130, 139, 200, 255):
                self.muvm(profile, "--out-dir", self.home / "run", "--force", "--", str(status), status=status)
                report = self.report(folder=self.home / "run")
                self.assertEqual((report["outcome"], report["status"], report["determined_by"]), ("exited", status, "guest record"))
                self.assertEqual(report["vm_reused"], joined)
            if joined:
                first.type(b"\r")
                self.assertEqual(first.wait(), 0)

    def test_secrets_are_in_no_document_even_where_words_become_a_script(self):
        self.muvm(self.app("exit 0"), "--env", "my_token=hunter2 x", "--", "--password=hunter2 horse", "--help", "--token", "hunter2", "TOKEN=it's hunter2")
        for name in ("inputs.json", "run.report.json"):
            text = (self.evidence(self.home) / name).read_text()
            self.assertNotIn("hunter2", text)
            self.assertNotIn("horse", text)

    def test_options_that_the_tool_passes_itself_and_words_that_muvm_would_hand_on(self):
        """The double's parser agrees: each of them reaches the application, or ends muvm."""
        for words in (["--tty"], ["--emu=fex"], ["-f"], ["--no-such"], ["--"], ["/bin/echo"], ["--privileged=yes"],
                      ["--merged-rootfs", "x"], [""], ["--mem=4G"], ["--mem"], ["--mem=1", "--mem=2"]):
            with self.subTest(words):
                profile = self.app("exit 0", profile=f"[launch]\nmuvm_args = {json.dumps(words)}\n")
                ran = self.muvm(profile, status=125)
                self.assertIn(f"'{words[-1]}' in [launch] muvm_args", ran.stderr)
                self.assertIn("hint: ", ran.stderr)
                self.assertEqual(self.report(self.home)["outcome"], "preflight_failed")
        self.assertFalse(self.started())
        self.muvm(self.app("exit 0", profile='[launch]\nmuvm_args = ["--mem=100", "--vram", "50", "--publish", "80"]\n'))

    def test_names_of_variables_are_no_shell_text(self):
        profile = self.app('echo "$A"')
        for name in ("A;echo injected;B", "A-B", "1A", "A B"):
            ran = self.muvm(profile, "--env", name.encode() + b"=\xff", status=125)
            self.assertIn(f"--env: '{name}' is not a name of a variable", ran.stderr)
            self.assertIn("hint: ", ran.stderr)
        self.muvm(profile, "--env", b"A=\xff")
        self.assertEqual(self.log(self.home), b"\xff\n")

    def test_an_emulated_shell_for_apprun(self):
        profile = self.app("echo from $0 with $1", profile='[launch]\nscript_shell = "fexbash"\n')
        ran = self.muvm(profile, "--", "one")
        self.assertRegex(ran.stdout, "^emulated shell\nfrom .*/AppRun with one\n$")
        inputs = json.loads((self.evidence(self.home) / "inputs.json").read_text())
        self.assertEqual(inputs["launch"]["script_shell"], "fexbash")

    def test_a_script_around_muvm_is_asked_each_time(self):
        """Its own bytes do not say which muvm it starts."""
        profile = self.app("exit 0")
        self.muvm(profile)
        self.assertFalse((self.home / "cache/appimage-orch/muvm").exists())
        ran = self.muvm(profile, "--gpu-mode", "venus", env={"MUVM_DOUBLE_RELEASE": "0.4.0"}, status=125)
        self.assertIn("this muvm has no --gpu-mode", ran.stderr)

    def test_a_guest_check_looks_from_inside(self):
        profile = self.app("echo hello", profile="[preflight]\nguest_check = true\n")
        self.muvm(profile)
        checks = {c["id"]: (c["status"], c["detail"]) for c in self.report(self.home)["checks"] if c["id"].startswith("guest-")}
        self.assertEqual({name: status for name, (status, _) in checks.items()},
                         {"guest-start": "ok", "guest-stack": "ok", "guest-interpreter": "ok", "guest-program": "ok"})
        self.assertEqual(checks["guest-stack"][1], "2 images, and their overlay at /run/fex-emu/rootfs")
        self.assertEqual([r["reused"] for r in self.records()], [False, False])  # a VM of its own

    def test_a_guest_check_looks_for_the_socket_of_the_display(self):
        profile = self.app("exit 0", profile="[preflight]\nguest_check = true\n")
        if os.path.isdir("/tmp/.X11-unix"):
            cases = {"": ("guest-display", "ok", ":1, at /tmp/.X11-unix/X1", ""),
                     "no-x11bridge": ("guest-x11bridge", "warning", "x11bridge has not made its socket /tmp/.X11-unix/X1", "x11bridge thread crashed")}
        else:
            cases = {"": ("guest-x11-folder", "warning", "/tmp/.X11-unix does not exist, so x11bridge has no place for its socket",
                          "make the directory /tmp/.X11-unix")}
        for trick, (name, status, detail, remedy) in cases.items():
            ran = self.muvm(profile, env={"DISPLAY": ":7", "MUVM_DOUBLE_TRICK": trick})
            checks = {c["id"]: c for c in self.report(self.home)["checks"] if c["id"].startswith(("guest-display", "guest-x11"))}
            self.assertEqual({n: (c["status"], c["detail"]) for n, c in checks.items()}, {name: (status, detail)})
            self.assertIn(remedy, checks[name]["remedy"])
            self.assertEqual(detail in ran.stderr, status == "warning")
        self.muvm(profile)  # no display, nothing to look for
        self.assertFalse([c["id"] for c in self.report(self.home)["checks"] if c["id"].startswith(("guest-display", "guest-x11"))])

    def configurations(self):
        inputs = json.loads((self.evidence(self.home) / "inputs.json").read_text())
        return [configuration["path"] for configuration in inputs["configuration"]]

    def test_files_of_muvm_and_fex_are_inputs(self):
        profile = self.app("exit 0")
        config = self.home / ".config"
        for name, text in (("muvm/config.json", '{"execute_pre": "/bin/true"}'), ("fex-emu/Config.json", '{"Config": {"RootFS": "Fedora"}}')):
            (config / name).parent.mkdir(parents=True)
            (config / name).write_text(text)
        env = {"XDG_CONFIG_HOME": None}
        self.muvm(profile, env=env)
        inputs = json.loads((self.evidence(self.home) / "inputs.json").read_text())
        self.assertEqual([(c["name"], c["content"]) for c in inputs["configuration"]],
                         [("muvm", {"execute_pre": "/bin/true"}), ("FEX", {"Config": {"RootFS": "Fedora"}})])
        details = {check["id"]: check["detail"] for check in self.report(self.home)["checks"]}
        self.assertIn("names the root image 'Fedora'; FEX_ROOTFS is set over it", details["fex-config"])
        # muvm hands on neither of these, so FEX in the VM does not follow them; what the launch sets, it does.
        self.muvm(profile, env={"XDG_CONFIG_HOME": "/no/where", "FEX_APP_CONFIG_LOCATION": "/no/where"})
        self.assertEqual(self.configurations()[-1:], [str(config / "fex-emu/Config.json")])
        other = self.home / "other/AppConfig"
        other.mkdir(parents=True)
        (other / "hello.json").write_text('{"Config": {"TSOEnabled": "0"}}')
        self.muvm(profile, "--env", f"FEX_APP_CONFIG_LOCATION={other.parent}", env=env)
        self.assertEqual(self.configurations()[-1:], [str(other / "hello.json")])
        (other / "hello.json").write_text("{")
        ran = self.muvm(profile, "--env", f"FEX_APP_CONFIG_LOCATION={other.parent}", env=env)
        self.assertIn(f"'{other / 'hello.json'}' is no JSON", ran.stderr)
        (config / "muvm/config.json").write_text('{"execute_pre": "/no/where"}')
        self.assertIn("names '/no/where', which cannot be run", self.muvm(profile, status=125, env=env).stderr)
        (config / "muvm/config.json").write_text("{")
        self.assertIn("is no JSON", self.muvm(profile, status=125, env=env).stderr)


class Refusals(MuvmCase):
    def refused(self, words, *options, profile=None, env=None, **more):
        ran = self.muvm(profile or self.app("exit 0"), *options, status=125, env=env, **more)
        self.assertIn(words, ran.stderr)
        self.message_golden(ran.stderr)
        self.assertFalse(self.started())
        report = self.report(self.home)
        self.assertEqual(report["outcome"], "preflight_failed")
        self.assertTrue(report["advice"][0])

    @lib.needs_root
    def test_root(self):
        self.prefix = []
        self.refused("muvm does not run as root")

    def test_no_runtime_directory(self):
        self.refused("XDG_RUNTIME_DIR is not set", env={"XDG_RUNTIME_DIR": None})

    def test_no_muvm(self):
        (self.bin / "muvm").unlink()
        if shutil.which("muvm"):
            self.skipTest("this machine has a muvm")
        self.refused("muvm was not found")

    def test_no_emulator(self):
        for name in ("FEXInterpreter", "FEX"):
            (self.bin / name).unlink()
        if shutil.which("FEXInterpreter") or shutil.which("FEX"):
            self.skipTest("this machine has FEX")
        self.refused("neither 'FEXInterpreter' nor 'FEX' is on PATH")

    def test_an_emulator_that_goes_by_another_name(self):
        if shutil.which("FEXInterpreter") or shutil.which("FEX"):
            self.skipTest("this machine has FEX")
        for release, wanted, there in (("HEAD", "FEX", "FEXInterpreter"), ("0.6.0", "FEXInterpreter", "FEX")):
            (self.bin / "muvm-guest").write_bytes(b"\x7fELF and then some " + wanted.encode() + b"\0")
            for name in ("FEX", "FEXInterpreter"):
                (self.bin / name).unlink(missing_ok=True)
            (self.bin / there).write_text("#!/bin/sh\n")
            (self.bin / there).chmod(0o755)
            ran = self.muvm(self.app("exit 0"), env={"MUVM_DOUBLE_RELEASE": release}, status=125)
            self.assertIn(f"muvm-guest seems to start '{wanted}', and this FEX has only '{there}'", ran.stderr)
            self.assertIn(f"muvm failed: Failed to find `{wanted}` in PATH", ran.stderr)
            self.assertNotIn("processes that still ran", ran.stderr)

    def test_a_muvm_that_shuffles_images(self):
        self.refused("older than 0.4.0", env={"MUVM_DOUBLE_RELEASE": "0.3.0"})

    def test_overlays_in_another_order_than_muvm_s(self):
        for name in ("mesa-i386", "mesa-x86_64"):
            lib.make_erofs(self.home / f"{name}.erofs", lib.make_tree(self.tmp / name, {f"usr/share/{name}": ""}))
        for order, warned in ((("mesa-i386", "mesa-x86_64"), False), (("mesa-x86_64", "mesa-i386"), True)):
            gpu = ", ".join(f'"{self.home}/{name}.erofs"' for name in order)
            ran = self.muvm(self.app("exit 0", profile=f"gpu = [{gpu}]\n"))
            status, = [c["status"] for c in self.report(self.home)["checks"] if c["id"] == "overlay-order"]
            self.assertEqual(status, "warning" if warned else "ok")
            self.assertEqual("'mesa-x86_64.erofs' lies below 'mesa-i386.erofs', and muvm stacks them the other way round" in ran.stderr, warned)

    def test_a_gpu_mode_that_an_old_muvm_lacks(self):
        self.refused("no --gpu-mode", "--gpu-mode", "venus", env={"MUVM_DOUBLE_RELEASE": "0.4.0"})

    def test_more_images_than_muvm_keeps_in_order(self):
        tree = lib.make_tree(self.tmp / "t", {"etc/x": "x"})
        options = []
        for number in range(26):
            options += ["--image", lib.make_erofs(self.tmp / f"{number}.erofs", tree)]
        self.refused("28 images", *options)

    def test_an_image_whose_name_muvm_cannot_carry(self):
        image = os.fsencode(self.tmp) + b"/\xff.erofs"
        shutil.copy(self.base, image)
        self.refused("is not UTF-8, and muvm takes nothing else", "--image", image)

    @unittest.skipUnless(os.access("/dev/shm", os.W_OK), "/dev/shm is not writable")
    def test_an_appimage_that_the_guest_does_not_see(self):
        profile = self.app("exit 0")
        folder = Path("/dev/shm") / self.tmp.name
        shutil.copytree(profile.parent, folder)
        try:
            self.refused("not visible in the VM", profile=folder / "hello.toml")
        finally:
            shutil.rmtree(folder)

    def test_a_display_that_muvm_does_not_forward(self):
        self.refused("muvm forwards local displays only", env={"DISPLAY": "far:0"})

    def test_an_authority_that_cannot_be_read(self):
        self.refused("XAUTHORITY '/no/where' cannot be read", env={"DISPLAY": ":0", "XAUTHORITY": "/no/where"})

    @lib.needs_root
    def test_a_user_without_an_entry(self):
        self.prefix = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        self.refused(f"the user database has no entry for uid {self.user}")

    def test_force_goes_on_and_is_recorded(self):
        ran = self.muvm(self.app("exit 3"), "--gpu-mode", "venus", "--force", status=3, env={"MUVM_DOUBLE_RELEASE": "0.4.0"})
        self.assertIn("--force went on", ran.stderr)
        self.assertTrue(self.report(self.home)["forced"])

    def test_a_foreign_vm(self):
        profile = self.app("exit 0")
        with open(self.runtime / "muvm.lock", "w", opener=lambda p, f: os.open(p, f, 0o666)) as file:
            os.chmod(file.fileno(), 0o666)
            fcntl.flock(file, fcntl.LOCK_EX)
            self.refused(f"a VM that this tool did not start (process {os.getpid()}) is running", profile=profile)
        self.muvm(profile)  # the file alone says nothing


if __name__ == "__main__":
    unittest.main()
