#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-rig, make check-boot: runs a folder of pytest tests, two at a time."""
import argparse
import sys

import checklib


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("name", help="name of the part")
    ap.add_argument("folder")
    ap.add_argument("--build", default="build")
    ap.add_argument("--timeout", type=int, default=600)
    ap.add_argument("--select", default="", help="as pytest -k")
    args = ap.parse_args()
    part = checklib.Part(args.name, args.build)
    part.dir.mkdir(parents=True, exist_ok=True)
    xml = part.dir / f"{args.name}.xml"
    xml.unlink(missing_ok=True)
    cmd = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2",
           f"--junitxml={xml}", args.folder]
    if args.select:
        cmd += ["-k", args.select]
    status, out = checklib.run(cmd, args.timeout, env=checklib.make_env() | {
        "TERN_BUILD": args.build, "PYTHONDONTWRITEBYTECODE": "1"})
    if xml.is_file():
        checklib.add_junit(part, xml)
    # 0: all passed, 1: some failed and are in the file; all else is a failure of the run itself.
    if status not in (0, 1) or not part.tests:
        part.add("the run", f"pytest: status {status}\n" + "\n".join(out.splitlines()[-60:]))
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
