#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make bench: measures the budgets, prints a table, writes bench.json.

One function a measurement; it returns the value, or raises BenchError with the reason why there
is none. Under Bochs the time-stamp counter counts instructions, so that a figure is the same on
every run and on every machine. Nothing here is a timed test: make check does not run it.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/check"))
import image  # noqa: E402
import guest_bench  # noqa: E402
import kvm_peer  # noqa: E402
import linux_exits  # noqa: E402
import linux_image  # noqa: E402
import virtio_bench  # noqa: E402

MIB = 1 << 20
NODE_TIMEOUT = 300


class BenchError(Exception):
    pass


class Bench:
    """The build that is measured, and the answers of its node: booted once for all."""

    def __init__(self, build):
        self.build = build
        self.said = None

    def node(self):
        """What a node with 512 MiB and one CPU says in Bochs."""
        if self.said is None:
            cmd = [ROOT / "tests/rig/ternrun", "--build", self.build, "--emulator", "bochs",
                   "--cpus", "1", "--memory", "512", "--boot", "grub", "--timeout",
                   str(NODE_TIMEOUT), "--shell", "version", "--shell", "frames"]
            r = subprocess.run(cmd, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace",
                               timeout=NODE_TIMEOUT + 60, check=False)
            self.said = r.stdout
            if r.returncode:
                print(r.stdout, file=sys.stderr)
                raise BenchError(f"the node did not boot: ternrun gave status {r.returncode}")
        return self.said

    def find(self, pattern):
        m = re.search(pattern, self.node(), re.MULTILINE)
        if not m:
            raise BenchError(f"the node did not say '{pattern}'")
        return int(m[1])


def boot_instructions(bench):
    return bench.find(r"^boot: (\d+) ticks from the loader to the prompt")


def image_bytes(bench):
    return image.load_bytes(ROOT / bench.build / "tern.elf")


def frame_metadata_bytes(bench):
    return bench.find(r"^metadata: (\d+) bytes a frame")


# (measurement, unit, must, aim, peer, the peer's figure). Smaller is better in all of them.
MEASUREMENTS = (
    (boot_instructions, "instructions", 30_000_000, 10_000_000, None, None),
    (image_bytes, "bytes", MIB, MIB // 4, None, None),
    (frame_metadata_bytes, "bytes", 16, 8, None, None),
)


def measure(bench):
    """Name -> record of bench.json, and the reasons for what could not be measured."""
    records, errors = {}, []
    for function, unit, must, aim, peer, peer_value in MEASUREMENTS:
        name = function.__name__
        try:
            value = function(bench)
        except (BenchError, OSError, ValueError, subprocess.TimeoutExpired) as e:
            errors.append(f"{name}: {e}")
            continue
        records[name] = {"value": value, "unit": unit, "must": must, "aim": aim, "peer": peer,
                         "peer_value": peer_value,
                         "ratio": round(value / peer_value, 3) if peer_value else None}
    return records, errors


def measure_guest(bench, records, errors):
    """The figures that come from a guest, and its peer's in the same run."""
    for name, (_, _, _, must, aim) in guest_bench.BUDGETS.items():
        try:
            value, peer_value, ops = guest_bench.measure(bench.build, name)
        except (OSError, ValueError, subprocess.TimeoutExpired) as e:
            errors.append(f"{name}: {e}")
            continue
        records[name] = {"value": value, "unit": "instructions", "must": must, "aim": aim,
                         "peer": guest_bench.PEER, "peer_value": peer_value,
                         "ratio": round(value / peer_value, 3),
                         **dict(zip(("vmreads", "vmwrites", "wrmsrs"), ops))}


def measure_all(what, build, records, errors):
    """All figures of a module, which runs its guest under Tern and under its peer."""
    try:
        found = what.measure(build)
        records.update(found)
        return found
    except (kvm_peer.PeerError, linux_image.ImageError, OSError, ValueError,
            subprocess.TimeoutExpired) as e:
        errors.append(f"{what.__name__}: {e}")
        return {}


def verdict(r):
    if r["must"] is None:
        return ""
    return "MISSED" if r["value"] > r["must"] else "aim met" if r["value"] <= r["aim"] else ""


def table(records):
    rows = [("name", "value", "must", "aim", "peer", "ratio", "VMREAD/VMWRITE/WRMSR", "unit")]
    for name, r in records.items():
        must, aim = ("-", "-") if r["must"] is None else (f"<= {r['must']:,}", f"{r['aim']:,}")
        ops = f"{r['vmreads']}/{r['vmwrites']}/{r['wrmsrs']}" if "vmreads" in r else "-"
        peer = f"{r['peer']} {r['peer_value']:,}" if r["peer"] else "-"
        rows.append((name, f"{r['value']:,}", must, aim, peer, str(r["ratio"] or "-"), ops,
                     f"{r['unit']}  {verdict(r)}".rstrip()))
    widths = [max(len(row[i]) for row in rows) for i in range(7)]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0])]
                        + [row[i].rjust(widths[i]) for i in range(1, 7)] + [row[7]]))


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    ap.add_argument("--out", default="build/bench.json")
    args = ap.parse_args()
    bench = Bench(args.build)
    records, errors = measure(bench)
    measure_guest(bench, records, errors)
    measure_all(virtio_bench, args.build, records, errors)
    table(records)
    linux_exits.table(measure_all(linux_exits, args.build, records, errors))
    out = ROOT / args.out
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(records, indent=1) + "\n")
    for e in errors:
        print(f"bench: {e}", file=sys.stderr)
    missed = [n for n, r in records.items() if verdict(r) == "MISSED"]
    for n in missed:
        print(f"bench: {n} misses its budget", file=sys.stderr)
    return 1 if errors or missed else 0


if __name__ == "__main__":
    sys.exit(main())
