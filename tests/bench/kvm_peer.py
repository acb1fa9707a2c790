#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The peer of `make bench`: Debian's Linux with KVM, in Bochs, running the very same bench guest.

Prints its figures as `bench NAME N` lines; bench.py imports measure(). The kernel is the cloud image
of the Debian release in use, as tests/system/linux_image.py fetches it; its three KVM modules, our program as
init and the guest are all there is in the initramfs.
"""
import argparse
import os
import pathlib
import re
import select
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests/system"))
import linux_image  # noqa: E402
from rig import emulators, node as rig_node  # noqa: E402
from rig.scope import Scope  # noqa: E402

MODULES = ("irqbypass.ko", "kvm.ko", "kvm-intel.ko")
CMDLINE = "console=ttyS0 mitigations=off nokaslr quiet panic=-1 cryptomgr.notests"
TIMEOUT = 600


class PeerError(Exception):
    pass


def medium(folder, image, files, cmdline=CMDLINE):
    """A CD that boots that kernel with that initramfs; returns its path."""
    iso = folder / "iso"
    (iso / "boot/grub").mkdir(parents=True, exist_ok=True)
    (iso / "boot/grub/grub.cfg").write_text(
        f"linux /vmlinuz {cmdline}\ninitrd /initrd\nboot\n")
    (iso / "vmlinuz").write_bytes(image.read_bytes())
    (iso / "initrd").write_bytes(linux_image.initramfs(files))
    linux_image.run("grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", folder / "kvm.iso", iso)
    return folder / "kvm.iso"


def make_iso(build):
    """Everything from the package to the medium; returns its path."""
    folder = build / "kvm"
    folder.mkdir(parents=True, exist_ok=True)
    image, tree = linux_image.kernel(build)
    init = folder / "kvmbench"
    linux_image.run("gcc", "-std=gnu11", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", init,
        ROOT / "tests/bench/kvm/kvmbench.c")
    files = {"dev": (0o40755, b""), "init": (0o100755, init.read_bytes()),
             "guest": (0o100644, (build / "guest/bench").read_bytes())}
    for name in MODULES:
        files[name] = (0o100644, next(tree.rglob(name)).read_bytes())
    return medium(folder, image, files)


def console(fd, until, log, end):
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
        if re.search(end, said, re.MULTILINE):
            break
    return said.decode(errors="replace").replace("\r", "")


def boot(iso, log_path, end, memory=512, timeout=TIMEOUT):
    """What a machine in Bochs says that starts from this CD, up to the line `end`."""
    with Scope() as scope, open(log_path, "wb") as log:
        machine = rig_node.Node(scope, emulators.Bochs(), memory=memory)
        machine.disk = os.path.abspath(iso)
        rig_node.connect(scope, machine)
        return console(machine.start(), time.monotonic() + timeout, log, end)


def measure(build):
    """Name -> ticks of one operation under KVM."""
    build = pathlib.Path(build).resolve()
    log = build / "kvm/console.log"
    try:
        said = boot(make_iso(build), log, rb"^kvmbench: (done.*|failed)\r?\n")
    except linux_image.ImageError as e:
        raise PeerError(str(e)) from e
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
