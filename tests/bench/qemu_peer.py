# SPDX-License-Identifier: MIT
"""The other peer of `make bench`: QEMU with KVM, on Debian's Linux, in Bochs.

kvm_peer.py has KVM alone, to compare exits; here is a whole machine, to compare devices and what a
guest makes of them. The initramfs holds QEMU as the distribution has it, with its libraries and
firmware, and the guest; tests/bench/kvm/qemu_init.sh runs it.
"""
import pathlib
import re
import shutil

import kvm_peer

import linux_image

ROOT = pathlib.Path(__file__).resolve().parents[2]
INIT = ROOT / "tests/bench/kvm/qemu_init.sh"
QEMU = "qemu-system-x86_64"
FIRMWARE = ("seabios/bios-256k.bin", "qemu/kvmvapic.bin", "qemu/linuxboot_dma.bin",
            "qemu/multiboot_dma.bin")
PEER = "QEMU 7.2 KVM"
MEMORY = 2048
TIMEOUT = 900
# CPUID promises the frequency of the CPU that Bochs is a model of; its TSC counts instructions, as many
# a second as the rig's "ips".
CMDLINE = f"{kvm_peer.CMDLINE} tsc_early_khz=50000"
# A machine like Tern's: no screen, one serial port, what devices are asked for.
MACHINE = (QEMU, "-L", "/firmware", "-nodefaults", "-no-user-config", "-display", "none", "-machine",
           "pc,accel=kvm,graphics=off", "-cpu", "host", "-serial", "stdio", "-no-reboot")


def add(files, path, data, mode=0o100644):
    """One file of the initramfs, and the folders on its way."""
    for folder in reversed(pathlib.PurePath(path).parents[:-1]):
        files.setdefault(str(folder), (0o40755, b""))
    files[path] = (mode, data)


def add_qemu(files):
    program = shutil.which(QEMU)
    if program is None:
        raise kvm_peer.PeerError(f"{QEMU} is not installed")
    add(files, "bin/" + QEMU, pathlib.Path(program).read_bytes(), 0o100755)
    for library in re.findall(r"(/\S+) \(0x", linux_image.run("ldd", program)):
        add(files, library[1:], pathlib.Path(library).read_bytes(), 0o100755)
    for name in FIRMWARE:
        add(files, f"firmware/{pathlib.Path(name).name}",
            pathlib.Path("/usr/share", name).read_bytes())


def make_iso(folder, kernel, arguments, until, guest_files):
    """The medium of a run of QEMU with those arguments, which ends when its guest says `until`."""
    image, tree = kernel
    files = {d: (0o40755, b"") for d in ("bin", "dev", "proc", "sys", "tmp")}
    add_qemu(files)
    add(files, "bin/busybox", linux_image.BUSYBOX.read_bytes(), 0o100755)
    add(files, "init", INIT.read_bytes(), 0o100755)
    quoted = " ".join(f"'{a}'" for a in (*MACHINE, *arguments))
    add(files, "command", f"exec {quoted}\n".encode())
    add(files, "until", until.encode())
    for module in kvm_peer.MODULES:
        add(files, module, next(tree.rglob(module)).read_bytes())
    for path, data in guest_files.items():
        add(files, path, data)
    return kvm_peer.medium(folder, image, files, CMDLINE)


def run(build, name, arguments, until, guest_files):
    """What the guest said, and the exits by reason, as the console had it."""
    log = build / "kvm" / f"{name}.log"
    iso = make_iso(build / "kvm" / name, linux_image.kernel(build), arguments, until, guest_files)
    said = kvm_peer.boot(iso, log, rb"^peer: done\r?\n", MEMORY, TIMEOUT)
    if not re.search("^peer: done", said, re.MULTILINE):
        raise kvm_peer.PeerError(f"QEMU's machine did not end well: see {log}")
    return said


def exits(said):
    """Basic exit reason of VT-x -> how often, the firmware's not among them, of what run() returned."""
    table = said[said.rindex("# event histogram"):]
    if " if " not in table or not re.search(r"^ *Dropped: 0$", table, re.MULTILINE):
        raise kvm_peer.PeerError(f"the peer counted no exits:\n{said[-2000:]}")
    rows = re.finditer(r"^\{ exit_reason: +(\d+) \} hitcount: +(\d+)", table, re.MULTILINE)
    return {int(m[1]): int(m[2]) for m in rows}
