"""The frame of a lint check: `main` runs it on the tree, or with --self-test on a small bad tree that it must refuse."""

import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
SKIPPED = 77


def tracked(root, *suffixes):
    """The files of a tree as sorted Paths: what git knows or would add, or all of them where there is no git."""
    if not root.exists():
        return []
    done = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
                          capture_output=True, check=False)
    if done.returncode == 0:
        names = [root / n for n in done.stdout.decode().split("\0") if n]
    else:
        names = [p for p in root.rglob("*") if not any(x.startswith((".git", "build")) for x in p.relative_to(root).parts)]
    return sorted(p for p in set(names) if p.is_file() and (not suffixes or p.suffix in suffixes))


def main(check, bad):
    """check(root) gives a list of complaints. `bad` maps a name to {path: text}: trees with one mistake each."""
    if sys.argv[1:] == ["--self-test"]:
        good = [name for name, files in bad.items() if not complaints_of(check, files)]
        for name in good:
            print(f"not noticed: {name}")
        return 1 if good or not bad else 0
    complaints = check(SOURCE)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


def complaints_of(check, files):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return check(root)
