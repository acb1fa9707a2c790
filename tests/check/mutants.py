#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-mutants: do the unit tests see what they are for?

Each fault of tests/check/mutant_table.py is put into a scratch copy of the sources; the unit tests
that the row names are built there and must fail, by what they say, not by hanging. A row whose text
is not found any more has failed: the table stays true. Without a fault the same tests pass.
"""
import argparse
import collections
import hashlib
import os
import pathlib
import queue
import re
import shlex
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import checklib
from mutant_table import MUTANTS

WORKERS = 2
BUILD_TIMEOUT = 60
RUN_TIMEOUT = 30
FOLDERS = ("include", "hv", "arch", "drivers", "boot", "tests/fake", "tests/unit")

Test = collections.namedtuple("Test", "source flags libs")


def read_test(root, name, variables):
    """What a unit test is made of, from its first lines (mk/check.mk)."""
    file = f"tests/unit/{name}.c"
    text = (root / file).read_text()

    def line(word):
        said = " ".join(re.findall(rf"^/\* {word}: *(.*?) *\*/$", text, re.MULTILINE))
        return re.sub(r"\$\((\w+)\)", lambda v: variables[v[1]], said).split()
    return Test([file, *line("links")], line("flags"), line("libs"))


def apply(text, old, new):
    """The mutated text, or None and what is wrong."""
    count = text.count(old)
    if count != 1:
        return None, f"its text is there {count} times, not once: the table is out of date\n{old}"
    if old == new:
        return None, "it changes nothing"
    return text.replace(old, new), None


class Builder:
    """Compiles below one scratch tree. Objects of unchanged sources are kept from run to run."""

    def __init__(self, cache, cc, cflags, variables):
        self.variables = variables
        self.cache = cache
        self.cc = cc
        self.cflags = [f for f in cflags if f != "-Werror"] + ["-w", "-g1"]
        h = hashlib.sha256(repr((cc, self.cflags)).encode())
        for header in checklib.sources(checklib.ROOT, ".h"):
            h.update((checklib.ROOT / header).read_bytes())
        self.headers = h.hexdigest()
        self.lock = threading.Lock()
        self.busy = collections.defaultdict(threading.Lock)

    def compile(self, tree, source, flags, out):
        status, text = checklib.run([self.cc, *self.cflags, *flags, "-c", source, "-o", str(out)],
                                    BUILD_TIMEOUT, cwd=tree)
        return None if status == 0 else f"does not build:\n{text[-3000:]}"

    def kept(self, source, flags):
        """An object of a source as it is in the repository."""
        name = hashlib.sha256((self.headers + source + repr(flags)).encode()
                              + (checklib.ROOT / source).read_bytes()).hexdigest()
        out = self.cache / f"{name}.o"
        with self.lock:
            one = self.busy[name]
        with one:
            if out.exists():
                return out, None
            new = self.cache / f"{name}.new.o"
            problem = self.compile(checklib.ROOT, source, flags, new)
            if problem is None:
                new.rename(out)
        return out, problem

    def program(self, tree, test, changed):
        """Builds a test; changed: the file that differs from the repository, or None."""
        objects = []
        for n, source in enumerate(test.source):
            if source == changed or (changed or "").endswith(".h"):
                out = tree / f"m{n}.o"
                problem = self.compile(tree, source, test.flags, out)
            else:
                out, problem = self.kept(source, test.flags)
            if problem is not None:
                return None, problem
            objects.append(str(out))
        status, text = checklib.run([self.cc, *self.cflags, *test.flags, *objects, *test.libs,
                                     "-lcmocka", "-o", "test"], BUILD_TIMEOUT, cwd=tree)
        return (tree / "test", None) if status == 0 else (None, f"does not link:\n{text[-3000:]}")


def verdict(name, status, out, fault):
    """None when a test's program ended as it should."""
    tail = "\n".join(out.splitlines()[-20:])
    if status == 124:
        return f"{name} hangs:\n{tail}"
    if fault and status == 0:
        return f"{name} does not see it"
    if not fault and status != 0:
        return f"{name} fails without a fault:\n{tail}"
    return None


