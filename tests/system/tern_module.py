# SPDX-License-Identifier: MIT
"""tern.ko for Debian's kernels, built as DKMS builds it in a guest, from headers that are not installed.

Headers are fetched by apt once and unpacked into one tree, BUILD/linux-headers/usr; modules are made in
BUILD/tern-module/RELEASE.
"""
import argparse
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys

from linux_image import ImageError, apt, package, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNELS = ("linux-image-amd64", "linux-image-cloud-amd64", "linux-image-6.12*-cloud-amd64")


def releases():
    """What uname -r says in the kernels that the module must be built for."""
    return [package(name).removeprefix("linux-image-") for name in KERNELS]


def unpacked(folder, name):
    """What the package depends on; its files are in the tree then."""
    marker = folder / f"{name}.depends"
    if marker.exists():
        return marker.read_text()
    for old in folder.glob(f"{name}_*.deb"):
        old.unlink()
    apt("apt-get", "download", name, cwd=folder)
    deb = next(folder.glob(f"{name}_*.deb"))
    run("dpkg-deb", "-x", deb, folder)
    # As on a merged system; and no BTF of the kernel, for which pahole would be needed.
    for modules in (folder / "lib/modules").glob("*"):
        to = folder / "usr/lib/modules" / modules.name
        shutil.rmtree(to, ignore_errors=True)
        to.parent.mkdir(parents=True, exist_ok=True)
        modules.rename(to)
    for makefile in folder.glob("usr/src/linux-headers-*/Makefile"):
        (makefile.parent / "vmlinux").unlink(missing_ok=True)
        # The tree is not at /usr/src: what is included lies beside the file that includes it.
        text = makefile.read_text()
        if text.startswith("include /usr/src/"):
            makefile.write_text(text.replace(
                "include /usr/src/", "include $(dir $(lastword $(MAKEFILE_LIST)))../"))
    control = run("dpkg-deb", "-f", deb, "Depends")
    deb.unlink()
    marker.write_text(control)
    return control


def headers(build, release):
    """The folder that the kernel's build is started in, in the tree BUILD/linux-headers."""
    folder = (pathlib.Path(build) / "linux-headers").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        control = unpacked(folder, f"linux-headers-{release}")
        for name in re.findall(r"linux-(?:headers|kbuild)-[^ ,]+", control):
            if name != f"linux-headers-{release}":
                unpacked(folder, name)
    return folder / "usr/src" / f"linux-headers-{release}"


def module(build, release, *make_args):
    """(tern.ko for this kernel, what make said). make_args: C=2 and the like."""
    kernel = headers(build, release)
    made = (pathlib.Path(build) / "tern-module" / release).resolve()
    shutil.rmtree(made, ignore_errors=True)
    run(ROOT / "guest-tools/packaging/mkpackage", "module", made, "--version", "0")
    r = subprocess.run(["make", "-C", made, f"KERNELDIR={kernel}", *make_args], check=False,
                       text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={
                           k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
    if r.returncode:
        raise ImageError(f"tern.ko for {release}:\n{r.stdout}")
    run("strip", "--strip-debug", made / "tern.ko")
    return made / "tern.ko", r.stdout


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    ap.add_argument("release", nargs="*", help="uname -r of the kernel; all of Debian 12 if none")
    args = ap.parse_args()
    try:
        for release in args.release or releases():
            print(module(args.build, release)[0])
    except ImageError as e:
        print(f"tern_module: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
