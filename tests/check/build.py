#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-build: `make all` without a warning for each compiler and each kind of build.

The plain build comes last: compile_commands.json then describes it.
"""
import argparse
import re
import time

import checklib

VARIANTS = (
    ("clang", ["CC=clang", "B=build/clang"]),
    ("gcc debug", ["DEBUG=1", "B=build/debug"]),
    ("clang debug", ["CC=clang", "DEBUG=1", "B=build/clang-debug"]),
    ("gcc", ["CC=gcc"]),
)
TIMEOUT = 300
WARNING = re.compile(r"\bwarning: ", re.I)


def build(args):
    status, out = checklib.run(["make", "-j2", "--no-print-directory", *args, "all"], TIMEOUT,
                               env=checklib.make_env())
    if status:
        return f"make {' '.join(args)} all: status {status}\n" + "\n".join(out.splitlines()[-40:])
    warnings = [line for line in out.splitlines() if WARNING.search(line)]
    return "\n".join(warnings) if warnings else None


def check_help():
    """`make help` lists every target that is meant for people."""
    _, listed = checklib.run(["make", "help"], 60, env=checklib.make_env())
    words = {line.split()[0] for line in listed.splitlines() if line.split()}
    wanted = set()
    for path in (checklib.ROOT / "Makefile", *sorted((checklib.ROOT / "mk").glob("*.mk"))):
        for phony in re.findall(r"^\.PHONY: *(.*)$", path.read_text(), re.M):
            wanted |= {w for w in phony.split() if w != "FORCE"}
    missing = sorted(w for w in wanted - words if "$" not in w)
    return f"make help does not list: {' '.join(missing)}" if missing else None


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    part = checklib.Part("build", ap.parse_args().build)
    for name, args in VARIANTS:
        start = time.monotonic()
        part.add(name, build(args), seconds=time.monotonic() - start)
    part.add("make help", check_help())
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
