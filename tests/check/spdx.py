#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-spdx: one licence line in each source file, and it is the one of LICENSE."""
import argparse

import checklib

LINE = "SPDX-License-Identifier: MIT"
# Linux takes a module for free software only if it may be had under the GPL too.
DUAL_FOLDER = "guest-tools/linux"
DUAL = "SPDX-License-Identifier: (GPL-2.0-only OR MIT)"
# Prose is under LICENSE as a whole; a corpus file is what it is, byte by byte.
EXEMPT_NAMES = ("LICENSE", "MAINTAINERS", "compile_commands.json", ".gitignore", ".gitattributes",
                ".clang-format", ".editorconfig")
EXEMPT_SUFFIXES = (".md", ".bin")


def check(root):
    result = {}
    for path in checklib.sources(root):
        if path.name in EXEMPT_NAMES or path.suffix in EXEMPT_SUFFIXES or "corpus" in path.parts:
            continue
        head = (root / path).read_text(errors="replace").split("\n")[:3]
        lines = (LINE, DUAL) if str(path.parent) == DUAL_FOLDER else (LINE,)
        found = sum(line.rstrip(" */").endswith(lines) for line in head)
        result[str(path)] = None if found == 1 else \
            f"{path}: {found} lines '{LINE}' in the first three, expected one"
    return result


PLANTS = [
    ("nothing", {"hv/a.c": f"/* {LINE} */\n", ".ci/a": f"#!/bin/sh\n# {LINE}\n"}, None),
    ("no line", {"hv/a.c": "/* a file */\n"}, "hv/a.c: 0 lines"),
    ("another licence", {"mk/a.mk": f"# {LINE.replace('MIT', 'GPL-2.0')}\n"}, "mk/a.mk: 0 lines"),
    ("the dual licence", {"guest-tools/linux/a.c": f"// {DUAL}\n"}, None),
    ("the dual licence elsewhere", {"hv/a.c": f"// {DUAL}\n"}, "hv/a.c: 0 lines"),
    ("two lines", {"boot/a.S": f"/* {LINE} */\n" * 2}, "boot/a.S: 2 lines"),
    ("a script without a suffix", {"tests/rig/x": "#!/bin/sh\n"}, "tests/rig/x: 0 lines"),
]


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    part = checklib.Part("spdx", ap.parse_args().build)
    for name, problem in check(checklib.ROOT).items():
        part.add(name, problem)
    checklib.plant(part, check, PLANTS)
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
