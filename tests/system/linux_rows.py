# SPDX-License-Identifier: MIT
"""Unmodified Debian guests as a table: one row is one node in Bochs, booted once, with its guests.

A guest runs tests/system/linux_init.sh with the words of its command line. A row's script is as in
boot_matrix.py: "> command" is typed at the node's shell, all else must be said, in this order. What
it says is judged afterwards by `judge`, a function of the whole text. "< keys" is typed at the
guest of `vm console`, as ternrun's --type.
"""
import hashlib
import re
from dataclasses import dataclass

import linux_image

MIB = 1 << 20
NEVER = (r"PANIC|panic while panicking|DOES NOT ADD UP|soft lockup|Kernel panic|"
         r"module \S+: failed|^.*FAIL ")
# The self-tests of the kernel's ciphers take a minute in an emulator.
CMDLINE = "console=ttyS0 panic=-1 cryptomgr.notests page_reporting.page_reporting_order=0"
# A REP of bytes is one instruction a byte in Bochs, one of words an eighth of that: for guests that move
# much memory.
WORDS = "clearcpuid=erms"
DISK = bytes(hashlib.sha256(i.to_bytes(4, "little")).digest()[k % 32]
             for i in range(2048) for k in range(512))
DISK_BYTES = 16 * MIB
ROOT_MIB = linux_image.ROOT_MIB
SERVED = DISK


class Wrong(Exception):
    """What a row said is not what it must say."""


@dataclass
class Guest:
    name: str
    words: str                    # of linux_init.sh, or of a kernel that has no initrd
    memory: str = "512MiB"
    vcpus: int = 1
    kernel: str = "linux-image-cloud-amd64"
    pvh: bool = False             # the unpacked ELF file instead of the bzImage
    initrd: bool = True
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


def judge_net(text):
    """All pings came back, all bytes came, no device counted a loss."""
    for guest in NET:
        said = re.findall(rf"vm {guest.name}\] GUEST net: (.*)$", text, re.MULTILINE)
        want = [f"ping {p}: 10 sent, 10 back" for p in peers_of(guest.name)]
        if said != [*want, f"{NET_MIB} MiB came, the same", "errors 0 dropped 0"]:
            raise Wrong(f"guest {guest.name} said {said}")


def judge_clock(text):
    """The guest's clock against the stamps of the node's log: the slope of a line through all."""
    points = [(float(m[1]), float(m[2])) for m in re.finditer(
        r"^\[ *([\d.]+)\] \[vm web\] GUEST clock: ([\d.]+)$", text, re.MULTILINE)]
    n = len(points)
    mean_x, mean_y = (sum(p[i] for p in points) / n for i in (0, 1))
    slope = (sum((x - mean_x) * (y - mean_y) for x, y in points)
             / sum((x - mean_x) ** 2 for x, _ in points))
    drift = (slope - 1) * 1e6
    print(f"clock: {points[-1][1] - points[0][1]:.1f} s, {n} looks, drift {drift:.1f} ppm")
    if points[-1][1] - points[0][1] < 600 or abs(drift) >= 100:
        raise Wrong(f"drift {drift:.1f} ppm in {n} looks")


def judge_pause(text):
    """Its clocks never run backwards and know nothing of the pause, which the other guest saw."""
    looks = [(float(m[1]), int(m[2])) for m in re.finditer(
        r"vm web\] GUEST watch: ([\d.]+) (\d+)$", text, re.MULTILINE)]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(looks, looks[1:])]
    stamps = [float(m[1]) for m in re.finditer(
        r"^\[ *([\d.]+)\] \[vm web\] GUEST watch", text, re.MULTILINE)]
    pause = max(b - a for a, b in zip(stamps, stamps[1:]))
    print(f"pause: {pause:.1f} s of the node's; steps of the guest {min(steps)} to {max(steps)}")
    if len(looks) != 30 or pause < 60 or min(min(steps)) < 0 or max(max(steps)) > 3:
        raise Wrong(f"pause of {pause} s; {looks}")


def agent_rows(text):
    """All rows of `vm agent`, once each, as (ms, event, bytes, used, demand, grant, backed), in KiB."""
    rows = {tuple(int(f) if f.isdigit() else f for f in m[0].split()) for m in re.finditer(
        r"^ *\d+  (hello|sample|demand|grant|shrink|ack|shrunk) +\d+ +\d+ +\d+ +\d+ +\d+$", text,
        re.MULTILINE)}
    return sorted(rows, key=lambda row: row[0])


