# SPDX-License-Identifier: MIT
"""Instructions of one request to virtio devices, under Tern and under QEMU with KVM, both in Bochs.

Both run the same guest, bench_virtio, with a disk in memory and two network cards on one switch. No
budget is set for these.
"""
import os
import pathlib
import re
import subprocess

import qemu_peer

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUEST = "bench_virtio"
CONFIG = (f'[vm.bench]\nkernel = "{GUEST}"\nmemory = "32MiB"\nvcpus = 1\nautostart = false\n'
          'disks = ["none size=1MiB"]\nnics = ["default", "default"]\n')
END = rf"(pass|fail) {GUEST}: .*checks"
TIMEOUT = 300
FIGURES = ("blk_read_512", "blk_read_4k", "blk_read_4k_batch", "blk_read_4k_irq", "blk_write_4k",
           "blk_flush", "net_send_64", "net_send_64_batch", "net_send_1514", "net_send_1514_batch")


def figures(said):
    if not re.search(rf"pass {GUEST}: ", said):
        raise ValueError(f"{GUEST} did not pass:\n{said[-2000:]}")
    return {m[1]: int(m[2]) for m in re.finditer(r"bench (\w+) (\d+)\s*$", said, re.MULTILINE)}


def under_tern(build):
    folder = pathlib.Path(build).resolve()
    config = folder / "bench-virtio.toml"
    config.write_text(CONFIG)
    argv = [ROOT / "tests/rig/ternrun", "--build", folder, "--emulator", "bochs", "--memory", "256",
            "--cmdline", "mitigations=off", "--config", config, "--module",
            f"{GUEST}={folder / 'guest' / GUEST}", "--timeout", TIMEOUT, "--grace", "60",
            "--shell", "vm start bench", "--expect", END, "--shell", "exits bench"]
    r = subprocess.run([str(a) for a in argv], cwd=ROOT, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors="replace", timeout=TIMEOUT + 60, env=os.environ, check=False)
    return figures(r.stdout)


def under_kvm(build):
    build = pathlib.Path(build).resolve()
    card = "virtio-net-pci,disable-legacy=on,romfile=,netdev="
    said = qemu_peer.run(build, "virtio", (
        "-m", "32M", "-kernel", f"/{GUEST}", "-drive", "if=none,id=disk,format=raw,file=/disk",
        "-device", "virtio-blk-pci,disable-legacy=on,drive=disk", "-netdev", "hubport,id=a,hubid=0",
        "-netdev", "hubport,id=b,hubid=0", "-device", card + "a", "-device", card + "b"),
        f"{GUEST}: ", {GUEST: (build / "guest" / GUEST).read_bytes(), "disk": bytes(1 << 20)})
    return figures(said)


def measure(build):
    """Name -> record of bench.json."""
    tern, kvm = under_tern(build), under_kvm(build)
    if set(FIGURES) - set(tern) or set(FIGURES) - set(kvm):
        raise ValueError(f"{GUEST} said {sorted(tern)} and {sorted(kvm)}")
    return {f"virtio_{name}_instructions": {
        "value": tern[name], "unit": "instructions", "must": None, "aim": None,
        "peer": qemu_peer.PEER, "peer_value": kvm[name],
        "ratio": round(tern[name] / kvm[name], 3)} for name in FIGURES}
