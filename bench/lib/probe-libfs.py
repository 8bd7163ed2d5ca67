"""A probe by the Python modules of libfsext and libfsxfs, which have no btrfs beside them: the image, whose table is an MBR, the paths."""
import struct
import sys

import pyfsext
import pyfsxfs


class Partition:
    """What the libraries need of a file."""

    def __init__(self, disk, start, size):
        self.disk, self.start, self.size, self.at = disk, start, size, 0

    def read(self, size):
        self.disk.seek(self.start + self.at)
        data = self.disk.read(min(size, self.size - self.at))
        self.at += len(data)
        return data

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.size)[whence]

    def tell(self):
        return self.at

    def get_size(self):
        return self.size


def is_there(volume, path):
    try:
        return volume.get_file_entry_by_path(path) is not None
    except IOError:
        return False


image, *paths = sys.argv[1:]
hits = 0
with open(image, "rb") as disk:
    table = disk.read(512)
    for place in range(446, 510, 16):
        start, sectors = struct.unpack("<II", table[place + 8 : place + 16])
        for module in (pyfsext, pyfsxfs):
            volume = module.volume()
            try:
                volume.open_file_object(Partition(disk, start * 512, sectors * 512))
            except IOError:
                continue
            hits += sum(is_there(volume, path) for path in paths)
            break
print(hits)
sys.exit(hits == 0)
