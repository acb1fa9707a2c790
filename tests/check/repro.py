#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-repro: two builds of the same sources give the same bits.

The two differ in directory, user environment, time zone, umask, number of jobs and clock.
"""
import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import checklib

PRODUCTS = ("tern.elf", "ternboot.efi", "tern.iso", "guest-tools.iso")
TIMEOUT = 300


def git(*args, cwd=checklib.ROOT):
    return subprocess.run(["git", *args], cwd=cwd, check=True, capture_output=True,
                          timeout=60).stdout


def copy_tree(to):
    """A clone with the files of the work tree: on a clean clone that is the commit."""
    git("clone", "-q", "--no-checkout", "--shared", str(checklib.ROOT), str(to))
    for name in git("ls-files", "-coz", "--exclude-standard").decode().split("\0"):
        source = checklib.ROOT / name
        if name and source.is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name)
    git("reset", "-q", cwd=to)


def build(where, jobs, umask, **env):
    """None, or what went wrong."""
    (where / "build").mkdir()
    (where / "build/.setup").touch()
    status, out = checklib.run(["make", f"-j{jobs}", "--no-print-directory", "all",
                                "guest-tools"], TIMEOUT,
                               cwd=where, env=checklib.make_env() | env, umask=umask)
    return f"status {status}\n" + "\n".join(out.splitlines()[-40:]) if status else None


def describe(a, b):
    """Where two files differ first."""
    x, y = a.read_bytes(), b.read_bytes()
    at = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
    count = sum(p != q for p, q in zip(x, y))
    near = max(0, at - 16)
    return (f"{a.name}: {len(x)} and {len(y)} bytes, {count} differ, the first at {at:#x}\n"
            f"  {x[near:at + 16]}\n  {y[near:at + 16]}")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check(part, tmp):
    first, second = tmp / "a", tmp / "another-place" / "b"
    copy_tree(first)
    shutil.copytree(first, second, symlinks=True)
    for where, jobs, umask, env in (
            (first, 2, 0o022, {"TZ": "UTC", "LC_ALL": "C"}),
            (second, 1, 0o077, {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8",
                                "USER": "somebody", "HOSTNAME": "elsewhere"})):
        start = time.monotonic()
        problem = build(where, jobs, umask, **env)
        part.add(f"build in {where.relative_to(tmp)}", problem, seconds=time.monotonic() - start)
    for name in PRODUCTS:
        a, b = first / "build" / name, second / "build" / name
        if not a.is_file() or not b.is_file():
            part.add(name, f"{name} was not built twice")
        else:
            part.add(name, None if digest(a) == digest(b) else describe(a, b))


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    part = checklib.Part("repro", ap.parse_args().build)
    with tempfile.TemporaryDirectory(prefix="tern-repro-") as tmp:
        check(part, pathlib.Path(os.path.realpath(tmp)))
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
