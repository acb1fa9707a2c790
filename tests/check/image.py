# SPDX-License-Identifier: MIT
"""Sizes in an ELF file, for the budget check and the bench."""
import struct


def load_bytes(path):
    """Sum of p_memsz over the PT_LOAD segments of an ELF32 or ELF64 file."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:4] != b"\x7fELF" or data[5] != 1:
        raise ValueError(f"{path}: not a little-endian ELF file")
    if data[4] == 2:
        phoff, = struct.unpack_from("<Q", data, 0x20)
        size, count = struct.unpack_from("<HH", data, 0x36)
        memsz_at, fmt = 0x28, "<Q"
    else:
        phoff, = struct.unpack_from("<I", data, 0x1C)
        size, count = struct.unpack_from("<HH", data, 0x2A)
        memsz_at, fmt = 0x14, "<I"
    segments = [phoff + i * size for i in range(count)]
    return sum(struct.unpack_from(fmt, data, s + memsz_at)[0] for s in segments
               if struct.unpack_from("<I", data, s)[0] == 1)
