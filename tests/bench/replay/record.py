#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Records what a command uses, as a trace for the replay bench.

The command runs in a memory cgroup of its own (version 1 or 2; needs root). Once a second a line is
written: MiB that a guest with nothing else to do would use (a base for its kernel and services, and
the cgroup with its page cache), and the processes of the run: NAME:START_S:MIB, their resident memory.
"""
import argparse
import os
import pathlib
import subprocess
import time

V1 = pathlib.Path("/sys/fs/cgroup/memory")
V2 = pathlib.Path("/sys/fs/cgroup")
BASE_MIB = 150


def rss_mib(pids):
    pages = 0
    for pid in pids:
        try:
            pages += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            pass
    return pages * 4 // 1024


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--pause", type=int, default=180, help="seconds before each round and at the end")
    ap.add_argument("--clean", default="true", help="shell command between rounds")
    ap.add_argument("--name", default="make")
    ap.add_argument("--out", required=True)
    ap.add_argument("command")
    args = ap.parse_args()
    root, usage = (V1, "memory.usage_in_bytes") if V1.is_dir() else (V2, "memory.current")
    group = root / f"tern-record-{os.getpid()}"
    group.mkdir()
    enter = lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    lines = []
    start = time.monotonic()

    def sample(run):
        used = BASE_MIB + int((group / usage).read_text()) // (1 << 20)
        text = str(used)
        if run is not None:
            pids = (group / "cgroup.procs").read_text().split()
            text += f" {args.name}:{run}:{rss_mib(pids)}"
        lines.append(text)
        wait = start + len(lines) - time.monotonic()
        time.sleep(max(wait, 0))

    try:
        for _ in range(args.rounds):
            for _ in range(args.pause):
                sample(None)
            run = len(lines)
            proc = subprocess.Popen(args.command, shell=True, preexec_fn=enter,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while proc.poll() is None:
                sample(run)
            subprocess.run(args.clean, shell=True, preexec_fn=enter, check=False)
        for _ in range(args.pause):
            sample(None)
    finally:
        while group.is_dir():
            try:
                group.rmdir()
            except OSError:
                time.sleep(0.2)
    head = (f"# SPDX-License-Identifier: MIT\n# {args.command}\n# {args.rounds} rounds, "
            f"{args.clean} after each; tests/bench/replay/record.py\ninterval_ms 1000\n")
    pathlib.Path(args.out).write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
