# SPDX-License-Identifier: MIT
"""The exits of a Linux boot by kind, under Tern and under QEMU with KVM, both in Bochs.

The kernel, the initramfs, the command line and the devices are the same; what is counted ends when the
guest has said that it is done.
"""
import pathlib
import re
import subprocess

import qemu_peer

import linux_image
import linux_rows

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUEST = linux_rows.Guest("web", "tern=facts")
# At the same addresses in every run.
CMDLINE = f"{linux_rows.CMDLINE} nokaslr {GUEST.words}"
DONE = "GUEST done"
TIMEOUT = 900
GRACE = 300  # Linux may work for so long without a word

# Row of Tern's `exits` -> basic exit reasons of VT-x, SDM vol. 3D appendix C. KVM's device memory is the
# misconfigured entry that it makes of it.
KINDS = {
    "CPUID": (10,),
    "RDMSR": (31,),
    "WRMSR": (32,),
    "control register": (28,),
    "debug register": (29,),
    "XSETBV": (55,),
    "port I/O": (30,),
    "device memory": (49,),
    "memory touch": (48,),
    "hypercall": (18,),
    "HLT": (12,),
    "PAUSE loop": (40,),
    "host interrupt": (1,),
    "interrupt window": (7, 8),
    "exception": (0,),
    "task switch": (9,),
    "descriptor table": (46, 47),
    "end of turn": (52,),
    "local APIC": (43, 44, 45, 56),
}
OTHER = "other"


def under_tern(build):
    """Kind -> (exits, instructions) at the end of the boot."""
    build = pathlib.Path(build).resolve()
    vmlinuz, initrd = linux_image.guest(build, GUEST.kernel)
    config = build / "bench-linux.toml"
    config.write_text(f'[vm.web]\nkernel = "{vmlinuz.name}"\ninitrd = "{initrd.name}"\n'
                      f'memory = "{GUEST.memory}"\nvcpus = {GUEST.vcpus}\nautostart = false\n'
                      f'cmdline = "{CMDLINE}"\n')
    argv = [ROOT / "tests/rig/ternrun", "--build", build, "--emulator", "bochs", "--memory", "1024",
            "--cmdline", "mitigations=off", "--config", config, "--module",
            f"{vmlinuz.name}={vmlinuz}", "--module", f"{initrd.name}={initrd}", "--timeout", TIMEOUT,
            "--grace", GRACE, "--shell", "vm start web", "--expect", DONE, "--shell", "exits web"]
    r = subprocess.run([str(a) for a in argv], cwd=ROOT, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors="replace", timeout=TIMEOUT + 60, check=False)
    if r.returncode:
        raise ValueError(f"Linux did not boot:\n{r.stdout[-2000:]}")
    table = r.stdout[r.stdout.rindex("per exit"):]
    rows = re.finditer(r"^(\S.*?) +(\d+) +(\d+) +\d+$", table, re.MULTILINE)
    return {m[1]: (int(m[2]), int(m[3])) for m in rows}


def under_kvm(build):
    """Kind -> exits."""
    build = pathlib.Path(build).resolve()
    vmlinuz, initrd = linux_image.guest(build, GUEST.kernel)
    # The devices that Tern gives each VM.
    said = qemu_peer.run(build, "linux", (
        "-m", "512M", "-kernel", "/g/vmlinuz", "-initrd", "/g/initrd", "-append", CMDLINE,
        "-device", "virtio-rng-pci,disable-legacy=on", "-chardev", "null,id=none",
        "-device", "virtio-serial-pci,disable-legacy=on", "-device", "virtconsole,chardev=none",
        "-device", "virtio-balloon-pci,disable-legacy=on,free-page-reporting=on"),
        DONE, {"g/vmlinuz": vmlinuz.read_bytes(), "g/initrd": initrd.read_bytes()})
    known = {reason: kind for kind, reasons_of in KINDS.items() for reason in reasons_of}
    counts = {}
    for reason, count in qemu_peer.exits(said).items():
        kind = known.get(reason, OTHER)
        counts[kind] = counts.get(kind, 0) + count
    return counts


def record_name(kind):
    return "linux_boot_exits_" + re.sub(r"\W", "_", kind.lower().replace("/", ""))


def measure(build):
    """Name -> record of bench.json; "instructions" are those that Tern spent on the exits."""
    ours, theirs = under_tern(build), under_kvm(build)
    ours["all"] = tuple(sum(v[i] for v in ours.values()) for i in (0, 1))
    theirs["all"] = sum(theirs.values())
    records = {}
    for kind in (*KINDS, OTHER, "all"):
        count, ticks = ours.get(kind, (0, 0))
        peer = theirs.get(kind, 0)
        if count or peer:
            records[record_name(kind)] = {
                "value": count, "unit": "exits", "must": None, "aim": None, "peer": qemu_peer.PEER,
                "peer_value": peer, "ratio": round(count / peer, 3) if peer else None,
                "instructions": ticks}
    return records


def table(records):
    """Prints them, if there are any."""
    if not records:
        return
    print(f"\n{'exits of a Linux boot':25} {'Tern':>9} {qemu_peer.PEER:>13} {'ratio':>8} "
          f"{'instructions':>14} {'per exit':>9}")
    for name, r in records.items():
        kind = name.removeprefix("linux_boot_exits_").replace("_", " ")
        each = f"{r['instructions'] // r['value']:,}" if r["value"] else "-"
        print(f"{kind:25} {r['value']:>9,} {r['peer_value']:>13,} {r['ratio'] or '-':>8} "
              f"{r['instructions']:>14,} {each:>9}")
