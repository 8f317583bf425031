"""What an EROFS image holds, said by others: the kernel's mount of it, or fsck.erofs.

Run as a program (in a mount namespace of its own, as root) it mounts images one after the other and prints a JSON line for each entry.
"""

import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile

TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFCHR: "character device",
         stat.S_IFBLK: "block device", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}


def describe(path, name, digests):
    """As erofs-driver describes an entry; `digests` remembers files with several names."""
    info = os.lstat(path)
    kind = TYPES[stat.S_IFMT(info.st_mode)]
    device = info.st_rdev if kind.endswith("device") else 0
    out = {"path": os.fsdecode(name), "type": kind, "mode": stat.S_IMODE(info.st_mode), "uid": info.st_uid, "gid": info.st_gid,
           "links": info.st_nlink, "size": info.st_size if kind in ("file", "symlink") else 0,
           "mtime": info.st_mtime_ns // 10 ** 9, "nsec": info.st_mtime_ns % 10 ** 9,
           "rdev": f"{os.major(device)}:{os.minor(device)}", "opaque": False}
    if kind == "directory":
        try:
            out["opaque"] = os.getxattr(path, "trusted.overlay.opaque") == b"y"
        except OSError:
            pass
    if kind == "symlink":
        out["target"] = os.fsdecode(os.readlink(path))
    if kind == "file":
        if info.st_ino not in digests:
            with open(path, "rb") as file:
                digests[info.st_ino] = hashlib.file_digest(file, "sha256").hexdigest()
        out["sha256"] = digests[info.st_ino]
    return out


def describe_tree(folder):
    folder, digests = os.fsencode(folder), {}
    yield describe(folder, b"", digests)
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(parent, name)
            yield describe(path, os.path.relpath(path, folder), digests)


def main(images):
    with tempfile.TemporaryDirectory(prefix="orch-erofs-mount-") as place:
        for image in images:
            print(json.dumps({"image": image}))
            done = subprocess.run(["mount", "-t", "erofs", "-o", "ro,loop", image, place], capture_output=True, text=True)
            if done.returncode != 0:
                print(json.dumps({"failed": image, "error": done.stderr.strip()}))
                continue
            try:
                for entry in describe_tree(place):
                    print(json.dumps(entry))
            finally:
                subprocess.run(["umount", place], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
