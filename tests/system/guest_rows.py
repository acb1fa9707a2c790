# SPDX-License-Identifier: MIT
"""The bare guests as a table: one row is one node in Bochs, booted once, with the guests it runs.

A guest is (image of build/guest, words of its command line, memory, weight and the like). Each is
started from the shell and must say what its row wants; none starts by itself, so that the order is
known. Words in a row's name are what SELECT picks by.
"""
from dataclasses import dataclass

BOCHS_SECONDS = 60
PANIC = r"PANIC|panic while panicking|DOES NOT ADD UP|fail \w+: \d+ of"


@dataclass
class Guest:
    image: str
    words: str = ""
    memory: str = "16MiB"
    name: str | None = None
    passes: bool = True     # it ends with "pass IMAGE"
    says: str | None = None  # or it says this
    devices: tuple = ()      # words of vm create: 'disk="..."', 'nic="..."'

    def vm(self):
        return self.name or self.image

    def wants(self):
        if self.says:
            return self.says
        # A failure ends the wait as well; the test finds it.
        return (rf"(pass|fail) {self.image}: .* checks" if self.passes
                else rf"guest {self.image}")

    def create(self, vcpus=1):
        line = " ".join((f"> vm create {self.vm()} memory={self.memory} kernel={self.image}",
                         f"vcpus={vcpus}", *self.devices))
        return line + (f' cmdline="{self.words}"' if self.words else "")

    def start(self):
        return (f"> vm start {self.vm()}", self.wants())

    def kill(self):
        return (f"> vm kill {self.vm()}", rf"vm {self.vm()}: gone")


@dataclass
class Row:
    name: str
    guests: tuple
    cpus: int = 1
    vcpus: int = 1
    memory: int = 512        # of the node, MiB
    images: tuple = ()       # modules that `after` creates VMs of
    after: tuple = ()        # as script of boot_matrix.py: "> command" or a regular expression
    never: str = PANIC
    scattered: int | None = None  # `mem` shows that VM "full" touched so many pages, "base" none
    refused: bool = False    # the node counted as many refused messages as the agent
    shares: tuple = ()       # beside these VMs in that state `guests` have 90 % of their fair share
    long: bool = False       # make check-long alone runs it
    config: bool = False     # its VMs are in tern.toml; else the shell creates them
    timeout: int = BOCHS_SECONDS
    tern: str = ""           # Tern's command line

    def script(self):
        """All steps. A row's first and last `mem` show as much free memory, its `uptime` that the
        shell never waited long."""
        steps = []
        if not self.config:
            # The node's very first VM brings some pages of the hypervisor's own, which stay.
            image = [guest.image for guest in self.guests] + list(self.images)
            first = Guest(image[0], name="first")
            steps += [first.create(), *first.kill(), *MEM]
            steps += [guest.create(self.vcpus) for guest in self.guests]
        for guest in self.guests:
            steps += guest.start()
        steps += self.after
        if not self.config:
            for guest in self.guests:
                if guest.kill()[0] not in self.after:
                    steps += guest.kill()
            steps += MEM
        return [*steps, "> uptime", r"^console: longest wait.*us$"]


# Twice "= total": the machine's and the frame allocator's.
MEM = ("> mem", r"= total(?s:.*?)= total")
ALIVE = (*MEM, "> cpus", r"online$")
# All that need nothing but themselves, in one boot.
THEMES = tuple(Guest(name) for name in ("real", "prot", "long", "exits", "ports", "msr", "cpuid",
                                        "mmio"))


def scattered_page(n, pages):
    """Where the guest "touch", with 64 GiB, touches its n-th page: evenly above 16 MiB. 640 KiB of
    its memory lie at 0, some up to 3 GiB, and the rest from 4 GiB on (docs/vm.md)."""
    low, hole, end, page = 16 << 20, 3 << 30, (65 << 30) + (384 << 10), 4096
    stride = (end - (1 << 30) - low) // page // pages
    at = low + n * stride * page
    return at if at < hole else at + (1 << 30)


def hostile(theme, long=False):
    return Row(f"hostile-{theme}", (Guest("hostile", f"{theme} count=1000000"),),
               after=("> exits hostile", r"per exit$", *ALIVE), long=long, timeout=1200)


# What the guest "hostdev" does, and the devices that it needs for that beside those of all VMs.
DEVICE_THEMES = ("blk", "net", "console", "rng", "balloon", "pci", "init")
DEVICES = {"blk": ('disk="none size=16MiB"',), "net": ('nic="default"',) * 2}


def hostile_device(theme, count, **kw):
    """A theme of "hostdev", or a kind of virtio device for its theme "virtq"."""
    words = theme if theme in ("pci", "init") else f"virtq dev={theme}"
    console = r"hostdev: the console speaks(?s:.*)" if theme == "console" else ""
    return Guest("hostdev", f"{words} count={count}", devices=DEVICES.get(theme, ()),
                 says=rf"{console}(pass|fail) hostdev: .* checks", **kw)


