#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-tools: the guest tools as a guest gets them.

The kernel module is built for Debian's kernels, with all warnings and sparse; the package is judged by
lintian, the scripts by shellcheck; installation, upgrade, removal and failures run in scratch roots
(scratch.py), for which root or sudo is needed.
"""
import argparse
import json
import os
import pathlib
import re
import sys
import tempfile
import time

import checklib

sys.path.insert(0, str(checklib.ROOT / "tests/system"))
import linux_image # noqa: E402
import tern_module # noqa: E402

PACKAGING = checklib.ROOT / "guest-tools/packaging"
OLD = "0.0.1" # older than any version
# From what kbuild prints all the same: there is no vmlinux to take types from.
WARNING = re.compile(r"(?i)warning|error(?!-)")


def check_module(part, build, release):
    start = time.monotonic()
    problem = None
    try:
        _, said = tern_module.module(build, release, "C=2", "W=1")
        bad = [line for line in said.splitlines() if WARNING.search(line)]
        problem = "\n".join(bad) if bad else None
        if said.count("  CHECK ") < 2:
            problem = f"sparse did not look at both files:\n{said}"
    except linux_image.ImageError as e:
        problem = str(e)
    part.add(f"tern.ko for {release}, W=1 and sparse", problem, seconds=time.monotonic() - start)


def plant_module(part, build, release):
    """Sparse finds a pointer of user space that is followed: the check can fail."""
    tree = pathlib.Path(build) / "tern-module" / release
    source = tree / "tern_main.c"
    source.write_text(source.read_text().replace(
        "copy_from_user(&message, user,", "!memcpy(&message, user,"))
    _, said = checklib.run(["make", "-C", str(tree), "C=2",
                            f"KERNELDIR={tern_module.headers(build, release)}"], 300,
                           env=checklib.make_env())
    part.add("planted: memcpy from user space", None if "different address spaces" in said else said)


def tool(part, name, cmd):
    status, out = checklib.run(cmd, 300)
    part.add(name, f"{' '.join(map(str, cmd))}: status {status}\n{out}" if status else None)


def mkpackage(*argv):
    status, out = checklib.run([str(PACKAGING / "mkpackage"), *map(str, argv)], 120)
    if status:
        raise linux_image.ImageError(out)


def extract(iso, to):
    status, out = checklib.run(["xorriso", "-osirrox", "on", "-indev", str(iso), "-extract", "/",
                                str(to)], 60)
    if status:
        raise linux_image.ImageError(out)
    checklib.run(["chmod", "-R", "u+w", str(to)], 60)


def check_scratch(part, args, tmp, release):
    """Runs tools_scratch.py as root in namespaces of its own."""
    build = pathlib.Path(args.build).resolve()
    tools = build / "guest-tools"
    deb = build / f"tern-guest-tools_{args.version}_amd64.deb"
    old = tmp / deb.name.replace(args.version, OLD)
    mkpackage("deb", old, "--version", OLD, "--tools", tools)
    mkpackage("iso", tmp / "old.iso", "--version", OLD, "--tools", tools, "--deb", old)
    extract(tmp / "old.iso", tmp / "old")
    extract(build / "guest-tools.iso", tmp / "new")
    headers = build / "linux-headers"
    if not list(headers.glob("dkms_*.deb")):
        linux_image.apt("apt-get", "download", "dkms", cwd=headers)
    cmd = [*(() if os.getuid() == 0 else ("sudo",)), "unshare", "--mount", "--pid", "--fork", "--net",
           "--uts", "/usr/bin/python3", "-B", str(checklib.ROOT / "tests/check/tools_scratch.py"),
           "--folder", tmp, "--headers", headers, "--release", release,
           "--dkms", max(headers.glob("dkms_*.deb")),
           "--old-deb", old, "--new-deb", deb, "--old-tree", tmp / "old", "--new-tree", tmp / "new",
           "--version", args.version, "--select", args.select]
    status, out = checklib.run([str(c) for c in cmd], 800)
    rest = []
    for line in out.splitlines():
        if line.startswith('{"name"'):
            result = json.loads(line)
            part.add(result["name"], result["problem"], seconds=result["seconds"])
        else:
            rest.append(line)
    if status or not any(t["name"].startswith(("deb_", "script_")) for t in part.tests):
        part.add("scratch roots", f"status {status}\n" + "\n".join(rest))


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    ap.add_argument("--version", required=True)
    ap.add_argument("--select", default="", help="only these tests in scratch roots")
    args = ap.parse_args()
    part = checklib.Part("tools", args.build)
    scripts = [PACKAGING / f for f in ("install.sh", "uninstall.sh")] + [
        PACKAGING / "debian" / f for f in ("postinst", "prerm", "postrm")]
    tool(part, "shellcheck", ["shellcheck", *map(str, scripts)])
    tool(part, "lintian", ["lintian", "--fail-on", "error,warning", "--allow-root",
                           f"{args.build}/tern-guest-tools_{args.version}_amd64.deb"])
    tool(part, "agent.toml", [f"{args.build}/guest-tools/tern-agent", "--check-config", "--config",
                              str(PACKAGING / "agent.toml")])
    try:
        releases = tern_module.releases()
        for release in releases:
            check_module(part, args.build, release)
        plant_module(part, args.build, releases[0])
        with tempfile.TemporaryDirectory(prefix="tern-tools-") as tmp:
            check_scratch(part, args, pathlib.Path(tmp), releases[1])
    except linux_image.ImageError as e:
        part.add("what the check needs", str(e))
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
