"""A launch at a user's terminal: raw mode and its end, window size, signals, and what is left when the tool dies."""

import json
import os
import signal
import subprocess
import termios
import unittest
from pathlib import Path

from tests.integration import lib
from tests.integration.launching import LaunchCase, Terminal, processes_with, wait_for

NATIVE = unittest.skipUnless(lib.can_mount_erofs() or lib.user_namespaces(), "neither mounts nor user namespaces")


@NATIVE
class AtATerminal(LaunchCase):
    def terminal(self, script, *options, size=(24, 80)):
        """The run at a terminal; an application that needs no building, so that the script's output comes first."""
        profile = self.app(script)
        self.orch("build", profile)
        return Terminal([lib.shared_copy()[0], "run", profile, *options], self.environment(), self.tmp, size)

    def is_raw(self, terminal):
        return not termios.tcgetattr(terminal.slave)[3] & termios.ICANON

    def test_output_is_shown_and_captured_as_it_is(self):
        terminal = self.terminal("echo one; printf '\\033[1mtwo'; exit 4")
        self.assertEqual(terminal.wait(), 4)
        self.assertTrue(terminal.output.startswith(b"one\r\n\x1b[1mtwo"), terminal.output)
        self.assertEqual(self.log(), b"one\r\n\x1b[1mtwo")
        self.assertEqual(terminal.after, terminal.before)

    def test_what_is_typed_arrives(self):
        terminal = self.terminal("read line; echo got:$line")
        wait_for(lambda: self.is_raw(terminal), "raw mode")
        terminal.type(b"hello\r")
        self.assertEqual(terminal.wait(), 0)
        self.assertIn(b"got:hello\r\n", terminal.output)

    def test_ctrl_c_reaches_the_application_as_its_terminals_interrupt(self):
        terminal = self.terminal("trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done")
        terminal.read_until(b"ready")
        terminal.type(b"\x03")
        self.assertEqual(terminal.wait(), 7)
        self.assertIn(b"caught", terminal.output)
        self.assertEqual(self.report()["outcome"], "exited")

    def test_the_window_size_is_handed_on_also_when_it_changes(self):
        terminal = self.terminal("trap 'stty size; exit' WINCH; stty size; echo ready; while :; do sleep 0.05; done",
                                 size=(33, 121))
        terminal.read_until(b"ready")
        self.assertIn(b"33 121\r\n", terminal.output)
        terminal.resize(40, 100)
        self.assertEqual(terminal.wait(), 0)
        self.assertIn(b"40 100\r\n", terminal.output)

    def test_a_signal_to_the_tool_ends_the_run_restores_the_terminal_and_is_reported(self):
        for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
            with self.subTest(number):
                mark = f"97{os.getpid() % 1000}{int(number)}"
                terminal = self.terminal(f"echo ready; sleep {mark}")
                terminal.read_until(b"ready")
                self.assertTrue(self.is_raw(terminal))
                os.kill(terminal.pid, number)
                self.assertEqual(terminal.wait(), status)
                self.assertEqual(terminal.after, terminal.before)
                report = self.report()
                self.assertEqual((report["outcome"], report["signal"], report["exit_status"]),
                                 ("interrupted", int(number), status))
                self.assertEqual(processes_with(f"sleep\0{mark}"), [])

    def test_an_application_that_ignores_the_end_is_killed(self):
        terminal = self.terminal("trap '' INT TERM HUP; echo ready; while :; do sleep 0.05; done")
        terminal.read_until(b"ready")
        os.kill(terminal.pid, signal.SIGTERM)
        self.assertEqual(terminal.wait(), 143)

    def test_a_crash_of_the_tool_restores_the_terminal(self):
        terminal = self.terminal("echo ready; sleep 1000")
        terminal.read_until(b"ready")
        os.kill(terminal.pid, signal.SIGSEGV)
        self.assertNotEqual(terminal.wait(), 0)
        self.assertEqual(terminal.after, terminal.before)

    def test_stopped_and_continued(self):
        terminal = self.terminal("echo ready; read line; echo got:$line")
        terminal.read_until(b"ready")
        os.kill(terminal.pid, signal.SIGTSTP)
        # A shell continues only what has stopped: a SIGCONT that comes before the stop would be lost.
        stat = Path(f"/proc/{terminal.pid}/stat")
        wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the tool stops")
        self.assertFalse(self.is_raw(terminal), "the terminal is the user's while the tool is stopped")
        os.kill(terminal.pid, signal.SIGCONT)
        wait_for(lambda: self.is_raw(terminal), "raw mode again")
        terminal.type(b"x\r")
        self.assertEqual(terminal.wait(), 0)

    def test_stopped_in_raw_mode_by_force(self):
        """SIGSTOP leaves no time to restore anything; the shell sets the terminal as it wants it, until the job goes on."""
        terminal = self.terminal("echo ready; read line; echo got:$line")
        terminal.read_until(b"ready")
        wait_for(lambda: self.is_raw(terminal), "raw mode")
        os.kill(terminal.pid, signal.SIGSTOP)
        os.waitpid(terminal.pid, os.WUNTRACED)
        termios.tcsetattr(terminal.slave, termios.TCSANOW, terminal.before)
        os.kill(terminal.pid, signal.SIGCONT)
        wait_for(lambda: self.is_raw(terminal), "raw mode again")
        terminal.type(b"x\r")
        self.assertEqual(terminal.wait(), 0)
        self.assertEqual(terminal.after, terminal.before)

    def test_kill_9_leaves_a_report_that_says_running(self):
        mark = f"95{os.getpid() % 1000}"
        terminal = self.terminal(f"echo ready; sleep {mark}")
        terminal.read_until(b"ready")
        os.kill(terminal.pid, signal.SIGKILL)
        self.assertEqual(terminal.wait(), -9)
        report = self.report()
        self.assertEqual((report["outcome"], report["exit_status"], report["ended"]), ("running", None, None))
        self.assertEqual(self.log(), b"ready\r\n")
        wait_for(lambda: not processes_with(f"sleep\0{mark}"), "the application ends with the tool")


