#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-budget: size limits of files, functions, headers and of the image.

A function is what stands between a line "{" and the next line "}", both in column 0, which is how
.clang-format lays them out; a table opens with "= {" and is exempt.
"""
import argparse
import pathlib
import tempfile

import checklib
import image

C_LINES = 800
HEADER_LINES = 250
FUNCTION_LINES = 100
IMAGE_BYTES = 1 << 20


def functions(lines):
    """(line number of the opening brace, lines from brace to brace) of each function."""
    start = None
    for n, line in enumerate(lines, 1):
        if line == "{":
            start = n
        elif line.startswith("}") and start is not None:
            yield start, n - start + 1
            start = None


def check(root):
    result = {}
    for path in checklib.sources(root, ".c", ".h"):
        lines = (root / path).read_text(errors="replace").splitlines()
        limit = C_LINES if path.suffix == ".c" else HEADER_LINES
        bad = []
        if len(lines) > limit:
            bad.append(f"{path}: {len(lines)} lines, the limit is {limit}")
        for n, length in functions(lines):
            if length > FUNCTION_LINES:
                bad.append(f"{path}:{n}: a function of {length} lines, "
                           f"the limit is {FUNCTION_LINES}")
        result[str(path)] = "\n".join(bad) if bad else None
    return result


def check_image(path):
    if not path.is_file():
        return f"{path} does not exist"
    size = image.load_bytes(path)
    return f"{path}: {size} bytes in memory, the limit is {IMAGE_BYTES}" \
        if size > IMAGE_BYTES else None


def plant_image(part):
    """An ELF32 file with one segment one byte past the limit."""
    with tempfile.TemporaryDirectory(prefix="tern-plant-") as tmp:
        for size, over in ((IMAGE_BYTES, False), (IMAGE_BYTES + 1, True)):
            elf = bytearray(0x54)
            elf[:6] = b"\x7fELF\x01\x01"
            elf[0x1C:0x20] = (0x34).to_bytes(4, "little")
            elf[0x2A:0x2E] = b"\x20\x00\x01\x00"
            elf[0x34:0x38] = (1).to_bytes(4, "little")
            elf[0x48:0x4C] = size.to_bytes(4, "little")
            path = pathlib.Path(tmp, "tern.elf")
            path.write_bytes(elf)
            found = check_image(path)
            part.add(f"planted: an image of {size} bytes",
                     None if bool(found) == over else f"said: {found}")


FUNCTION = "int f(void)\n{\n%s}\n"
PLANTS = [
    ("limits just met", {"hv/a.c": "\n" * C_LINES, "hv/a.h": "\n" * HEADER_LINES,
                         "hv/b.c": FUNCTION % ("\tx();\n" * (FUNCTION_LINES - 2))}, None),
    ("a long table", {"hv/a.c": "int t[] = {\n" + "\t1,\n" * 300 + "};\n"}, None),
    ("a long file", {"hv/a.c": "\n" * (C_LINES + 1)}, "hv/a.c: 801 lines"),
    ("a long header", {"include/tern/a.h": "\n" * (HEADER_LINES + 1)}, "a.h: 251 lines"),
    ("a long function", {"hv/a.c": FUNCTION % ("\tx();\n" * (FUNCTION_LINES - 1))},
     "hv/a.c:2: a function of 101 lines"),
    ("a long function in a header", {"hv/a.h": FUNCTION % ("\tx();\n" * FUNCTION_LINES)},
     "hv/a.h:2: a function"),
]


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    args = ap.parse_args()
    part = checklib.Part("budget", args.build)
    for name, problem in check(checklib.ROOT).items():
        part.add(name, problem)
    part.add("image_bytes", check_image(checklib.ROOT / args.build / "tern.elf"))
    checklib.plant(part, check, PLANTS)
    plant_image(part)
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