class Work:
    def __init__(self, builder, part):
        self.builder = builder
        self.part = part
        self.trees = queue.Queue()
        self.lock = threading.Lock()

    def add_tree(self, folder):
        tree = pathlib.Path(folder)
        for f in FOLDERS:
            shutil.copytree(checklib.ROOT / f, tree / f)
        self.trees.put(tree)

    def run_test(self, tree, name, changed):
        program, problem = self.builder.program(tree, read_test(tree, name, self.builder.variables), changed)
        if program is None:
            return f"{name} {problem}"
        status, out = checklib.run([str(program)], RUN_TIMEOUT, cwd=tree,
                                   env=os.environ | {"ASAN_OPTIONS": "disable_coredump=1"})
        return verdict(name, status, out, changed is not None)

    def plain(self, name):
        tree = self.trees.get()
        try:
            return self.run_test(tree, name, None)
        finally:
            self.trees.put(tree)

    def mutant(self, row):
        _, file, old, new, tests = row
        text = (checklib.ROOT / file).read_text()
        mutated, problem = apply(text, old, new)
        if problem is not None:
            return problem
        tree = self.trees.get()
        try:
            (tree / file).write_text(mutated)
            problems = [self.run_test(tree, t, file) for t in tests]
            return "\n".join(p for p in problems if p is not None) or None
        finally:
            (tree / file).write_text(text)
            self.trees.put(tree)

    def job(self, name, function, arg):
        start = time.monotonic()
        try:
            problem = function(arg)
        except Exception as e: # whatever it is, the sum must show it
            problem = repr(e)
        with self.lock:
            self.part.add(name, problem, seconds=time.monotonic() - start)


def self_test(part):
    """The judge itself."""
    for what, got in (
            ("a test that passes with a fault", verdict("t", 0, "", True)),
            ("a test that fails without one", verdict("t", 1, "", False)),
            ("a test that hangs", verdict("t", 124, "", True)),
            ("a text that is gone", apply("abc", "x", "y")[1]),
            ("a text that is there twice", apply("abab", "ab", "y")[1]),
            ("a fault that is none", apply("ab", "ab", "ab")[1])):
        part.add(f"refused: {what}", None if got else "it was taken")
    for what, got in (("a test that fails with a fault", verdict("t", -6, "", True)),
                      ("a test that passes without one", verdict("t", 0, "", False)),
                      ("a fault", apply("abc", "b", "x")[1])):
        part.add(f"taken: {what}", got)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    ap.add_argument("--cc", default="gcc")
    ap.add_argument("--cflags", required=True)
    ap.add_argument("--var", action="append", default=[], help="NAME=TEXT, what links: may name")
    ap.add_argument("--select", default="", help="only mutants with these words in their names")
    args = ap.parse_args()
    part = checklib.Part("mutants", args.build)
    cache = checklib.ROOT / args.build / "mutants"
    cache.mkdir(parents=True, exist_ok=True)
    rows = [m for m in MUTANTS if args.select in m[0]]
    work = Work(Builder(cache, args.cc, shlex.split(args.cflags),
                        dict(v.split("=", 1) for v in args.var)), part)
    before = time.time()
    with tempfile.TemporaryDirectory(prefix="tern-mutants-") as tmp, \
            ThreadPoolExecutor(WORKERS) as pool:
        for n in range(WORKERS):
            work.add_tree(pathlib.Path(tmp, str(n)))
        for name in sorted({t for m in rows for t in m[4]}):
            pool.submit(work.job, f"{name} without a fault", work.plain, name)
        for m in rows:
            pool.submit(work.job, f"{m[1].rsplit('/', 1)[1]}: {m[0]}", work.mutant, m)
        pool.shutdown()
    for row in rows:
        if not row[4]:
            part.add(row[0], "it names no test")
    # Objects that nobody has used for a week.
    for f in cache.iterdir():
        if f.stat().st_atime < before - 7 * 86400:
            f.unlink()
    self_test(part)
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
