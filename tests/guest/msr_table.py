#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes the table that the guest "msr" checks out of the published one, docs/msrs.md."""
import re
import sys

COLUMNS = ["MSR", "name", "access goes", "guest may", "reset", "there when", "a write must be"]


def rows(text):
    """The cells of the one table with our columns."""
    inside = False
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if cells == COLUMNS:
            inside = True
        elif inside and not line.startswith("|"):
            return
        elif inside and not set(cells[0]) <= set("-: "):
            if len(cells) != len(COLUMNS):
                raise ValueError(f"{len(cells)} columns: {line}")
            yield dict(zip(COLUMNS, cells))


def entry(row):
    low, _, high = row["MSR"].partition("-")
    may = row["guest may"]
    if row["access goes"] not in ("emulated", "passed", "faults"):
        raise ValueError(f"{row['MSR']}: access goes '{row['access goes']}'")
    # A fixed value and no condition on a machine that has just begun: the guest can compare it.
    fixed = re.fullmatch(r"0x[0-9a-f]+", row["reset"])
    # A condition in CPUID's words; any other cannot be asked from here.
    bits = re.findall(r"CPUID\.([0-9A-F]+)H?:E([ABCD])X\[(\d+)\]", row["there when"])
    condition = {"always": "MSR_ALWAYS", "never": "MSR_NEVER"}.get(
        row["there when"], "MSR_CPUID" if bits and "," not in row["there when"] else "MSR_MAYBE")
    leaves = [f"{{0x{leaf}u, '{reg.lower()}', {bit}}}" for leaf, reg, bit in bits[:2]]
    return (f'\t{{{low}u, {high or low}u, "{row["name"]}", {str("read" in may).lower()}, '
            f'{str("write" in may).lower()}, {str(bool(fixed)).lower()}, '
            f'{fixed[0] if fixed else 0}ull, {condition}, {{{", ".join(leaves) or "{0, 0, 0}"}}}}},')


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        entries = [entry(row) for row in rows(f.read())]
    if not entries:
        raise SystemExit(f"{sys.argv[1]}: no table with the columns {', '.join(COLUMNS)}")
    print("/* Made by tests/guest/msr_table.py from docs/msrs.md. */")
    print("static const struct msr_entry msr_table[] = {\n" + "\n".join(entries) + "\n};")


if __name__ == "__main__":
    main()
