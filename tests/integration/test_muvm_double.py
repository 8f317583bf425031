"""The muvm of the tests (tests/support/muvm_double), held to each fact about muvm that it claims.

Command line, joining a VM that runs, where output goes, statuses and messages, images, environment, working directory.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.launching import Terminal, wait_for
from tests.integration.muvm import DOUBLE, PYTHON, install_double, passwd_entry


class DoubleCase(lib.TestCase):
    def setUp(self):
        if not lib.is_root() and lib.run_command(["getent", "passwd", str(os.geteuid())]).status != 0:
            self.skipTest("this user has no entry in the user database")
        self.user, self.home = self.as_user()
        self.runtime = self.home / "runtime"
        self.runtime.mkdir(mode=0o700)
        install_double(self.home)
        self.bin = self.tmp / "bin"  # FEX as of 2510 to 2607, with both its names
        self.bin.mkdir()
        for name in ("FEXInterpreter", "FEX"):
            self.write(f"bin/{name}", "#!/bin/sh\n", 0o755)
        self.record = self.home / "record"
        self.prefix = passwd_entry(self.home, self.user)
        if lib.is_root():
            os.chown(self.runtime, self.user, self.user)
        else:
            self.home = Path(os.path.expanduser("~"))

    def pulse(self):
        """A PULSE_SERVER of which muvm says nothing."""
        return f"unix:{self.write('pulse', '')}"

    def image(self, name, files):
        return lib.make_erofs(self.tmp / f"{name}.erofs", lib.make_tree(self.tmp / f"tree-{name}", files))

    def shown(self, *words, **env):
        """What a first muvm shows of a script (the last word), its lines joined by "|"."""
        return self.at_terminal(*words[:-1], "--", "sh", "-c", words[-1], **env)[1].replace("\r\n", "|")

    def argv(self, *words):
        return [os.fsencode(os.fspath(w)) for w in (*self.prefix, PYTHON, self.tmp / "user/muvm", *words)]

    def env(self, **more):
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.tmp / "user"), "XDG_RUNTIME_DIR": str(self.runtime), "MUVM_DOUBLE_RECORD": str(self.record), **more}
        return {name: value for name, value in env.items() if value is not None}

    def muvm(self, *words, stdin=None, **env):
        """Without a terminal: (status, stdout, stderr)."""
        done = subprocess.run(self.argv(*words), env=self.env(**env), cwd=self.tmp, capture_output=True, timeout=60,
                              **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}))
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def at_terminal(self, *words, **env):
        """On a terminal: (status, what it showed)."""
        terminal = self.terminal(*words, **env)
        return terminal.wait(), terminal.output.decode("utf-8", "replace")

    def terminal(self, *words, **env):
        argv = self.argv(*words)
        return Terminal(argv, self.env(**env), self.tmp)

    def last(self):
        return json.loads(self.record.read_text().splitlines()[-1])

    def command(self, *words, **env):
        """The command that the guest gets, and the options that muvm took."""
        self.muvm(*words, **env)
        last = self.last()
        return last["command"], last["options"]

    def running(self, *options):
        """A VM that runs until its input ends."""
        for left in (self.runtime / "krun/server", self.record):  # by an earlier one
            left.unlink(missing_ok=True)
        terminal = self.terminal(*options, "cat")
        wait_for(lambda: (self.runtime / "krun/server").exists() and self.record.exists(), "the VM")
        self.addCleanup(lambda: terminal.pid and os.kill(terminal.pid, signal.SIGKILL))
        return terminal

    def end(self, terminal):
        terminal.type(b"\4")
        status = terminal.wait()
        terminal.pid = 0
        return status


class CommandLine(DoubleCase):
    @lib.needs_root
    def test_root_is_refused_before_anything_is_parsed(self):
        ran = lib.run_command([PYTHON, DOUBLE, "--help"], env=self.env())
        self.assertEqual((ran.status, ran.stdout), (1, "Running as root is not supported as it may break your system\n"))
        self.assertIn("Error: real user ID or effective user ID is 0", ran.stderr)

    def test_options_are_taken_from_anywhere_before_the_first_dashes(self):
        command, options = self.command("true", "-e", "A=1", "--emu=fex", "--", "-e", "B=2", "--")
        self.assertEqual(command, ["true", "-e", "B=2", "--"])
        self.assertEqual(options, {"env": ["A=1"], "emu": ["fex"]})

    def test_every_form_of_an_argument(self):
        _, options = self.command("--env", "A=1", "--env=B=2", "-eC=3", "-e=D=4", "-e", "E=5", "-it", "--", "true")
        self.assertEqual(options, {"env": ["A=1", "B=2", "C=3", "D=4", "E=5"], "interactive": [True], "tty": [True]})

    def test_unknown_options_slide_into_the_command(self):
        command, options = self.command("--gpu-mode=venus", "--", "/bin/true", "x", MUVM_DOUBLE_RELEASE="0.4.0")
        self.assertEqual((command, options), (["--gpu-mode=venus", "/bin/true", "x"], {}))
        command, _ = self.command("--gpu-mode", "venus", "--", "/bin/true", "x", MUVM_DOUBLE_RELEASE="0.4.0")
        self.assertEqual(command, ["--gpu-mode", "venus", "/bin/true", "x"])

    def test_what_may_stand_once_slides_into_the_command_the_second_time(self):
        command, options = self.command("-i", "-i", "true", "--emu=fex", "--emu=box")
        self.assertEqual((command, options), (["-i", "true", "--emu=box"], {"interactive": [True], "emu": ["fex"]}))

    def test_an_argument_that_begins_with_a_dash_has_to_be_attached(self):
        status, _, err = self.muvm("--passt-args", "-4", "--", "true")
        self.assertEqual(status, 1)
        self.assertIn("Error: `--passt-args` requires an argument", err)
        _, options = self.command("--passt-args=-4", "--", "true")
        self.assertEqual(options, {"passt-args": ["-4"]})

    def test_help_cannot_be_an_argument_of_the_application(self):
        for words in (("true", "--help"), ("--", "true", "-h"), ("--emu=fex", "--", "true", "x", "--help")):
            status, _, err = self.muvm(*words)
            self.assertEqual(status, 1, words)
            self.assertRegex(err, "^Error: `-{1,2}h(elp)?` is not expected in this context")
        self.assertEqual(self.command("--", "true", "--help=1", "-hv")[0], ["true", "--help=1", "-hv"])
        self.assertEqual(self.command("--", "--help")[0], ["--help"])

    def test_values_that_are_refused(self):
        for words in (("--mem=4G",), ("--gpu-mode=DRM",), ("--emu=qemu",), ("-c", "x"), ("-e", "=v")):
            status, _, err = self.muvm(*words, "--", "true")
            self.assertEqual((status, err[:23]), (1, "Error: couldn't parse `"), words)
        self.assertEqual(self.command("--emu=FEXy", "true")[1], {"emu": ["FEXy"]})

    def test_arguments_have_to_be_utf8_the_command_need_not(self):
        status, _, err = self.muvm(b"true", b"\xff")
        self.assertEqual(status, 1)
        self.assertIn("not utf8", err)
        self.assertEqual(self.command(b"/bin/\xff")[0], ["/bin/\udcff"])

    def test_without_a_command(self):
        for words in ((), ("--",)):
            status, out, _ = self.muvm(*words)
            self.assertEqual((status, out[:11]), (0, "Usage: muvm"))
        status, _, err = self.muvm("-i")
        self.assertEqual((status, err[:25]), (1, "Error: expected `COMMAND`"))

    def test_there_is_no_version_and_help_tells_the_release(self):
        self.assertEqual(self.command("--version")[0], ["--version"])
        marks = {"0.3.0": "--emu", "0.4.0": "--execute-pre", "0.5.0": "--gpu-mode", "0.6.0": "--passt-args"}
        for release in marks:
            status, out, _ = self.muvm("--help", MUVM_DOUBLE_RELEASE=release)
            self.assertEqual(status, 0)
            self.assertEqual([r for r, mark in marks.items() if mark in out], [r for r in marks if r <= release])


class FirstLaunch(DoubleCase):
    def test_output_is_lost_without_a_terminal(self):
        self.assertEqual(self.muvm("echo", "lost"), (0, "", ""))
        self.assertEqual(self.at_terminal("--", "sh", "-c", "echo out; echo err >&2"), (0, "out\r\nerr\r\n"))

    def test_status_and_messages_by_release(self):
        for release, expected in (("0.4.0", 0), ("0.5.0", 3), ("HEAD", 3)):
            self.assertEqual(self.at_terminal("--", "sh", "-c", "exit 3", MUVM_DOUBLE_RELEASE=release, PULSE_SERVER=self.pulse()),
                             (expected, '"sh" process exited with status code: 3\r\n'))
        self.assertEqual(self.at_terminal("--", "sh", "-c", "kill -SEGV $$"), (1, '"sh" process terminated by signal: 11\r\n'))
        self.assertEqual(self.at_terminal("--", "sh", "-c", "kill -SEGV $$", MUVM_DOUBLE_RELEASE="0.4.0")[0], 0)
        self.assertEqual(self.at_terminal("true"), (0, ""))
        self.assertEqual(self.at_terminal('/no"where'), (1, 'Failed to execute "/no\\"where" as child process: No such file or directory (os error 2)\r\n'))

    def test_it_starts_in_the_home_of_the_user_database(self):
        self.assertEqual(self.at_terminal("pwd", HOME="/tmp"), (0, f"{self.home}\r\n"))

    def test_the_environment_is_muvms(self):
        self.muvm("-e", "OWN=1", "-e", "TERM", "-e", "EMPTY=", "-e", "HK_SYSMEM=1", "-e", "DISPLAY=:9", "--gpu-mode=venus", "true",
                  HOME="/tmp", LANG="C.UTF-8", USER="u", TERM="xterm", LD_LIBRARY_PATH="/l", DISPLAY=":7", WAYLAND_DISPLAY="w", RUST_LOG="x")
        env = self.last()["environment"]
        for name, value in {"OWN": "1", "TERM": "xterm", "EMPTY": "", "LANG": "C.UTF-8", "LD_LIBRARY_PATH": "/l", "GTK_IM_MODULE": "xim",
                            "MESA_LOADER_DRIVER_OVERRIDE": "zink", "DISPLAY": ":1", "XSHMFENCE_NO_MEMFD": "1", "HOME": str(self.home), "RUST_LOG": "x",
                            "XDG_RUNTIME_DIR": f"/run/user/{self.user}"}.items():
            self.assertEqual(env.get(name), value, name)
        self.assertGreater(int(env["HK_SYSMEM"]), 1)
        for name in ("USER", "WAYLAND_DISPLAY"):
            self.assertNotIn(name, env)
        status, _, err = self.muvm("-e", "ABSENT", "true")
        self.assertEqual((status, err.split("\n")[0]), (1, "Error: Failed to get `ABSENT` env var"))
        authority = str(self.write("authority", ""))
        self.muvm("true", DISPLAY=":7", XAUTHORITY=authority)
        env = self.last()["environment"]
        self.assertEqual(env["XAUTHORITY"], env["XDG_RUNTIME_DIR"] + "/xauth")
        self.muvm("true", XAUTHORITY="/a")
        self.assertEqual(self.last()["environment"]["XAUTHORITY"], "/a")

    def test_more_of_the_environment(self):
        self.muvm("true")
        self.assertEqual(self.last()["environment"]["LANG"], "C.UTF-8")
        self.muvm("true", LC_CTYPE="C")
        self.assertNotIn("LANG", self.last()["environment"])
        self.muvm("true", MUVM_DOUBLE_RELEASE="0.4.0")
        self.assertRegex(self.last()["environment"]["XDG_RUNTIME_DIR"], f"^/tmp/muvm-run-{self.user}-")
        self.assertEqual(self.muvm("true", XMODIFIERS="\udcff"), (1, "", "Error: Failed to get `XMODIFIERS` env var\n\nCaused by:\n    environment variable was not valid unicode\n"))
        self.assertRegex(self.muvm("true", XDG_RUNTIME_DIR=None)[2], "^Error: Failed to read XDG_RUNTIME_DIR environment variable\n")
        if lib.is_root():  # whose tests have a home of their own
            self.assertNotIn("XRE_PROFILE_PATH", self.last()["environment"])
            (self.home / ".mozilla/firefox").mkdir(parents=True)
            os.chown(self.home / ".mozilla/firefox", self.user, self.user)
            self.muvm("true")
            self.assertEqual(self.last()["environment"]["XRE_PROFILE_PATH"], f"{self.home}/.mozilla/firefox/muvm-profile")

    def test_images(self):
        good = lib.make_erofs(self.tmp / "good.erofs", lib.make_tree(self.tmp / "t", {"x": "x"}))
        large = self.write("large.erofs", good.read_bytes()[:1036] + b"\x0e" + good.read_bytes()[1037:])
        other = self.write("other.erofs", b"x" * 8192)
        self.muvm("-f", good, "-f", good, "--", "true")
        self.assertEqual(self.last()["images"], [str(good), str(good)])
        carry_on = "Failed to mount FEX rootfs, carrying on without. Error: Failed to mount erofs\n"
        for bad in (large, other):
            self.assertEqual(self.at_terminal("-f", good, "-f", bad, "--", "echo", "on"), (0, carry_on + "on\r\n"))
            self.assertEqual(self.muvm("-f", bad, "--", "echo", "lost"), (0, carry_on, ""))  # said before there is a console
        self.assertEqual(self.muvm("-f", self.tmp / "none", "--", "true"),
                         (1, "", "Error: Failed to create the microVM\n\nCaused by:\n    Invalid argument (os error 22)\n"))

    def test_the_merged_view(self):
        """The images in their order, the last one on top; the host below; nothing where one cannot be mounted."""
        low = self.image("low", {"usr/share/orch-a": "low", "usr/share/orch-b": "low", "lib64": ("link", "usr/lib64"), "usr/lib64/orch": "l"})
        top = self.image("top", {"usr/share/orch-b": "top"})
        bad = self.write("bad.erofs", low.read_bytes()[:1036] + b"\x0e" + low.read_bytes()[1037:])

        def shown(images, script):
            return self.shown(*(word for path in images for word in ("-f", path)), script)
        both = "cat /run/fex-emu/rootfs/usr/share/orch-[ab] /usr/share/orch-[ab]; ls -1 /run/fex-emu; ls /usr/bin/env"
        self.assertEqual(shown([low, top], both), "lowtoplowtoprootfs|vda|vdb|/usr/bin/env|")
        self.assertEqual(shown([top, low], "cat /usr/share/orch-b"), "low")
        self.assertEqual(shown([low], "readlink /run/fex-emu/rootfs; cat /run/fex-emu/rootfs/lib64/orch"), "/run/fex-emu/vda|l")
        self.assertTrue(shown([low, bad], "ls -1 /run/fex-emu").endswith("without. Error: Failed to mount erofs\nvda|"))
        self.assertEqual(shown([], "ls -1 /run/fex-emu; ls -1 /run/user"), f"{self.user}|")
        directory_over_link = self.image("over", {"lib64/other": "x"})
        self.assertEqual(shown([low, directory_over_link], "ls /run/fex-emu/rootfs/lib64"), "other|")

    def test_the_guest_has_a_run_of_its_own_and_the_host_s_beside_it(self):
        script = f"ls -1 /run; stat -c %a /run/user/{self.user}; [ -e /run/muvm-host/run/{min(os.listdir('/run'))} ] && echo host; mktemp -p /run/muvm-host{self.tmp}/user/runtime"
        self.assertRegex(self.shown(script), f"^fex-emu\\|muvm-host\\|user\\|700\\|host\\|/run/muvm-host{self.tmp}/user/runtime/tmp[^|]*\\|$")

        program = f"/run/user/{self.user}/program"
        self.assertEqual(self.shown(f"cp /bin/true {program}; {program} 2>/dev/null || echo no"), "no|")

    def test_all_commands_of_a_vm_see_the_same(self):
        first = self.running()
        place = f"/run/user/{self.user}/made"
        self.assertEqual(self.muvm("-i", "--", "touch", place, stdin=b"")[0], 0)
        self.assertEqual(self.muvm("-i", "--", "ls", place, stdin=b"")[1], f"{place}\n")
        self.end(first)

    def test_a_root_merged_with_the_host_s(self):
        low = self.image("low", {"orch-top/a": "low", "orch-file": "low", "orch-link": ("link", "orch-file"), "usr/share/orch-a": "low"})
        top = self.image("top", {"orch-top/b": "top", "orch-file": "top"})
        words = ["-m", "-f", low, "-f", top]
        root = "/run/fex-emu/rootfs"
        self.assertEqual(self.shown(*words, f"cd {root}; cat orch-top/* orch-file orch-link; readlink orch-link; ls run/fex-emu; echo; ls -d run/muvm-host/usr"),
                         "lowtoptoptoporch-file||run/muvm-host/usr|")
        self.assertEqual(self.shown(*words, f"cat {root}/usr/share/orch-a /usr/share/orch-a; ls {root}/usr/bin/env; cmp {root}/etc/passwd /etc/passwd && echo same"),
                         f"lowlow{root}/usr/bin/env|same|")
        self.assertIn("Read-only", self.shown(*words, f"touch {root}/usr/share/x 2>&1"))
        self.assertEqual(self.shown(*words, f"echo shared >{root}{self.runtime}/shared; cat {self.runtime}/shared"), "shared|")
        self.assertEqual(self.shown("-f", low, f"ls {root}/usr/bin/env 2>/dev/null || echo no"), "no|")
        self.assertEqual(self.muvm("-m", "true"), (1, "", "Error: Merged RootFS mode requires one or more RootFS images\n"))

    @lib.needs_root
    def test_fex_is_told_of_the_root(self):
        """On a machine whose /usr/local/share has a folder of FEX; over it lies the guest's own."""
        folder = lib.make_tree(self.tmp / "share", {"fex-emu/Config.json": "the host's", "fex-emu/other": "x"})
        self.prefix = [shutil.which("unshare"), "-m", "sh", "-c", 'mount -t overlay -o "lowerdir=$0:/usr/local/share" overlay /usr/local/share && exec "$@"',
                       folder, *self.prefix]
        image = self.image("one", {"orch/a": "a"})
        script = "cd /usr/local/share/fex-emu; cat Config.json; echo; cat other; readlink other"
        told = '"RootFS":"/run/fex-emu/rootfs"'
        self.assertEqual(self.shown("-f", image, script), f'{{"Config":{{{told}}}}}|x/run/muvm-host/usr/local/share/fex-emu/other|')
        self.assertEqual(self.shown("-m", "-f", image, script.split("; echo", maxsplit=1)[0]), f'{{"Config":{{{told},"MergedRootFS":"1"}}}}')
        self.assertEqual(self.shown(script.split("; echo", maxsplit=1)[0]), "the host's")  # no image, nothing to tell

    def test_the_emulator_has_a_name_by_release(self):
        for release, name in (("0.3.0", "FEXInterpreter"), ("0.6.0", "FEXInterpreter"), ("HEAD", "FEX")):
            (self.bin / name).rename(self.tmp / "away")
            env = {"MUVM_DOUBLE_RELEASE": release, "PULSE_SERVER": self.pulse()}
            missing = f"Failed to find `{name}` in PATH\r\n"
            box = "Box" if release == "0.3.0" else "Box64"
            warning = (f"Error setting up FEX in binfmt_misc: {missing}Failed to find or configure FEX, falling back to {box}\r\n")
            none = (f"Error setting up {box} in binfmt_misc: Failed to find `box64` in PATH\r\nNo emulators were configured, x86 emulation may not work\r\n")
            self.assertEqual(self.at_terminal("--emu=fex", "echo", "not this", **env), (1, f"Error: {missing}"))
            self.assertEqual(self.at_terminal("echo", "on", **env), (0, f"{warning}{none}on\r\n"))
            self.write("bin/box64", "#!/bin/sh\n", 0o755)
            self.assertEqual(self.at_terminal("echo", "on", **env), (0, f"{warning}on\r\n"))
            self.assertEqual(self.at_terminal("--emu=box64", "echo", "on", **env), (0, "on\r\n"))
            (self.bin / "box64").unlink()
            self.assertEqual(self.at_terminal("--emu=fex", "-e", "PATH=/no/where", "/bin/true", **env)[0], 1)  # the guest's PATH
            (self.tmp / "away").rename(self.bin / name)
            self.assertEqual(self.at_terminal("--emu=fex", "echo", "on", **env), (0, "on\r\n"))

    def test_head_says_what_it_does_not_find_of_sound(self):
        first, second = "environment variable not found\n", f"$XDR_RUNTIME_DIR/pulse/native (aka {self.runtime}/pulse/native) doesn't exit\n"
        self.assertEqual(self.muvm("true", MUVM_DOUBLE_RELEASE="0.6.0"), (0, "", ""))
        self.assertEqual(self.muvm("true", MUVM_DOUBLE_RELEASE="HEAD"), (0, "", first + second))
        self.assertEqual(self.muvm("true", MUVM_DOUBLE_RELEASE="HEAD", PULSE_SERVER=self.pulse()), (0, "", ""))
        self.write("user/runtime/pulse/native", "")
        self.assertEqual(self.muvm("true", MUVM_DOUBLE_RELEASE="HEAD"), (0, "", first))
        running = self.running()
        self.assertEqual(self.muvm("true", MUVM_DOUBLE_RELEASE="HEAD"), (0, "", ""))  # it has no VM to give sound to
        self.end(running)

    def test_programs_before_the_command(self):
        """execute_pre, then each -x with the number of root, then each -X, in the caller's directory; the command follows, in its home."""
        for name in ("c", "x", "y"):
            self.write(name, f'#!/bin/sh\necho "{name} $(id -u) $PWD ${{XDG_RUNTIME_DIR-none}} ${{HOME+home}} $A ${{DISPLAY-none}}"\n', 0o755)
        self.write("user/.config/muvm/config.json", json.dumps({"execute_pre": str(self.tmp / "c"), "other": 1}))
        words = ["-X", self.tmp / "user.sh", "-x", self.tmp / "x", "-x", "./y", "-e", "A=1", "--", "pwd"]
        (self.tmp / "user.sh").write_text(f'#!/bin/sh\necho "X $(id -u) $PWD $XDG_RUNTIME_DIR ${{HOME+home}} ${{DISPLAY-none}}"\n')
        (self.tmp / "user.sh").chmod(0o755)
        begin = "".join(f"{name} 0 {self.tmp} none  1 none\r\n" for name in ("c", "x", "y"))
        end = f"X {self.user} {self.tmp} /run/user/{self.user} home none\r\n{self.home}\r\n"
        self.assertEqual(self.at_terminal(*words, DISPLAY=":7"), (0, begin + end))
        first = self.running()
        self.assertEqual(self.muvm("-x", "/no/where", "-X", "/no/where", "true")[0], 0)  # ignored: the VM runs
        self.end(first)

    def test_programs_before_the_command_that_fail(self):
        missing = "No such file or directory (os error 2)\r\n"
        for option in ("-x", "-X"):
            self.assertEqual(self.at_terminal(option, "/bin/false", "--", "echo", "not this"), (1, "Error: Executing `/bin/false` failed\r\n"))
        named = f'Error: Failed to execute init command "/no/where"\r\n\r\nCaused by:\r\n    {missing}'
        self.assertEqual(self.at_terminal("-x", "/no/where", "--", "echo", "not this"), (1, named))
        self.assertEqual(self.at_terminal("-x", "/no/where", "--", "echo", "not this", MUVM_DOUBLE_RELEASE="0.4.0"), (1, f"Error: {missing}"))
        self.assertEqual(self.at_terminal("-X", "/no/where", "--", "echo", "not this"), (1, f"Error: {missing}"))
        self.assertEqual(self.command("-X/no/where", "--", "true", MUVM_DOUBLE_RELEASE="0.4.0")[0], ["-X/no/where", "true"])

    @unittest.skipIf(any(os.path.exists(f"{folder}/muvm") for folder in ("/etc", "/usr/lib")), "this machine has muvm")
    def test_muvms_configuration(self):
        """The first file that exists; XDG_CONFIG_DIR names the user's, and it is not XDG_CONFIG_HOME."""
        def shown(**env):
            return self.at_terminal("--", "echo", "on", XDG_CONFIG_HOME=str(self.tmp / "no"), **env)
        stop = (1, "Error: Executing `/bin/false` failed\r\n")
        self.assertEqual(shown(), (0, "on\r\n"))
        self.write("user/.config/muvm/config.json", '{"execute_pre": "/bin/false"}')
        self.assertEqual(shown(), stop)
        self.assertEqual(shown(MUVM_DOUBLE_RELEASE="0.3.0"), (0, "on\r\n"))  # has no such file
        self.write("own/muvm/config.json", "{}")
        self.assertEqual(shown(XDG_CONFIG_DIR=str(self.tmp / "own")), (0, "on\r\n"))
        self.assertEqual(shown(XDG_CONFIG_DIR=str(self.tmp / "none")), (0, "on\r\n"))
        for bad in ("{", "3", '{"execute_pre": 3}'):
            self.write("own/muvm/config.json", bad)
            self.assertEqual(self.muvm("true", XDG_CONFIG_DIR=str(self.tmp / "own"))[0], 1)
            self.assertFalse(self.record.exists() and self.last()["argv"] == ["true"])  # before the lock
        self.assertEqual(self.muvm("--help", XDG_CONFIG_DIR=str(self.tmp / "own"))[0], 0)
        if lib.is_root():
            outer = self.prefix
            for folder, config, wanted in (("/usr/lib", '{"execute_pre": "/bin/false"}', stop), ("/etc", "{}", (0, "on\r\n"))):
                tree = lib.make_tree(self.tmp / "over" / folder[1:], {"muvm/config.json": config})
                outer = [shutil.which("unshare"), "-m", "sh", "-c", f'mount -t overlay -o "lowerdir=$0:{folder}" overlay {folder} && exec "$@"', tree, *outer]
                self.prefix = outer
                self.assertEqual(shown(HOME="/no/where"), wanted)
            self.assertEqual(shown(XDG_CONFIG_DIR=str(self.tmp / "own"), HOME="/no/where")[0], 1)

    def test_displays_and_their_errors(self):
        self.assertEqual(self.at_terminal("true", DISPLAY="far:0"), (1, "Error: Invalid host DISPLAY\r\n"))
        self.assertEqual(self.at_terminal("true", DISPLAY=":0", XAUTHORITY="/no/where"),
                         (1, "Error: Failed to open XAUTHORITY\r\n\r\nCaused by:\r\n    No such file or directory (os error 2)\r\n"))

    @unittest.skipUnless(os.path.isdir("/tmp/.X11-unix"), "this machine has no /tmp/.X11-unix, so the guest has none")
    def test_the_socket_of_x11bridge(self):
        """In a folder of the guest's own, and a moment after the command has begun."""
        before = os.listdir("/tmp/.X11-unix")
        wait = "for i in 1 2 3 4 5 6 7 8 9 10; do [ -S /tmp/.X11-unix/X1 ] && break; sleep 0.1; done; ls -A /tmp/.X11-unix"
        self.assertEqual(self.shown(wait, DISPLAY=":7"), "X1|")
        self.assertEqual(self.shown(wait), "")
        self.assertEqual(self.shown(wait, DISPLAY=":7", MUVM_DOUBLE_TRICK="no-x11bridge"), "x11bridge thread crashed, x11 passthrough will no longer function|")
        self.assertEqual(os.listdir("/tmp/.X11-unix"), before)

    def test_noise(self):
        text = self.at_terminal("echo", "the output", MUVM_DOUBLE_TRICK="noise")[1]
        begin, _, end = text.partition("the output\r\n")
        for words in ("No IPv6 nameserver available for NDP/DHCPv6", "No routable interface for IPv6: IPv6 is disabled",
                      "Using default interface naming scheme 'v", "Unknown group 'sgx', ignoring.", "is marked executable",
                      "Failed to set the new pressure in the guest: could not connect to muvm server: No such file or directory (os error 2)"):
            self.assertIn(words, begin)
        for words in ("ptrace::attach(1234, ...) failed (continuing)", "INFO  rutabaga_gfx::cross_domain] Futex dropped without shutdown",
                      "Failed to set the new pressure in the guest: could not connect to muvm server: Connection reset by peer (os error 104)"):
            self.assertIn(words, end)

    def test_it_can_hang_die_and_print_after_the_end(self):
        self.assertEqual(self.at_terminal("true", MUVM_DOUBLE_TRICK="late|after the end"), (0, "after the end\r\n"))
        self.assertEqual(self.at_terminal("sleep", "100", MUVM_DOUBLE_TRICK="die")[0], -9)
        terminal = self.terminal("echo", "done", MUVM_DOUBLE_TRICK="hang")
        terminal.read_until(b"done")
        with self.assertRaises(AssertionError):
            terminal.wait(timeout=1)  # and is killed