def judge_tools(text):
    """What is backed follows what is used; a hint is heard before the memory is touched; a second run
    is forecast from the first."""
    rows = agent_rows(text)
    samples = [row for row in rows if row[1] == "sample"]
    told = {m[1] for m in re.finditer(r"LOAD \w+[^:]*: (\d+) KiB", text)}
    if len(told) != 1:
        raise Wrong(f"free says {told}")
    # At rest: used has not changed by more than 5 % for 10 s.
    rests = []
    for i, (ms, _, _, used, _, _, backed) in enumerate(samples):
        last = [s[3] for s in samples[:i + 1] if ms - s[0] <= 10000]
        if len(last) > 1 and ms - samples[0][0] > 10000 and max(last) < 1.05 * min(last):
            rests.append((ms, used, backed))
    off = [r for r in rests if abs(r[2] - r[1]) > 0.15 * r[1]]
    high = [r for r in rests if r[1] > min(s[3] for s in samples) + 250 * 1024]
    print(f"tools: {len(samples)} samples, {len(rests)} at rest, {len(high)} of them high, {len(off)} off")
    if off or len(high) < 4 or len(high) == len(rests):
        raise Wrong(f"at rest (ms, used, backed): {rests}, off: {off}")
    # The agent's first words are about its boot.
    start = next(row for row in rows if row[1] == "hello")[0] + 5000
    before = next(s for s in samples if s[0] > start)
    heard = next(r for r in rows if r[0] > start and r[1] == "demand" and r[4] > before[3] + 280 * 1024)
    raised = next(r for r in rows if r[0] >= heard[0] and r[5] > before[3] + 280 * 1024)
    touched = next(s for s in samples if s[0] > start and s[3] > before[3] + 100 * 1024)
    print(f"tools: demand {heard[4]} KiB at {heard[0]} ms, grant {raised[5]} KiB at {raised[0]} ms, "
          f"touched at {touched[0]} ms")
    if not heard[0] <= raised[0] < touched[0]:
        raise Wrong("the hint came too late")
    # "-": it has nothing to go by.
    profile = [float(m[1] or 0) for m in
               re.finditer(r"LOAD sees: profile +(?:-|([\d.]+) MiB)", text)]
    print(f"tools: by profile {profile} MiB")
    if len(profile) != 4 or profile[1] > 300 or profile[2] < 400:
        raise Wrong(f"the second run of the unit is not forecast from its first: {profile} MiB")


NET_MIB = 17  # that each sends: 50 and one in all
ADDRESSES = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}


def peers_of(name):
    """The next one of the ring first: that one gets the bytes."""
    ring = list(ADDRESSES.values())
    at = ring.index(ADDRESSES[name])
    return [*ring[at + 1:], *ring[:at]]


NET = tuple(Guest(name, f"tern=net mib={NET_MIB} addr={address} peers={','.join(peers_of(name))} {WORDS}",
                  memory="256MiB", nics=("default",)) for name, address in ADDRESSES.items())

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
    # systemd, a login, and what an administrator would look at.
    Row("debian-root", (Guest("web", "tern=root", disks=(f"root.img size={ROOT_MIB}MiB",)),),
        ("> vm start web", "> vm console web", r"tern-guest ttyS0", r"login: $", r"< root\r",
         r"root@tern-guest:~# $", r"< systemctl --wait is-system-running; findmnt -no FSTYPE /\r",
         r"^running$", r"^ext4$", r"< poweroff\r", r"switched off by the guest", "> mem", r"= total"),
        cpus=2, memory=1536, long=True, timeout=840),
    # Guest tools from their package: a hinted run of a workload, then three more.
    Row("guest-tools", (Guest("web", f"tern=root {WORDS}", memory="2GiB",
                              disks=(f"tools-root.img size={linux_image.TOOLS_ROOT_MIB}MiB",)),),
        ("> vm start web", "> vm console web", r"tern-guest ttyS0", r"login: $", r"< root\r",
         r"root@tern-guest:~# $", r"< systemctl is-active tern-agent; /root/load.sh all\r",
         r"^active", r"< \x1d", r"LOAD rests 0", "> vm agent web 256", r"LOAD rests 1",
         "> vm agent web 256", r"LOAD rests 3", "> vm agent web 256", "> vm info web",
         r'agent: "tern-agent .*" by hypercalls', r"LOAD silent", "> vm info web", r"2 GiB grant",
         r"silent the last 3\d s", "> vm kill web", r"vm web: gone", "> mem",
         r"= total"),
        judge_tools, long=True, timeout=2400),
    Row("three-guests-on-a-switch", NET,
        (*(f"> vm start {guest.name}" for guest in NET), *((r"GUEST done",) * 3), "> switch stats"),
        judge_net, cpus=2, memory=1536, tern="apicv=off", long=True, timeout=2400),
    Row("clock", (Guest("web", f"tern=clock {WORDS}"),), ("> vm start web", r"GUEST done"), judge_clock,
        long=True, timeout=1800),
    Row("pause", (Guest("web", "tern=watch,facts", vcpus=2), Guest("clock", "tern=tick")),
        ("> vm start web", "> vm start clock", r"GUEST watch", r"GUEST watch", r"GUEST tick",
         "> vm pause web", *((r"GUEST tick",) * 8), "> vm resume web", *facts(2, 512),
         r"vm web\] GUEST done"), judge_pause, long=True, timeout=900),
    Row("memtest86+", (Guest("web", "console=ttyS0,115200", memory="64MiB", kernel="memtest86+",
                             initrd=False),),
        ("> vm start web", "> vm console web", r"Memtest86\+", r"#0 +\[Address test", r"#[1-9] +\[",
         r"< \x1d", "> vm info web"),
        long=True, never=NEVER + r"|Errors: *[1-9]", timeout=900),
)
