# SPDX-License-Identifier: MIT
"""The boot tests as a table: one row is one node, booted once, and what it must say.

A row holds options of ternrun (docs/ternrun.md) and a script: "> cmd" types a command, all else is
a regular expression that the console must match after what was matched before. test_boot.py runs
the rows. Words in a row's name are what `make check-boot SELECT=...` selects by.
"""
import random
from dataclasses import dataclass

HELLO_BYTES = 12345
# Modules begin on a page: the end shows the length to the byte.
HELLO_LINE = rf"0x[0-9a-f]+000-0x[0-9a-f]+{HELLO_BYTES - 1 & 0xfff:03x} .* hello$"
PANIC = r"PANIC|panic while panicking"
GOOD_CONFIG = '[node]\nname = "matrix"\n\n[log]\nlevel = "debug"\n'
BOCHS_SECONDS = 100
QEMU_SECONDS = 90


@dataclass
class Row:
    name: str
    options: tuple
    script: tuple
    never: tuple = (PANIC, "DOES NOT ADD UP")
    config: str | None = None   # text of tern.toml
    hello: int | None = None    # bytes of the module "hello"
    shim: str | None = None     # the hostile loader with these words, in Tern's place
    build: str | None = None    # another variant than the one under test
    timeout: int = QEMU_SECONDS


def boot(emulator, path, cpus, loader, firmware, *more):
    """A row of the matrix proper: every fact of the loader arrives."""
    return Row(
        "-".join((emulator, path, *(w.strip("-") for w in more), f"cpus{cpus}")),
        ("--emulator", emulator, "--boot", path, "--cpus", str(cpus), *more),
        (rf"boot: module hello, {HELLO_BYTES} bytes",
         "> version", rf"^loader: .*{loader}.*{firmware}", r"^boot: [1-9]\d* ticks",
         "> cpus", rf"^{cpus} CPUs, {cpus} online$",
         "> mmap", r" RAM$", r" hypervisor image$", HELLO_LINE,
         "> mem", r"= total",
         "> config", r"from tern\.toml", r'^name = "matrix"$', r'^level = "debug"$'),
        config=GOOD_CONFIG, hello=HELLO_BYTES,
        timeout=BOCHS_SECONDS if emulator == "bochs" else QEMU_SECONDS)


def crash(kind, said, options):
    """A panic on purpose: the report arrives, and the boot after it has it too."""
    return Row(f"{options[1]}-panic-{kind}", (*options, "--cmdline", "panic=reboot"),
               (f"> panic {kind}", rf"E PANIC on CPU 0: .*{said}", r"^backtrace:$",
                r" shell_poll\+0x", r"^last trace records", "> log --previous",
                rf"E PANIC on CPU 0: .*{said}", r"^backtrace:$", r" shell_poll\+0x",
                r"^last trace records"),
               never=("panic while panicking", "did not answer"),
               timeout=2 * BOCHS_SECONDS)


def card(emulator, model, name, wakes):
    """A NIC is found, and comes back after resets. There is a second between two of them, time to hear
    the network; but QEMU's e1000 is deaf for a second after each, and Bochs's clock is not the
    network's: a Linux guest behind it proves that it hears (linux_rows.py)."""
    hears = (r"rx frames +[1-9]",) if model != "e1000" else ()
    return Row(f"{emulator}-nic-{model}", ("--emulator", emulator, "--nic", model),
               ("> nic list", rf"52:54:00:87:00:01 +{name} +uplink, MTU 1500, {wakes}, link up",
                "> nic reset nic0", r"nic0 is reset", r"nic0: link up",
                "> nic reset nic0", r"nic0 is reset", r"nic0: link up",
                "> nic stats", *hears, r"resets +2$", "> switch show", r"uplink .* up +uplink"),
               config='[uplink]\nnic = "52:54:00:87:00:01"\n',
               timeout=BOCHS_SECONDS if emulator == "bochs" else QEMU_SECONDS)


def garbage(lines):
    """The same garbage every time."""
    rnd = random.Random(1)
    line = '# ten thousand lines\n[node]\nname = "fine"\n'
    return line + "".join("".join(chr(rnd.randrange(32, 127)) for _ in range(60)) + "\n"
                          for _ in range(lines - 3))


