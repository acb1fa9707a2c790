# SPDX-License-Identifier: MIT
"""The emulators: which one fits, and how a node is started in it."""
import os
import shutil
import socket
import subprocess
import time

from .errors import RigError, UsageError

OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
BOCHS_BIOS = "/usr/share/bochs/BIOS-bochs-latest"
# GRUB's graphics mode works with this one; with Bochs's own VGABIOS-lgpl GRUB 2.06 jumps to NULL.
BOCHS_VGA = "/usr/share/seabios/vgabios-stdvga.bin"
E1000_ROM = "/usr/lib/ipxe/qemu/pxe-e1000.rom"
EFI_BOOTS = ("grub-efi", "efi", "ipxe-efi")
NET_BOOTS = ("ipxe", "ipxe-efi")
BOOTS = ("grub", "grub-efi", "efi", "ipxe", "ipxe-efi")
NAMES = ("auto", "bochs", "qemu-tcg", "qemu-kvm")
NICS = ("e1000", "e1000e", "virtio-net-pci")


def nested_kvm():
    """KVM is here and gives its guests virtualization."""
    def says_yes(module):
        try:
            with open(f"/sys/module/{module}/parameters/nested") as f:
                return f.read().strip() in ("Y", "1")
        except OSError:
            return False
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and (says_yes("kvm_intel")
                                                         or says_yes("kvm_amd"))


def choose(name, boot):
    """The emulator for `name`, which may be auto."""
    if name == "auto":
        if nested_kvm():
            name = "qemu-kvm"
        else:
            name = "qemu-tcg" if boot in EFI_BOOTS else "bochs"
    if name == "bochs" and boot in EFI_BOOTS:
        raise UsageError(f"Bochs has no UEFI: --boot {boot} needs --emulator qemu-tcg or qemu-kvm")
    if name == "qemu-kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise UsageError("--emulator qemu-kvm: /dev/kvm cannot be opened; use qemu-tcg or bochs")
    return Bochs() if name == "bochs" else Qemu(name)


class Qemu:
    """QEMU with TCG (AMD-V) or with KVM."""

    def __init__(self, name):
        self.name = name

    def start(self, node, scope):
        """Starts the node; returns (process, console's file descriptor)."""
        ours, theirs = socket.socketpair()
        argv = self.command(node, scope, theirs.fileno())
        with open(scope.path(f"{node.name}.emulator.log"), "wb") as log:
            process = scope.spawn(argv, namespace=node.namespace, stdout=log, stderr=log,
                                  pass_fds=[theirs.fileno()])
        theirs.close()
        return process, ours.detach()

    def command(self, node, scope, fd):
        kvm = self.name == "qemu-kvm"
        argv = ["qemu-system-x86_64", "-name", node.name, "-nodefaults", "-no-user-config",
                "-display", "none", "-vga", "std", "-machine", "q35",
                "-accel", "kvm" if kvm else "tcg", "-cpu", "host" if kvm else "max",
                "-smp", str(node.cpus), "-m", f"{node.memory}M",
                "-chardev", f"socket,id=console,fd={fd}"]
        if node.serial:
            argv += ["-serial", "chardev:console"]
        else:
            argv += ["-serial", "none", "-device", "isa-debugcon,iobase=0xe9,chardev=console"]
        if node.boot in EFI_BOOTS:
            variables = scope.path(f"{node.name}.vars.fd")
            shutil.copyfile(OVMF_VARS, variables)
            argv += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF_CODE}",
                     "-drive", f"if=pflash,format=raw,file={variables}"]
        if node.disk:
            argv += self.disk(node)
        if node.boot in NET_BOOTS:
            argv += self.nic(node)
        if node.nic:
            argv += ["-netdev", f"tap,id=net,ifname={node.tap},script=no,downscript=no",
                     "-device", f"{node.nic},netdev=net,mac={node.mac},romfile="]
        return argv + node.emulator_args

    @staticmethod
    def disk(node):
        drive = f"if=none,id=medium,format=raw,readonly=on,file={node.disk}"
        if node.disk_kind == "cd":
            return ["-drive", drive + ",media=cdrom", "-device",
                    "ide-cd,bus=ide.0,drive=medium,bootindex=0"]
        if node.disk_kind == "usb":
            return ["-drive", drive, "-device", "qemu-xhci", "-device",
                    "usb-storage,drive=medium,bootindex=0"]
        # A disk of ours never changes; guests of QEMU's IDE disk expect to be able to write.
        return ["-drive", drive.replace("readonly=on", "snapshot=on"), "-device",
                "ide-hd,bus=ide.0,drive=medium,bootindex=0"]

    @staticmethod
    def nic(node):
        if node.tap:
            back = f"tap,id=net,ifname={node.tap},script=no,downscript=no"
        else:
            back = f"user,id=net,tftp={node.pxe},bootfile=tern.ipxe"
        # On UEFI the firmware's own driver and PXE client, as in a real machine; QEMU's option ROM
        # would be iPXE already.
        device = "virtio-net-pci,romfile=" if node.boot in EFI_BOOTS else "e1000"
        index = ",bootindex=0" if not node.disk else ""
        return ["-netdev", back, "-device", f"{device},netdev=net,mac={node.mac}{index}"]

    @staticmethod
    def words(node, scope):
        """The last lines QEMU printed."""
        with open(scope.path(f"{node.name}.emulator.log"), errors="replace") as f:
            return "".join(f.readlines()[-5:]).rstrip()

    @staticmethod
    def ended_well(process, _node, _scope):
        return process.returncode == 0


