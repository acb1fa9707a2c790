#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Wraps the segments of a 64-bit image in the ELF32 container that Multiboot 1 loaders read.

Virtual addresses become physical ones: GRUB looks for the entry point among the former, iPXE and
QEMU take it for one of the latter. No sections, no symbols.
"""
import struct
import sys

EHDR64, PHDR64 = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
EHDR32, PHDR32 = struct.Struct("<16sHHIIIIIHHHHHH"), struct.Struct("<IIIIIIII")
PT_LOAD, EM_386, PAGE = 1, 3, 4096


def convert(data):
    head = EHDR64.unpack_from(data)
    entry, phoff, phnum = head[4], head[5], head[10]
    loads = [p for p in (PHDR64.unpack_from(data, phoff + i * PHDR64.size) for i in range(phnum))
             if p[0] == PT_LOAD and p[6] > 0]
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    out = bytearray(EHDR32.pack(ident, 2, EM_386, 1, entry, EHDR32.size, 0, 0, EHDR32.size,
                                PHDR32.size, len(loads), 0, 0, 0))
    # Multiboot 1 wants its header in the first 8 KiB of the file: the image begins at 4 KiB.
    offset = PAGE
    body = bytearray()
    for _, flags, off, _, paddr, filesz, memsz, _ in loads:
        body += bytes(-len(body) % PAGE)
        out += PHDR32.pack(PT_LOAD, offset + len(body), paddr, paddr, filesz, memsz, flags, PAGE)
        body += data[off : off + filesz]
    return out + bytes(offset - len(out)) + body


with open(sys.argv[1], "rb") as f:
    image = convert(f.read())
with open(sys.argv[2], "wb") as f:
    f.write(image)
