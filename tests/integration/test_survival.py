"""What a run leaves when it is killed or told to end at any instant, and what is left of it."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import time
import unittest

from tests.integration import lib
from tests.integration.launching import LaunchCase, Terminal, processes_with, wait_for

NATIVE = unittest.skipUnless(lib.can_mount_erofs() or lib.user_namespaces(), "neither mounts nor user namespaces")


@NATIVE
class Survival(LaunchCase):
    KILLS = 50

    def setUp(self):
        self.chance = random.Random(lib.chosen_seed())
        self.note(f"seed {lib.chosen_seed()}")
        self.marker = f"3.{self.chance.randrange(10**9)}"
        self.profile = self.app(f"echo begin; sleep 0.1; echo end; exec sleep {self.marker} >/dev/null")
        self.orch("build", self.profile)

    def start(self, folder, **more):
        return subprocess.Popen([lib.shared_copy()[0], "run", self.profile, "--out-dir", folder], env=self.environment(), cwd=self.tmp,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)

    def nothing_left(self):
        wait_for(lambda: not processes_with(f"sleep\0{self.marker}"), "the end of the application", 10)

    @staticmethod
    def is_free(path):
        with open(path, "rb") as log:
            try:
                fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def duration(self):
        """How long it takes from the first file to the application."""
        began = time.monotonic()
        run = self.start(self.tmp / "probe")
        wait_for(lambda: processes_with(f"sleep\0{self.marker}"), "the application")
        run.kill()
        run.wait()
        return time.monotonic() - began

    def test_kill_9_at_any_instant(self):
        longest, before, during = self.duration(), 0, 0
        for number in range(self.KILLS):
            folder = self.tmp / f"run-{number}"
            run = self.start(folder)
            inputs = folder / "inputs.json"
            wait_for(inputs.exists, "inputs.json")
            time.sleep(self.chance.random() * longest)
            run.kill()
            self.assertEqual(run.wait(), -signal.SIGKILL)
            printed = (folder / "run.log").read_bytes()
            before, during = before + (not printed), during + (printed == b"begin\n")
            json.loads(inputs.read_text())
            report = self.report(folder=folder)
            self.assertEqual((report["outcome"], report["exit_status"]), ("running", None))
            wait_for(lambda: self.is_free(folder / "run.log"), "the end of the lock that tells a live run", 10)
            self.nothing_left()
        shutil.rmtree(self.tmp / "probe")
        runs = self.orch_json("evidence", "list", "--dir", self.tmp)["runs"]
        self.assertEqual([(run["state"], run["outcome"]) for run in runs], [("killed", "interrupted")] * self.KILLS)
        self.note(f"{before} of {self.KILLS} before the application's first output, {during} before its second")
        self.assertGreater(during, 0)

    def test_signals_at_any_instant_at_a_terminal(self):
        longest = self.duration()
        for number in range(32):
            kind = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)[number % 3]
            folder = self.tmp / f"run-{number}"
            terminal = Terminal([lib.shared_copy()[0], "run", self.profile, "--out-dir", folder], self.environment(), self.tmp)
            while not (folder / "run.report.json").exists():  # without a pause: the first moments count
                pass
            if number >= 8:
                time.sleep(self.chance.random() * longest)
            os.kill(terminal.pid, kind)
            status = terminal.wait()
            report = self.report(folder=folder)
            self.assertEqual((report["outcome"], status, report["exit_status"]), ("interrupted", 128 + kind, 128 + kind), report)
            self.assertTrue(report["ended"])
            self.assertEqual(terminal.before, terminal.after, "the terminal's settings")
            self.nothing_left()


@NATIVE
class Streams(LaunchCase):
    """What is not open, or takes nothing, changes neither the status nor the report."""

    def run_with(self, profile, redirections, *words, folder="run"):
        line = 'exec "$0" run "$@" ' + redirections
        return subprocess.run(["sh", "-c", line, lib.shared_copy()[0], profile, "--out-dir", self.tmp / folder, *words], env=self.environment(),
                              cwd=self.tmp, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)

    def test_a_standard_error_that_takes_nothing(self):
        profile = self.app("echo hi; exit 4", profile='[verify]\nmode = "warn"\n')
        for i, redirections in enumerate(("2>/dev/full", "2>&-", "2>&1 >/dev/null | true", "<&- 2>&-")):
            ran = self.run_with(profile, redirections, folder=f"run-{i}")
            if "|" not in redirections:
                self.assertEqual((ran.returncode, ran.stdout), (4, b"hi\n"), redirections)
            report = self.report(folder=self.tmp / f"run-{i}")
            self.assertEqual((report["outcome"], report["exit_status"]), ("exited", 4), redirections)
            self.assertEqual((self.tmp / f"run-{i}/run.log").read_bytes(), b"hi\n", redirections)

    def test_a_standard_output_that_is_closed(self):
        profile = self.app("echo hi; exit 4")
        for i, redirections in enumerate((">&-", "<&- >&- 2>&-")):
            self.assertEqual(self.run_with(profile, redirections, folder=f"run-{i}").returncode, 4, redirections)
            self.assertEqual((self.tmp / f"run-{i}/run.log").read_bytes(), b"hi\n", redirections)
            self.assertEqual(self.report(folder=self.tmp / f"run-{i}")["exit_status"], 4)

    def test_once_the_report_is_there_nothing_keeps_the_tool(self):
        """Its last words wait for whoever reads them, and a signal ends that."""
        profile = self.app("exit 4")
        self.orch("build", profile)
        read, write = os.pipe()
        os.set_blocking(write, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(write, b"x" * 4096)
        os.set_blocking(write, True)
        run = subprocess.Popen([lib.shared_copy()[0], "run", profile, "--out-dir", self.tmp / "run"], env=self.environment(), cwd=self.tmp,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=write)
        wait_for(lambda: (self.tmp / "run/inputs.json").exists() and self.report(folder=self.tmp / "run")["outcome"] == "exited", "the report")
        time.sleep(0.5)
        self.assertIsNone(run.poll())
        run.terminate()
        self.assertEqual(run.wait(20), -signal.SIGTERM)
        self.assertEqual(self.report(folder=self.tmp / "run")["exit_status"], 4)
        os.close(read)
        os.close(write)

    def test_an_end_that_was_asked_for_waits_for_no_reader(self):
        profile = self.app("while :; do echo something to read; done")
        self.orch("build", profile)
        for number, words in ((124, ("--timeout", "300ms")), (128 + signal.SIGTERM, ())):
            folder = self.tmp / f"run-{number}"
            run = subprocess.Popen([lib.shared_copy()[0], "run", profile, "--out-dir", folder, *words], env=self.environment(), cwd=self.tmp,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            with run:
                if not words:
                    wait_for(lambda: (folder / "run.log").exists() and (folder / "run.log").stat().st_size > 65536, "output")
                    run.terminate()
                self.assertEqual(run.wait(30), number)
            report = self.report(folder=folder)
            self.assertEqual(report["exit_status"], number)
            self.assertIn("standard output took not all", " ".join(report["warnings"]))
            self.assertGreater((folder / "run.log").stat().st_size, 65536)


if __name__ == "__main__":
    unittest.main()
