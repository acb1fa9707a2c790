#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make bench-fabric: instructions a page, counted by callgrind, and tables of goodput and share.

The code is compiled as in the hypervisor. What the test's own part costs (fake_road.c) is taken off. Sending is
queueing a page and making its packets; the copy belongs to encryption, which works in place: the row without encryption
has neither. Results are merged into the JSON file that make bench writes.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

PAGES = 1000
COPY = 4096 // 8 # REP MOVSQ counts once a word
NOT_OURS = ("node_send", "node_buffer", "node_place", "node_filled", "node_unfilled", "node_sent", "node_arrive")
ROWS = (("page_send_encrypted_instructions", "bench_send", (), 14000, 10000),
        ("page_send_instructions", "bench_send", ("fabric_crypto_seal", "copy"), 1500, 700),
        ("page_receive_encrypted_instructions", "bench_receive", (), None, None),
        ("page_receive_instructions", "bench_receive", ("fabric_crypto_open", "fabric_crypto_seal"), None, None),
        ("page_acked_instructions", "bench_acked", (), None, None))


def profile(program, function, tmp):
    """Inclusive instructions of each function below one, from callgrind."""
    out = pathlib.Path(tmp, function)
    subprocess.run(["valgrind", "-q", "--tool=callgrind", f"--toggle-collect={function}",
                    f"--callgrind-out-file={out}", program, "count"], check=True, timeout=300,
                   capture_output=True)
    return annotated(out) | {"copy": PAGES * COPY}


def annotated(path):
    """Function -> instructions. One is listed once a source file that is inlined into it: the largest is the whole."""
    text = subprocess.run(["callgrind_annotate", "--threshold=100", "--inclusive=yes", path],
                          check=True, timeout=60, capture_output=True, text=True).stdout
    costs = {}
    for line in text.splitlines():
        m = re.match(r"^ *([\d,]+) +\([ \d.]+%\) +\S*?:(\S+)", line)
        if m:
            costs[m.group(2)] = max(costs.get(m.group(2), 0), int(m.group(1).replace(",", "")))
    return costs


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--program", required=True)
    ap.add_argument("--out", default="build/bench.json")
    args = ap.parse_args()
    failed = False
    rows, profiles = {}, {}
    with tempfile.TemporaryDirectory(prefix="tern-bench-") as tmp:
        for name, function, without, must, aim in ROWS:
            if function not in profiles:
                profiles[function] = profile(args.program, function, tmp)
            costs = profiles[function]
            total = costs[function] - sum(costs.get(n, 0) for n in NOT_OURS)
            total -= sum(costs.get(n, 0) for n in without)
            rows[name] = {"value": total // PAGES, "unit": "instructions", "must": must, "aim": aim,
                          "peer": None, "peer_value": None, "ratio": None}
    for name, r in rows.items():
        bad = r["must"] is not None and r["value"] > r["must"]
        failed |= bad
        limit = f"must be at most {r['must']}, aim {r['aim']}" if r["must"] else ""
        print(f"{name:38} {r['value']:8} {limit}{'  TOO MUCH' if bad else ''}")
    path = pathlib.Path(args.out)
    data = json.loads(path.read_text()) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data | rows, indent=1) + "\n")
    sys.stdout.flush()
    subprocess.run([args.program], check=True, timeout=1200)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
