"""Trees of files for EROFS images: one with everything that is special, and random ones."""

import os
import random
import stat
from pathlib import Path

from tests.integration.lib import is_root, make_socket

BLOCK = 4096
WORDS = [b"lib", b"share", b"alpha", b"beta", b"0123456789", b"\n", b" the same words ", b"\0" * 40, b"x" * 90]


def text(noise, size):
    """Bytes that compress about as well as programs do."""
    out = bytearray()
    while len(out) < size:
        out += noise.choice(WORDS) if noise.random() < 0.8 else noise.randbytes(noise.randrange(1, 24))
    return bytes(out[:size])


def content(noise, size):
    """Text, noise, zeros, or all of them in turn."""
    kind = noise.randrange(5)
    if kind == 0:
        return noise.randbytes(size)
    if kind == 1:
        return bytes(size)
    if kind == 2:
        return b"".join(noise.choice((noise.randbytes, bytes, lambda n: text(noise, n)))(noise.randrange(1, 30_000))
                        for _ in range(size // 15_000 + 1))[:size]
    return text(noise, size)


def write_holes(path, noise, size):
    with open(path, "wb") as file:
        for _ in range(noise.randrange(4)):
            file.seek(noise.randrange(size))
            file.write(content(noise, noise.randrange(1, 9000)))
        file.truncate(max(size, os.path.getsize(path)))


def set_opaque(path, noise):
    """Marks that overlayfs understands, and some that it does not."""
    if not is_root():
        return
    name, value = noise.choice([("trusted.overlay.opaque", b"y"), ("trusted.overlay.opaque", b"y"),
                                ("trusted.overlay.opaque", b"n"), ("trusted.overlay.origin", b"y"), ("user.overlay.opaque", b"y")])
    try:
        os.setxattr(path, name, value)
    except OSError:
        pass


def set_attributes(path, noise):
    for _ in range(noise.randrange(1, 4)):
        try:
            os.setxattr(path, f"user.name{noise.randrange(6)}", noise.choice([b"", b"common", noise.randbytes(40)]), follow_symlinks=False)
        except OSError:
            pass


def finish(folder, noise, owners):
    """Modes, owners and times of everything, folders last. Who is not root can still read it."""
    paths = [Path(parent, name) for parent, *names in os.walk(folder) for name in sum(names, [])]  # rglob() fails for some links
    for path in sorted(paths, reverse=True):
        link = path.is_symlink()
        if is_root():
            os.chown(path, *noise.choice(owners), follow_symlinks=False)
        if not link:
            mode = noise.choice([0o644, 0o755, 0o600, 0o4755, 0o2711, 0o1777, 0o400])
            os.chmod(path, mode if is_root() else mode | (0o700 if path.is_dir() else 0o400))
        when = noise.randrange(10 ** 17, 2 * 10 ** 18)
        os.utime(path, ns=(when, when), follow_symlinks=False)


def add_specials(folder, noise):
    os.mkfifo(folder / "fifo")
    make_socket(folder)
    if is_root():
        os.mknod(folder / "character", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(folder / "whiteout", stat.S_IFCHR | 0o666, os.makedev(0, 0))
        os.mknod(folder / "block device", stat.S_IFBLK | 0o600, os.makedev(noise.randrange(4096), 70_000))


def special_tree(folder, longest_name):
    """A tree with what the layouts differ in; always the same."""
    noise = random.Random(11)
    folder = Path(folder)
    folder.mkdir()
    sizes = {"empty": 0, "one": 1, "below": BLOCK - 1, "exact": BLOCK, "above": BLOCK + 1, "two": 2 * BLOCK, "tail": 3 * BLOCK + 77}
    for name, size in sizes.items():
        (folder / name).write_bytes(text(noise, size))
    common = text(noise, 200_000)
    (folder / "large text").write_bytes(text(noise, 700_000))
    (folder / "long text").write_bytes(b"".join(b"%d bottles\n" % n for n in range(150_000)))
    (folder / "noise").write_bytes(noise.randbytes(150_000))
    (folder / "zeros").write_bytes(bytes(900_000))
    (folder / "mixed").write_bytes(b"".join(text(noise, 9000) + noise.randbytes(7000) for _ in range(12)))
    for number in range(3):
        (folder / f"nearly the same {number}").write_bytes(common[number * 100:] + text(noise, 300 * number) + common[:5000 * number])
    for name, pieces in {"hole first": [(400_000, b"end")], "hole last": [(0, b"start"), (300_000, None)], "only hole": [(262_144, None)],
                         "holes": [(65_536, b"a" * 5000), (200_000, b"b" * 9000), (300_001, None)]}.items():
        with open(folder / name, "wb") as file:
            for place, data in pieces:
                file.truncate(place)
                file.seek(place)
                file.write(data or b"")
    for number in range(40):
        path = folder / "small" / str(number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content(noise, noise.randrange(2000)))
    (folder / "many").mkdir()
    for number in range(500):
        (folder / f"many/{number}-{'n' * (number % 40)}").write_bytes(b"")
    deep = folder.joinpath(*"abcdefghij")
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(common[:20_000])
    Path(os.fsdecode(os.fsencode(folder) + b"/latin-\xe9")).write_bytes(b"1")
    (folder / ("x" * longest_name)).write_bytes(b"long name")
    (folder / "short link").symlink_to("one")
    (folder / "long link").symlink_to("/".join("component" for _ in range(400))[:4000])
    os.link(folder / "tail", folder / "another name")
    os.link(folder / "tail", folder / "small/third name")
    add_specials(folder, noise)
    for name in ("one", "tail", "many", "small/3"):
        set_attributes(folder / name, noise)
    for number in range(5):
        (folder / f"opaque {number}").mkdir()
        set_opaque(folder / f"opaque {number}", noise)
    finish(folder, noise, [(0, 0), (0, 0), (1000, 100), (100_000, 100_001)])
    return folder


def random_tree(folder, seed, longest_name):
    """A small tree that the seed decides."""
    noise = random.Random(seed)
    folder = Path(folder)
    folder.mkdir()
    folders, files = [folder], []
    for number in range(noise.randrange(1, 45)):
        parent = noise.choice(folders)
        name = noise.choice([f"n{number}", f"n{number}" + "y" * noise.randrange(1, 60), f"n{number} ü", f"{number}".zfill(longest_name)])
        path = parent / name
        kind = noise.random()
        if kind < 0.2 and len(parent.parts) - len(folder.parts) < 12:
            path.mkdir()
            folders.append(path)
            if noise.random() < 0.3:
                set_opaque(path, noise)
        elif kind < 0.27:
            path.symlink_to("t" * noise.choice([1, 7, 200, 2000, 4000]))
        elif kind < 0.34 and files:
            os.link(noise.choice(files), path)
        elif kind < 0.42 and files:  # a duplicate, whole or in part
            data = noise.choice(files).read_bytes()
            path.write_bytes(data[noise.choice([0, 0, 1, 4096]):] + noise.choice([b"", b"end"]))
            files.append(path)
        elif kind < 0.5:
            write_holes(path, noise, noise.randrange(1, 200_000))
            files.append(path)
        else:
            size = noise.choice([0, 1, noise.randrange(100), noise.randrange(5000), 4096 * noise.randrange(1, 6),
                                 4096 * noise.randrange(1, 6) + noise.choice([-1, 1]), noise.randrange(40_000), noise.randrange(250_000)])
            path.write_bytes(content(noise, size))
            files.append(path)
        if noise.random() < 0.15:
            set_attributes(path, noise)
    if noise.random() < 0.3:
        for number in range(noise.randrange(100, 400)):
            (folder / f"many{number}").touch()
    if noise.random() < 0.3:
        add_specials(folder, noise)
    owners = noise.choice([[(0, 0)], [(1000, 1000), (0, 0)], [(0, 0), (70_000, 5)]])
    finish(folder, noise, owners)
    return folder
