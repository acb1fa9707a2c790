# SPDX-License-Identifier: MIT
"""What the parts of `make check` share: results, source lists, planted violations.

A part is a list of results. It prints the failed ones, writes build/check/PART.json and exits
non-zero when one failed. tests/check/run.py only reads these files.

A check that cannot fail is worthless: a rule therefore comes with plants, small files that break
it. Each is written into a scratch copy of include/ and the rule must find it there.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP_DIRS = {".git", "build", "__pycache__", ".pytest_cache", ".cache"}


class Part:
    """The results of one part, in the order they came in."""

    def __init__(self, name, build="build", quiet=False):
        self.name = name
        self.quiet = quiet
        self.dir = ROOT / build / "check"
        self.tests = []
        self.start = time.monotonic()

    def add(self, name, problem=None, skipped=False, seconds=0.0):
        """One result: problem is None when it passed, else the text that explains it."""
        status = "skipped" if skipped else "failed" if problem is not None else "passed"
        self.tests.append({"name": name, "status": status, "seconds": round(seconds, 2),
                           "text": problem or ""})
        if status == "failed" and not self.quiet:
            print(f"FAIL {self.name}: {name}\n{problem}", flush=True)

    def count(self, status):
        return sum(t["status"] == status for t in self.tests)

    def finish(self):
        """Writes the file, prints the sum; returns the exit status."""
        passed, failed, skipped = (self.count(s) for s in ("passed", "failed", "skipped"))
        seconds = round(time.monotonic() - self.start, 2)
        self.dir.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"part": self.name, "passed": passed, "failed": failed,
                           "skipped": skipped, "seconds": seconds, "tests": self.tests}, indent=1)
        (self.dir / f"{self.name}.json").write_text(text + "\n")
        print(f"check-{self.name}: {passed} passed, {failed} failed, {skipped} skipped, "
              f"{seconds:.1f} s", flush=True)
        # Nothing tested is not a success.
        return 1 if failed or not passed + skipped else 0


_live = set()


def run(cmd, timeout, **kw):
    """Runs cmd in a process group of its own. Returns (status, output); a time-out ends the whole
    group and gives status 124."""
    proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace",
                            start_new_session=True, cwd=kw.pop("cwd", ROOT), **kw)
    _live.add(proc)
    try:
        out, _ = proc.communicate(timeout=timeout)
        return proc.returncode, out
    except subprocess.TimeoutExpired:
        end_group(proc)
        out, _ = proc.communicate()
        return 124, out + f"\ntimed out after {timeout} s\n"
    except BaseException:
        end_group(proc)
        raise
    finally:
        _live.discard(proc)


def end_group(proc):
    """TERM, so that the rig can clean up after itself; KILL for what is left 10 s later."""
    for sig, wait in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        try:
            os.killpg(proc.pid, sig)
            proc.wait(wait)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            pass


def stop(_sig, _frame):
    """TERM and Ctrl-C: groups of their own do not hear them, so they are ended one by one."""
    for proc in list(_live):
        end_group(proc)
    os._exit(130)


def main(function):
    """Runs a part's main() so that nothing it started outlives it."""
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sys.exit(function())


def make_env():
    """The environment for a make of our own: not a job of the make that called us."""
    return {k: v for k, v in os.environ.items()
            if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}


def sources(root, *suffixes):
    """Paths below root, relative, sorted, with one of the suffixes (all files when none given)."""
    found = []
    for folder, dirs, files in os.walk(root):
        dirs[:] = [d for d in dirs if d not in SKIP_DIRS]
        for f in files:
            if not suffixes or f.endswith(suffixes):
                found.append(pathlib.Path(folder, f).relative_to(root))
    return sorted(found)


def plant(part, rule, plants):
    """Runs rule(root) -> {test name: problem or None} on scratch trees. plants: rows of (what is
    planted, {path: text}, words the one problem must contain; None: there must be no problem)."""
    for what, files, words in plants:
        with tempfile.TemporaryDirectory(prefix="tern-plant-") as tmp:
            root = pathlib.Path(tmp)
            shutil.copytree(ROOT / "include", root / "include")
            shutil.copy(ROOT / ".clang-format", root)
            for path, text in files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            problems = [p for p in rule(root).values() if p is not None]
        if words is None:
            wrong = f"refused, though nothing is wrong: {problems}" if problems else None
        elif not problems:
            wrong = "the rule did not find it"
        else:
            wrong = None if any(words in p for p in problems) else \
                f"found, but not for the right reason ({words}): {problems}"
        part.add(f"planted: {what}", wrong)


def add_junit(part, path):
    """Adds what pytest wrote with --junitxml."""
    for case in ElementTree.parse(path).iter("testcase"):
        name = case.get("classname", "").replace("tests.", "", 1) + "::" + case.get("name")
        bad = [c for c in case if c.tag in ("failure", "error")]
        text = "\n".join(c.text or c.get("message", "") for c in bad) if bad else None
        part.add(name, text, skipped=case.find("skipped") is not None,
                 seconds=float(case.get("time", 0)))
