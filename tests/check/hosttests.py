#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-unit, make check-fuzz: builds and runs the host tests and counts what they say.

A unit test counts as cmocka counts; a fuzzer is one test: its corpus and a bounded number of new
inputs. A test whose program does not build, crashes or hangs has failed.
"""
import argparse
import re
import time

import checklib

BUILD_TIMEOUT = 400
UNIT_TIMEOUT = 60
FUZZ_TIMEOUT = 180
# cmocka 1.1.5 prints one of these lines a test, in the same format in all its versions since 1.0.
CMOCKA = re.compile(r"^\[ +(RUN|OK|FAILED|SKIPPED) +\] (\w+)$")


def build(targets, make_args):
    """Builds all that can be built; returns target -> problem for those that cannot."""
    cmd = ["make", "--no-print-directory", *make_args]
    status, out = checklib.run([*cmd, "-k", "-j2", *targets], BUILD_TIMEOUT,
                               env=checklib.make_env())
    if status == 0:
        return {}
    bad = {}
    for t in targets:
        status, _ = checklib.run([*cmd, "-q", t], 60, env=checklib.make_env())
        if status:
            name = t.rsplit("/", 1)[1]
            lines = out.splitlines()
            at = next((i for i, line in enumerate(lines) if name in line and "error" in line), 0)
            bad[t] = "does not build\n" + "\n".join(lines[at:at + 40])
    return bad


def cmocka(part, name, status, out):
    """Adds each test of one program's output."""
    running, lines, failed = None, [], 0
    for line in out.splitlines():
        m = CMOCKA.match(line)
        if not m:
            lines.append(line)
            continue
        word, test = m.groups()
        if word == "RUN":
            running, lines = test, []
        elif running == test: # the summary names the failed tests once more
            text = "\n".join(lines[-60:]) if word == "FAILED" else None
            part.add(f"{name}::{test}", text, skipped=word == "SKIPPED")
            failed += word == "FAILED"
            running = None
    if running is not None:
        part.add(f"{name}::{running}", f"ended inside the test, status {status}\n"
                 + "\n".join(lines[-60:]))
    elif status and not failed:
        part.add(name, f"status {status}\n" + "\n".join(out.splitlines()[-60:]))


def unit(part, program):
    name = program.rsplit("/", 1)[1]
    before = len(part.tests)
    status, out = checklib.run([program], UNIT_TIMEOUT)
    cmocka(part, name, status, out)
    if len(part.tests) == before:
        part.add(name, "ran no test\n" + out[-2000:])


def fuzz(part, program, runs, folder):
    name = program.rsplit("/", 1)[1].removesuffix("_fuzz")
    corpus = checklib.ROOT / "tests/fuzz/corpus" / name
    if not corpus.is_dir() or not any(corpus.iterdir()):
        part.add(name, f"{corpus} holds no input")
        return
    new = checklib.ROOT / folder / "new" / name
    new.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    status, out = checklib.run(
        [program, f"-runs={runs}", "-seed=1", "-max_len=8192", "-timeout=10", "-rss_limit_mb=1024",
         "-verbosity=0", "-print_final_stats=1", f"-artifact_prefix={folder}/{name}-", str(new),
         str(corpus)], FUZZ_TIMEOUT)
    seconds = time.monotonic() - start
    done = re.search(r"number_of_executed_units: (\d+)", out)
    if status == 0 and done and int(done[1]) >= runs:
        part.add(f"{name} ({done[1]} inputs)", seconds=seconds)
    else:
        part.add(name, f"status {status}\n" + "\n".join(out.splitlines()[-60:]), seconds=seconds)


def self_test(part):
    """The counting itself must see a failure, a crash and a program that says nothing."""
    ok = "[==========] Running 2 test(s).\n[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n"
    for what, status, out, expect in (
            ("all passed", 0, ok + "[       OK ] b\n", (2, 0)),
            ("one failed", 1, ok + "why\n[  FAILED  ] b\n[  FAILED  ] 1\n[  FAILED  ] b\n", (1, 1)),
            ("a crash", -11, ok + "AddressSanitizer\n", (1, 1)),
            ("a leak at exit", 1, ok + "[       OK ] b\nLeakSanitizer\n", (2, 1))):
        probe = checklib.Part("probe", quiet=True)
        cmocka(probe, "x", status, out)
        got = (probe.count("passed"), probe.count("failed"))
        part.add(f"counting: {what}", None if got == expect else f"{got}, expected {expect}")


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("kind", choices=("unit", "fuzz"))
    ap.add_argument("--build", default="build")
    ap.add_argument("--runs", type=int, default=200000)
    ap.add_argument("--make", action="append", default=[], help="argument for make")
    ap.add_argument("programs", nargs="*")
    args = ap.parse_args()
    part = checklib.Part(args.kind, args.build)
    bad = build(args.programs, args.make) if args.programs else {}
    for program in args.programs:
        if program in bad:
            part.add(program, bad[program])
        elif args.kind == "unit":
            unit(part, program)
        else:
            fuzz(part, program, args.runs, f"{args.build}/fuzz")
    if args.kind == "unit":
        self_test(part)
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
