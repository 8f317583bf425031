#!/usr/bin/env python3
"""Hygiene of the sources: what a file opens with, header guards, left-overs, line ends, the licence."""

import re
import sys

from common import main, tracked

TEXT = (".cpp", ".hpp", ".py", ".sh", ".md", ".toml", ".build", ".txt")
LEFT_OVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")


def check_source(name, text, has_header):
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if name.endswith(".hpp") and lines.count("#pragma once") != 1:
        yield f"{name}: a header has '#pragma once' once"
    if name.startswith("src/") and not first.startswith("//") and not has_header:
        yield f"{name}:1: a file opens with a line on what it is, or has a header that does"


def check_text(name, text):
    if not text.endswith("\n") and text:
        yield f"{name}: no newline at its end"
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield f"{name}:{number}: white space at the end of the line"
        if LEFT_OVER.search(line):
            yield f"{name}:{number}: work that was left over; do it, or open an issue"


def check(root):
    complaints = []
    for path in tracked(root, *TEXT):
        name = path.relative_to(root).as_posix()
        if name.startswith("tests/golden/"):
            continue
        text = path.read_text()
        complaints += check_text(name, text)
        if path.suffix in (".cpp", ".hpp"):
            complaints += check_source(name, text, path.suffix == ".cpp" and path.with_suffix(".hpp").exists())
    licence = root / "LICENSE"
    if not licence.exists() or "Apache License" not in licence.read_text():
        complaints.append("LICENSE: the text of the Apache License 2.0 is missing")
    if (root / "meson.build").exists() and "license: 'Apache-2.0'" not in (root / "meson.build").read_text():
        complaints.append("meson.build: the licence is not Apache-2.0")
    return complaints


GOOD = {"LICENSE": "Apache License\n"}
BAD = {
    "no guard": {"src/base/a.hpp": "// What it is.\nint x;\n"},
    "no opening line": {"src/base/a.cpp": "int x;\n"},
    "work left over": {"a.py": "# TO" "DO later\n"},
    "white space": {"a.sh": "true \n"},
    "no newline at the end": {"a.md": "text"},
    "another licence": {"meson.build": "license: 'MIT'\n"},
}

if __name__ == "__main__":
    sys.exit(main(check, {name: {**GOOD, **files} for name, files in BAD.items()} | {"no licence": {"a.sh": "true\n"}}))
