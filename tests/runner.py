#!/usr/bin/env python3
"""Builds the program in its variants and runs every check; tests/run.sh installs what is needed and starts it.

Each doctest case, unittest case, lint check and build counts as one. Output is shown for what fails, with the command
that repeats it. The last line is "N passed, N failed[, N skipped]"; the status is 0 only if nothing failed and
something passed.
"""

import argparse
import concurrent.futures
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
WORK = SOURCE / "build-tests"
SANITIZED = WORK / "sanitized"
STAGES = ("lint", "gcc", "unit", "integration", "sanitizers", "aarch64")
UNOPTIMIZED = ("-Doptimization=0", "-Ddebug=false")
ON_DEMAND = ("tidy",)  # takes as long as a build by clang++; needs the stage "sanitizers" before it, or its build
MODULE_TIMEOUT = 1500  # seconds for one file of integration tests
SANITIZER_ENVIRONMENT = {
    "ORCH_SANITIZED": "1",
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}
# Files whose time goes into other programs (a virtual machine, apt, GTK, the double of muvm, kills at random), and whose paths
# through the program the other files take, too: the stage of g++ has them.
NOT_SANITIZED = {"test_auto_deps", "test_capture", "test_examples", "test_finished_images", "test_gui", "test_launch_arguments",
                 "test_launch_outcomes", "test_launch_vm", "test_muvm_double", "test_overlay_determinism", "test_survival",
                 "test_vm_double"}


