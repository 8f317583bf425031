"""`bench`: starts of an application, measured until it is ready; for real on Xvfb, and through the muvm double."""

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from tests.integration import lib
from tests.integration.display import Display
from tests.integration.launching import NATIVE, LaunchCase, Terminal, wait_for
from tests.integration.muvm import MuvmCase
from tests.integration.test_bench_views import read_hyperfine


class BenchCase(LaunchCase):
    def bench(self, profile, *words, status=0, **environment):
        """bench.json, which is what is printed, too, and keeps its schema."""
        out = self.tmp / "bench"
        ran = self.orch("bench", profile, "--out-dir", out, "--force", "--format", "json", *words, status=status, **environment)
        self.said = ran.stderr
        document = self.check_document(ran.json, "bench")
        self.assertEqual(json.loads((out / "bench.json").read_text()), document)
        return document


@NATIVE
class Native(BenchCase):
    def test_starts_that_end(self):
        profile = self.app("echo ready; sleep 0.05; exit 0")
        document = self.bench(profile, "--warm", "5", "--cold", "2", "--seed", "7")
        self.assertEqual([(r["variant"], r["start"], r["summary"]["count"], r["success_rate"]) for r in document["results"]],
                         [("", "warm", 5, 1), ("", "cold", 2, 1)])
        self.assertEqual((document["seed"], document["ready"], document["launcher"]), (7, "exit", "native"))
        self.assertIn(document["page_cache"]["method"], ("drop_caches", "fadvise", "none"))
        for result in document["results"]:
            times = [run["seconds"] for run in result["runs"]]
            self.assertEqual((min(times), max(times)), (result["summary"]["min"], result["summary"]["max"]))
            for run in result["runs"]:
                parts = run["phases"]
                self.assertAlmostEqual(run["seconds"], sum(parts[p] for p in ("build", "preflight", "boot", "ready")), places=4)
                self.assertGreater(parts["ready"], 0.05, "the application sleeps so long")
                report = json.loads((self.tmp / "bench" / run["directory"] / "run.report.json").read_text())
                self.assertEqual(report["outcome"], "exited")
        self.assertEqual([run["number"] for result in document["results"] for run in result["runs"]], [1, 2, 3, 4, 5, 6, 7])
        self.assertEqual(sorted(p.name for p in (self.tmp / "bench/runs").iterdir()), [f"00{n}" for n in range(1, 8)] + ["warm-up-1"])

    def test_a_line_in_the_log(self):
        """The application is ended once it has said it; a half of the line is not it."""
        profile = self.app("printf 'almost rea'; sleep 0.2; echo dy; exec sleep 100")
        document = self.bench(profile, "--warm", "2", "--cold", "0", "--ready", "log:ready", "--timeout", "10m")
        for run in document["results"][0]["runs"]:
            self.assertGreater(run["phases"]["ready"], 0.19)
            self.assertEqual((run["ok"], run["outcome"]), (True, "interrupted"))

    def test_a_time_that_it_must_live(self):
        document = self.bench(self.app("exec sleep 100"), "--warm", "1", "--cold", "0", "--ready", "after:300ms")
        run = document["results"][0]["runs"][0]
        self.assertAlmostEqual(run["phases"]["ready"], 0.3, places=3)
        document = self.bench(self.app("exit 0"), "--warm", "1", "--cold", "0", "--warmup", "0", "--ready", "after:2s", status=1)
        run = document["results"][0]["runs"][0]
        self.assertEqual((run["ok"], run["seconds"], run["error"]), (False, None, "it ended before it was ready: exited, status 0"))

    def test_a_command_in_the_stack(self):
        document = self.bench(self.app("exit 9"), "--warm", "2", "--cold", "0", "--command", "test ! -e /proc/version || echo in the stack")
        self.assertEqual(document["results"][0]["success_rate"], 1)
        log = (self.tmp / "bench/runs/001/run.log").read_text()
        self.assertEqual(log.strip(), "in the stack")

    def test_variants_and_a_failing_one(self):
        profile = self.app('[ "$MODE" = b ] && exit 3; [ "$MODE" = c ] && sleep 0.3; exit 0')
        document = self.bench(profile, "--warm", "4", "--cold", "0", "--ab-env", "MODE=a,b,c", status=1)
        by_name = {r["variant"]: r for r in document["results"]}
        self.assertEqual(list(by_name), ["MODE=a", "MODE=b", "MODE=c"])
        self.assertEqual((by_name["MODE=b"]["summary"], by_name["MODE=b"]["runs"]), (None, []))
        self.assertIn("its warm-up did not get ready", by_name["MODE=b"]["given_up"])
        self.assertEqual(by_name["MODE=a"]["summary"]["count"], 4)
        self.assertGreaterEqual(by_name["MODE=c"]["summary"]["min"], 0.3)

    def test_the_order_is_the_seed_s(self):
        profile = self.app("exit 0")
        def order(seed):
            document = self.bench(profile, "--warm", "6", "--cold", "0", "--warmup", "0", "--ab-env", "X=1,2", "--seed", str(seed))
            numbers = sorted((run["number"], r["variant"]) for r in document["results"] for run in r["runs"])
            return [variant for _, variant in numbers]
        first = order(3)
        self.assertEqual(first, order(3))
        for i in range(0, 12, 2):
            self.assertEqual(sorted(first[i:i + 2]), ["X=1", "X=2"], "each round has each variant once")
        self.assertTrue(any(order(seed) != first for seed in (4, 5, 6)))

    def test_too_slow(self):
        document = self.bench(self.app("exec sleep 100"), "--warm", "1", "--cold", "0", "--warmup", "0", "--timeout", "300ms", status=1)
        run = document["results"][0]["runs"][0]
        self.assertEqual((run["outcome"], run["ok"]), ("timed_out", False))
        self.assertEqual(self.said.count("was not ready within"), 1, self.said)
        self.assertEqual(run["error"], "it was not ready within 300 ms: give it more with --timeout, or wait for something else with --ready")

    def test_what_it_leaves_behind_is_no_part_of_the_start(self):
        """A process that does not listen to SIGTERM is ended half a second later."""
        document = self.bench(self.app("trap '' TERM HUP; sleep 100 & exit 0"), "--warm", "2", "--cold", "0")
        for run in document["results"][0]["runs"]:
            self.assertGreaterEqual(run["phases"]["exit"], 0.45, run)

    def test_cold_starts_alone_have_a_warm_up_too(self):
        document = self.bench(self.app("exit 0"), "--warm", "0", "--cold", "2")
        self.assertEqual([(r["start"], len(r["runs"])) for r in document["results"]], [("cold", 2)])
        self.assertTrue((self.tmp / "bench/runs/warm-up-1").exists())

    def test_secrets(self):
        document = self.bench(self.app("exit 0"), "--warm", "1", "--cold", "0", "--command", "API_TOKEN=hunter22 true")
        self.assertNotIn("hunter22", json.dumps(document))
        for path in (self.tmp / "bench").rglob("*.json"):
            self.assertNotIn("hunter22", path.read_text(), path)

    def test_interrupted_at_any_instant(self):
        """Status, what was measured, and a page, whatever was under way."""
        profile = self.app("exit 0")
        self.orch("build", profile)
        for number in range(8):
            out = self.tmp / f"bench-{number}"
            terminal = Terminal([lib.shared_copy()[0], "bench", profile, "--warm", "5000", "--cold", "0", "--out-dir", out], self.environment(TERM="xterm"), self.tmp)
            terminal.read_until(b" 2/")
            time.sleep(0.013 * number)
            os.kill(terminal.pid, signal.SIGTERM)
            self.assertEqual(terminal.wait(), 143)
            document = self.check_document(json.loads((out / "bench.json").read_text()), "bench")
            self.assertIsNotNone(document["ended"])
            self.assertEqual(document["signal"], signal.SIGTERM)
            self.assertRegex(document["stopped"], r"^after [0-9]+ of 5000 measured starts: SIGTERM$")
            self.assertIn(b"got ready", terminal.output)
            self.assertEqual(terminal.after, terminal.before)
            self.assertFalse((out / ".ab.lock").exists())

    def test_interrupted(self):
        """What was measured until then is there."""
        profile = self.app("echo here; sleep 0.3; exit 0")
        self.orch("build", profile)
        out = self.tmp / "bench"
        terminal = Terminal([lib.shared_copy()[0], "bench", profile, "--warm", "500", "--out-dir", out], self.environment(TERM="xterm"), self.tmp)
        terminal.read_until(b" 2/")
        os.kill(terminal.pid, signal.SIGINT)
        self.assertEqual(terminal.wait(), 130)
        document = self.check_document(json.loads((out / "bench.json").read_text()), "bench")
        warm, cold = document["results"]
        self.assertGreaterEqual(len(warm["runs"]), 1)
        self.assertEqual((document["warm"], document["cold"], document["page_cache"]["method"], cold["success_rate"]), (500, 5, "not reached", None))
        shown = self.orch("bench", "show", out).stdout
        self.assertIn("cold: no start was made\n", shown)
        self.assertRegex(shown, r"\nstopped: after [0-9]+ of 505 measured starts: SIGINT\n$")
        (run,) = self.orch_json("evidence", "list", "--dir", self.evidence_of(out))["runs"]
        self.assertEqual((run["state"], run["outcome"], run["signal"], run["exit_status"]), ("ended", "interrupted", 2, 130))
        compared = self.orch("bench", "compare", out, out, "--fail-if-slower", "5", status=1)
        self.assertIn("a was stopped before such a start", compared.stdout)
        self.assertIn("worse: cold: it cannot be compared: a was stopped before such a start\n", compared.stderr)
        self.assertIn(b"[", terminal.output)
        self.assertIn(b" left, warm", terminal.output)

    def evidence_of(self, out):
        """A place of evidence that has this benchmark alone."""
        place = self.tmp / "place/hello-bench"
        place.mkdir(parents=True)
        shutil.copytree(out, place / "20260101-030405")
        return place.parent

    def test_few_starts_have_no_interval(self):
        profile = self.app("exit 0")
        few, one = (self.bench(profile, "--warm", n, "--cold", "0")["results"][0]["summary"] for n in ("4", "1"))
        self.assertEqual((few["median_interval"], one["median_interval"], one["deviation"]), (None, None, None))
        self.assertIsNotNone(few["deviation"])
        shown = self.orch("bench", "show", self.tmp / "bench").stdout
        self.assertRegex(shown, r"median +[0-9.]+ ms\n  mean +[0-9.]+ ms\n")

    def test_names_that_are_longer_than_a_line(self):
        profile = self.app("exit 0")
        value = "-GL_ARB_buffer_storage -GL_ARB_bindless_texture -GL_ARB_sync -GL_ARB_sparse_texture"
        document = self.bench(profile, "--warm", "2", "--cold", "0", "--ab-env", f"MESA_EXTENSION_OVERRIDE={value},x")
        shown = self.orch("bench", "show", self.tmp / "bench").stdout
        self.assertEqual(len(document["results"]), 2)
        self.assertLessEqual(max(len(line) for line in shown.splitlines()), 80)
        self.assertIn("too few starts to compare", " ".join(shown.split()))

    def test_a_place_that_cannot_be_written_is_told_before_the_first_start(self):
        profile = self.app("exit 0")
        self.orch("build", profile)
        for words, name in ((("--svg", "no/such/dir/x.svg"), "absent"), (("--export-hyperfine", "."), "directory")):
            ran = self.orch("bench", profile, *words, status=1)
            self.golden(f"bench/error-export-{name}.txt", ran.stderr)
        self.assertFalse((self.tmp / "state/appimage-orch/evidence").exists())

    def test_exports_go_where_they_are_sent(self):
        """Into a pipe, through a link; neither is replaced by a file."""
        bench = lib.GOLDEN / "bench/bench.json"
        target, link, pipe = (self.tmp / name for name in ("target.svg", "link.svg", "pipe"))
        target.touch()
        link.symlink_to(target)
        os.mkfifo(pipe)
        reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(reader.communicate)
        self.addCleanup(reader.kill)
        self.orch("bench", "show", bench, "--svg", link, "--export-hyperfine", pipe)
        self.assertEqual(read_hyperfine(json.loads(reader.stdout.read())), read_hyperfine(json.loads((lib.GOLDEN / "bench/hyperfine.json").read_text())))
        self.assertTrue(link.is_symlink() and pipe.is_fifo())
        self.assertEqual(target.read_bytes(), (lib.GOLDEN / "bench/bench.svg").read_bytes())

    def test_damaged_documents(self):
        whole = json.loads((lib.GOLDEN / "bench/bench.json").read_text())
        damaged = self.tmp / "place/hello/20260101-030405/bench.json"
        damaged.parent.mkdir(parents=True)
        def without(*path):
            document = json.loads(json.dumps(whole))
            place = document
            for step in path[:-1]:
                place = place[step]
            del place[path[-1]]
            return document
        for number, document in enumerate((without("results"), without("page_cache"), without("results", 0, "runs"), without("results", 1, "summary", "median"),
                                           without("results", 2, "phases"), {**whole, "results": [7]}, {"schema": whole["schema"]})):
            damaged.write_text(json.dumps(document))
            ran = self.orch("bench", "show", damaged, status=1)
            self.assertIn("bench.json' is damaged: ", ran.stderr)
            if number == 2:
                self.golden("bench/error-damaged.txt", ran.stderr)
            self.orch("bench", "compare", damaged, lib.GOLDEN / "bench/bench.json", status=1)
            self.assertIn("is damaged: ", " ".join(self.orch("evidence", "show", damaged.parent).stdout.split()))

    def test_two_of_them(self):
        """Of a real benchmark and copies of it: one that is the same, one that took longer, one in which nothing got ready."""
        profile = self.app("exit 0")
        picture, times = self.tmp / "b.svg", self.tmp / "h.json"
        self.orch("bench", profile, "--warm", "6", "--cold", "0", "--ab-env", "T=1,2", "--out-dir", self.tmp / "a", "--svg", picture, "--export-hyperfine", times)
        a = json.loads((self.tmp / "a/bench.json").read_text())
        self.assertIn(b"T=2", picture.read_bytes())
        results = read_hyperfine(json.loads(times.read_text()))
        self.assertEqual([r["parameters"] for r in json.loads(times.read_text())["results"]], [{"T": "1"}, {"T": "2"}])
        self.assertEqual(results, [(f"hello ({r['variant']}, warm)", [run["seconds"] for run in r["runs"]]) for r in a["results"]])
        self.assertEqual(self.orch("bench", "show", self.tmp / "a", "--format", "json").json, a)

        def copy(name, seconds):
            document = json.loads(json.dumps(a))
            for result in document["results"]:
                for i, run in enumerate(result["runs"]):
                    run.update(seconds=seconds(i), ok=seconds(i) is not None)
            (self.tmp / name).write_text(json.dumps(document))
            return self.tmp / name

        before = copy("before.json", lambda i: 1 + i / 1000)
        for name, seconds, verdict, percent, status in (("same", lambda i: 1 + i / 1000, "no difference", 0, 0), ("slow", lambda i: 1.5 + i / 1000, "slower", 20, 1),
                                                        ("slow", lambda i: 1.5 + i / 1000, "slower", 60, 0), ("fast", lambda i: 0.5 + i / 1000, "faster", 0, 0),
                                                        ("none", lambda i: None, "unknown", 900, 1)):
            with self.subTest(name, percent=percent):
                ran = self.orch("bench", "compare", before, copy(f"{name}.json", seconds), "--fail-if-slower", str(percent), "--format", "json", status=status)
                self.assertEqual([pair["verdict"] for pair in ran.json["pairs"]], [verdict] * 2)
                self.orch("bench", "compare", before, self.tmp / f"{name}.json", status=0)
        ran = self.orch("bench", "compare", self.tmp / "a", self.tmp / "a/runs/001/run.report.json", status=2)
        self.golden("bench/error-compare.txt", ran.stderr)

    def test_it_is_one_line_of_the_list(self):
        profile = self.app("exit 0")
        self.orch("bench", profile, "--warm", "2", "--cold", "0")
        self.orch("run", profile)
        runs = self.orch_json("evidence", "list")["runs"]
        self.assertEqual(sorted((r["kind"], r["state"], r["outcome"], r["app"]) for r in runs), [("bench", "ended", "measured", "hello"), ("run", "ended", "exited", "hello")])
        name, = [r["name"] for r in runs if r["kind"] == "bench"]
        self.assertIn("benchmark", self.orch("evidence", "list").stdout)
        self.assertEqual(self.orch("evidence", "show", name).stdout, self.orch("bench", "show", self.tmp / "state/appimage-orch/evidence" / name).stdout)
        self.assertEqual(self.orch_json("evidence", "show", name)["benchmark"]["profile"], "hello")
        self.orch("evidence", "show", name + "/runs/001")
        ran = self.orch("evidence", "diff", name, name, status=2)
        self.golden("bench/error-diff.txt", ran.stderr, {name: "NAME"})
        self.orch("evidence", "prune", "--keep", "0")
        self.assertEqual(self.orch_json("evidence", "list")["runs"], [])
        self.assertFalse((self.tmp / "state/appimage-orch/evidence" / name).exists())

    def test_one_in_the_place_of_another(self):
        """With --force fewer starts leave nothing of the old ones."""
        profile = self.app("exit 0")
        self.bench(profile, "--warm", "3", "--cold", "0")
        self.bench(profile, "--warm", "1", "--cold", "0", "--warmup", "0")
        self.assertEqual([p.name for p in (self.tmp / "bench/runs").iterdir()], ["001"])
        self.assertEqual(sorted(p.name for p in (self.tmp / "bench").iterdir()), ["bench.json", "runs"])

    def test_errors(self):
        profile = self.app("exit 0")
        for status, *words in ((2, "--ready", "soon"), (2, "--timeout", "never"), (2, "--warm", "0", "--cold", "0"), (2, "--ab-env", "X=1"), (2, "--ready", "after:90s"),
                               (1, "--ready", "window")):
            with self.subTest(words):
                ran = self.orch("bench", profile, *words, status=status, env={"DISPLAY": ""})
                self.assertIn("hint: ", ran.stderr)
                self.golden("bench/error-" + "-".join(words).replace("--", "").replace("=", "-").replace(":", "-") + ".txt", ran.stderr)


