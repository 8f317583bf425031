"""What `run` adds to an application: time until it runs, throughput of its output, memory.

Start-up: an AppRun that ends at once, its build fresh, native launcher. The peer is launch-driver: the same launcher on the same
images and AppDir, so the same mounts and the same terminal, without plan, check, verify and evidence. What a person would
type (unshare, mount, chroot) is measured as well, and not judged: it makes less of a view.
Output: the application writes 64 KiB at a time; the peer is `script -q`. Logs are in memory ($ORCH_BENCH_LOGS, /dev/shm), what is shown goes to
/dev/null. Both run `stty -opost` first, so that both carry the same bytes. Wall clock of the whole command.
Memory: the VmHWM of the tool's own process, looked at until it is gone.
"""

import functools
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.integration import lib

ROUNDS = int(os.environ.get("ORCH_BENCH_ROUNDS", "40"))
LOGS = os.environ.get("ORCH_BENCH_LOGS", "/dev/shm")
MIB = 1 << 20
SIZE, OUTPUT, LARGE = 200, 600, 1000  # MiB
ROUNDS_OF_OUTPUT = 15
PROGRAMS = ("/bin/sh", "/bin/dd", "/bin/stty", "/bin/true")
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def made(home, name, script, base):
    """A profile of an application that is this shell script."""
    folder = home / name
    tree = lib.make_tree(folder / "tree", {"AppRun": "#!/bin/sh\n" + script, "x.desktop": "[Desktop Entry]\nName=X\nExec=AppRun\nIcon=x\n"})
    lib.make_appimage(folder / "X.AppImage", tree)
    profile = folder / "x.toml"
    profile.write_text(f'schema = 1\nname = "{name}"\nextends = "native"\n[app]\nappimage = "X.AppImage"\n[stack]\nbase = "{base}"\n')
    return profile


def processor():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds(argv, env, cwd, stdin=b""):
    """Wall clock, and processor time with that of its children."""
    started, before = time.perf_counter(), processor()
    subprocess.run(list(map(str, argv)), env=env, cwd=cwd, check=True, input=stdin, **QUIET)
    return time.perf_counter() - started, processor() - before


def in_turn(rounds, *commands):
    """For each command the pairs of its runs; one after the other, so that the machine's noise meets all."""
    return list(zip(*[[command() for command in commands] for _ in range(rounds)]))


def medians(*columns):
    """Of wall clock, then of processor time."""
    return [[statistics.median(pair[i] for pair in column) for column in columns] for i in (0, 1)]


def start_up(driver, home, env, base):
    profile = made(home, "small", "exit 0\n", base)
    run = [lib.BINARY, "run", profile]
    seconds(run, env, home)
    plan = subprocess.run([*run, "--dry-run"], env=env, cwd=home, check=True, capture_output=True, text=True).stdout
    appdir = os.path.dirname(shlex.split(plan[plan.index("command: "):].splitlines()[0])[-1])
    images = [line.split()[1] for line in plan.splitlines() if line.startswith("image: ")]
    by_hand = ["unshare", "-m", "sh", "-ec", f'mount -o loop,ro {base} /mnt; for i in proc sys dev tmp; do mount --rbind /$i /mnt/$i; done; '
               f'exec chroot /mnt {appdir}/AppRun']
    peer = [driver, "native", ":".join(images), appdir, home]
    columns = in_turn(ROUNDS, lambda: seconds(run, env, home), lambda: seconds(peer, env, home, b"0\n"), lambda: seconds(by_hand, env, home))
    for kind, wanted, (ours, bare, hand) in zip(("wall clock", "processor"), (" (at most +25)", ""), medians(*columns)):
        print(f"start of an application, {kind}: {ours * 1000:.1f} ms; launcher alone {bare * 1000:.1f} ms; difference "
              f"{(ours - bare) * 1000:+.1f} ms{wanted}; unshare, mount and chroot in a shell {hand * 1000:.1f} ms; medians of {ROUNDS}",
              flush=True)


def write_data(home, *_):
    line = b"".join(b"%07d the quick brown fox jumps over the lazy dog, and then once more\n" % i for i in range(15000))
    with open(home / "data", "wb") as data:
        for _ in range(SIZE):
            data.write((line + line)[:MIB])


def writer(home, size):
    """A shell script that writes so many MiB."""
    return f"stty -opost <&1; for i in {' '.join(map(str, range(size // SIZE)))}; do dd if={home}/data bs=64k status=none; done\n"


def output(home, env, base):
    script = writer(home, OUTPUT)
    profile = made(home, "loud", script, base)
    (home / "writer.sh").write_text(script)
    run = [lib.BINARY, "run", profile, "--force", "--out-dir", home / "run"]
    peer = ["script", "-q", "-e", "-c", f"sh {home}/writer.sh", home / "typescript"]
    seconds(run, env, home)
    columns = in_turn(ROUNDS_OF_OUTPUT, lambda: seconds(run, env, home), lambda: seconds(peer, env, home))
    captured = [(home / name).stat().st_size for name in ("run/run.log", "typescript")]
    if captured[0] != OUTPUT * MIB or not 0 <= captured[1] - captured[0] < 1000:  # script adds a line at both ends
        sys.exit(f"not everything was captured: {captured}")
    for i, kind, wanted in ((0, "wall clock", " (at least 1.0)"), (1, "processor", "")):
        ours, theirs = medians(*columns)[i]
        ratio = statistics.median(b[i] / a[i] for a, b in zip(*columns))
        print(f"output of {OUTPUT} MiB, {kind}: {OUTPUT / ours:.0f} MiB/s; script {OUTPUT / theirs:.0f} MiB/s; ratio {ratio:.2f}{wanted}; "
              f"medians of {ROUNDS_OF_OUTPUT}", flush=True)


def memory(home, env, base):
    run = [lib.BINARY, "run", made(home, "large", writer(home, LARGE), base), "--force", "--out-dir", home / "run"]
    seconds(run, env, home)
    peak = 0
    with subprocess.Popen(list(map(str, run)), env=env, cwd=home, stdin=subprocess.DEVNULL, **QUIET) as tool:
        status = Path(f"/proc/{tool.pid}/status")
        while tool.poll() is None:
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):  # absent from what has ended and is not waited for yet
                    peak = max(peak, int(line.split()[1]))
            time.sleep(0.002)
    size = (home / "run/run.log").stat().st_size
    if tool.returncode != 0 or size != LARGE * MIB:
        sys.exit(f"not everything was captured: {size}, status {tool.returncode}")
    print(f"memory while {size // MIB} MiB are captured: {peak / 1024:.1f} MiB at most (at most 32)")


def in_folder(place, *parts):
    with tempfile.TemporaryDirectory(prefix="orch-bench-", dir=place) as folder:
        home = Path(folder)
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": folder, "APPIMAGE_ORCH_DATA_DIR": str(lib.SOURCE),
               "XDG_CACHE_HOME": f"{home}/cache", "XDG_STATE_HOME": f"{home}/state", "XDG_CONFIG_HOME": f"{home}/config"}
        base = lib.make_base_image(home / "base.erofs", PROGRAMS)
        for part in parts:
            part(home, env, base)


def main():
    build = lib.BINARY.parents[2]
    subprocess.run(["ninja", "-C", build, "--quiet", "tests/support/launch-driver"], check=True)
    in_folder(None, functools.partial(start_up, build / "tests/support/launch-driver"))
    in_folder(LOGS, write_data, output, memory)


if __name__ == "__main__":
    main()
