"""A probe by libguestfs's Python module: the image, the paths. Prints how many of them are files, in all file systems together."""
import sys

import guestfs

image, *paths = sys.argv[1:]
guest = guestfs.GuestFS(python_return_dict=True)
guest.add_drive_opts(image, readonly=1, format="raw")
guest.launch()
hits = 0
for file_system in guest.list_filesystems():
    guest.mount_ro(file_system, "/")
    hits += sum(guest.is_file(path) for path in paths)
    guest.umount("/")
print(hits)
sys.exit(hits == 0)