class Tally:
    """Counts and shows; the only place that prints results."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures, self.reasons = [], []

    def stage(self, title):
        print(f"== {title}", flush=True)

    def ok(self, name, seconds=None, count=1):
        self.passed += count
        print(f"ok      {name}" + (f" ({seconds:.1f} s)" if seconds is not None else ""), flush=True)

    def skip(self, name, reason):
        self.skipped += 1
        self.reasons.append(f"{name}: {reason}")
        print(f"skipped {name}: {reason}", flush=True)

    def fail(self, name, output="", repeat="", count=1):
        self.failed += count
        self.failures.append(name)
        print(f"FAILED  {name}\n{output.rstrip()}", flush=True)
        if repeat:
            print(f"repeat: {repeat}", flush=True)

    def finish(self):
        if self.failures:
            print("failed: " + ", ".join(self.failures))
        for reason in self.reasons:
            print("skipped: " + reason)
        print(f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else ""),
              flush=True)
        return 0 if self.passed and not self.failed else 1


def run(argv, *, env=None, cwd=SOURCE, timeout=None):
    """(status, output with errors in it); a time-out counts as status 124."""
    try:
        done = subprocess.run([os.fspath(a) for a in argv], cwd=cwd, env={**os.environ, **(env or {})}, timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        return 124, (error.stdout or b"").decode("utf-8", "replace") + f"\ntimed out after {timeout} s"
    except OSError as error:
        return 127, str(error)


def last_lines(text, count=60):
    return "\n".join(text.splitlines()[-count:])


# ---- builds

def build(tally, name, compiler, *, source=SOURCE, options=(), folder=None):
    """Configures (once) and builds with warnings as errors. Gives the folder, or None if that failed."""
    folder = folder or WORK / name
    started = time.monotonic()
    wanted = json.dumps([compiler, *options])
    marker = folder / "orch-options.json"
    if folder.exists() and (not marker.exists() or marker.read_text() != wanted):
        shutil.rmtree(folder)
    steps = []
    if not folder.exists():
        steps.append(["meson", "setup", folder, source, "-Dwerror=true", *options])
    else:
        steps.append(["meson", "setup", "--reconfigure", folder, source])  # finds new test files
    steps.append(["ninja", "-C", folder])
    for step in steps:
        status, output = run(step, env={"CXX": compiler})
        if status != 0:
            tally.fail(f"build {name}", last_lines(output), f"CXX={shlex.quote(compiler)} "
                       + " && ".join(shlex.join(map(str, s)) for s in steps))
            return None
        if step[0] == "meson":
            marker.write_text(wanted)
    tally.ok(f"build {name}: {compiler}, warnings as errors", time.monotonic() - started)
    return folder


def compiler_command(name):
    return f"ccache {name}" if shutil.which("ccache") else name


# ---- unit tests

SUMMARY = re.compile(r"test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")


def unit(tally, name, folder, env, pattern, *, wrapper=(), timeout=600, jobs=1):
    """Runs each doctest binary of a build, by the program `wrapper` if there is one; every case counts."""
    binaries = sorted(p for p in (folder / "tests/unit").glob("unit-*") if p.is_file())
    if not binaries:
        tally.fail(f"{name} unit tests", "no binary found: nothing would be tested")

    def one(binary):
        started = time.monotonic()
        argv = [*wrapper, binary, "--no-colors=true"] + ([f"--test-case=*{pattern}*"] if pattern else [])
        return argv, *run(argv, env=env, timeout=timeout), time.monotonic() - started

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for binary, (argv, status, output, seconds) in zip(binaries, pool.map(one, binaries)):
            found = SUMMARY.search(output)
            total, passed, failed, _ = map(int, found.groups()) if found else (0, 0, 0, 0)
            repeat = " ".join([f"{k}={shlex.quote(v)}" for k, v in env.items()] + [shlex.join(map(str, argv))])
            if status == 0 and found and (total or pattern):
                tally.ok(f"{name} {binary.name}: {passed} cases", seconds, count=passed)
            else:
                tally.passed += passed
                tally.fail(f"{name} {binary.name}", last_lines(output) + f"\nstatus {status}", repeat, count=max(failed, 1))


# ---- integration tests

class Recorder(unittest.TestResult):
    """Writes one JSON line for each event, so that the parent knows what ran even if this process dies."""

    def __init__(self, stream):
        super().__init__()
        self.stream, self.started = stream, {}

    def say(self, event, test, text=""):
        seconds = time.monotonic() - self.started.get(test, time.monotonic())
        self.stream.write(json.dumps([event, test.id(), text, seconds]) + "\n")
        self.stream.flush()

    def startTest(self, test):
        super().startTest(test)
        self.started[test] = time.monotonic()
        self.say("start", test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say("ok", test, "; ".join(getattr(test, "notes", [])))

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.say("failed", test, self.text(error))

    def addError(self, test, error):
        super().addError(test, error)
        self.say("failed", test, self.text(error))

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.say("failed", test, f"{subtest}\n{self.text(error)}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("skipped", test, reason)

    def addExpectedFailure(self, test, error):
        self.say("failed", test, "expected failures are not used here\n" + self.text(error))

    def addUnexpectedSuccess(self, test):
        self.say("failed", test, "succeeded unexpectedly")

    @staticmethod
    def text(error):
        """What went wrong comes first, then how the tests came there, without the frames of libraries."""
        kind, value, trace = error
        frames = [f for f in traceback.extract_tb(trace) if f.filename.startswith(str(SOURCE))]
        reason = value.__cause__ or (None if value.__suppress_context__ else value.__context__)
        after = f"after: {reason!r}\n" if reason is not None else ""
        return "".join(traceback.format_exception_only(kind, value)) + after + "".join(traceback.format_list(frames))


def run_module(module, pattern, events):
    """The child's side: runs the tests of one module and records the events."""
    sys.path.insert(0, str(SOURCE))
    loader = unittest.TestLoader()
    if pattern:
        loader.testNamePatterns = [f"*{pattern}*"]
    with open(events, "w") as stream:
        loader.loadTestsFromName(module).run(Recorder(stream))


def read_events(path):
    """[(id, result, text, seconds)] in the order of the tests; one that began and never ended has failed."""
    order, ended = [], {}
    for line in Path(path).read_text().splitlines() if Path(path).exists() else ():
        event, test, text, seconds = json.loads(line)
        if event == "start":
            order.append(test)
        else:
            if test not in order:  # a skipped class, or an error while loading
                order.append(test)
            if ended.get(test, ("ok",))[0] != "failed":
                ended[test] = (event, text, seconds)
            elif event == "failed":
                ended[test] = (event, ended[test][1] + text, seconds)
    return [(test, *ended.get(test, ("failed", "did not end: it hung or its process died", 0))) for test in order]


