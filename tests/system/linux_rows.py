# SPDX-License-Identifier: MIT
"""Unmodified Debian guests as a table: one row is one node in Bochs, booted once, with its guests.

A guest runs tests/system/linux_init.sh with the words of its command line. A row's script is as in
boot_matrix.py: "> command" is typed at the node's shell, all else must be said, in this order. What
it says is judged afterwards by `judge`, a function of the whole text.
"""
import hashlib
import re
from dataclasses import dataclass, field

MIB = 1 << 20
NEVER = (r"PANIC|panic while panicking|DOES NOT ADD UP|soft lockup|Kernel panic|"
         r"module \S+: failed|^.*FAIL ")
# The self-tests of the kernel's ciphers take a minute in an emulator.
CMDLINE = "console=ttyS0 panic=-1 cryptomgr.notests page_reporting.page_reporting_order=0"
DISK = bytes(hashlib.sha256(i.to_bytes(4, "little")).digest()[k % 32]
             for i in range(2048) for k in range(512))
DISK_BYTES = 16 * MIB
SERVED = DISK


class Wrong(Exception):
    """What a row said is not what it must say."""


@dataclass
class Guest:
    name: str
    words: str                    # of linux_init.sh
    memory: str = "512MiB"
    vcpus: int = 1
    kernel: str = "linux-image-cloud-amd64"
    pvh: bool = False             # the unpacked ELF file instead of the bzImage
    disks: tuple = ()
    nics: tuple = ()


@dataclass
class Row:
    name: str
    guests: tuple
    script: tuple
    judge: object = None
    cpus: int = 1
    memory: int = 1024            # of the node, MiB
    tern: str = ""                # Tern's command line
    nic: str = ""                 # the node's, as its uplink; SERVED is served behind it
    long: bool = False            # make check-linux alone runs it
    timeout: int = 600
    never: str = NEVER
    files: tuple = field(default=())


def facts(cpus, memory_mib):
    """The lines of the word "facts"; the kernel keeps some memory for itself."""
    return (rf"GUEST cpus: {cpus}\b", r"GUEST memory: \d+ KiB", r"GUEST devices: [3-9] virtio",
            r"GUEST bad: 0\b")


def boots(cpus, vcpus):
    return Row(f"boots-cpus{cpus}-vcpus{vcpus}", (Guest("web", "tern=facts", vcpus=vcpus),),
               ("> vm start web", *facts(vcpus, 512), r"GUEST done", "> exits web", "port I/O",
                "> vm stop web", "vm web: stopped", "> mem", "= total"),
               cpus=cpus, long=(cpus, vcpus) != (1, 1))


def backed(text, name):
    """All that `vm info NAME` said was backed, in MiB."""
    units = {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}
    return [float(m[1]) * units[m[2]] for m in
            re.finditer(rf"^{name}: id .*\n.* grant, ([\d.]+) (\w+) backed", text, re.MULTILINE)]


def judge_memory(text):
    idle, settled, written, freed = backed(text, "web")
    if idle > 160 or settled > 120:
        raise Wrong(f"backed: idle {idle} MiB (160), settled {settled} MiB (120)")
    for what, change in (("raises", written - settled), ("lowers", written - freed)):
        if not 180 <= change <= 220:
            raise Wrong(f"200 MiB {what} backed by {change:.1f} MiB: {backed(text, 'web')}")


def judge_disk(text):
    want = hashlib.md5(DISK + bytes(DISK_BYTES - len(DISK))).hexdigest()
    got = re.search(r"GUEST disk-sum: (\w+)", text)[1]
    if got != want:
        raise Wrong(f"the disk reads as {got}, not as {want}")


def judge_uplink(text):
    want, got = hashlib.md5(SERVED).hexdigest(), re.search(r"GUEST uplink: sum (\w+)", text)[1]
    if got != want:
        raise Wrong(f"the file came as {got}, not as {want}")
    counts = {m[1]: int(m[2]) for m in re.finditer(r"^  ((?:tx|rx) frames) +(\d+)$", text,
                                                   re.MULTILINE)}
    if counts.get("tx frames", 0) < 100 or counts.get("rx frames", 0) < 600:
        raise Wrong(f"the NIC counted {counts}")


def judge_main(text):
    judge_disk(text)
    judge_memory(text)


ROWS = (
    # Two vCPUs, a disk, memory that comes and goes.
    Row("main", (Guest("web", "tern=facts,stress,disk,mem settle=8", vcpus=2,
                       disks=(f"disk.img size={DISK_BYTES >> 20}MiB",)),),
        ("> vm start web", *facts(2, 512), r"GUEST stress: 39 of 39", r"GUEST crashed: 0\b",
         r"GUEST disk: 32768 sectors", r"GUEST disk-write: same",
         r"GUEST mem: idle", "> vm info web", r"backed", r"GUEST mem: settled", "> vm info web",
         r"backed", r"GUEST mem: written", "> vm info web", r"backed", r"GUEST mem: freed",
         r"GUEST mem: settled again", r"GUEST done", "> vm info web", r"backed", "> mem",
         r"= total"),
        judge_main, cpus=2, long=True, timeout=840),
    *(boots(cpus, vcpus) for cpus in (1, 2) for vcpus in (1, 2, 4)),
    Row("pvh-amd64", (Guest("web", "tern=facts", memory="768MiB", kernel="linux-image-amd64",
                            pvh=True),),
        ("> vm start web", *facts(1, 768), r"GUEST done"), long=True, memory=2048),
    Row("cloud-6.12", (Guest("web", "tern=facts", kernel="linux-image-6.12.*-cloud-amd64"),),
        ("> vm start web", *facts(1, 512), r"GUEST done"), long=True),
    # A lease, pings and a file from outside, with the guest's own address.
    Row("uplink", (Guest("web", "tern=uplink peer=10.87.0.1",
                         nics=("default mac=02:00:00:00:00:07",)),),
        ("> nic list", r"82540EM +uplink", "> vm start web",
         r"GUEST uplink: lease 10\.87\.0\.\d+ from 10\.87\.0\.1", r"GUEST uplink: ping 5 5",
         r"GUEST uplink: sum \w+", r"GUEST done", "> nic list", r"link up, 1000 Mbit/s",
         "> switch show", r"uplink", "> nic stats", r"rx frames +\d+"),
        judge_uplink, nic="e1000", long=True, timeout=840),
    # The guest is told all, the node has a quarter of it.
    Row("4-gib-on-1-gib", (Guest("web", "tern=facts", memory="4GiB"),),
        ("> vm start web", *facts(1, 4096), r"GUEST done", "> vm info web", "backed"), long=True),
)
