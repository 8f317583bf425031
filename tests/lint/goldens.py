#!/usr/bin/env python3
"""Finds goldens that no test reads: the folder's name and the file's own name must both stand in one test."""

import re
import sys

from common import main, tracked


def names(text, part):
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text)


def check(root):
    tests = [p.read_text() for p in tracked(root / "tests", ".py", ".cpp", ".hpp") if "golden" not in p.parts]
    complaints = []
    for path in tracked(root / "tests/golden"):
        relative = path.relative_to(root / "tests/golden")
        whole = any(relative.as_posix() in text for text in tests)
        parts = [*relative.parts[:-1], relative.stem]
        if not whole and not any(all(names(text, part) for part in parts) for text in tests):
            complaints.append(f"tests/golden/{relative}: no test names it")
    return complaints


if __name__ == "__main__":
    sys.exit(main(check, {
        "a golden that no test names": {"tests/golden/case/old.txt": "", "tests/a.py": 'golden("case/new.txt")\n'},
    }))