def integration(tally, name, folder, env, pattern, jobs, files="test_*.py", without=frozenset()):
    """Runs those files of tests/integration but `without`, some at a time, and shows them in the order of their names."""
    env = {**env, "ORCH_BINARY": str(folder / "src/cli/appimage-orch"), "PYTHONDONTWRITEBYTECODE": "1"}
    modules = [f"tests.integration.{p.stem}" for p in sorted((SOURCE / "tests/integration").glob(files)) if p.stem not in without]

    def one(module):
        with tempfile.TemporaryDirectory() as scratch:
            events = os.path.join(scratch, "events")
            argv = [sys.executable, __file__, "--module", module, "--events", events, "-k", pattern or ""]
            status, output = run(argv, env=env, timeout=MODULE_TIMEOUT)
            return status, output, read_events(events)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for module, (status, output, events) in zip(modules, pool.map(one, modules)):
            for test, result, text, seconds in events:
                label = f"{name} {test.removeprefix('tests.integration.')}"
                if result == "ok":
                    tally.ok(f"{label}: {text}" if text else label, seconds)
                elif result == "skipped":
                    tally.skip(label, text)
                else:
                    setting = " ".join(f"{k}={shlex.quote(v)}" for k, v in env.items())
                    tally.fail(label, text + last_lines(output),
                               f"cd {shlex.quote(str(SOURCE))} && {setting} python3 -m unittest {test}")
            if status != 0 and not any(result == "failed" for _, result, _, _ in events):
                tally.fail(f"{name} {module}", last_lines(output) + f"\nstatus {status}")
            elif not events and not pattern:
                tally.fail(f"{name} {module}", "no test ran")


# ---- lint

def lint(tally, pattern):
    """Runs each tests/lint/*.py: first its self-test (it must be able to fail), then the check of this tree."""
    for script in sorted((SOURCE / "tests/lint").glob("*.py")):
        if script.stem == "common" or (pattern and pattern not in script.stem):
            continue
        for label, arguments in ((f"lint {script.stem} can fail", ["--self-test"]), (f"lint {script.stem}", [])):
            argv = [sys.executable, "-B", str(script.relative_to(SOURCE)), *arguments]
            status, output = run(argv, timeout=600)
            if status == 0:
                tally.ok(label)
            elif status == 77:
                tally.skip(label, output.strip().splitlines()[-1] if output.strip() else "no reason given")
            else:
                tally.fail(label, output, f"python3 {shlex.join(argv[2:])}")


def dead_goldens(names, read):
    """Goldens that no test read. A test's input lies beside its golden and has the same name with another suffix."""
    used = {Path(name).with_suffix("") for name in read}
    return sorted(name for name in names if Path(name).with_suffix("") not in used)


def goldens(tally, log):
    """Every golden must have been read by the tests that just ran, all of them."""
    folder = SOURCE / "tests/golden"
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    read = log.read_text().splitlines() if log.exists() else []
    if dead_goldens(["a/old.txt", "a/new.txt", "a/new.toml"], ["a/new.txt"]) != ["a/old.txt"]:
        tally.fail("goldens can be found dead")
    elif dead := dead_goldens(names, read):
        tally.fail("goldens", "no test reads: " + ", ".join(dead))
    else:
        tally.ok(f"goldens: each of {len(names)} is read by a test")


# ---- dist

def make_dist_source(scratch):
    """The unpacked release tarball of this tree as it is now, uncommitted changes included; raises RuntimeError."""
    clone, extra = scratch / "clone", ["-c", "user.name=tests", "-c", "user.email=tests@localhost.invalid"]

    def must(argv, cwd):
        status, output = run(argv, cwd=cwd)
        if status != 0:
            raise RuntimeError(f"{shlex.join(map(str, argv))}\n{last_lines(output)}")
        return output

    must(["git", "clone", "-q", "--no-hardlinks", SOURCE, clone], scratch)
    listed = must(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], SOURCE).split("\0")
    tracked = [n for n in listed if n and os.path.lexists(SOURCE / n)]
    for name in must(["git", "ls-files", "-z"], clone).split("\0"):
        if name:
            (clone / name).unlink()
    for name in tracked:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(SOURCE / name, clone / name, follow_symlinks=False)
    must(["git", "add", "-A"], clone)
    must(["git", *extra, "commit", "-q", "--allow-empty", "--no-gpg-sign", "-m", "the tree under test"], clone)
    must(["meson", "setup", scratch / "setup", clone, "-Dtests=false"], scratch)
    must(["meson", "dist", "-C", scratch / "setup", "--no-tests", "--formats", "gztar"], scratch)
    (tarball,) = (scratch / "setup/meson-dist").glob("*.tar.gz")
    with tarfile.open(tarball) as archive:
        archive.extractall(scratch / "unpacked")
    (tree,) = (scratch / "unpacked").iterdir()
    absent = [n for n in tracked if not os.path.lexists(tree / n)]
    if absent:
        raise RuntimeError("not in the tarball: " + ", ".join(absent))
    return tree


