#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-headers: each header compiles alone, twice in a row, with gcc and with clang.

Headers of include/abi are read by programs of other people too: they are strict C11 as well.
"""
import argparse
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import checklib

COMPILERS = ("gcc", "clang")
ABI_FLAGS = ["-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
# A header that is included by assembly files only has nothing to say to C: still no error.
HOST_FLAGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror"]
# How the two parts of the product are compiled, unless make says it.
CFLAGS = ["-std=gnu11", "-ffreestanding", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror",
          "-Wstrict-prototypes", "-Wmissing-prototypes", "-DTERN_DEBUG=0"]
EFI_CFLAGS = ["-std=gnu11", "-ffreestanding", "-fshort-wchar", "-Wall", "-Wextra", "-Werror",
              "-DGNU_EFI_USE_MS_ABI", "-DTERN_DEBUG=0", "-isystem", "/usr/include/efi",
              "-isystem", "/usr/include/efi/x86_64"]


def compile_alone(root, compiler, flags, header):
    name = str(header).removeprefix("include/")
    text = f"#include <{name}>\n#include <{name}>\nextern int nothing_else;\n"
    cmd = [compiler, *flags, "-Iinclude", "-I.", "-fsyntax-only", "-x", "c", "-"]
    r = subprocess.run(cmd, cwd=root, input=text, capture_output=True, text=True, timeout=60,
                       check=False)
    return None if r.returncode == 0 else r.stderr


def jobs(root):
    """(test name, compiler, flags, header) of all that must compile."""
    for header in checklib.sources(root, ".h"):
        path = str(header)
        for cc in COMPILERS:
            if path.startswith("include/abi/"):
                yield f"{path} C11 {cc}", cc, ABI_FLAGS, header
            if path.startswith("boot/efi/"):
                yield f"{path} {cc}", cc, EFI_CFLAGS, header
            elif path.startswith(("tests/", "guest-tools/", "mgmt/")):
                yield f"{path} {cc}", cc, HOST_FLAGS, header
            else:
                yield f"{path} {cc}", cc, CFLAGS, header


def check(root):
    with ThreadPoolExecutor(2) as pool:
        runs = [(name, pool.submit(compile_alone, root, cc, flags, header))
                for name, cc, flags, header in jobs(root)]
        return {name: r.result() for name, r in runs}


PLANTS = [
    ("nothing", {}, None),
    ("a type without its header", {"include/tern/a.h": "u32 a(void);\n"}, "u32"),
    ("no include guard", {"hv/a.h": "struct a { int b; };\n"}, "redefinition"),
    ("a warning", {"include/tern/a.h": "#ifndef A\n#define A\nstatic inline char f(int x)"
                                       "\n{\n\treturn x;\n}\n#endif\n"}, "conversion"),
    ("a GNU extension in the ABI", {"include/abi/a.h": "#ifndef A\n#define A\n"
                                    "struct a { int n; struct {} e; };\n#endif\n"}, "no members"),
]


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    ap.add_argument("--cflags", help="how the hypervisor is compiled")
    ap.add_argument("--efi-cflags", help="how the EFI loader is compiled")
    args = ap.parse_args()
    if args.efi_cflags:
        EFI_CFLAGS[:] = shlex.split(args.efi_cflags)
    if args.cflags:
        CFLAGS[:] = shlex.split(args.cflags)
    part = checklib.Part("headers", args.build)
    for name, problem in check(checklib.ROOT).items():
        part.add(name, problem)
    checklib.plant(part, check, PLANTS)
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
