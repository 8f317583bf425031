"""The parts of tests/support/muvm_double, which says what it is; which release it imitates, and how muvm fails."""

import os

RELEASES = ("0.3.0", "0.4.0", "0.5.0", "0.6.0", "HEAD")
RELEASE = os.environ.get("MUVM_DOUBLE_RELEASE", "0.6.0")
TRICK = os.environ.get("MUVM_DOUBLE_TRICK", "")


def since(release):
    return RELEASES.index(RELEASE) >= RELEASES.index(release)


class Failure(Exception):
    """What muvm, or its guest, prints behind "Error: " before it ends with status 1."""


def fail(*causes):
    first, *rest = causes
    listed = [f"    {cause}" if len(rest) == 1 else f"    {i}: {cause}" for i, cause in enumerate(rest)]
    raise Failure(first + ("\n\nCaused by:\n" + "\n".join(listed) if rest else ""))


def os_error(error):
    """An OSError as Rust words it."""
    return f"{os.strerror(error.errno)} (os error {error.errno})"


def quoted(word):
    """Rust's debug form of a string (bytes)."""
    text = word.decode("utf-8", "replace").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'