@lib.needs_tool("Xvfb", "apt-get", "mkfs.erofs", "mksquashfs")
class Window(BenchCase):
    def test_a_window_on_a_real_server(self):
        if not lib.is_root() and not lib.user_namespaces():
            self.skipTest("unprivileged user namespaces are off")
        display = Display()
        self.addCleanup(display.close)
        profile = self.app('if [ -n "$WAIT" ]; then sleep 0.4; fi; [ -n "$NONE" ] || exec xmessage hello; exec sleep 100')
        text = profile.read_text()
        profile.write_text(text.replace(f'base = "{self.base}"', 'base = { packages = ["dash", "coreutils", "libc-bin", "x11-utils"], source = "auto" }'))
        for condition in ("window", "window:xmessage"):
            document = self.bench(profile, "--warm", "2", "--cold", "1", "--ready", condition, env={"DISPLAY": display.name})
            self.assertEqual([r["success_rate"] for r in document["results"]], [1, 1], document)
        document = self.bench(profile, "--warm", "2", "--cold", "0", "--ready", "window", "--ab-env", "WAIT=,1", env={"DISPLAY": display.name})
        self.assertGreaterEqual(document["results"][1]["summary"]["min"], 0.4)
        self.another_one_s_frame(display)
        for words in (["--ready", "window:other"], ["--ready", "window", "--ab-env", "NONE=1,2"]):
            document = self.bench(profile, "--warm", "1", "--cold", "0", "--timeout", "2s", *words, status=1, env={"DISPLAY": display.name})
            self.assertEqual({r["summary"] for r in document["results"]} , {None})


    def waiting(self, display, condition, timeout="60s", status=0):
        """A benchmark of one start that waits for a window, on an application that is there and has none."""
        profile = self.app("echo here; exec sleep 100")
        out = self.tmp / f"waiting-{len(list(self.tmp.glob('waiting-*')))}"
        argv = [lib.shared_copy()[0], "bench", profile, "--warm", "1", "--cold", "0", "--warmup", "0", "--ready", condition, "--timeout", timeout, "--out-dir", out]
        process = subprocess.Popen(argv, env=self.environment(DISPLAY=display.name), cwd=self.tmp, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        log = out / "runs/001/run.log"
        wait_for(lambda: log.exists() and b"here" in log.read_bytes(), "the application's start")

        def run():
            self.assertEqual(process.wait(120), status, process.stdout.read())
            return json.loads((out / "bench.json").read_text())["results"][0]["runs"][0]
        return run

    def another_one_s_frame(self, display):
        """As window managers nest them; the class comes a while after the window."""
        run = self.waiting(display, "window:inner")
        frame = display.create()
        wrapper = display.create(frame)
        client = display.create(wrapper)
        for window in (client, wrapper, frame):
            display.show(window)
        display.set_class(display.create(frame), "Other")
        began = time.monotonic()
        time.sleep(0.3)
        display.set_class(client, "Inner")
        display.sync()
        self.assertGreater(run()["phases"]["ready"], 0.25, began)

    def test_a_server_that_goes(self):
        display = Display()
        run = self.waiting(display, "window", timeout="10m", status=1)
        display.close()
        self.assertEqual(run()["error"], "the X server has gone")

    def test_a_server_that_goes_before_the_last_start(self):
        """What was measured is shown, and the rest has a reason."""
        display = Display()
        out = self.tmp / "bench"
        process = subprocess.Popen([lib.shared_copy()[0], "bench", self.app("echo here; exec sleep 100"), "--warm", "3", "--cold", "0", "--warmup", "0", "--ready", "window",
                                    "--out-dir", out], env=self.environment(DISPLAY=display.name), cwd=self.tmp, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        log = out / "runs/001/run.log"
        wait_for(lambda: log.exists() and b"here" in log.read_bytes(), "the application's start")
        display.close()
        shown, said = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("warm: 0 of 1 start got ready\n", shown)
        self.assertRegex(" ".join(shown.split()), "stopped: after 1 of 3 measured starts: .*X server")
        self.assertIn("benchmark: ", said)
        self.assertIn("error: ", said)
        document = self.check_document(json.loads((out / "bench.json").read_text()), "bench")
        self.assertIsNotNone(document["ended"])
        self.assertIsNone(document["signal"])


class Muvm(MuvmCase):
    def test_a_start_that_ends_at_once(self):
        """Faster than it is looked at; no phase is less than nothing."""
        ran = self.orch("bench", self.app("exit 0"), "--launcher", "muvm", "--warm", "4", "--cold", "0", "--out-dir", self.home / "b", "--format", "json", status=0,
                        home=self.home, prefix=self.prefix, env=self.muvm_env())
        for run in self.check_document(ran.json, "bench")["results"][0]["runs"]:
            self.assertGreaterEqual(min(run["phases"].values()), 0)

    def test_muvm_s_own_lines_are_not_the_application_s(self):
        profile = self.app("echo ready; exec sleep 100")
        for text, status in (("naming scheme", 1), ("ready", 0)):
            ran = self.orch("bench", profile, "--launcher", "muvm", "--warm", "1", "--cold", "0", "--warmup", "0", "--ready", f"log:{text}", "--timeout", "5s", "--out-dir",
                            self.home / text.split()[0], "--format", "json", status=status, home=self.home, prefix=self.prefix, env=self.muvm_env(MUVM_DOUBLE_TRICK="noise"))
            run = ran.json["results"][0]["runs"][0]
            self.assertIn(b"naming scheme", (self.home / text.split()[0] / "runs/001/run.log").read_bytes())
            self.assertGreater(run["phases"]["boot"], 0)

    def test_nor_where_they_are_read_after_the_application_began(self):
        held = self.home / "held"
        muvm = self.home / "late-reader"  # stops this program until the application has begun
        muvm.write_text(f'#!/bin/sh\ncase " $* " in *" -- "*)\n  (n=0; until [ -e {held} ] || [ $n = 600 ]; do sleep 0.05; n=$((n + 1)); done; sleep 0.1; kill -s CONT $PPID) &\n'
                        f'  kill -s STOP $PPID\nesac\nexec {self.bin}/muvm "$@"\n')
        muvm.chmod(0o755)
        ran = self.orch("bench", self.app(f"touch {held}; exec sleep 100"), "--launcher", "muvm", "--warm", "1", "--cold", "0", "--warmup", "0", "--ready",
                        "log:naming scheme", "--timeout", "3s", "--out-dir", self.home / "late", "--format", "json", status=1, home=self.home, prefix=self.prefix,
                        env=self.muvm_env(MUVM_DOUBLE_TRICK="noise", APPIMAGE_ORCH_MUVM=str(muvm)))
        self.assertIn(b"naming scheme", (self.home / "late/runs/001/run.log").read_bytes())
        self.assertIn("not ready within 3.0 s", ran.json["results"][0]["runs"][0]["error"])

    def test_a_vm_that_runs_already_is_no_start_of_one(self):
        held = self.home / "held"
        profile = self.app(f"[ -e {held} ] || {{ touch {held}; exec sleep 100; }}; echo ready")
        terminal = self.muvm_terminal(profile)
        wait_for(held.exists, "the other run")
        ran = self.orch("bench", profile, "--launcher", "muvm", "--warm", "1", "--cold", "0", status=1, home=self.home, prefix=self.prefix, env=self.muvm_env())
        self.assertIn("it joined a virtual machine that was running", " ".join(ran.stdout.split()))
        terminal.type(b"\x03")
        terminal.wait()

    def test_modes(self):
        profile = self.app("echo ready; exec sleep 100")
        ran = self.orch("bench", profile, "--launcher", "muvm", "--ab", "drm,venus", "--warm", "2", "--cold", "1", "--ready", "log:ready", "--out-dir", self.home / "b",
                        "--format", "json", status=0, home=self.home, prefix=self.prefix, env=self.muvm_env())
        document = self.check_document(ran.json, "bench")
        self.assertEqual([(r["variant"], r["start"], r["success_rate"]) for r in document["results"]],
                         [("drm", "warm", 1), ("drm", "cold", 1), ("venus", "warm", 1), ("venus", "cold", 1)])
        modes = [json.loads((self.home / "b" / run["directory"] / "run.report.json").read_text())["argv"] for run in document["results"][2]["runs"]]
        self.assertTrue(all("--gpu-mode=venus" in argv for argv in modes), modes)
        for result in document["results"]:
            for run in result["runs"]:
                self.assertIsNotNone(run["phases"]["boot"])


if __name__ == "__main__":
    unittest.main()