@NATIVE
class WithoutATerminal(LaunchCase):
    def test_a_signal_to_the_tool_without_a_terminal(self):
        profile = self.app("echo ready; sleep 1000")
        run = subprocess.Popen([lib.shared_copy()[0], "run", profile], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=self.environment(), cwd=self.tmp)
        self.assertEqual(run.stdout.readline(), b"ready\n")
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
        self.assertEqual(run.returncode, 143)
        self.assertEqual(self.report()["outcome"], "interrupted")

    def test_in_the_background_of_a_terminal_nothing_stops(self):
        """As under `timeout` without --foreground: another process group has the terminal."""
        profile = self.app("echo done")
        self.orch("build", profile)
        script = f"set -m; {lib.shared_copy()[0]} run {profile} & wait $!; echo status=$?"
        terminal = Terminal(["/bin/sh", "-c", script], self.environment(), self.tmp)
        terminal.read_until(b"status=0")
        self.assertIn(b"done", terminal.output)
        terminal.wait()

    def test_a_closed_standard_output_does_not_end_the_run(self):
        profile = self.app("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 6")
        read, write = os.pipe()
        os.close(read)
        run = subprocess.run([lib.shared_copy()[0], "run", profile], stdin=subprocess.DEVNULL, stdout=write,
                             stderr=subprocess.PIPE, env=self.environment(), cwd=self.tmp)
        os.close(write)
        self.assertEqual(run.returncode, 6, run.stderr)
        self.assertEqual(len(self.log()), 20000 * 11)
        self.assertIn("standard output", json.dumps(self.report()["warnings"]))


if __name__ == "__main__":
    unittest.main()
