#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Turns a file into C: NAME[] with its bytes and NAME_len."""
import pathlib
import sys

path, name = sys.argv[1:]
data = pathlib.Path(path).read_bytes()
print("#include <tern/types.h>")
print(f"extern const u8 {name}[];\nextern const u32 {name}_len;")
print(f"const u8 {name}[] = {{")
for at in range(0, len(data), 16):
    print("\t" + " ".join(f"0x{b:02x}," for b in data[at:at + 16]))
print(f"}};\nconst u32 {name}_len = sizeof({name});")
