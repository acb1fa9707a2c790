#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The part of make check-tools that needs root: install, upgrade, remove, purge and fail in scratch roots.

Prints one line of JSON for each test: its name, and null or the problem.
"""
import argparse
import json
import pathlib
import shutil
import sys
import time

import scratch

PACKAGE = "tern-guest-tools"
WANTS = "/etc/systemd/system/multi-user.target.wants/tern-agent.service"
CONFIG = "/etc/tern/agent.toml"
MANIFEST = "/var/lib/tern/install.manifest"


class Failed(Exception):
    pass


def must(good, text):
    if not good:
        raise Failed(text)


class Test:
    """A scratch root, and what all tests do in it."""

    def __init__(self, args, dkms):
        self.args = args
        self.root = scratch.Root(args.folder, args.headers, args.release)
        for number, deb in (("old", args.old_deb), ("new", args.new_deb)):
            shutil.copy(deb, self.root.path(f"/tmp/{number}.deb"))
        for number, tree in (("old", args.old_tree), ("new", args.new_tree)):
            scratch.copy_tree(tree, self.root, f"/tmp/{number}")
        if dkms and not self.root.path("/usr/sbin/dkms").exists():
            shutil.copy(args.dkms, self.root.path("/tmp/dkms.deb"))
            self.ok("dpkg", "-i", "/tmp/dkms.deb")
        # What these make anew is not left behind by the package.
        self.ok("depmod", args.release)
        self.ok("ldconfig")
        self.before = self.root.changes()

    def ok(self, *argv):
        status, out = self.root.run(*argv)
        must(status == 0, f"{' '.join(map(str, argv))}: status {status}\n{out}")
        return out

    def fails(self, words, *argv):
        status, out = self.root.run(*argv)
        must(status != 0, f"{' '.join(argv)}: did not fail\n{out}")
        must(words in out, f"{' '.join(argv)}: does not say '{words}':\n{out}")
        return out

    def says(self, words, out):
        must(words in out, f"does not say '{words}':\n{out}")

    def there(self, *paths):
        for path in paths:
            must(self.root.path(path).is_symlink() or self.root.path(path).exists(),
                 f"there is no {path}")

    def not_there(self, *paths):
        for path in paths:
            must(not self.root.path(path).is_symlink() and not self.root.path(path).exists(),
                 f"there is still {path}")

    def clean(self, besides=()):
        """All is as it was before, besides some paths and what is in them."""
        left = scratch.difference(*(
            {p: d for p, d in changes.items()
             if not any(p == b or p.startswith(b + "/") for b in besides)}
            for changes in (self.before, self.root.changes())))
        must(left is None, f"is not as it was:\n{left}")

    def module(self, where):
        return f"/usr/lib/modules/{self.args.release}/updates/{where}tern.ko"

    def no_dpkg(self):
        """As on another distribution."""
        self.root.path("/usr/bin/dpkg").unlink()
        self.before = self.root.changes()

    def broken_headers(self):
        build = self.root.path(f"/usr/lib/modules/{self.args.release}/build")
        build.unlink()
        (build / "include").mkdir(parents=True)
        (build / "Makefile").write_text("$(error these headers are broken)\n")
        self.before = self.root.changes()


def deb_life(t):
    """The package is installed, upgraded, removed and purged."""
    t.ok("dpkg", "-i", "/tmp/old.deb")
    t.there(t.module("dkms/"), "/usr/sbin/tern-agent", "/usr/bin/tern-hint", WANTS, CONFIG,
            "/var/lib/dkms/tern/0.0.1", "/usr/src/tern-0.0.1")
    t.ok("getent", "group", "tern")
    t.ok("tern-agent", "--version")
    t.says("0.0.1", t.ok("modinfo", "-F", "version", "-k", t.args.release, "tern"))
    with open(t.root.path(CONFIG), "a", encoding="ascii") as f:
        f.write("# mine\n")
    t.root.path("/var/lib/tern").mkdir()
    t.root.path("/var/lib/tern/profile").write_text("learned\n")
    t.ok("dpkg", "-i", "/tmp/new.deb")
    t.there(t.module("dkms/"), f"/usr/src/tern-{t.args.version}")
    t.not_there("/usr/src/tern-0.0.1", "/var/lib/dkms/tern/0.0.1")
    t.says("installed", t.ok("dkms", "status", f"tern/{t.args.version}"))
    t.says("# mine", t.root.path(CONFIG).read_text())
    t.ok("dpkg", "-r", PACKAGE)
    t.clean(("/etc/tern", "/var/lib/tern", "/etc/group", "/etc/gshadow", WANTS,
             *(f"/var/lib/dpkg/info/{PACKAGE}.{x}" for x in ("list", "postrm"))))
    t.ok("dpkg", "-P", PACKAGE)
    t.clean()


def deb_no_dkms(t):
    """Without DKMS the package says so, and has an agent."""
    t.says("dkms is not installed", t.ok("dpkg", "-i", "/tmp/new.deb"))
    t.there("/usr/sbin/tern-agent", WANTS)
    t.not_there(t.module("dkms/"))
    t.ok("dpkg", "-P", PACKAGE)
    t.clean()


def deb_no_headers(t):
    """Without the kernel's headers likewise."""
    t.root.path(f"/usr/lib/modules/{t.args.release}/build").unlink()
    t.before = t.root.changes()
    t.says("kernel headers for this kernel do not seem to be installed",
           t.ok("dpkg", "-i", "/tmp/new.deb"))
    t.there("/usr/sbin/tern-agent", WANTS)
    t.ok("dpkg", "-P", PACKAGE)
    t.clean()


