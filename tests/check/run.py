#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check: runs all parts, whatever fails, and sums up what they wrote to build/check.

Each part is a target of its own, make check-PART. Two slots of work run at once; a part that
uses two processors or emulators by itself takes both.
"""
import argparse
import json
import threading
import time

import checklib

SLOTS = 2
# part, slots, seconds it may take. The build is first: the others use what it made.
PARTS = (
    ("build", 2, 600),
    ("layers", 1, 120),
    ("headers", 1, 120),
    ("budget", 1, 60),
    ("format", 1, 120),
    ("spdx", 1, 60),
    ("fuzz", 1, 600),
    ("repro", 1, 420),
    ("unit", 1, 600),
    ("mutants", 2, 600),
    ("tools", 1, 900),
    ("rig", 2, 420),
    ("boot", 2, 1530),
)
SHOWN_LINES = 60


class Runner:
    def __init__(self, build):
        self.build = build
        self.dir = checklib.ROOT / build / "check"
        self.free = SLOTS
        self.cond = threading.Condition()
        self.results = {}

    def one(self, name, timeout):
        """Runs one part; what it says goes to build/check/PART.log."""
        self.dir.mkdir(parents=True, exist_ok=True)
        file = self.dir / f"{name}.json"
        file.unlink(missing_ok=True)
        start = time.monotonic()
        status, out = checklib.run(["make", "--no-print-directory", f"check-{name}",
                                    f"B={self.build}"], timeout, env=checklib.make_env())
        (self.dir / f"{name}.log").write_text(out)
        try:
            result = json.loads(file.read_text())
        except (OSError, ValueError):
            result = {"passed": 0, "failed": 0, "skipped": 0, "tests": []}
        # A part that ended badly without naming a test is itself the failed test.
        if status and not result["failed"]:
            result["failed"] += 1
            result["tests"].append({"name": f"check-{name}", "status": "failed",
                                    "text": f"status {status}\n" + tail(out)})
        result["seconds"] = time.monotonic() - start
        return result

    def work(self, name, slots, timeout):
        try:
            result = self.one(name, timeout)
        except Exception as e: # whatever it is, the sum must show it
            result = {"passed": 0, "failed": 1, "skipped": 0, "seconds": 0, "tests": [
                {"name": f"check-{name}", "status": "failed", "text": repr(e)}]}
        with self.cond:
            self.results[name] = result
            self.free += slots
            print(f"check-{name:<9}{result['passed']:6} passed,{result['failed']:4} failed,"
                  f"{result['skipped']:4} skipped {result['seconds']:8.1f} s", flush=True)
            self.cond.notify()

    def all(self, parts):
        threads = []
        for name, slots, timeout in parts:
            with self.cond:
                while self.free < slots:
                    self.cond.wait()
                self.free -= slots
            t = threading.Thread(target=self.work, args=(name, slots, timeout), daemon=True)
            t.start()
            threads.append(t)
        for t in threads:
            t.join()


def tail(text):
    return "\n".join(text.splitlines()[-SHOWN_LINES:])


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    ap.add_argument("parts", nargs="*", help="only these")
    args = ap.parse_args()
    known = [p[0] for p in PARTS]
    if set(args.parts) - set(known):
        ap.error(f"parts are: {' '.join(known)}")
    runner = Runner(args.build)
    start = time.monotonic()
    runner.all([p for p in PARTS if not args.parts or p[0] in args.parts])
    for name in (n for n in known if n in runner.results):
        for t in runner.results[name]["tests"]:
            if t["status"] == "failed":
                print(f"\n--- {name}: {t['name']}\n{tail(t['text'])}")
    print(f"\n{time.monotonic() - start:.0f} s; results in {args.build}/check/*.json")
    total = {k: sum(r[k] for r in runner.results.values()) for k in ("passed", "failed", "skipped")}
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped",
          flush=True)
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    checklib.main(main)
