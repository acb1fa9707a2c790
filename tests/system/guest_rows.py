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

    def wants(self):
        if self.says:
            return self.says
        # A failure ends the wait as well; the test finds it.
        return (rf"(pass|fail) {self.image}: .* checks" if self.passes
                else rf"guest {self.image}")


@dataclass
class Row:
    name: str
    guests: tuple
    cpus: int = 1
    vcpus: int = 1
    memory: int = 512        # of the node, MiB
    after: tuple = ()        # as script of boot_matrix.py: "> command" or a regular expression
    never: str = PANIC
    frames_more: int | None = None  # `mem` shows that VM "full" has so many more than "base"
    long: bool = False       # make check-long alone runs it
    all_back: bool = False   # the first and the last `mem` show as much free memory
    timeout: int = BOCHS_SECONDS
    tern: str = ""           # Tern's command line


# All that need nothing but themselves, in one boot.
THEMES = tuple(Guest(name) for name in ("real", "prot", "long", "exits", "ports", "msr", "cpuid",
                                        "mmio"))
ALIVE = ("> mem", r"= total", "> cpus", r"online$")


ADDS_UP = ("> mem", r"= total(?s:.)*?= total")


def hostile(theme, count, **kw):
    return Row(f"hostile-{theme}", long=True, guests=(Guest("hostile", f"{theme} count={count}"),),
               after=ALIVE, timeout=180, **kw)


def one_life(name):
    """A VM from its creation until nothing of it is left."""
    return (f"> vm create {name} memory=16MiB kernel=cpuid vcpus=2", r"tern> ",
            f"> vm start {name}", rf"vm {name}: stopped: exit code 0",
            f"> vm kill {name}", rf"vm {name}: gone")


ROWS = [
    *(Row(f"themes-cpus{cpus}-vcpus{vcpus}", THEMES, cpus, vcpus, after=ALIVE, timeout=120)
      for cpus in (1, 2) for vcpus in (1, 2)),
    # The first of the two tells what the image and its tables take: the rest is 10,000 frames.
    Row("touch-64-gib", (Guest("touch", "pages=0", "64GiB", "base"),
                         Guest("touch", "pages=10000", "64GiB", "full",
                               says=r"touched 10000 pages(?s:.*)pass touch")),
        after=("> vm info base", r"backed", "> vm info full", r"backed", *ALIVE),
        frames_more=10000),
    # A port operation may be a string of 63: these are a million exits, too.
    hostile("msr", 1000000), hostile("port", 100000), hostile("mmio", 1000000),
    hostile("hypercall", 1000000), hostile("tables", 1000000),
    # These never pass: the node goes on, and another guest has its checks done beside them.
    Row("hostile-odd", (Guest("hostile", "odd", passes=False), Guest("cpuid")), after=ALIVE),
    Row("hostile-triple", (Guest("hostile", "triple", says="triple fault"), Guest("cpuid")),
        after=ALIVE),
    Row("hostile-db-loop", (Guest("hostile", "db", says="endless #DB"), Guest("cpuid")),
        after=ALIVE),
    Row("hostile-ac-loop", (Guest("prot", "ac", says="endless #AC"), Guest("cpuid")),
        after=ALIVE),
    # The hog waits, goes on with what the other had, and waits again.
    Row("memhog", long=True, memory=256,
        guests=(Guest("memhog", "stay", "64MiB", "small", says=r"ok memory-keeps"),
                Guest("memhog", "", "64GiB", "hog", says=r"vm hog: vCPU 0 waits for memory")),
        after=(*ADDS_UP, "> vm kill small", r"vm hog\] memhog: 208 MiB", r"vm small: gone",
               r"vm hog: vCPU 0 waits for memory", *ADDS_UP, "> vm kill hog", r"vm hog: gone",
               "> vm list", r"no VMs|reason", *ALIVE)),
    # Each round ends in two PAUSE loops that give the CPU to the other: 100,000 switches.
    Row("canaries-on-one-cpu", long=True,
        guests=(Guest("canary", "seed=1 rounds=25000", name="one", passes=False),
                Guest("canary", "seed=2 rounds=25000", name="two", passes=False)),
        after=(r"pass canary: 6 checks", r"pass canary: 6 checks",
               "> exits one", r"PAUSE loop +[45]\d{4} ", *ALIVE),
        timeout=120),
    *(Row(f"smp-cpus{cpus}-vcpus{vcpus}", (Guest("smp", f"vcpus={vcpus}"),), cpus, vcpus,
          after=ALIVE) for cpus, vcpus in ((1, 1), (1, 2), (2, 2), (2, 3))),
    Row("vms-come-and-go", (Guest("cpuid"),), cpus=2, all_back=True,
        after=("> vm kill cpuid", r"vm cpuid: gone", *ADDS_UP,
               *(step for i in range(10) for step in one_life(f"v{i}")), *ADDS_UP, *ALIVE)),
    *(Row(f"apic{'-' + tern.replace('=', '-') if tern else ''}-cpus{cpus}-vcpus{vcpus}",
          (Guest("apic", f"vcpus={vcpus}"),), cpus, vcpus, after=ALIVE, timeout=120, tern=tern)
      for tern in ("", "apicv=off") for cpus in (1, 2) for vcpus in (1, 2)),
    Row("apic-storm", (Guest("apic", "vcpus=2 storm"),), cpus=2, vcpus=2, after=ALIVE, long=True,
        timeout=600),
]