def deb_broken_headers(t):
    """A module that does not build: the package says why, and has an agent."""
    t.broken_headers()
    t.says("the kernel module could not be built", t.ok("dpkg", "-i", "/tmp/new.deb"))
    t.there("/usr/sbin/tern-agent", WANTS)
    t.not_there(t.module("dkms/"))
    t.ok("dpkg", "-P", PACKAGE)
    t.clean()


def deb_full_disk(t):
    """The disk is full while the package is unpacked."""
    room = t.root.fill("usr")
    t.fails("No space left on device", "dpkg", "-i", "/tmp/new.deb")
    room()
    t.root.run("dpkg", "-P", PACKAGE)
    t.clean()


def deb_failed_upgrade(t):
    """The same during an upgrade: the older version, its module too, is as before."""
    t.ok("dpkg", "-i", "/tmp/old.deb")
    t.before = t.root.changes()
    room = t.root.fill("usr")
    t.fails("No space left on device", "dpkg", "-i", "/tmp/new.deb")
    room()
    t.says("installed", t.ok("dkms", "status", "tern/0.0.1"))
    t.says("ok installed 0.0.1", t.ok("dpkg-query", "-W", "-f", "${Status} ${Version}", PACKAGE))
    t.clean((t.module("dkms/"), "/var/lib/dkms/tern"))


def script_life(t):
    """install.sh, over an older version, and tern-guest-tools-uninstall."""
    t.no_dpkg()
    extra = t.root.path("/tmp/old/files/usr/local/lib/tern-old/file")
    extra.parent.mkdir()
    extra.write_text("in the old version only\n")
    install = ("--kernel", t.args.release)
    t.ok("/tmp/old/install.sh", *install)
    t.there(t.module(""), "/usr/local/sbin/tern-agent", "/usr/local/lib/tern-old/file", MANIFEST)
    t.ok("getent", "group", "tern")
    t.ok("tern-agent", "--version")
    t.says("0.0.1", t.ok("modinfo", "-F", "version", "-k", t.args.release, "tern"))
    with open(t.root.path(CONFIG), "a", encoding="ascii") as f:
        f.write("# mine\n")
    t.root.path("/var/lib/tern/profile").write_text("learned\n")
    t.says("stays as it is", t.ok("/tmp/new/install.sh", *install))
    t.says(t.args.version, t.ok("modinfo", "-F", "version", "-k", t.args.release, "tern"))
    t.not_there("/usr/local/lib/tern-old/file")
    t.says("# mine", t.root.path(CONFIG).read_text())
    t.ok("/tmp/new/install.sh", "--no-module") # the module that is there is still ours
    t.ok("tern-guest-tools-uninstall")
    t.clean()
    t.fails("install.sh has installed nothing", "/tmp/new/uninstall.sh")


def script_keep_config(t):
    """--no-module and --keep-config."""
    t.no_dpkg()
    t.ok("/tmp/new/install.sh", "--no-module")
    t.not_there(t.module(""))
    t.ok("tern-guest-tools-uninstall", "--keep-config")
    t.there(CONFIG)
    t.clean(("/etc/tern",))