# The long ones first: two rows run at once.
MATRIX = [
    boot("bochs", "ipxe", 2, "iPXE", "BIOS"),
    boot("bochs", "ipxe", 1, "iPXE", "BIOS"),
    boot("bochs", "grub", 2, "GRUB", "BIOS"),
    boot("bochs", "grub", 1, "GRUB", "BIOS"),
    boot("bochs", "grub", 1, "GRUB", "BIOS", "--usb"),
    boot("qemu-tcg", "ipxe-efi", 4, "ternboot", "UEFI"),
    boot("qemu-tcg", "ipxe-efi", 1, "ternboot", "UEFI"),
    boot("qemu-tcg", "efi", 4, "ternboot", "UEFI"),
    boot("qemu-tcg", "efi", 1, "ternboot", "UEFI"),
    boot("qemu-tcg", "efi", 1, "ternboot", "UEFI", "--usb"),
    boot("qemu-tcg", "grub-efi", 4, "GRUB", "UEFI"),
    boot("qemu-tcg", "grub-efi", 1, "GRUB", "UEFI"),
    boot("qemu-tcg", "grub-efi", 1, "GRUB", "UEFI", "--usb"),
    boot("qemu-tcg", "grub", 4, "GRUB", "BIOS"),
    boot("qemu-tcg", "grub", 2, "GRUB", "BIOS"),
    boot("qemu-tcg", "grub", 1, "GRUB", "BIOS"),
    boot("qemu-tcg", "grub", 1, "GRUB", "BIOS", "--usb"),
    boot("qemu-tcg", "ipxe", 4, "iPXE", "BIOS"),
    boot("qemu-tcg", "ipxe", 2, "iPXE", "BIOS"),
    boot("qemu-tcg", "ipxe", 1, "iPXE", "BIOS", "--http"),
]

BOCHS = ("--emulator", "bochs")
QEMU = ("--emulator", "qemu-tcg")

# What the node does once it runs.
SHELL = [
    Row("bochs-vtx-capabilities", BOCHS,
        ("> cpus", r"VT-x: usable", r"EPT", "> frames", r"^metadata: \d+ bytes a frame$"),
        timeout=BOCHS_SECONDS),
    Row("qemu-svm-capabilities", QEMU, ("> cpus", r"AMD-V: usable", r"nested paging")),
    Row("qemu-no-virtualization", (*QEMU, "--qemu-arg=-cpu", "--qemu-arg=max,-svm"),
        ("> cpus", r"virtualization: none")),
    Row("bochs-every-command", (*BOCHS, "--cpus", "2"),
        ("> help", r"^version", "> acpi", r"^MADT: ", "> pci", r"^\d+ devices by", "> irq",
         r"^vector", "> timers", r"^CPU 0: ", "> trace", r"^CPU 0: newest", "> frames",
         r"^order", "> uptime", r"^up ", "> log", r"\[", "> log --level", r"^usage: log",
         "> nonsense", r"nonsense"), timeout=BOCHS_SECONDS),
    Row("bochs-reboot-keeps-log", BOCHS,
        ("> version", r"log is known: 1$", "> reboot", "> version", r"log is known: 2$",
         "> log --previous", r"\[.*\S"), timeout=2 * BOCHS_SECONDS),
    Row("qemu-reboot-keeps-log", QEMU,
        ("> version", r"log is known: 1$", "> reboot", "> version", r"log is known: 2$",
         "> log --previous", r"\[.*\S")),
    crash("assert", "requested by the shell", (*QEMU, "--cpus", "4")),
    crash("fault", "#PF page fault: write of address 0000000000000010, not mapped",
          (*QEMU, "--boot", "grub-efi")),
    crash("stack", "#PF page fault: .* the stack ran into the hole below it", QEMU),
    crash("stack", "#PF page fault: .* the stack ran into the hole below it", BOCHS),
    card("bochs", "e1000", "82540EM", "polled"),
    card("qemu-tcg", "e1000", "82540EM", "polled"),
    card("qemu-tcg", "e1000e", "82574L", "MSI"),
    card("qemu-tcg", "virtio-net-pci", "virtio-net", "MSI-X"),
    Row("bochs-poweroff", BOCHS, ("> poweroff",), timeout=BOCHS_SECONDS),
    Row("qemu-poweroff", QEMU, ("> poweroff",)),
    Row("qemu-efi-poweroff", (*QEMU, "--boot", "efi"), ("> poweroff",)),
    Row("qemu-polled-serial", QEMU, ("> config", r"^irq = 0$"), config="[console]\nirq = 0\n"),
    Row("qemu-command-line-wins", (*QEMU, "--cmdline", "log=warn screen=off"),
        ("> config", r"^screen = false$", r'^level = "warn"$'), config='[log]\nlevel = "debug"\n'),
    Row("bochs-debug-build-cpus2", (*BOCHS, "--cpus", "2"),
        ("> version", r"debug build", "> cpus", r"^2 CPUs, 2 online$", "> mem", r"= total"),
        build="build/debug", timeout=2 * BOCHS_SECONDS),
    Row("qemu-debug-build-cpus4", (*QEMU, "--cpus", "4", "--boot", "grub-efi"),
        ("> version", r"debug build", "> cpus", r"^4 CPUs, 4 online$", "> mem", r"= total"),
        build="build/debug"),
    Row("qemu-clang-build-cpus4", (*QEMU, "--cpus", "4"),
        ("> cpus", r"^4 CPUs, 4 online$", "> mem", r"= total"), build="build/clang"),
]

