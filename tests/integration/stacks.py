"""Stacks of images in tests: building a profile's layers, and running programs in what the kernel shows of them.

Knows nothing of the sources: artifacts are found by the build document, documents beside them by the stamp.
"""

import json
import os
from pathlib import Path

from tests.integration import lib

# $1: an empty folder; $2: how many images follow; then the images, bottom first; then the command, run by chroot.
MOUNT = r"""
set -e
at=$1 count=$2; shift 2
mount -t tmpfs tmpfs "$at"
lower=
while [ "$count" -gt 0 ]; do
  mkdir "$at/$count"
  if [ -d "$1" ]; then mount --bind "$1" "$at/$count"; else mount -t erofs -o ro,loop "$1" "$at/$count"; fi
  lower=$at/$count${lower:+:$lower}
  count=$((count - 1)); shift
done
mkdir "$at/root" "$at/empty"
mount -t overlay overlay -o "ro,lowerdir=$lower:$at/empty" "$at/root"
for name in tmp proc dev; do
  if [ ! -d "$at/root/$name" ] || [ -L "$at/root/$name" ]; then continue; fi
  case $name in
    tmp) mount -t tmpfs tmpfs "$at/root/tmp" ;;
    proc) mount -t proc proc "$at/root/proc" ;;
    dev) mount --rbind /dev "$at/root/dev" ;;
  esac
done
exec chroot "$at/root" "$@"
"""


def run_in_stack(folder, images, argv, *, env=None):
    """Runs argv by chroot in the overlay of images and folders, bottom first; those of zero bytes are left out."""
    at = Path(folder) / "stack"
    at.mkdir(exist_ok=True)
    images = [i for i in images if os.path.isdir(i) or os.path.getsize(i)]
    return lib.run_command(["unshare", "-m", "--propagation", "private", "sh", "-c", MOUNT, "stack", at, str(len(images)), *images,
                            *argv], env=env or {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/tmp"})


class StackTestCase(lib.TestCase):
    """Profiles that are built, without an application."""

    def build_layers(self, profile, text):
        """Writes and builds a profile; {rule: {"image": path, DOCUMENT: value, …}}, of several steps the last."""
        path = self.write(profile, text)
        self.orch("lock", path) if "packages" in text else None
        out = {}
        for step in self.orch_json("build", path)["steps"]:
            out[step["rule"]] = {"image": Path(step["artifact"]), "result": step["result"], **self.documents(step)}
        return out

    def documents(self, step, home=None):
        """{output: document} of a step of a build, whose cache is in `home`; each is held against its schema."""
        store = Path(step["artifact"]).parents[4]
        stamp = next(Path(home or self.tmp).glob(f"cache/appimage-orch/build/*/stamps/{step['id']}"))
        out = {}
        for output in json.loads(stamp.read_text())["outputs"]:
            if output["kind"] == "document":
                place = store / "cas/document" / output["digest"][:2] / output["digest"]
                data = next(p for p in place.iterdir() if p.name != "manifest.json")
                document = json.loads(data.read_text())
                if isinstance(document, dict) and "schema" in document:
                    self.check_document(document)
                out[output["name"]] = document
        return out