def script_no_make(t):
    """Without make there is no module, and install.sh says so."""
    t.root.path("/usr/bin/make").unlink()
    t.no_dpkg()
    t.says("no kernel module, for there is no: make", t.ok("/tmp/new/install.sh", "--kernel",
                                                          t.args.release))
    t.there("/usr/local/sbin/tern-agent", WANTS.replace("multi-user.target.wants/", ""))
    t.ok("tern-guest-tools-uninstall")
    t.clean()


def script_no_headers(t):
    """Without headers of the running kernel likewise."""
    t.no_dpkg()
    t.says("the headers of kernel 0.no-such", t.ok("/tmp/new/install.sh", "--kernel", "0.no-such"))
    t.ok("tern-guest-tools-uninstall")
    t.clean()


def script_broken_headers(t):
    """A module that does not build: nothing is installed, and install.sh says why."""
    t.broken_headers()
    t.no_dpkg()
    out = t.fails("these headers are broken", "/tmp/new/install.sh", "--kernel", t.args.release)
    t.says("everything is as it was before", out)
    t.clean()


def script_full_disk(t):
    """The disk is full, at first and during an upgrade."""
    t.no_dpkg()
    room = t.root.fill("usr")
    t.says("everything is as it was before",
           t.fails("No space left on device", "/tmp/new/install.sh", "--no-module"))
    room()
    t.clean()
    t.ok("/tmp/old/install.sh", "--no-module")
    old = t.root.changes()
    room = t.root.fill("usr")
    t.fails("No space left on device", "/tmp/new/install.sh", "--no-module")
    room()
    left = scratch.difference(old, t.root.changes())
    must(left is None, f"the old version is not as it was:\n{left}")
    t.ok("tern-guest-tools-uninstall")
    t.clean()


def script_interrupted(t):
    """Ctrl-C while the module is built: the make here sends it."""
    t.no_dpkg()
    make = t.root.path("/usr/bin/make")
    make.unlink()
    make.write_text("#!/bin/sh\nkill -INT $PPID\n")
    make.chmod(0o755)
    t.before = t.root.changes()
    t.fails("interrupted", "/tmp/new/install.sh", "--kernel", t.args.release)
    t.clean()


def script_refusals(t):
    """Where there is dpkg, the package is for it; words that it does not know."""
    t.fails("this distribution has packages", "/tmp/new/install.sh")
    t.fails("usage", "/tmp/new/install.sh", "--no-such")
    t.no_dpkg()
    t.root.path("/tmp/new/files/usr/local/sbin/tern-agent").write_text("#!/bin/false\n")
    t.fails("the agent does not start", "/tmp/new/install.sh")
    t.clean()


def planted(t):
    """What is left behind, changed or gone is noticed."""
    t.clean()
    t.root.path("/usr/local/left").write_text("x")
    with open(t.root.path("/etc/group"), "a", encoding="ascii") as f:
        f.write("left:x:999:\n")
    t.root.path("/usr/bin/env").unlink()
    lines = scratch.difference(t.before, t.root.changes()).splitlines()
    must([line.split(":")[0] for line in lines] == ["/etc/group", "/usr/bin/env", "/usr/local/left"],
         f"found: {lines}")


TESTS = ((planted, False), (deb_life, True), (deb_no_dkms, False),
         (deb_no_headers, True), (deb_broken_headers, True), (deb_full_disk, True),
         (deb_failed_upgrade, True), (script_life, False),
         (script_keep_config, False), (script_no_make, False), (script_no_headers, False),
         (script_broken_headers, False), (script_full_disk, False), (script_interrupted, False),
         (script_refusals, False))


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    for name in ("folder", "headers", "dkms", "old-deb", "new-deb", "old-tree", "new-tree"):
        ap.add_argument(f"--{name}", required=True, type=pathlib.Path)
    ap.add_argument("--release", required=True)
    ap.add_argument("--version", required=True)
    ap.add_argument("--select", default="")
    args = ap.parse_args()
    for test, dkms in TESTS:
        if args.select not in test.__name__:
            continue
        problem, t, start = None, None, time.monotonic()
        try:
            t = Test(args, dkms)
            if not dkms and t.root.path("/usr/sbin/dkms").exists() and test is deb_no_dkms:
                t.root.path("/usr/lib/dkms/common.postinst").unlink()
                t.before = t.root.changes()
            test(t)
        except Failed as e:
            problem = str(e)
        finally:
            if t is not None:
                t.root.close()
        print(json.dumps({"name": f"{test.__name__}: {test.__doc__}", "problem": problem,
                          "seconds": time.monotonic() - start}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