class Joining(DoubleCase):
    def test_the_lock_file_stays_and_says_nothing(self):
        self.muvm("true")
        self.assertTrue((self.runtime / "muvm.lock").exists())
        self.muvm("true")
        self.assertFalse(self.last()["reused"])

    def test_with_it_the_command_has_a_terminal_of_its_own(self):
        first = self.running()
        # The size comes with the first message, which may be later than the command.
        script = "while [ \"$(stty size)\" = '0 0' ]; do sleep 0.05; done; tty -s && stty size; read -r _ _ _ _ group _ </proc/$$/stat; [ $$ = $group ] && echo leader; echo err >&2; kill -SEGV $$"
        terminal = self.terminal("-it", "--", "sh", "-c", script)
        self.assertEqual(terminal.wait(), 0)  # a signal counts as 0
        self.assertEqual(terminal.output, b"24 80\r\nleader\r\nerr\r\n")
        self.assertEqual(terminal.before, terminal.after)
        self.end(first)
        self.assertIn(b'"sh" process terminated by signal: 11', first.output)

    def test_a_command_outlives_the_muvm_that_brought_it(self):
        first = self.running()
        second = self.terminal("-it", "--", "sh", "-c", "echo begun; sleep 1; echo late > late")
        second.read_until(b"begun")
        os.kill(second.pid, signal.SIGKILL)
        second.wait()
        wait_for(lambda: (self.home / "late").exists(), "what it does afterwards")
        self.end(first)

    def test_the_end_of_the_vm_ends_what_joined_it(self):
        self.running()
        second = self.terminal("-it", "--", "sh", "-c", "echo begun; sleep 100")
        second.read_until(b"begun")
        os.kill(int((self.runtime / "krun/double.pid").read_text()), signal.SIGKILL)
        self.assertEqual(second.wait(), 1)
        self.assertIn(b"Error: could not request launch to server", second.output)

    def test_a_second_muvm_joins_and_ignores_what_concerns_the_vm(self):
        first = self.running()
        status, out, _ = self.muvm("-i", "-f", "/none", "--gpu-mode=venus", "--", "sh", "-c", "cat; echo err >&2; exit 3", stdin=b"in\n")
        self.assertEqual((status, out), (3, "in\n"))
        self.assertTrue(self.last()["reused"])
        self.assertEqual(self.end(first), 0)
        self.assertIn(b'"sh" process exited with status code: 3\r\n', first.output)  # on the first one's console

    def test_a_terminal_needs_one_and_is_for_interactive_commands(self):
        first = self.running()
        self.assertRegex(self.muvm("-it", "true", stdin=b"")[2], "Asked to allocate a tty for the command, but stdin is not a tty\n$")
        self.assertEqual(self.muvm("-t", "true", stdin=b""), (0, "", ""))
        self.end(first)

    def test_the_environment_is_the_vms_and_over_it_the_commands(self):
        first = self.running("-e", "A=1", "-e", "B=1")
        self.assertEqual(self.muvm("-i", "-e", "B=2", "-e", "DISPLAY=:9", "--", "sh", "-c", "echo $A $B $DISPLAY", stdin=b"")[1], "1 2 :9\n")
        self.end(first)

    def test_without_interactive_it_is_accepted_and_no_more_is_known(self):
        first = self.running()
        self.assertEqual(self.muvm("--", "sh", "-c", "exit 3"), (0, "", ""))
        self.assertEqual(self.muvm("/no/where")[0], 1)
        self.end(first)

    def test_a_signal_counts_as_success_there(self):
        first = self.running()
        self.assertEqual(self.muvm("-i", "--", "sh", "-c", "kill -SEGV $$", stdin=b"")[0], 0)
        self.end(first)
        self.assertIn(b'"sh" process terminated by signal: 11', first.output)

    def test_input_that_cannot_be_polled(self):
        first = self.running()
        status, _, err = self.muvm("-i", "true")
        self.assertEqual((status, err), (1, "Error: could not request launch to server: EPERM: Operation not permitted\n"))
        self.end(first)

    def test_the_vm_waits_for_commands_that_others_brought(self):
        first = self.running()
        self.muvm("--", "sh", "-c", "sleep 1; echo over >over")
        first.type(b"\4")
        first.read_until(b"Waiting for 1 other commands launched through this muvm server to exit...\r\nPress Ctrl+C to force quit")
        self.assertEqual(first.wait(), 0)
        first.pid = 0
        self.assertTrue((self.home / "over").exists())

    def test_a_vm_that_does_not_answer_yet(self):
        first = self.running()
        (self.runtime / "krun/server").unlink()
        status, _, err = self.muvm("true")
        self.assertEqual(status, 1)
        self.assertIn("Error: could not request launch to server: could not connect to muvm server: No such file or directory (os error 2)", err)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.runtime / "krun/server"))
            (self.runtime / "krun/server").chmod(0o777)
            self.assertIn("Connection refused (os error 111)", self.muvm("true")[2])
        self.end(first)


if __name__ == "__main__":
    unittest.main()