class Bochs:
    """Bochs 2.7: VT-x, and a time-stamp counter that counts instructions."""

    name = "bochs"

    def start(self, node, scope):
        """Starts the node; returns (process, console's file descriptor)."""
        if node.emulator_args:
            raise UsageError("--qemu-arg is for QEMU; this node runs in Bochs")
        with open(scope.path("continue"), "w") as f:
            f.write("c\n")  # Debian's Bochs waits in its debugger
        listener = None
        if node.serial:
            # Bochs is the client: the kernel picks the port, and none can be taken before Bochs.
            listener = self.listen(node)
        config = scope.path(f"{node.name}.bochsrc")
        with open(config, "w") as f:
            f.write(self.config(node, scope, listener))
        said = subprocess.PIPE
        if node.serial:
            said = open(scope.path(f"{node.name}.emulator.log"), "wb")
        process = scope.spawn(["bochs", "-q", "-f", config, "-rc", scope.path("continue")],
                              namespace=node.namespace, stdout=said, stderr=subprocess.DEVNULL)
        if not node.serial:
            return process, os.dup(process.stdout.fileno())
        said.close()
        return process, self.accept(listener, process, scope, node)

    @staticmethod
    def listen(node):
        if not node.namespace:
            return socket.create_server(("127.0.0.1", 0))
        with node.namespace:
            return socket.create_server(("127.0.0.1", 0))

    def accept(self, listener, process, scope, node):
        listener.settimeout(0.2)
        until = time.monotonic() + 30
        while time.monotonic() < until and process.poll() is None:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            listener.close()
            connection.setblocking(True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection.detach()
        listener.close()
        raise RigError("Bochs did not open its serial port:\n" + self.words(node, scope))

    @staticmethod
    def config(node, scope, listener):
        lines = [
            f"cpu: model=corei7_skylake_x, count={node.cpus}, ips=50000000, "
            "reset_on_triple_fault=1",
            f"memory: guest={node.memory}, host={node.memory}",
            f"romimage: file={BOCHS_BIOS}",
            f"vgaromimage: file={BOCHS_VGA}",
            "port_e9_hack: enabled=1",
            'display_library: rfb, options="timeout=0"',
            f"log: {scope.path(node.name + '.bochs.log')}",
            f"clock: sync={'realtime' if node.tap else 'none'}",
            "panic: action=fatal",
            "error: action=report",
            "info: action=report",
        ]
        if listener:
            lines.append("com1: enabled=1, mode=socket-client, "
                         f"dev=127.0.0.1:{listener.getsockname()[1]}")
        else:
            lines.append("com1: enabled=0")
        # GRUB 2.06 jumps into nowhere here when an image asks for a framebuffer and the VGA is ISA.
        if node.boot == "ipxe":
            lines += ["pci: enabled=1, chipset=i440fx, slot1=pcivga, slot2=e1000",
                      f"e1000: card=0, enabled=1, mac={node.mac}, ethmod=tuntap, "
                      f"ethdev=/dev/net/tun:{node.tap}, bootrom={E1000_ROM}",
                      "boot: network"]
        else:
            lines += ["pci: enabled=1, chipset=i440fx, slot1=pcivga"
                      + (", slot2=e1000" if node.nic else ""),
                      "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14"]
            if node.nic:
                lines.append(f"e1000: card=0, enabled=1, mac={node.mac}, ethmod=tuntap, "
                             f"ethdev=/dev/net/tun:{node.tap}")
            if node.disk_kind == "cd":
                lines += [f"ata0-master: type=cdrom, path={node.disk}, status=inserted",
                          "boot: cdrom"]
            else:
                lines += [f"ata0-master: type=disk, mode=flat, path={node.disk}", "boot: disk"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def words(node, scope):
        """What Bochs reported as it ended: its panic, without the registers that follow."""
        try:
            with open(scope.path(f"{node.name}.bochs.log"), errors="replace") as f:
                lines = f.readlines()[-200:]
        except OSError:
            return "(no log)"
        panics = [line for line in lines if "p[" in line[11:14]]
        return "".join(panics or lines[-5:]).rstrip()

    def ended_well(self, _process, node, scope):
        """Bochs reports the ACPI power-off as a panic."""
        return "soft power off" in self.words(node, scope)