def hostile_devices(theme, count=1000000):
    """Beside it another guest has its checks done."""
    name = theme if theme in ("pci", "init") else f"virtq-{theme}"
    cpus = 2 if theme == "init" else 1
    return Row(f"hostile-{name}", (hostile_device(theme, count), Guest("cpuid")), cpus, cpus,
               after=("> exits hostdev", r"per exit$", *ALIVE), long=True, timeout=1200)


def hostile_agent(count, **kw):
    """An agent that says what no agent says, from two vCPUs, beside another guest's checks."""
    return Row(f"hostile-agent-{count}",
               (Guest("agent", f"hostile vcpus=2 count={count}", "32MiB", says=r"agent: hostile"),
                Guest("cpuid")), cpus=2, vcpus=2, refused=True,
               after=(r"(pass|fail) agent: .* checks", "> vm info agent",
                      r"messages: \d+ taken, \d+ refused", *ALIVE), **kw)


def lives(count):
    """Batches of VMs, from their creation until nothing of them is left."""
    steps = ()
    for i in range(count):
        vm = Guest("cpuid", name=f"v{i}", says=rf"vm v{i}: stopped: exit code 0")
        steps += (vm.create(vcpus=2), *vm.start(), *vm.kill())
    return steps


def come_and_go(count, **kw):
    return Row(f"vms-come-and-go-{count}", (), cpus=2, images=("cpuid",),
               after=(*lives(count), *ALIVE), **kw)


# What runs beside guests that work: never ends, each in its own way.
BESIDE = (Guest("hostile", "port forever", name="ports", says=r"hostile: port"),
          Guest("hostile", "mmio forever", name="mmio", says=r"hostile: mmio"),
          Guest("hostile", "nmi forever", name="nmi", says=r"hostile: nmi"),
          Guest("hostile", "db", name="db", says=r"hostile: endless #DB"),
          Guest("hostile", "pause", name="pause", says=r"hostile: endless PAUSE"),
          Guest("hostile", "halt", name="halt", says=r"hostile: endless HLT"),
          Guest("hostile", "talk", name="talk", says=r"hostile: line"),
          Guest("memhog", "", "64GiB", "hog", says=r"memhog: 16 MiB"))
TOP = ("> top", r"since the last look(?s:.*?)^tern> ")


def beside(cpus):
    """One hostile guest after the other, as many of it as there are CPUs, beside as many that
    work. What `top` shows is about the rounds between two of it. Of the hog there is one, which
    leaves nothing for another to begin with; it stalls meanwhile."""
    work = tuple(Guest("work", name=f"work{i}", says=r"work: round 1\b") for i in range(cpus))
    rounds = (r"work: round",) * 2 * cpus
    steps, shares = (), []
    for guest in BESIDE:
        some = [Guest(guest.image, guest.words, guest.memory, f"{guest.name}{i}", says=guest.says)
                for i in range(1 if guest.image == "memhog" else cpus)]
        for one in some:
            steps += (one.create(), *one.start())
        steps += (*TOP, *rounds, *TOP)
        # The node takes them apart sooner when it has nothing else to do.
        steps += tuple(f"> vm pause {one.vm()}" for one in work)
        for one in some:
            steps += one.kill()
            shares.append((one.vm(), "running"))
        steps += tuple(f"> vm resume {one.vm()}" for one in work)
    # This one has 1,000 pages, each in a page table of its own, and is taken apart meanwhile.
    sparse = Guest("touch", "pages=1000", "64GiB", "sparse", says=r"pass touch")
    kill, gone = sparse.kill()
    steps += (sparse.create(), *sparse.start(), kill, *TOP, *rounds, *TOP, gone)
    # This one is restarted all the time.
    again = Guest("hostile", "triple", name="triple", says=r"triple fault on vCPU 0")
    steps += (*TOP, *((again.create(), *again.start(), *again.kill()) * 10), again.create(),
              *again.start(), *TOP, *again.kill())
    return Row(f"beside-hostile-guests-cpus{cpus}", work, cpus, memory=128,
               images=("hostile", "memhog", "touch"), after=(*steps, *ALIVE),
               shares=(*shares, (sparse.vm(), "dying"), (again.vm(), "stopped")),
               long=cpus > 1, timeout=1200)