def replace_tree(new, old):
    """Makes `old` equal to `new`, leaving files that are the same alone, so that ninja builds only what changed."""
    for path in sorted(old.rglob("*"), reverse=True):
        if not os.path.lexists(new / path.relative_to(old)):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in sorted(new.rglob("*")):
        place = old / path.relative_to(new)
        if path.is_dir() and not path.is_symlink():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.is_file() or place.read_bytes() != path.read_bytes():
            shutil.copy(path, place, follow_symlinks=False)


def dist(tally):
    """The tree of `meson dist`'s tarball, or None if that failed."""
    if run(["git", "rev-parse", "--git-dir"])[0] != 0:
        tally.fail("meson dist", "this is not a git checkout, so there is nothing to make a tarball of")
        return None
    source = WORK / "dist-source"
    with tempfile.TemporaryDirectory(prefix="orch-dist-") as scratch:
        try:
            started = time.monotonic()
            tree = make_dist_source(Path(scratch))
            source.mkdir(parents=True, exist_ok=True)
            replace_tree(tree, source)
            tally.ok("meson dist: the tarball has every file", time.monotonic() - started)
        except RuntimeError as error:
            tally.fail("meson dist", str(error))
            return None
    return source


def sanitizers(tally, pattern, jobs):
    """From the tarball, so that it is complete; by clang++, so that there is a second compiler, and a faster one for this."""
    source = dist(tally)
    # Several source files are compiled as one, which takes half the time; the builds by g++ see each by itself.
    options = [*UNOPTIMIZED, "-Dunity=on", "-Dunity_size=8", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
    # At fixed addresses a start of the program takes half as long. g++ has no check `function`, which is costly.
    options += ["-Db_pie=false", "-Db_staticpic=false", "-Dcpp_link_args=-no-pie", "-Dcpp_args=-gline-tables-only -fno-pie"
                f" -fno-sanitize=function -fsanitize-ignorelist={SOURCE}/tests/sanitizers.ignore"]
    folder = source and build(tally, "sanitized, from the tarball", compiler_command("clang++"), source=source,
                              options=options, folder=SANITIZED)
    if folder:
        unit(tally, "sanitized", folder, {**SANITIZER_ENVIRONMENT, "ORCH_ONE_IN": "3"}, pattern, jobs=jobs)
        integration(tally, "sanitized", folder, SANITIZER_ENVIRONMENT, pattern, jobs, without=NOT_SANITIZED)


# ---- aarch64

def aarch64(tally, native, pattern, jobs):
    """The cross build for aarch64. Its unit tests run under qemu-user, and it must answer as the build `native` does."""
    absent = [tool for tool in ("aarch64-linux-gnu-g++", "qemu-aarch64", "apt-get") if not shutil.which(tool)]
    lacks = tally.fail if os.environ.get("CI") else tally.skip  # CI has what tests/run.sh installs
    if platform.machine() == "aarch64":
        tally.skip("aarch64", "every other stage builds for it")
        return
    if absent:
        lacks("aarch64", "not here: " + ", ".join(absent))
        return
    place, started = WORK / "aarch64-sysroot", time.monotonic()
    made_of = place / "made-of"
    before = made_of.stat().st_mtime_ns if made_of.exists() else None
    status, output = run(["tools/aarch64/sysroot.sh", place])
    if status == 77:
        lacks("aarch64", output.strip())
        return
    if status != 0:
        tally.fail("aarch64 sysroot", last_lines(output), f"tools/aarch64/sysroot.sh {shlex.quote(str(place))}")
        return
    tally.ok("aarch64 sysroot", time.monotonic() - started)
    if made_of.stat().st_mtime_ns != before:  # other headers, which may be older than what was built with the last ones
        shutil.rmtree(WORK / "aarch64", ignore_errors=True)
    folder = build(tally, "aarch64", compiler_command("aarch64-linux-gnu-g++"), options=[
        *UNOPTIMIZED, f"--cross-file={place}/sysroot.ini", "--cross-file=tools/aarch64/cross.ini"])
    if folder:
        wrapper = ["qemu-aarch64", "-L", str(place / "root")]
        unit(tally, "aarch64", folder, {"ORCH_ONE_IN": "5"}, pattern, wrapper=wrapper, timeout=1800, jobs=jobs)
        other = shlex.join([*wrapper, str(folder / "src/cli/appimage-orch")])
        integration(tally, "aarch64", native, {"ORCH_AARCH64": other}, pattern, jobs, files="on_aarch64.py")


def tidy(tally, jobs):
    """clang-tidy on every source file of the build by clang++; its few checks are all errors (.clang-tidy)."""
    database = SANITIZED / "compile_commands.json"
    tool = shutil.which("clang-tidy-14")
    if not tool or not database.exists():
        tally.fail("clang-tidy", "clang-tidy-14 is not installed" if not tool else "no build by clang++ to look at")
        return
    started = time.monotonic()
    files = sorted({os.path.normpath(os.path.join(e["directory"], e["file"])) for e in json.loads(database.read_text())})
    files = [f for f in files if "/src/" in f]

    def one(file):
        return run([tool, "--quiet", "-p", database.parent, file])

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        bad = [(f, output) for f, (status, output) in zip(files, pool.map(one, files)) if status != 0]
    for file, output in bad:
        tally.fail(f"clang-tidy {os.path.relpath(file, WORK / 'dist-source')}", last_lines(output),
                   shlex.join([tool, "--quiet", "-p", str(database.parent), file]))
    if files and not bad:
        tally.ok(f"clang-tidy: {len(files)} files", time.monotonic() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", default=",".join(STAGES), help="some of " + ",".join(STAGES) + ", and on demand " + ",".join(ON_DEMAND))
    parser.add_argument("-k", dest="pattern", default="", help="only tests with this in their name")
    parser.add_argument("-j", dest="jobs", type=int, default=max(2, len(os.sched_getaffinity(0))),
                        help="files of integration tests at a time")
    parser.add_argument("--module", help=argparse.SUPPRESS)
    parser.add_argument("--events", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.module:
        return run_module(options.module, options.pattern, options.events)
    stages = options.stages.split(",")
    unknown = sorted(set(stages) - {*STAGES, *ON_DEMAND})
    if unknown:
        parser.error(f"unknown stage '{unknown[0]}', expected some of {','.join((*STAGES, *ON_DEMAND))}")
    sys.stdout.reconfigure(errors="backslashreplace")
    os.environ.pop("ORCH_ACCEPT", None) if os.environ.get("CI") else None
    tally, native = Tally(), None
    if "lint" in stages:
        tally.stage("lint")
        lint(tally, options.pattern)
    if {"gcc", "unit", "integration", "aarch64"} & set(stages):
        tally.stage("g++")
        native = folder = build(tally, "gcc", compiler_command("g++"), options=["-Doptimization=2", "-Ddebug=false"])
        log = WORK / "goldens-read"
        log.unlink(missing_ok=True)
        if folder and "unit" in stages:
            unit(tally, "gcc", folder, {"ORCH_GOLDEN_LOG": str(log)}, options.pattern)
        if folder and "integration" in stages:
            integration(tally, "gcc", folder, {"ORCH_GOLDEN_LOG": str(log)}, options.pattern, options.jobs)
        if folder and {"unit", "integration"} <= set(stages) and not options.pattern and not tally.skipped:
            goldens(tally, log)
    if "sanitizers" in stages:
        tally.stage("meson dist; clang++ with AddressSanitizer and UndefinedBehaviorSanitizer")
        sanitizers(tally, options.pattern, options.jobs)
    if "aarch64" in stages and native:
        tally.stage("aarch64: cross build, and qemu-user")
        aarch64(tally, native, options.pattern, options.jobs)
    if "tidy" in stages:
        tally.stage("clang-tidy")
        tidy(tally, options.jobs)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
