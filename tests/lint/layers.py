#!/usr/bin/env python3
"""Holds every #include below src/, and every Meson dependency list, to the tables of docs/ARCHITECTURE.md."""

import re
import sys

from common import main, tracked

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
ROW = re.compile(r"^\|\s*(\d)\s*\|\s*`(\w+)`\s*\|[^|]*\|([^|]*)\|\s*$", re.M)
OWNER_ROW = re.compile(r"^\|((?:\s*`[^`]+`,?)+)\s*\|([a-z, ]+)\|\s*$", re.M)


def folder_table(text):
    """{folder: set of folders that it may include}, itself among them."""
    rows = [(int(rank), folder, cell.strip()) for rank, folder, cell in ROW.findall(text)]
    table = {}
    for _, folder, cell in rows:
        if cell == "all":
            allowed = {f for _, f, _ in rows}
        elif found := re.fullmatch(r"ranks 0-(\d)", cell):
            allowed = {f for r, f, _ in rows if r <= int(found[1])}
        else:
            allowed = set(filter(None, re.split(r",\s*", cell)))
        table[folder] = allowed | {folder}
    return table


def owner_table(text):
    """[(header or folder of headers, set of folders that may include it)]"""
    rows = [r for r in OWNER_ROW.findall(text) if re.search(r"`[^`]*(/|\.h)`", r[0])]
    return [(header, set(re.split(r",\s*", owners.strip()))) for headers, owners in rows
            for header in re.findall(r"`([^`]+)`", headers) if not header.startswith(("rules", "tests"))]


def check_include(place, quote, name, folder, table, owners):
    if quote == '"':
        target = name.split("/")[0]
        if "/" not in name:
            return f"{place}: include \"{name}\" from src, as \"{folder}/{name}\""
        if target not in table[folder]:
            return f"{place}: src/{folder} may not include \"{name}\"; it may include {', '.join(sorted(table[folder]))}"
        if folder == "action" and target == "action" and not name.endswith(("context.hpp", "registry.hpp", "_parts.hpp")):
            return None if place.split(":")[0].rsplit("/", 1)[-1].split(".")[0] == name[7:-4] else (
                f"{place}: an action knows no other action")
        return None
    for header, allowed in owners:
        if (name.startswith(header) if header.endswith("/") else name == header) and folder not in allowed:
            return f"{place}: only {', '.join(sorted(allowed))} may include <{name}>"
    return None


def check_meson(place, text, folder, table):
    found = re.search(rf"^{folder}_deps = \[(.*?)\]", text, re.M | re.S)
    if not found:
        return [f"{place}: no list '{folder}_deps'"]
    named = {n for n in re.findall(r"(\w+)_dep\b", found[1]) if n in table}
    return [f"{place}: src/{folder} may not depend on {n}_dep" for n in sorted(named - table[folder])]


def check(root):
    text = (root / "docs/ARCHITECTURE.md").read_text()
    table, owners = folder_table(text), owner_table(text)
    complaints = []
    if len(table) < 2 or not owners:
        return ["docs/ARCHITECTURE.md: no table of folders, or none of third-party headers"]
    for path in tracked(root / "src", ".cpp", ".hpp"):
        relative = path.relative_to(root)
        folder = relative.parts[1]
        if folder not in table:
            complaints.append(f"{relative}: src/{folder} is not in the table of docs/ARCHITECTURE.md")
            continue
        source = path.read_text()
        for found in INCLUDE.finditer(source):
            line = source.count("\n", 0, found.start(2)) + 1
            complaint = check_include(f"{relative}:{line}", found[1], found[2], folder, table, owners)
            if complaint:
                complaints.append(complaint)
    for folder in table:
        path = root / "src" / folder / "meson.build"
        if path.exists():
            complaints += check_meson(path.relative_to(root), path.read_text(), folder, table)
    return complaints


TABLE = """| rank | folder | what | may include |
|---|---|---|---|
| 0 | `base` | x | |
| 1 | `sys` | x | base |
| 4 | `action` | x | ranks 0-3 |

| headers | only in |
|---|---|
| `toml++/` | sys |
"""
BAD = {
    "a lower folder includes a higher one": {"src/base/a.hpp": '#include "sys/file.hpp"\n'},
    "an include without its folder": {"src/sys/a.cpp": '#include "file.hpp"\n'},
    "a third-party header outside its folder": {"src/base/a.cpp": "#include <toml++/toml.h>\n"},
    "a folder that the table lacks": {"src/other/a.cpp": "\n"},
    "a dependency that the table lacks": {"src/base/meson.build": "base_deps = [sys_dep]\n"},
    "no dependency list": {"src/base/meson.build": "x = 1\n"},
    "an action includes another": {"src/action/a.cpp": '#include "action/b.hpp"\n'},
    "an include with odd spaces": {"src/base/a.cpp": '  #  include "sys/x.hpp"\n'},
}

if __name__ == "__main__":
    sys.exit(main(check, {name: {"docs/ARCHITECTURE.md": TABLE, "src/sys/ok.cpp": "#include <toml++/toml.h>\n", **files}
                          for name, files in BAD.items()} | {"no tables": {"docs/ARCHITECTURE.md": "x"}}))
