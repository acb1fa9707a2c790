#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-format: every C file is as clang-format leaves it (make format), no stray white space
elsewhere."""
import argparse
import subprocess
from concurrent.futures import ThreadPoolExecutor

import checklib

TEXT = (".S", ".ld", ".mk", ".py", ".sh", ".awk", ".md", ".toml", ".ipxe", ".asl", "Makefile")


def clang_format(root, path):
    r = subprocess.run(["clang-format", "--dry-run", "-Werror", str(path)], cwd=root,
                       capture_output=True, text=True, timeout=60, check=False)
    return None if r.returncode == 0 else r.stderr


def white_space(root, path):
    text = (root / path).read_text(errors="replace")
    bad = [f"{path}:{n}: white space at the end of the line"
           for n, line in enumerate(text.split("\n"), 1) if line != line.rstrip()]
    if text and not text.endswith("\n"):
        bad.append(f"{path}: no newline at the end")
    return "\n".join(bad) if bad else None


def check(root):
    text = [p for p in checklib.sources(root, *TEXT) if "corpus" not in p.parts]
    result = {str(p): white_space(root, p) for p in text}
    with ThreadPoolExecutor(2) as pool:
        files = checklib.sources(root, ".c", ".h")
        result |= zip(map(str, files), pool.map(lambda p: clang_format(root, p), files))
    return result


GOOD = "int f(int a)\n{\n\treturn a;\n}\n"
PLANTS = [
    ("nothing", {"hv/a.c": GOOD, "mk/a.mk": "a:\n\tb\n"}, None),
    ("spaces for tabs", {"hv/a.c": GOOD.replace("\t", "        ")}, "hv/a.c:"),
    ("a brace on the wrong line", {"hv/a.h": GOOD.replace("\n{", " {")}, "hv/a.h:1"),
    ("a long line", {"hv/a.c": GOOD.replace("return a", "return " + "a + " * 30 + "a")},
     "hv/a.c:3"),
    ("white space at the end of a line", {"boot/a.S": "\tret \n"}, "boot/a.S:1"),
]


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    part = checklib.Part("format", ap.parse_args().build)
    for name, problem in check(checklib.ROOT).items():
        part.add(name, problem)
    checklib.plant(part, lambda root: {n: p for n, p in check(root).items()
                                       if not n.startswith("include/")}, PLANTS)
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
