#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of acpi_fuzz, small machines, whole and broken: acpi_seeds.py DIRECTORY"""
import pathlib
import struct
import sys

BASE = 0xE0000
FIX_SUMS = 1


def with_sum(data, index):
    data = bytearray(data)
    data[index] = (data[index] - sum(data)) & 0xFF
    return bytes(data)


def table(sig, body, revision=1, length=None):
    size = 36 + len(body) if length is None else length
    head = struct.pack("<4sIBB6s8sIII", sig, size, revision, 0, b"TERN  ", b"SEED    ", 1, 0, 1)
    return with_sum(head + body, 9)


def gas(space, width, addr):
    return struct.pack("<BBBBQ", space, width, 0, 0, addr)


def madt(*entries, revision=3):
    return table(b"APIC", struct.pack("<II", 0xFEE00000, 1) + b"".join(entries), revision)


def lapic(uid, apic_id, flags=1):
    return struct.pack("<BBBBI", 0, 8, uid, apic_id, flags)


def x2apic(uid, apic_id, flags=1):
    return struct.pack("<BBHIII", 9, 16, 0, apic_id, flags, uid)


IOAPIC = struct.pack("<BBBBII", 1, 12, 0, 0, 0xFEC00000, 0)
OVERRIDE0 = struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0)
OVERRIDE9 = struct.pack("<BBBBIH", 2, 10, 0, 9, 9, 0xD)
LAPIC_ADDR = struct.pack("<BBHQ", 5, 12, 0, 0xFEE00000)
LAPIC_NMI = struct.pack("<BBBHB", 4, 6, 0xFF, 0, 1)


def fadt(dsdt, size=244, revision=4):
    body = bytearray(size - 36)

    def put(offset, data):
        if offset + len(data) <= size:
            body[offset - 36:offset - 36 + len(data)] = data

    put(40, struct.pack("<I", dsdt))
    put(48, struct.pack("<IBB", 0xB2, 0xF1, 0xF0))
    put(64, struct.pack("<II", 0x604, 0))
    put(76, struct.pack("<I", 0x608))
    put(88, bytes([4, 2, 0, 4]))
    put(112, struct.pack("<I", 1 << 8 | 1 << 10))
    put(116, gas(1, 8, 0xCF9))
    put(128, b"\x06")
    put(140, struct.pack("<Q", dsdt))
    put(172, gas(1, 16, 0x604))
    put(208, gas(1, 32, 0x608))
    return table(b"FACP", bytes(body), revision)


S5 = b"\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05\x00\x00"
S5_ROOT_WORD = b"\x08\\_S5_\x12\x0b\x03\x0b\x07\x00\x01\x00"
S5_CUT = b"\x08_S5_\x12\x46\x00\x04\x0a"
HPET = table(b"HPET", struct.pack("<I", 0x8086A201) + gas(0, 64, 0xFED00000) + b"\0" * 4)
MCFG = table(b"MCFG", b"\0" * 8 + struct.pack("<QHBBI", 0xB0000000, 0, 0, 255, 0))


def srat(*entries, revision=3):
    return table(b"SRAT", b"\0" * 12 + b"".join(entries), revision)


def srat_lapic(domain, apic_id):
    return struct.pack("<BBBBIB3sI", 0, 16, domain, apic_id, 1, 0, b"\0\0\0", 0)


def srat_memory(domain, base, size):
    return struct.pack("<BBIHQQIIQ", 1, 40, domain, 0, base, size, 0, 1, 0)


def srat_x2apic(domain, apic_id):
    return struct.pack("<BBHIIIII", 2, 24, 0, domain, apic_id, 1, 0, 0)


def machine(tables, dsdt=None, revision=2, repeat=False):
    """An image: RSDP, RSDT, XSDT, DSDT, tables. fadt() is called with the address of the DSDT."""
    where = 64
    count = len(tables) + repeat
    rsdt_at = where
    xsdt_at = rsdt_at + 36 + 4 * count
    dsdt_at = xsdt_at + 36 + 8 * count
    blob = table(b"DSDT", dsdt) if dsdt is not None else b""
    where = dsdt_at + len(blob)
    addrs = []
    for i, t in enumerate(tables):
        if callable(t):
            tables[i] = t = t(BASE + dsdt_at)
        addrs.append(BASE + where)
        where += len(t)
    if repeat:
        addrs.append(addrs[0])
    rsdt = table(b"RSDT", struct.pack(f"<{count}I", *addrs))
    xsdt = table(b"XSDT", struct.pack(f"<{count}Q", *addrs))
    rsdp = with_sum(struct.pack("<8sB6sBI", b"RSD PTR ", 0, b"TERN  ", revision, BASE + rsdt_at), 8)
    if revision >= 2:
        rsdp = with_sum(rsdp + struct.pack("<IQB3s", 36, BASE + xsdt_at, 0, b"\0\0\0"), 32)
    return rsdp.ljust(64, b"\0") + rsdt + xsdt + blob + b"".join(tables)


def seeds():
    cpus = madt(lapic(0, 0), lapic(1, 1), x2apic(2, 256), IOAPIC, OVERRIDE0, OVERRIDE9, LAPIC_NMI,
                LAPIC_ADDR, lapic(9, 0xFF, 0))
    nodes = srat(srat_lapic(0, 0), srat_lapic(7, 1), srat_x2apic(7, 256),
                 srat_memory(0, 0, 0xA0000), srat_memory(7, 1 << 32, 1 << 30))
    yield "pc-rsdt", 0, machine([cpus, lambda at: fadt(at, 116, 1)], S5, revision=0)
    yield "server-xsdt", 0, machine([nodes, cpus, fadt, HPET, MCFG], S5)
    yield "all-fix", FIX_SUMS, machine([nodes, cpus, fadt, HPET, MCFG], S5_ROOT_WORD)
    yield "s5-cut", 0, machine([fadt], S5_CUT)
    yield "listed-twice", 0, machine([cpus], repeat=True)
    yield "madt-zero-length", 0, machine([madt(lapic(0, 0), b"\0\0\0\0")])
    yield "madt-past-end", 0, machine([madt(lapic(0, 0), b"\x00\x40\0\0")])
    yield "madt-short-entry", 0, machine([madt(b"\x09\x08" + b"\0" * 6)])
    yield "many-domains", 0, machine([srat(*[srat_memory(d, d << 30, 1 << 30) for d in range(20)])])
    yield "length-short", 0, machine([table(b"HPET", b"", length=8)])
    yield "length-past-memory", 0, machine([table(b"APIC", b"\0" * 8, length=0x100000)])
    yield "length-huge", 0, machine([table(b"MCFG", b"\0" * 8, length=0xFFFFFFFF)])
    bad = bytearray(machine([cpus, HPET]))
    bad[-1] ^= 1
    yield "wrong-checksum", 0, bytes(bad)
    bad = bytearray(machine([cpus]))
    bad[33] ^= 1
    yield "rsdp-extended-checksum", 0, bytes(bad)


def main():
    out = pathlib.Path(sys.argv[1])
    for name, flags, image in seeds():
        (out / name).write_bytes(struct.pack("<III", BASE, 0 if flags else BASE, flags) + image)


main()
