"""Directories as runs leave them, written by tests: whole documents with fixed times, in any state."""

import copy
import fcntl
import json

from tests.integration import lib

REPORT = {
    "schema": "appimage-orch/run-report/1", "outcome": "exited", "status": 3, "signal": None, "determined_by": "message",
    "launcher": "muvm", "argv": ["/usr/bin/muvm", "--emu=fex", "-f", "/i/base.erofs", "-e", "A=1", "--", "/bin/sh", "-c", "exec \"$@\"", "sh", "/t/AppRun"],
    "images": [{"path": "/i/base.erofs", "role": "base", "digest": "1" * 64}, {"path": "/i/deps.erofs", "role": "deps", "digest": None}],
    "vm_reused": False, "forced": False, "exit_status": 3, "tool_version": "0.1.0", "profile": "hello", "app": {"path": "/a/Hello.AppImage", "sha256": "2" * 64},
    "pid": 7, "boot_id": "b", "started": "2026-01-02T03:04:05.000Z", "ended": "2026-01-02T03:04:07.500Z", "log": {"bytes": 6, "truncated": False, "left_out": 0},
    "phases": [{"name": "build", "seconds": 0.25}, {"name": "preflight", "seconds": 0.05}, {"name": "launch", "seconds": 2.2}],
    "warnings": ["a warning that is long enough to be broken where the line of a terminal with eighty columns ends"],
    "advice": ["do this next"], "signatures": [], "error": {"what": "what failed", "where": "p.toml:3:1", "hint": "do that first"},
    "raw": {"status": 3, "signal": 0}, "environment": {"A": "1", "B": "two words"},
    "checks": [{"id": "machine", "status": "ok", "detail": "fine", "remedy": ""}, {"id": "kvm", "status": "warning", "detail": "slow", "remedy": "x"}],
    "verify": {"ok": True, "missing": []}}
INPUTS = {
    "schema": "appimage-orch/inputs/1", "tool_version": "0.1.0", "started": "2026-01-02T03:04:05.000Z",
    "profile": {"name": "hello", "expanded": {"name": "hello", "app": {"env": {"A": "1"}}}, "verbatim": "name = \"hello\"\n"},
    "paths": {"profile": "/p/hello.toml", "chain": ["/p/hello.toml", "/d/asahi.toml"], "evidence": "/e", "cache": "/c", "directory": "/w"},
    "discovery": [], "launch": None, "command": None, "tools": [{"name": "muvm", "path": "/usr/bin/muvm", "version": "0.4.0 or later"}, {"name": "FEX", "path": None, "version": None}],
    "packages": [], "manifests": [], "host": {"kernel": "6.1.0", "machine": "aarch64", "os": "An OS", "page_size": 16384, "cpus": 8, "memory_bytes": 17179869184, "boot_id": "b", "soc": None, "gpu_drivers": {}},
    "environment": {"HOME": "/home/u"}, "guest": None, "configuration": [], "redacted": "secrets"}


class MadeUp(lib.TestCase):
    """Runs below self.root, written here."""

    def setUp(self):
        self.root = self.tmp / "state/appimage-orch/evidence"

    def run_directory(self, name, report=None, inputs=None, log=b"hello\n", **changes):
        """A run's directory with these documents; `changes` are of the report. False: no such file."""
        report = {**copy.deepcopy(REPORT), **changes} if report is None else report
        folder = self.root / name
        folder.mkdir(parents=True)
        inputs = copy.deepcopy(INPUTS) if inputs is None else inputs
        for file, document in (("run.report.json", report), ("inputs.json", inputs)):
            if document is not False:
                (folder / file).write_text(document if isinstance(document, str) else json.dumps(document))
            if isinstance(document, str):
                self.damaged.add(folder / file)
        if log is not False:
            (folder / "run.log").write_bytes(log)
        return folder

    def some_runs(self):
        at = "2026-01-{:02}T03:04:05.000Z".format
        self.run_directory("hello/20260102-030405")
        self.run_directory("hello/20260103-030405", started=at(3), ended=at(3), outcome="signaled", status=None, signal=11, exit_status=139)
        self.run_directory("hello/20260104-030405", started=at(4), ended=None, outcome="running", status=None, exit_status=None)
        self.run_directory("hello/20260105-030405", report="{\"schema\": ")
        self.run_directory("hello/20260106-030405", report=False, inputs=False, log=False)
        self.run_directory("other-app/20260107-030405", started=at(7), ended="2026-01-07T04:05:06.000Z", outcome="timed_out", status=None, profile="other app")
        live = self.run_directory("other-app/20260108-030405", started=at(8), ended=None, outcome="running", status=None, exit_status=None, profile="other app")
        self.run_directory("other-app/20260109-030405", started=at(9), ended=at(9), outcome="launch_failed", status=None, exit_status=127, profile="other app")
        (self.root / "notes").mkdir()
        (self.root / "notes/x.md").write_text("x")
        return live

    def locked(self, folder):
        """Holds the lock that a live run holds, until the test ends."""
        log = open(folder / "run.log", "rb")
        self.addCleanup(log.close)
        fcntl.flock(log, fcntl.LOCK_EX)
