# SPDX-License-Identifier: MIT
"""Runs the rows of guest_rows.py, through ternrun alone, and the guests that can in plain QEMU."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import guest_rows  # noqa: E402
from test_boot import BUILD, MARGIN, ROOT, ternrun  # noqa: E402

GUESTS = pathlib.Path(os.path.abspath(ROOT / BUILD)) / "guest"
GRACE = 600  # a guest may compute for so long without a word
QEMU_PASS = 1  # isa-debug-exit: 2 * value + 1
PLAIN = ("real", "prot", "long", "exits", "ports", "msr", "cpuid", "mmio", "memhog", "smp",
         "apic")


def config(row):
    text = '[log]\nlevel = "info"\n'
    for guest in row.guests if row.config else ():
        text += (f'\n[vm.{guest.vm()}]\nkernel = "{guest.image}"\n'
                 f'memory = "{guest.memory}"\nvcpus = {row.vcpus}\nautostart = false\n')
        if guest.words:
            text += f'cmdline = "{guest.words}"\n'
    return text


def arguments(row, path):
    """ternrun's, for that row and its tern.toml."""
    argv = ["--build", BUILD, "--emulator", "bochs", "--cpus", row.cpus, "--memory", row.memory,
            "--timeout", row.timeout, "--grace", GRACE, "--config", path]
    if row.tern:
        argv.append(f"--cmdline={row.tern}")
    for image in sorted({*row.images, *(guest.image for guest in row.guests)}):
        argv += ["--module", f"{image}={GUESTS / image}"]
    for step in row.script():
        argv += ["--shell", step[2:]] if step.startswith("> ") else [f"--expect={step}"]
    return [str(a) for a in argv]


# make check runs the short rows, make check-long all of them.
ROWS = [row for row in guest_rows.ROWS if not row.long or os.environ.get("TERN_LONG") == "1"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_guests(row, tmp_path):
    path = tmp_path / "tern.toml"
    path.write_text(config(row))
    status, out = ternrun(arguments(row, path), row.timeout + MARGIN)
    print(out)
    assert status == 0, f"status {status} of row {row.name}\n{out}"
    for bad in (row.never, r"^.*FAIL .*$"):
        found = re.search(bad, out, re.MULTILINE)
        assert not found, f"{found[0]!r} must not be said\n{out}"
    if row.scattered is not None:
        check_backed(row.scattered, out)
    check_free(out, row.config)
    check_waits(out)
    check_shares(row, out)
    if row.refused:
        check_refused(out)


def check_backed(pages, out):
    """VM "full" has so many more frames than "base", and the page tables they need, no more."""
    memory, tables = ({m[1]: int(m[2]) // 4 for m in
                       re.finditer(rf"VM (\w+), {what} +(\d+) KiB", out)}
                      for what in ("memory", "page tables"))
    at = [guest_rows.scattered_page(n, pages) for n in range(pages)]
    # What "base" touched lies in the first 2 MiB regions, in tables that "full" has as well.
    need = len({a >> 21 for a in at}) + len({a >> 30 for a in at} - {0})
    assert memory["full"] - memory["base"] == pages, out
    assert tables["full"] - tables["base"] == need, f"{tables}, {need} more needed\n{out}"


def check_refused(out):
    """What the agent saw refused, the node has counted."""
    told = re.search(r"agent: refused (\d+), taken", out)
    counted = re.search(r"messages: \d+ taken, (\d+) refused", out)
    assert told and counted and told[1] == counted[1] and int(told[1]) > 1000, out


def check_free(out, config):
    """As much is free at the end as at the beginning. What waits for the scrubber nobody can use
    yet, but it is nobody's any more."""
    counts = re.findall(r"^  (?:free|cached by CPUs, free too|zeroed, free too|"
                        r"of dead VMs, not scrubbed yet) +(\d+) KiB", out, re.MULTILINE)
    sums = [sum(map(int, counts[i:i + 4])) for i in range(0, len(counts), 4)]
    assert sums and len(counts) % 4 == 0, out
    assert config or len(sums) >= 2 and sums[0] == sums[-1], f"{sums}\n{out}"


def check_waits(out):
    """By the node's own clock: from any key to the look at it, and from a line to the prompt."""
    wait, command = map(int, re.search(r"^console: longest wait for a look at its keys (\d+) us, "
                                       r"longest command (\d+) us$", out, re.MULTILINE).groups())
    assert wait + command < 1000000, f"{wait} us, {command} us\n{out}"


def check_shares(row, out):
    """By the last `top` that shows each hostile guest. A CPU has two busy ones; while a VM is
    taken apart, or its restarts are typed, there is one."""
    least = {"running": 45, "dying": 90, "stopped": 80}
    tops = [{m[1]: (m[2], float(m[3])) for m in
             re.finditer(r"^(\S+) +(\w+) +(\d+\.\d) %$", table, re.MULTILINE)}
            for table in re.findall(r"since the last look(?s:.*?)^tern> ", out, re.MULTILINE)]
    for name, state in row.shares:
        top = [top for top in tops if name in top][-1]
        assert top[name][0] == state, f"{name}: {top}\n{out}"
        shares = [top[guest.vm()][1] for guest in row.guests]
        assert min(shares) >= least[state], f"{name}: {top}\n{out}"


@pytest.mark.parametrize("name", PLAIN)
def test_the_guest_itself(name):
    """In QEMU without Tern: what a guest expects is what a PC does."""
    r = subprocess.run(["qemu-system-x86_64", "-nodefaults", "-cpu", "max", "-accel", "tcg",
                        "-m", "128", "-smp", "2", "-kernel", GUESTS / name, "-device",
                        "isa-debug-exit,iobase=0xf4,iosize=4", "-serial", "stdio", "-display",
                        "none", "-no-reboot"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       text=True, errors="replace", timeout=120, check=False)
    assert r.returncode == QEMU_PASS, r.stdout
    assert re.search(rf"^pass {name}: \d+ checks", r.stdout, re.MULTILINE), r.stdout
