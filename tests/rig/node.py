# SPDX-License-Identifier: MIT
"""A node: one machine with its medium, in an emulator."""
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import emulators, network
from .errors import RigError, UsageError

ROOT = Path(__file__).resolve().parents[2]
MKMEDIA = ROOT / "boot/mkmedia"
IPXE_EFI = Path("/usr/lib/ipxe/ipxe.efi")  # its own drivers: started from a disk, not a card


@dataclass
class Medium:
    """What the node is to boot: the built images, or private ones when anything is changed."""

    build: Path = ROOT / "build"
    kernel: str | None = None
    config: str | None = None
    cmdline: str = ""
    modules: list = field(default_factory=list)      # "NAME=FILE"
    module_args: list = field(default_factory=list)  # "NAME=WORDS"

    def stock(self):
        return not (self.kernel or self.config or self.cmdline or self.modules)

    def make(self, kind, out):
        """Makes the medium of that kind, or returns the built one."""
        built = {"iso": self.build / "tern.iso", "pxe": self.build / "pxe"}.get(kind)
        if self.stock() and built:
            if not built.exists():
                raise UsageError(f"{built} is missing: run 'make'")
            return built
        kernel = Path(self.kernel or self.build / "tern.elf")
        if not kernel.is_file():
            raise UsageError(f"{kernel} is missing: run 'make'")
        argv = [MKMEDIA, kind, "--kernel", kernel, f"--cmdline={self.cmdline}", "-o", out]
        if kind != "iso":
            argv += ["--efi", self.build / "ternboot.efi"]
        if self.config:
            argv += ["--config", self.config]
        for module in self.modules:
            argv.append(f"--module={module}")
        for words in self.module_args:
            argv.append(f"--module-args={words}")
        done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode == 2:
            raise UsageError(done.stderr.strip())
        if done.returncode:
            raise RigError(done.stderr.strip())
        return Path(out)


class Node:
    """One machine. Start it with start(); it ends with its scope."""

    def __init__(self, scope, emulator, boot="grub", cpus=1, memory=512, name="node0", mac_tail=1):
        self.scope = scope
        self.emulator = emulator
        self.boot = boot
        self.cpus = cpus
        self.memory = memory
        self.name = name
        self.mac = f"52:54:00:87:00:{mac_tail:02x}"
        self.serial = True
        self.emulator_args = []
        self.namespace = None
        self.tap = None
        self.nic = None  # a model: a card on the rig's network, beside what it boots from
        self.disk = None
        self.disk_kind = "cd"
        self.pxe = None
        self.process = None

    def attach(self, net):
        """Puts the node on a network."""
        self.namespace = net.namespace
        self.tap = net.tap()

    def insert(self, medium, usb=False):
        """Gives the node what it boots from."""
        if self.boot in ("grub", "grub-efi"):
            self.disk = self._absolute(medium.make("iso", self.scope.path("tern.iso")))
            self.disk_kind = "usb" if usb else "cd"
            if usb and self.emulator.name == "bochs":
                # Bochs locks a disk's image and wants to write to it.
                copy = self.scope.path(f"{self.name}.disk")
                shutil.copyfile(self.disk, copy)
                self.disk = copy
        elif self.boot == "efi":
            self.disk = self._absolute(medium.make("esp", self.scope.path("esp.img")))
            self.disk_kind = "usb" if usb else "disk"
        else:
            self.pxe = self._absolute(medium.make("pxe", self.scope.path("pxe")))

    @staticmethod
    def _absolute(path):
        """Emulators read commas and run in the scope's folder."""
        path = os.path.abspath(path)
        if "," in path or any(c.isspace() for c in path):
            raise UsageError(f"{path}: the emulators cannot take a path with commas or spaces")
        return path

    def start(self):
        """Starts the emulator; returns the console's file descriptor."""
        self.process, fd = self.emulator.start(self, self.scope)
        return fd


def connect(scope, node, use_http=False, serve=None):
    """Gives a node the network its boot path or its card needs, and Bochs a place for ports of its
    own."""
    if node.nic:
        if not network.have_namespaces():
            raise UsageError("--nic needs root, for a network namespace and a tap")
        net = network.Network(scope, network.Namespace(scope))
        node.attach(net)
        net.lease(serve)
        return
    if node.boot not in emulators.NET_BOOTS:
        if node.emulator.name == "bochs" and network.have_namespaces():
            node.namespace = network.Namespace(scope)
        return
    if network.have_namespaces():
        net = network.Network(scope, network.Namespace(scope))
        node.attach(net)
        net.serve(node.pxe, use_http)
        return
    if node.emulator.name == "bochs":
        raise UsageError("Bochs's network needs root, for a tap; use --emulator qemu-tcg")
    if use_http:
        raise UsageError("--http needs root, for a network namespace")
    if node.boot == "ipxe-efi":
        # QEMU's built-in DHCP server names one file to every client, so the firmware gets iPXE
        # from a disk; all the rest comes over the network still.
        node.disk = scope.path("ipxe.img")
        node.disk_kind = "disk"
        make_ipxe_disk(node.disk)


def make_ipxe_disk(path):
    """A FAT image whose removable-media loader is iPXE."""
    for argv in (["mkfs.vfat", "--invariant", "-F", "16", "-C", path, "20480"],
                 ["mmd", "-i", path, "::/EFI", "::/EFI/BOOT"],
                 ["mcopy", "-i", path, str(IPXE_EFI), "::/EFI/BOOT/BOOTX64.EFI"]):
        done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode:
            raise RigError(f"{argv[0]}: {done.stderr.strip()}")
