"""Decodes blocks with the native libraries, for comparison.

Standard input: the codec's name on a line, then records of u32 size allowed, u32 length, that many bytes (little-endian).
Standard output, for each record: i32 length of the output, or -1 where the library refused; then its SHA-256.
A block is accepted only if it decodes to exactly the size allowed and uses up its input.
"""
import bz2
import ctypes
import hashlib
import lzma
import struct
import subprocess
import sys
import zlib

VOID = ctypes.c_void_p
SIZE = ctypes.c_size_t


def members(new, data, size):
    """Concatenated members, each by a fresh decompressor; None when damaged, short, or followed by something else."""
    out = b""
    while True:
        decoder = new()
        out += decoder.decompress(data, size + 1 - len(out))
        if not decoder.eof or len(out) > size:
            return None
        data = decoder.unused_data
        if not data:
            return out


def native_zlib(data, size):
    decoder = zlib.decompressobj()
    out = decoder.decompress(data, size + 1)
    return out if decoder.eof and not decoder.unused_data else None


def native_gzip(data, size):
    return members(lambda: zlib.decompressobj(31), data, size)


def native_bzip2(data, size):
    return members(bz2.BZ2Decompressor, data, size)


def native_lzma(data, size):
    decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE)
    out = decoder.decompress(data, size + 1)
    if not decoder.eof and decoder.needs_input is False:
        out += decoder.decompress(b"", 1)
    return out if decoder.eof and not decoder.unused_data else None


def native_xz(data, size):
    library = ctypes.CDLL("liblzma.so.5")
    limit = ctypes.c_uint64(1 << 32)
    out = ctypes.create_string_buffer(max(size, 1))
    in_at, out_at = SIZE(0), SIZE(0)
    tell_unsupported_check, concatenated = 0x02, 0x08
    result = library.lzma_stream_buffer_decode(
        ctypes.byref(limit), tell_unsupported_check | concatenated, None,
        data, ctypes.byref(in_at), SIZE(len(data)), out, ctypes.byref(out_at), SIZE(size))
    return out.raw[:out_at.value] if result == 0 and in_at.value == len(data) else None


def native_zstd(data, size):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_decompress.restype = SIZE
    out = ctypes.create_string_buffer(max(size, 1))
    result = library.ZSTD_decompress(out, SIZE(size), data, SIZE(len(data)))
    return None if library.ZSTD_isError(SIZE(result)) else out.raw[:result]


def native_lz4(data, size):
    library = ctypes.CDLL("liblz4.so.1")
    out = ctypes.create_string_buffer(max(size, 1))
    result = library.LZ4_decompress_safe(data, out, len(data), size)
    return None if result < 0 else out.raw[:result]


def native_lzo1x(data, size):
    library = ctypes.CDLL("liblzo2.so.2")
    out = ctypes.create_string_buffer(max(size, 1))
    length = SIZE(size)
    result = library.lzo1x_decompress_safe(data, SIZE(len(data)), out, ctypes.byref(length), None)
    return out.raw[:length.value] if result == 0 else None


def tool(*command):
    def run(data, size):
        done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout if done.returncode == 0 else None
    return run


def compress(name, data):
    """The block that `name` compresses `data` to, where only a library can make one."""
    if name == "lz4":
        library = ctypes.CDLL("liblz4.so.1")
        out = ctypes.create_string_buffer(len(data) + len(data) // 255 + 16)
        length = library.LZ4_compress_default(data, out, len(data), len(out))
        return out.raw[:length]
    if name == "lz4hc":
        library = ctypes.CDLL("liblz4.so.1")
        out = ctypes.create_string_buffer(len(data) + len(data) // 255 + 16)
        length = library.LZ4_compress_HC(data, out, len(data), len(out), 12)
        return out.raw[:length]
    library = ctypes.CDLL("liblzo2.so.2")
    work = ctypes.create_string_buffer(1 << 20)
    out = ctypes.create_string_buffer(len(data) + len(data) // 16 + 67)
    length = SIZE(0)
    function = {"lzo1x": library.lzo1x_1_compress, "lzo1x999": library.lzo1x_999_compress}[name]
    if function(data, SIZE(len(data)), out, ctypes.byref(length), work) != 0:
        sys.exit("lzo1x compression failed")
    return out.raw[:length.value]


CODECS = {
    "zlib": native_zlib, "gzip": native_gzip, "bzip2": native_bzip2, "lzma": native_lzma, "xz": native_xz,
    "zstd": native_zstd, "lz4": native_lz4, "lzo1x": native_lzo1x,
    "lz4-legacy": tool("lz4", "-dc"), "lzop": tool("lzop", "-dc"),
}


def main():
    verb, name = sys.stdin.buffer.readline().decode().split()
    while header := sys.stdin.buffer.read(8):
        size, length = struct.unpack("<II", header)
        data = sys.stdin.buffer.read(length)
        if verb == "compress":
            out = compress(name, data)
            sys.stdout.buffer.write(struct.pack("<i", len(out)) + out)
            continue
        try:
            out = CODECS[name](data, size)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            out = None
        if out is None or len(out) != size:
            sys.stdout.buffer.write(struct.pack("<i", -1) + bytes(32))
        else:
            sys.stdout.buffer.write(struct.pack("<i", len(out)) + hashlib.sha256(out).digest())


main()