ROWS = [
    *(Row(f"themes-cpus{cpus}-vcpus{vcpus}", THEMES, cpus, vcpus, after=ALIVE, config=True,
          timeout=120)
      for cpus in (1, 2) for vcpus in (1, 2)),
    # The first of the two tells what the image and its tables take: the rest is 10,000 frames.
    Row("touch-64-gib", (Guest("touch", "pages=0", "64GiB", "base"),
                         Guest("touch", "pages=10000", "64GiB", "full",
                               says=r"touched 10000 pages(?s:.*)pass touch")),
        after=("> vm info base", r"backed", "> vm info full", r"backed", *ALIVE),
        scattered=10000),
    hostile("msr"), hostile("hypercall"), hostile("tables"),
    hostile("port", long=True), hostile("mmio", long=True), hostile("nmi", long=True),
    *(hostile_devices(theme) for theme in DEVICE_THEMES[:-1]),
    hostile_devices("init", 100000),
    # All of them in one boot.
    Row("hostile-devices", tuple(hostile_device(theme, 2000, name=theme)
                                 for theme in DEVICE_THEMES) + (Guest("cpuid"),),
        cpus=2, vcpus=2, after=ALIVE, timeout=120),
    # All of them at once.
    Row("hostile-cpus2", tuple(Guest("hostile", f"{theme} count=250000 seed=2", name=theme,
                                     says=rf"hostile: {theme}$")
                               for theme in ("msr", "port", "mmio", "hypercall", "tables")),
        cpus=2, after=(*((r"(pass|fail) hostile: .* checks",) * 5), *ALIVE), long=True,
        timeout=900),
    # These never pass: the node goes on, and another guest has its checks done beside them.
    *(Row(f"hostile-{name}-cpus{cpus}", (guest, Guest("cpuid")), cpus, after=ALIVE, long=cpus > 1)
      for cpus in (1, 2)
      for name, guest in (
          ("odd", Guest("hostile", "odd", passes=False)),
          ("triple", Guest("hostile", "triple", says="triple fault")),
          ("db-loop", Guest("hostile", "db", says="endless #DB")),
          ("ac-loop", Guest("prot", "ac", says="endless #AC")))),
    beside(1), beside(2),
    # The hog waits, goes on with what the other had, and waits again.
    *(Row(f"memhog-cpus{cpus}", memory=256, cpus=cpus, timeout=120,
          guests=(Guest("memhog", "stay", "64MiB", "small", says=r"ok memory-keeps"),
                  Guest("memhog", "", "64GiB", "hog", says=r"vm hog: vCPU 0 waits for memory")),
          after=(*MEM, "> vm kill small", r"vm hog\] memhog: 208 MiB", r"vm small: gone",
                 r"vm hog: vCPU 0 waits for memory", *MEM, "> vm kill hog", r"vm hog: gone",
                 "> vm list", r"no VMs|reason", *ALIVE))
      for cpus in (1, 2)),
    # Each round has a PAUSE loop that gives the CPU to the other: 100,000 switches.
    Row("canaries-on-one-cpu", long=True,
        guests=(Guest("canary", "seed=1 rounds=50000", name="one", passes=False),
                Guest("canary", "seed=2 rounds=50000", name="two", passes=False)),
        after=(r"(pass|fail) canary: .* checks", r"(pass|fail) canary: .* checks",
               "> exits one", r"PAUSE loop +[5-9]\d{4} ",
               "> exits two", r"PAUSE loop +[5-9]\d{4} ", *ALIVE),
        timeout=900),
    # They go from CPU to CPU as well.
    Row("canaries-on-two-cpus", long=True, cpus=2,
        guests=tuple(Guest("canary", f"seed={i} rounds=20000", name=f"c{i}", passes=False)
                     for i in range(3)),
        after=(*((r"(pass|fail) canary: .* checks",) * 3), *ALIVE), timeout=900),
    *(Row(f"smp-cpus{cpus}-vcpus{vcpus}", (Guest("smp", f"vcpus={vcpus}"),), cpus, vcpus,
          after=ALIVE) for cpus, vcpus in ((1, 1), (1, 2), (2, 2), (2, 3))),
    *(Row(f"apic{'-' + tern.replace('=', '-') if tern else ''}-cpus{cpus}-vcpus{vcpus}",
          (Guest("apic", f"vcpus={vcpus}"),), cpus, vcpus, after=ALIVE, timeout=120, tern=tern)
      for tern in ("", "apicv=off") for cpus in (1, 2) for vcpus in (1, 2)),
    Row("apic-storm", (Guest("apic", "vcpus=2 storm"),), cpus=2, vcpus=2, after=ALIVE, long=True,
        timeout=1200),
    # Its owner lowers the grant below what it has, and lifts it again. It gives nothing back.
    Row("agent", (Guest("agent", "", "32MiB", says=r"agent: lower my grant"),),
        after=("> vm info agent", r'agent: "bare agent" by hypercalls', "> vm grant agent 8MiB",
               r"its agent is asked to give them back", r"agent: lift it",
               r"vm agent: shrink to 8 MiB: asked for .*, 0 B given back after 10\d\d\d ms",
               "> vm grant agent auto", r"(pass|fail) agent: .* checks", "> vm agent agent",
               r" demand  (?s:.*) grant  (?s:.*) shrink  (?s:.*) shrunk  ", *ALIVE),
        timeout=120),
    hostile_agent(20000, timeout=120), hostile_agent(500000, long=True, timeout=1200),
    come_and_go(50, timeout=120), come_and_go(1000, long=True, timeout=1800),
]
