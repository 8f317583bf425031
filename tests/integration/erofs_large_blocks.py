"""Writes a plain EROFS image with any block size: mkfs.erofs makes none whose blocks are larger than this machine's pages.

Extended inodes (64 bytes), flat data, no compression, no checksum; root owns everything.
"""

import os
import stat
import struct

TYPES = {stat.S_IFREG: 1, stat.S_IFDIR: 2, stat.S_IFCHR: 3, stat.S_IFIFO: 5, stat.S_IFLNK: 7}


class Writer:
    def __init__(self, bits):
        self.bits, self.size = bits, 1 << bits
        self.inodes, self.data, self.by_file = [], [], {}

    def add(self, path):
        """Numbers a file or tree; returns its index among the inodes."""
        info = os.lstat(path)
        key = (info.st_dev, info.st_ino)
        if key in self.by_file and not stat.S_ISDIR(info.st_mode):
            return self.by_file[key]
        index = self.by_file[key] = len(self.inodes)
        self.inodes.append([info, b""])
        if stat.S_ISDIR(info.st_mode):
            entries = [(os.fsencode(n), self.add(os.path.join(path, n))) for n in os.listdir(path)]
            self.inodes[index][1] = entries
        elif stat.S_ISLNK(info.st_mode):
            self.inodes[index][1] = os.fsencode(os.readlink(path))
        elif stat.S_ISREG(info.st_mode):
            with open(path, "rb") as file:
                self.inodes[index][1] = file.read()
        return index

    def nid(self, index):
        return self.size // 32 + 2 * index  # the first block is the superblock's

    def directory(self, index, parent, entries):
        """The blocks of a directory: in each a table of entries, then their names."""
        names = sorted([(b".", index), (b"..", parent), *entries])
        blocks, at = b"", 0
        while at < len(names):
            take, room = 0, self.size
            while at + take < len(names) and room >= 12 + len(names[at + take][0]):
                room -= 12 + len(names[at + take][0])
                take += 1
            table, text = b"", b""
            for name, child in names[at:at + take]:
                kind = TYPES[stat.S_IFMT(self.inodes[child][0].st_mode)]
                table += struct.pack("<QHBB", self.nid(child), 12 * take + len(text), kind, 0)
                text += name
            block, at = table + text, at + take
            blocks += block if at == len(names) else block.ljust(self.size, b"\0")
        return blocks

    def image(self):
        parents = {child: index for index, (info, content) in enumerate(self.inodes) if stat.S_ISDIR(info.st_mode)
                   for _, child in content}
        table = b"\0" * self.size
        data, first = b"", 1 + -(-len(self.inodes) * 64 // self.size)
        inodes = b""
        for index, (info, content) in enumerate(self.inodes):
            if stat.S_ISDIR(info.st_mode):
                content = self.directory(index, parents.get(index, 0), content)
            block = first + len(data) // self.size
            inodes += struct.pack("<HHHHQIIIIQII16x", 1, 0, info.st_mode & 0xffff, 0, len(content), block, index + 1, 0, 0, 0, 0,
                                  info.st_nlink)
            data += content + b"\0" * (-len(content) % self.size)
        inodes += b"\0" * (-len(inodes) % self.size)
        whole = bytearray(table + inodes + data)
        struct.pack_into("<IIIBBHQQIIII16s16sI", whole, 1024, 0xE0F5E1E2, 0, 0, self.bits, 0, self.nid(0), len(self.inodes), 0, 0,
                         len(whole) // self.size, 0, 0, b"\1" * 16, b"", 0)
        return bytes(whole)


def make(path, tree, bits=14):
    writer = Writer(bits)
    writer.add(tree)
    path.write_bytes(writer.image())
    return path
