# SPDX-License-Identifier: MIT
"""The figures of the bench guest, under Tern and under its peer: rows for bench.py's MEASUREMENTS.

Both run the same guest in Bochs, so that both count instructions.
"""
import functools
import os
import pathlib
import re
import subprocess

import kvm_peer

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = '[vm.bench]\nkernel = "bench"\nmemory = "96MiB"\nvcpus = 1\nautostart = false\n'
TIMEOUT = 300
IDLE_COMMANDS = 16  # while they come and go, idle CPUs zero frames
PEER = "Linux 6.1 KVM"

# name of the budget: (what the guest calls it, what KVM's is called, row of `exits`, must, aim)
BUDGETS = {
    "hypercall_instructions": ("hypercall", "hypercall", "hypercall", 200, 120),
    "cpuid_exit_instructions": ("cpuid", "cpuid", "CPUID", 250, 150),
    "msr_exit_instructions": ("msr", "msr", "RDMSR", 250, 150),
    # Tern's 16550 against a device of KVM's in the kernel, its faster kind.
    "pio_instructions": ("pio", "pio_pic", "port I/O", 350, 200),
    "first_touch_instructions": ("first_touch", "first_touch", "memory touch", 800, 300),
}
# Frames that must be zeroed when the guest starts: it touches about a thousand.
ZEROED_MIN = 2000


def boot(build):
    """What a node says that runs the bench guest, its pool of zeroed frames full."""
    folder = pathlib.Path(build).resolve()
    config = folder / "bench.toml"
    config.write_text(CONFIG)
    argv = [ROOT / "tests/rig/ternrun", "--build", folder, "--emulator", "bochs", "--memory", "512",
            "--cmdline", "mitigations=off", "--config", config, "--module",
            f"bench={folder / 'guest/bench'}", "--timeout", TIMEOUT, "--grace", "30",
            *(["--shell", "version"] * IDLE_COMMANDS), "--shell", "frames",
            "--shell", "vm start bench", "--expect", r"pass bench: \d+ checks",
            "--shell", "exits bench"]
    r = subprocess.run([str(a) for a in argv], cwd=ROOT, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors="replace", timeout=TIMEOUT + 60, env=os.environ, check=False)
    if r.returncode:
        raise ValueError(f"the bench guest did not pass:\n{r.stdout[-2000:]}")
    zeroed = re.search(r"(\d+) zeroed$", r.stdout, re.MULTILINE)
    if not zeroed or int(zeroed[1]) < ZEROED_MIN:
        raise ValueError(f"the node had too few zeroed frames:\n{r.stdout[-2000:]}")
    return r.stdout


@functools.cache
def under_tern(build):
    """Name -> figure of the guest under Tern."""
    said = boot(build)
    return {m[1]: int(m[2]) for m in re.finditer(r"bench (\w+) (\d+)\s*$", said, re.MULTILINE)}


@functools.cache
def operations(build):
    """Row of `exits` -> VMREADs, VMWRITEs and WRMSRs of one exit, from a build that counts them."""
    said = boot(pathlib.Path(build) / "count")
    rows = re.finditer(r"^(\S.*?) +\d+ +\d+ +\d+ +(\d+\.\d) +(\d+\.\d) +(\d+\.\d)$", said,
                       re.MULTILINE)
    return {m[1]: [float(m[i]) for i in (2, 3, 4)] for m in rows}


@functools.cache
def under_kvm(build):
    try:
        return kvm_peer.measure(build)
    except kvm_peer.PeerError as e:
        raise ValueError(str(e)) from e


def measure(build, name):
    """(value, peer's value, operations) of one budget; ValueError says why there is none."""
    ours, theirs, row, _, _ = BUDGETS[name]
    tern, kvm = under_tern(build), under_kvm(build)
    if ours not in tern or theirs not in kvm:
        raise ValueError(f"{name}: the guest said {sorted(tern)} and {sorted(kvm)}")
    if row not in operations(build):
        raise ValueError(f"{name}: the counting build has no row '{row}'")
    return tern[ours], kvm[theirs], operations(build)[row]
