# SPDX-License-Identifier: MIT
"""A network of the nodes' own: a namespace without a name, a bridge, taps, DHCP, TFTP and HTTP.

The namespace exists only as a file descriptor of the rig and of the processes in it. The kernel
removes it, with bridge and taps, when the last of them ends: there is nothing to clean up.
"""
import functools
import http.server
import os
import subprocess
import threading

from .errors import RigError
from .scope import LIBC

CLONE_NEWNET = 0x40000000
ADDRESS = "10.87.0.1"
ADDRESS6 = "fd87::"


def have_namespaces():
    """Creating a network namespace and a tap takes root."""
    return os.geteuid() == 0 and os.access("/dev/net/tun", os.R_OK | os.W_OK)


class Namespace:
    """A private network namespace with its loopback up."""

    def __init__(self, scope):
        self.scope = scope
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        if LIBC.unshare(CLONE_NEWNET):
            raise RigError("cannot create a network namespace")
        self.fd = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.leave()
        self.run("ip", "link", "set", "lo", "up")

    def enter(self):
        if LIBC.setns(self.fd, CLONE_NEWNET):
            raise RigError("cannot enter the network namespace")

    def leave(self):
        if LIBC.setns(self.home, CLONE_NEWNET):
            raise RigError("cannot return from the network namespace")

    def __enter__(self):
        """Sockets made inside belong to the namespace for ever."""
        self.enter()
        return self

    def __exit__(self, *_):
        self.leave()

    def run(self, *argv):
        child = self.scope.spawn(argv, namespace=self, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True)
        _, err = child.communicate()
        if child.returncode:
            raise RigError(f"{' '.join(argv)}: {err.strip()}")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing: the console is the node's."""

    def log_message(self, *_):
        pass


class Network:
    """One bridge; each node gets a tap on it."""

    def __init__(self, scope, namespace):
        self.scope = scope
        self.namespace = namespace
        self.taps = 0
        namespace.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
        namespace.run("ip", "address", "add", f"{ADDRESS}/24", "dev", "br0")
        namespace.run("ip", "address", "add", f"{ADDRESS6}1/64", "dev", "br0", "nodad")
        namespace.run("ip", "link", "set", "br0", "up")

    def tap(self):
        """A new tap on the bridge; returns its name."""
        name = f"tap{self.taps}"
        self.taps += 1
        self.namespace.run("ip", "tuntap", "add", "dev", name, "mode", "tap")
        self.namespace.run("ip", "link", "set", name, "master", "br0", "up")
        return name

    def serve(self, folder, use_http):
        """Answers DHCP, TFTP and HTTP from `folder`, which holds what `mkmedia pxe` made."""
        script = f"http://{ADDRESS}/tern.ipxe" if use_http else "tern.ipxe"
        if use_http:
            self._serve_http(folder)
        self._serve_dhcp(
            # iPXE waits 13 s for an IPv6 router before it fetches anything: let it find one.
            f"--dhcp-range={ADDRESS6},ra-only", "--enable-ra", "--enable-tftp",
            f"--tftp-root={os.path.abspath(folder)}", "--dhcp-match=set:ipxe,175",
            "--dhcp-match=set:efi,option:client-arch,7",
            "--dhcp-match=set:efi,option:client-arch,9",
            "--dhcp-boot=tag:!ipxe,tag:!efi,undionly.kpxe",
            "--dhcp-boot=tag:!ipxe,tag:efi,snponly.efi", f"--dhcp-boot=tag:ipxe,{script}")

    def lease(self, folder=None):
        """Answers DHCP alone, and with `folder` HTTP: for guests behind a node's uplink. Broadcast
        pings are what a node without guests hears."""
        if folder:
            self._serve_http(folder)
        self._serve_dhcp()
        self._spawn("ping.log", "busybox", "ping", "-q", "-i", "0.1", "10.87.0.255")

    def _serve_dhcp(self, *more):
        # --no-daemon keeps user and group: a change drops the order to die with the rig (prctl(2)).
        self._spawn(
            "dnsmasq.log", "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--log-dhcp",
            "--port=0", "--interface=br0", "--bind-interfaces", "--no-ping", "--dhcp-authoritative",
            f"--dhcp-leasefile={self.scope.path('leases')}",
            "--dhcp-range=10.87.0.10,10.87.0.200,1h", *more)

    def _spawn(self, log_name, *argv):
        with open(self.scope.path(log_name), "wb") as log:
            self.scope.spawn(list(argv), namespace=self.namespace, stdout=log, stderr=log)

    def _serve_http(self, folder):
        handler = functools.partial(QuietHandler, directory=os.path.abspath(folder))
        with self.namespace:
            server = http.server.ThreadingHTTPServer((ADDRESS, 80), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
