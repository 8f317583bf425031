#!/usr/bin/env python3
"""Finds what belongs to one machine: paths of this checkout, and the hosts that its package manager is set up with."""

import re
import sys
from pathlib import Path

from common import SOURCE, main, tracked

# The public archives, which a source file for a distribution may name.
PUBLIC = {"archive.ubuntu.com", "security.ubuntu.com", "ports.ubuntu.com"}
# Folders of every machine: a checkout right below one gives no path away.
COMMON = ("/", "/tmp", "/home", "/root", "/srv", "/opt", "/mnt", "/var/tmp", "/usr/src", "/usr/local/src")


def hosts():
    files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.list"),
             *Path("/etc/apt/sources.list.d").glob("*.sources")]
    text = "\n".join(p.read_text(errors="replace") for p in files if p.is_file())
    return set(re.findall(r"https?://(?:[^/@\s]*@)?([^/\s:]+)", text)) - PUBLIC


def check(root, names=None):
    names = names if names is not None else hosts()
    folder = str(SOURCE.parent)
    words = {name: "a package archive's host" for name in names}
    if folder not in COMMON:
        words[folder + "/"] = "a path of this machine"
    complaints = []
    for path in tracked(root):
        text = path.read_bytes().decode("utf-8", "replace")
        for word in sorted(words):
            if word in text:
                line = text[:text.index(word)].count("\n") + 1
                complaints.append(f"{path.relative_to(root)}:{line}: {words[word]}")
    return complaints


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(main(lambda root: check(root, {"mirror.example"}), {
            "a mirror's host": {"a.toml": 'uri = "http://mirror.example/debian"\n'},
        }))
    sys.exit(main(check, {}))