# It says so on what is left, and boots to the end.
NO_SERIAL = (r"no serial port at 0x3f8; there will be no shell", r"boot: \d+ ticks")

# What is given to it is wrong; the machine is fine.
BAD_INPUT = [
    Row("bad-config-10000-lines", QEMU,
        ("> config", r"tern\.toml:4:\d+: ", r"whole file is ignored", r'^name = "tern"$',
         "> cpus", r"1 online"), config=garbage(10000)),
    Row("bad-config-10000-lines-efi", (*QEMU, "--boot", "efi"),
        ("> config", r"tern\.toml:4:\d+: ", r"whole file is ignored"), config=garbage(10000)),
    Row("bad-config-cut", QEMU, ("> config", r"tern\.toml:2:\d+: ", r'^name = "tern"$'),
        config=GOOD_CONFIG[:15]),
    Row("bad-config-unknown-key", QEMU, ("> config", r"tern\.toml:2:1: .*nmae"),
        config='[node]\nnmae = "x"\n'),
    Row("module-empty", QEMU, ("> mmap", r"image$", "> cpus", "1 online"), hello=0),
    Row("no-serial-port", (*QEMU, "--no-serial"), NO_SERIAL),
    Row("no-serial-port-bochs", (*BOCHS, "--no-serial"), NO_SERIAL,
        timeout=BOCHS_SECONDS),
    Row("no-serial-port-efi", (*QEMU, "--no-serial", "--boot", "efi"), NO_SERIAL),
    Row("memory-64-bochs", (*BOCHS, "--memory", "64", "--cpus", "2"),
        ("> mem", r"= total", "> cpus", r"^2 CPUs, 2 online$"), timeout=BOCHS_SECONDS),
    Row("memory-64-qemu", (*QEMU, "--memory", "64", "--cpus", "4"),
        ("> mem", r"= total", "> cpus", r"^4 CPUs, 4 online$")),
    Row("memory-6144-qemu", (*QEMU, "--memory", "6144"), # past 4 GiB
        ("> mmap", r"0x0001[0-9a-f]{8}-0x0001[0-9a-f]{8} .* RAM$", "> mem", r"= total")),
]


def lie(words, *script, **kw):
    """A row in which the loader lies (tests/system/shim)."""
    return Row("hostile-loader-" + words.replace("=", "-").replace(" ", "-"), QEMU,
               (rf"^shim: {words}", *script), shim=words,
               hello=HELLO_BYTES, config=GOOD_CONFIG, **kw)


ALIVE = ("> version", r"^loader: shim", "> mem", r"= total", "> cpus", r"1 online")
HOSTILE = [
    lie("honest", "> mmap", HELLO_LINE, "> acpi", r", 0 bad$", "> config", r'^name = "matrix"$',
        *ALIVE),
    lie("map=overlap", "> mmap", r"0x000006000000-.* ACPI non-volatile$", *ALIVE),
    lie("map=wrap", r"memory map: entry at 0x6000000, .*wraps around", *ALIVE),
    lie("map=none", r"no usable memory map", never=()),
    lie("acpi=checksum", r"ACPI table APIC .*wrong checksum", "> acpi", r"APIC.*BAD: wrong checksum",
        *ALIVE),
    lie("acpi=length", r"ACPI table APIC .*past the end of memory", "> acpi",
        r"APIC.*BAD: past the end of memory", *ALIVE),
    lie("acpi=huge", r"ACPI table APIC .*length above", "> acpi", r"APIC.*BAD: length", *ALIVE),
    lie("acpi=wild", r"ACPI table .*past the end of memory", "> acpi", r"BAD: past", *ALIVE),
    lie("module=truncated", r"module 'hello' .*is not in RAM; dropped", *ALIVE),
    lie("module=reversed", "> mmap", r" tern\.toml$", *ALIVE, never=(PANIC, r" hello$")),
    lie("tags=garbage", "> config", r'^name = "matrix"$', *ALIVE),
    lie("tags=tiny", "> config", r'^name = "matrix"$', *ALIVE),
    lie("tags=short", *ALIVE),
]

ROWS = MATRIX + SHELL + BAD_INPUT + HOSTILE
