# SPDX-License-Identifier: MIT
"""Debian's kernels, unmodified, and a small user space for them: what Linux guests are made of.

Kernels are fetched by apt into BUILD/linux once and not installed. The initramfs is Debian's static
busybox, the virtio modules of that kernel and tests/system/linux_init.sh.
"""
import argparse
import fnmatch
import gzip
import lzma
import os
import pathlib
import re
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INIT = ROOT / "tests/system/linux_init.sh"
LOAD = ROOT / "tests/system/load.sh"
LOAD_UNIT = ROOT / "tests/system/load.service"
BUSYBOX = pathlib.Path("/bin/busybox")
CLOUD = "linux-image-cloud-amd64"
# In the order in which they can be loaded.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
           "virtio_blk", "failover", "net_failover", "virtio_net", "virtio_balloon",
           "virtio_console", "rng-core", "virtio-rng")


class ImageError(Exception):
    pass


def run(*argv, cwd=None):
    r = subprocess.run([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if r.returncode:
        raise ImageError(f"{' '.join(map(str, argv))}: {r.stderr.strip()}")
    return r.stdout


def as_root(*argv, cwd=None):
    return run(*(() if os.getuid() == 0 else ("sudo",)), *argv, cwd=cwd)


def apt(*argv, cwd=None):
    """Asks apt; once more with new lists when it knows nothing, or knows what is gone."""
    try:
        return run(*argv, cwd=cwd)
    except ImageError:
        as_root("apt-get", "update")
        return run(*argv, cwd=cwd)


def fetched(build, name):
    """The package, unpacked into a folder of BUILD/linux; fetched once."""
    tree = pathlib.Path(build) / "linux" / name
    if not tree.exists():
        tree.parent.mkdir(parents=True, exist_ok=True)
        apt("apt-get", "download", name, cwd=tree.parent)
        made = tree.parent / f"{name}.part"
        run("dpkg-deb", "-x", next(tree.parent.glob(f"{name}_*.deb")), made)
        made.rename(tree)
    return tree


def package(name):
    """The package with the kernel: a meta package depends on it; of a pattern, the newest."""
    if "*" in name:
        names = fnmatch.filter(apt("apt-cache", "pkgnames", name.split("*")[0]).split(), name)
        versions = [[int(n) for n in re.findall(r"\d+", n)] + [n] for n in names]
        if not versions:
            raise ImageError(f"there is no package {name}; is apt's list there (apt update)?")
        return max(versions)[-1]
    if re.fullmatch(r"linux-image-\d.*", name):
        return name
    depends = apt("apt-cache", "depends", "--important", name)
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if not found:
        raise ImageError(f"{name} names no kernel; is apt's list there (apt update)?")
    return found[1]


def kernel(build, name=CLOUD):
    """The unpacked package: fetched once. Returns (vmlinuz, folder of modules)."""
    tree = fetched(build, package(name))
    return next(tree.glob("boot/vmlinuz-*")), next(tree.glob("lib/modules/*"))


def vmlinux(vmlinuz, out):
    """The ELF file inside a bzImage (Documentation/arch/x86/boot.rst: payload_offset), for PVH."""
    data = pathlib.Path(vmlinuz).read_bytes()
    setup = (data[0x1f1] or 4) + 1
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[setup * 512 + offset:][:length]
    if payload[:6] == b"\xfd7zXZ\0":
        elf = lzma.LZMADecompressor().decompress(payload)
    elif payload[:2] == b"\x1f\x8b":
        elf = gzip.decompress(payload)
    else:
        raise ImageError(f"{vmlinuz}: compressed by neither xz nor gzip")
    out.write_bytes(elf)
    return out


def cpio_entry(number, name, mode, data):
    """One file of the "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def memtest(build):
    """Memtest86+ as a kernel: it boots as a bzImage with a 64-bit entry."""
    return next(fetched(build, "memtest86+").glob("boot/memtest86+x64.bin"))


def initramfs(files):
    """files: name -> (mode, bytes)."""
    out = b"".join(cpio_entry(i, name, mode, data)
                   for i, (name, (mode, data)) in enumerate(files.items(), 1))
    return out + cpio_entry(0, "TRAILER!!!", 0, b"")


def initrd(build, modules, out):
    """The initramfs of the tests."""
    files = {d: (0o40755, b"") for d in ("bin", "dev", "proc", "sys", "mnt", "mod")}
    files["bin/busybox"] = (0o100755, BUSYBOX.read_bytes())
    files["init"] = (0o100755, INIT.read_bytes())
    order = []
    for name in MODULES:
        found = sorted(modules.rglob(f"{name}.ko"))
        if found:
            files[f"mod/{name}.ko"] = (0o100644, found[0].read_bytes())
            order.append(name)
    files["mod/order"] = (0o100644, "\n".join(order).encode() + b"\n")
    out.write_bytes(gzip.compress(initramfs(files), 6, mtime=0))
    return out


def guest(build, name=CLOUD):
    """(vmlinuz, initrd) of a kernel package, made once."""
    image, modules = kernel(build, name)
    made = pathlib.Path(build) / "linux" / f"{package(name)}.initrd"
    sources = (INIT, pathlib.Path(__file__), BUSYBOX)
    if not made.exists() or any(s.stat().st_mtime > made.stat().st_mtime for s in sources):
        initrd(build, modules, made)
    return image, made


ROOT_HOST = "tern-guest"
ROOT_MIB = 256  # of the disk; the file ends where the file system has nothing more
TOOLS_ROOT_MIB = 240


def debian(build, name, mib, include="", hooks=()):
    """A real Debian root file system, ext4 with systemd, as a disk image: made once. Its root has no
    password."""
    made = pathlib.Path(build) / "linux" / name
    if made.exists():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    part, tree = made.parent / f"{name}.part", made.parent / f"{name}.tree"
    as_root("rm", "-rf", tree)
    as_root("mmdebstrap", "--variant=minbase", f"--include=systemd-sysv,udev{include}",
            "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--customize-hook=chroot $1 passwd -d root",
            f"--customize-hook=echo {ROOT_HOST} > $1/etc/hostname",
            "--customize-hook=echo '/dev/vda / ext4 rw 0 1' > $1/etc/fstab",
            *(f"--customize-hook={hook}" for hook in hooks),
            "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/apt/*.bin",
            "bookworm", tree)
    part.unlink(missing_ok=True)
    as_root("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, part, f"{mib}M")
    as_root("rm", "-rf", tree)
    as_root("chown", f"{os.getuid()}:{os.getgid()}", part)
    data = part.read_bytes()
    os.truncate(part, -(-len(data.rstrip(b"\0")) // 4096) * 4096)
    part.rename(made)
    return made


def root(build):
    return debian(build, "root.img", ROOT_MIB)


# What it takes to build a module, and all that a guest on Tern has no hardware for: the image lies in the
# memory of a small node.
DIET = ("rm -rf $1/usr/lib/gcc $1/usr/src/linux-headers-* $1/usr/lib/linux-kbuild-* $1/usr/include "
        "$1/usr/lib/x86_64-linux-gnu/*.a $1/usr/bin/x86_64-linux-gnu-* $1/usr/share/perl "
        "$1/usr/lib/x86_64-linux-gnu/perl $1/usr/lib/x86_64-linux-gnu/libbfd* "
        "$1/usr/lib/x86_64-linux-gnu/lib?san.so* $1/boot/* $1/initrd* $1/vmlinuz* $1/var/cache/* "
        "$1/var/lib/apt $1/usr/lib/modules/*/kernel $1/usr/share/zoneinfo $1/usr/share/i18n "
        "$1/usr/lib/locale")


def tools_root(build):
    """The same with the guest tools installed from their package, the module built by DKMS."""
    package = next(pathlib.Path(build).glob("tern-guest-tools_*_amd64.deb"))
    made = pathlib.Path(build) / "linux" / "tools-root.img"
    if made.exists() and any(made.stat().st_mtime < s.stat().st_mtime
                             for s in (package, LOAD, LOAD_UNIT, pathlib.Path(__file__))):
        made.unlink()
    return debian(build, made.name, TOOLS_ROOT_MIB,
                  ",procps,dkms,linux-image-cloud-amd64,linux-headers-cloud-amd64",
                  (f"copy-in {package.resolve()} /root",
                   f"chroot $1 apt-get install -y /root/{package.name}",
                   "test -n \"$(find $1/lib/modules -name 'tern.ko*')\"", DIET, f"copy-in {LOAD} /root",
                   f"copy-in {LOAD_UNIT} /etc/systemd/system",
                   "chroot $1 sh -c 'cd /lib/modules && depmod $(ls)'"))


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    ap.add_argument("package", nargs="?", default=CLOUD)
    args = ap.parse_args()
    try:
        for path in guest(args.build, args.package):
            print(path)
    except ImageError as e:
        print(f"linux_image: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
