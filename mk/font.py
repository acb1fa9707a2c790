#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Turns a PSF console font (8x16) into a C array of the printable ASCII glyphs."""
import gzip
import struct
import sys

FIRST, LAST = 0x20, 0x7E


def glyphs(path):
    data = gzip.open(path).read()
    if data[:2] == b"\x36\x04":  # PSF 1
        size, header = data[3], 4
    elif data[:4] == b"\x72\xb5\x4a\x86":  # PSF 2
        header, _, _, size = struct.unpack_from("<4I", data, 8)
    else:
        sys.exit(f"{path}: not a PSF font")
    if size != 16:
        sys.exit(f"{path}: glyphs of {size} bytes, expected 16")
    for c in range(FIRST, LAST + 1):
        yield c, data[header + c * size : header + (c + 1) * size]


print("#include <tern/types.h>")
print("/* 8x16 glyphs of 0x20-0x7e, one byte a line, bit 7 is the left pixel. */")
print("extern const u8 font_glyphs[95][16];")
print("const u8 font_glyphs[95][16] = {")
for c, bits in glyphs(sys.argv[1]):
    print("\t{" + ", ".join(f"0x{b:02x}" for b in bits) + f"}}, /* 0x{c:02x} */")
print("};")
