"""Runs a command whose standard output is a pipe that does not block and is full, and hands on what it wrote."""

import fcntl
import os
import subprocess
import sys
import time

reader, writer = os.pipe()
fcntl.fcntl(writer, fcntl.F_SETFL, fcntl.fcntl(writer, fcntl.F_GETFL) | os.O_NONBLOCK)
filled = 0
try:
    while True:
        filled += os.write(writer, b"." * 4096)
except BlockingIOError:
    pass
child = subprocess.Popen(sys.argv[1:], stdout=writer)
os.close(writer)
# Long enough for the answer to meet the full pipe.
time.sleep(1)
got = b""
while chunk := os.read(reader, 65536):
    got += chunk
sys.stdout.buffer.write(got[filled:])
sys.exit(child.wait())
