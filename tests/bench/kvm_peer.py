#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The peer of `make bench`: Debian's Linux with KVM, in Bochs, running the very same bench guest.

Prints its figures as `bench NAME N` lines; bench.py imports measure(). The kernel is the cloud image
of the Debian release in use, fetched by apt into BUILD/kvm once; its three KVM modules, our program as
init and the guest are all there is in the initramfs.
"""
import argparse
import os
import pathlib
import re
import select
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from rig import emulators, node as rig_node  # noqa: E402
from rig.scope import Scope  # noqa: E402

KERNEL_PACKAGE = "linux-image-cloud-amd64"
MODULES = ("irqbypass.ko", "kvm.ko", "kvm-intel.ko")
CMDLINE = "console=ttyS0 mitigations=off nokaslr quiet panic=-1"
GRUB_CFG = f"linux /vmlinuz {CMDLINE}\ninitrd /initrd\nboot\n"
TIMEOUT = 600


class PeerError(Exception):
    pass


def run(*argv, cwd=None):
    r = subprocess.run([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if r.returncode:
        raise PeerError(f"{' '.join(map(str, argv))}: {r.stderr.strip()}")
    return r.stdout


def kernel(folder):
    """The unpacked kernel package: fetched once. Returns (vmlinuz, modules by name)."""
    tree = folder / "tree"
    if not list(tree.glob("boot/vmlinuz-*")):
        depends = run("apt-cache", "depends", "--important", KERNEL_PACKAGE)
        name = re.search(r"Depends: (linux-image-\S+)", depends)
        if not name:
            raise PeerError(f"{KERNEL_PACKAGE} names no kernel; is apt's list there (apt update)?")
        run("apt-get", "download", name[1], cwd=folder)
        run("dpkg-deb", "-x", next(folder.glob("linux-image-*.deb")), tree)
    modules = {}
    for name in MODULES:
        found = list(tree.rglob(name))
        if not found:
            raise PeerError(f"{tree} has no {name}")
        modules[name] = found[0]
    return next(tree.glob("boot/vmlinuz-*")), modules


def cpio_entry(number, name, mode, data):
    """One file of the "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def initramfs(files):
    """files: name -> (mode, bytes)."""
    out = b"".join(cpio_entry(i, name, mode, data)
                   for i, (name, (mode, data)) in enumerate(files.items(), 1))
    return out + cpio_entry(0, "TRAILER!!!", 0, b"")


def make_iso(build):
    """Everything from the package to the medium; returns its path."""
    folder = build / "kvm"
    folder.mkdir(parents=True, exist_ok=True)
    image, modules = kernel(folder)
    init = folder / "kvmbench"
    run("gcc", "-std=gnu11", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", init,
        ROOT / "tests/bench/kvm/kvmbench.c")
    files = {"dev": (0o40755, b""), "init": (0o100755, init.read_bytes()),
             "guest": (0o100644, (build / "guest/bench").read_bytes())}
    files |= {name: (0o100644, path.read_bytes()) for name, path in modules.items()}
    medium = folder / "iso"
    (medium / "boot/grub").mkdir(parents=True, exist_ok=True)
    (medium / "boot/grub/grub.cfg").write_text(GRUB_CFG)
    (medium / "vmlinuz").write_bytes(image.read_bytes())
    (medium / "initrd").write_bytes(initramfs(files))
    run("grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", folder / "kvm.iso", medium)
    return folder / "kvm.iso"


def console(fd, until, log):
    """All that the machine says until its last line, its end or the time."""
    said = b""
    while time.monotonic() < until:
        if not select.select([fd], [], [], 1.0)[0]:
            continue
        data = os.read(fd, 4096)
        if not data:
            break
        said += data
        log.write(data)
        log.flush()
        if re.search(rb"^kvmbench: (done.*|failed)\r?\n", said, re.MULTILINE):
            break
    return said.decode(errors="replace").replace("\r", "")


def boot(iso, log_path):
    with Scope() as scope, open(log_path, "wb") as log:
        machine = rig_node.Node(scope, emulators.Bochs())
        machine.disk = os.path.abspath(iso)
        rig_node.connect(scope, machine)
        return console(machine.start(), time.monotonic() + TIMEOUT, log)


def measure(build):
    """Name -> ticks of one operation under KVM."""
    build = pathlib.Path(build).resolve()
    log = build / "kvm/console.log"
    said = boot(make_iso(build), log)
    if not re.search(r"^kvmbench: done, code 0$", said, re.MULTILINE):
        raise PeerError(f"the KVM bench did not end well: see {log}")
    return {m[1]: int(m[2]) for m in re.finditer(r"^bench (\w+) (\d+)$", said, re.MULTILINE)}


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    try:
        for name, value in measure(ap.parse_args().build).items():
            print(f"bench {name} {value}")
    except PeerError as e:
        print(f"kvm_peer: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
