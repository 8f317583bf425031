#!/usr/bin/env python3
"""Holds the C++ sources to .clang-format, as clang-format 14 reads it; other versions format differently."""

import shutil
import subprocess
import sys

from common import SKIPPED, SOURCE, main, tracked

TOOL = shutil.which("clang-format-14")


def check(root):
    style = (SOURCE / ".clang-format").as_posix()
    names = tracked(root, ".cpp", ".hpp")
    done = subprocess.run([TOOL, f"--style=file:{style}", "--dry-run", "--Werror", *names], capture_output=True, text=True,
                          check=False)
    places = sorted({line.split(": error:")[0].replace(f"{root}/", "") for line in done.stderr.splitlines()
                     if ": error:" in line})
    if done.returncode != 0:
        return places + ["mend it with: clang-format-14 -i " + " ".join(sorted({p.split(":")[0] for p in places}))]
    return []


if __name__ == "__main__":
    if not TOOL:
        print("clang-format-14 is not installed")
        sys.exit(SKIPPED)
    sys.exit(main(check, {"a badly formatted file": {"src/a.cpp": "int  main( ){return 0 ;}\n"}}))
