#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make check-layers: who may include whom, from the compiler's own dependency files.

Each folder has one row in RULES; a folder with sources and no row fails. The rows are the table of
docs/architecture.md.
"""
import argparse
import pathlib
import re
import subprocess

import checklib

# Headers a freestanding C11 compiler brings itself, and Linux's register and protocol numbers.
FREESTANDING = r"std(int|def|bool|arg|align|noreturn|int-gcc)\.h$|(linux|asm|asm-generic)/"
HOSTED = r""
# What <string.h> pulls in: a header of BearSSL includes it.
LIBC_STRING = r"|strings?\.h$|features|stdc-predef|bits/|gnu/stubs|sys/cdefs"
# What a driver must not know: what a VM, its memory or a migration is.
NOT_DRIVERS = r"include/tern/(vm|gmem|migrate)"

# folder: (own files it may include, those of them it may not, system headers). Longest folder wins. A file
# of its own is the gate to a library.
RULES = {
    "include/abi": (r"include/abi/", None, FREESTANDING),
    "include/tern": (r"include/", None, FREESTANDING),
    "boot": (r"include/|boot/", None, FREESTANDING),
    "boot/efi": (r"include/|boot/efi/", None, FREESTANDING + r"|efi/"),
    "hv": (r"include/|hv/", None, FREESTANDING),
    "hv/net/fabric_crypto.c": (r"include/|hv/", None, FREESTANDING + LIBC_STRING + r"|bearssl"),
    "arch/x86_64": (r"include/|arch/x86_64/", r"arch/x86_64/(vmx|svm)/", FREESTANDING),
    "arch/x86_64/vmx": (r"include/|arch/x86_64/", r"arch/x86_64/svm/", FREESTANDING),
    "arch/x86_64/svm": (r"include/|arch/x86_64/", r"arch/x86_64/vmx/", FREESTANDING),
    "drivers": (r"include/|drivers/", NOT_DRIVERS, FREESTANDING),
    "guest-tools": (r"include/abi/|guest-tools/|include/tern/(toml|types|lib)\.h$|hv/lib/", None, HOSTED),
    "mgmt": (r"include/abi/|mgmt/|include/tern/(toml|types|lib)\.h$|hv/lib/", None, HOSTED),
    "tests": (r"", None, HOSTED),
}
# The core does not know the vendor; nor do the inner interfaces it is written against.
VENDOR = re.compile(r"(?i)(?<![a-z])(vmx|svm|vmcs|vmcb)")
NO_VENDOR = ("hv",)


def rule_of(path):
    """The row of RULES for a file, or None."""
    for folder in map(str, [path, *pathlib.Path(path).parents]):
        if folder in RULES:
            return RULES[folder]
    return None


def forbidden(path, deps):
    """The dependencies that path may not have. Own ones are relative, system ones absolute."""
    allow, deny, system = rule_of(path)
    bad = []
    for d in deps:
        if d.startswith("/"):
            name = re.sub(r"^.*/include/(x86_64-linux-gnu/)?", "", d)
            ok = re.match(system, name)
        else:
            ok = re.match(allow, d) and not (deny and re.match(deny, d))
        if not ok:
            bad.append(d)
    return bad


def parse_d(text, root):
    """The prerequisites of the first rule of a .d file, normalised: relative to root or absolute."""
    words = text.replace("\\\n", " ").split("\n", 1)[0].split(":", 1)[1].split()
    out = []
    for w in words:
        p = pathlib.Path(root, w).resolve()
        out.append(str(p.relative_to(root)) if p.is_relative_to(root) else str(p))
    return out


def scan(root, path):
    """The dependencies of a file that no object was made of, from the preprocessor."""
    cmd = ["gcc", "-M", "-x", "c", "-ffreestanding", "-Iinclude", "-I.", "-I/usr/include/efi",
           "-I/usr/include/efi/x86_64", str(path)]
    r = subprocess.run(cmd, cwd=root, capture_output=True, text=True, timeout=30, check=False)
    return (parse_d(r.stdout, root), None) if r.returncode == 0 else ([], r.stderr)


def check(root, objects=()):
    """Test name -> problem. objects: folders of .d files; a file with none is preprocessed."""
    root = root.resolve()
    result, seen = {}, {}
    for d in sorted(d for folder in objects for d in folder.rglob("*.d")):
        deps = parse_d(d.read_text(), root)
        if deps and (root / deps[0]).is_file() and not deps[0].startswith("build/"):
            seen.setdefault(deps[0], set()).update(deps[1:])
    for path in map(str, checklib.sources(root, ".c", ".h", ".S")):
        rule = rule_of(path)
        if rule is None:
            result[path] = f"{path}: its folder has no rule in tests/check/layers.py"
            continue
        if path.startswith("tests/"):
            continue
        deps, error = (seen[path], None) if path in seen else ([], None)
        # A .c or .S without a .d file was not built for this variant; headers never have one.
        if path not in seen and not (objects and rule[2] == HOSTED):
            deps, error = scan(root, path)
        bad = [f"{path} includes {d}" for d in forbidden(path, sorted(x for x in deps if x != path))]
        if path.startswith(tuple(f + "/" for f in NO_VENDOR)):
            for n, line in enumerate((root / path).read_text().splitlines(), 1):
                if VENDOR.search(line):
                    bad.append(f"{path}:{n}: names a CPU vendor's extension: {line.strip()}")
        result[path] = error or ("\n".join(bad) if bad else None)
    return result


def c_file(*includes):
    return "".join(f"#include <{i}>\n" for i in includes) + "int x;\n"


PLANTS = [
    ("nothing", {"hv/a.c": c_file("tern/types.h", "hv/a.h"), "hv/a.h": "int x(void);\n"}, None),
    ("hv includes arch", {"hv/a.c": c_file("arch/x86_64/regs.h"),
                          "arch/x86_64/regs.h": "int y;\n"}, "hv/a.c includes arch/x86_64/regs.h"),
    ("hv includes drivers", {"hv/mem/a.c": c_file("drivers/uart.h"), "drivers/uart.h": ""},
     "hv/mem/a.c includes drivers/uart.h"),
    ("hv includes arch by a header of its own",
     {"hv/a.c": c_file("hv/b.h"), "hv/b.h": c_file("arch/x86_64/regs.h"),
      "arch/x86_64/regs.h": ""}, "hv/a.c includes arch/x86_64/regs.h"),
    ("hv includes libc", {"hv/a.c": c_file("stdio.h")}, "stdio.h"),
    ("a library beside its gate", {"hv/net/a.c": c_file("bearssl.h")}, "hv/net/a.c includes /usr/include/bearssl.h"),
    ("a library by its gate", {"hv/net/fabric_crypto.c": c_file("bearssl.h")}, None),
    ("hv names a vendor", {"hv/a.c": "/* enters VMX operation */\n"}, "hv/a.c:1"),
    ("hv calls a vendor", {"hv/a.c": "void svm_run(void);\n"}, "hv/a.c:1"),
    ("arch includes hv", {"arch/x86_64/a.c": c_file("hv/a.h"), "hv/a.h": ""},
     "arch/x86_64/a.c includes hv/a.h"),
    ("vmx includes svm", {"arch/x86_64/vmx/a.c": c_file("arch/x86_64/svm/b.h"),
                          "arch/x86_64/svm/b.h": ""}, "includes arch/x86_64/svm/b.h"),
    ("svm includes vmx", {"arch/x86_64/svm/a.c": c_file("arch/x86_64/vmx/b.h"),
                          "arch/x86_64/vmx/b.h": ""}, "includes arch/x86_64/vmx/b.h"),
    ("a driver includes vm.h", {"drivers/a.c": c_file("tern/vm.h"), "include/tern/vm.h": ""},
     "drivers/a.c includes include/tern/vm.h"),
    ("a driver includes hv", {"drivers/a.c": c_file("hv/a.h"), "hv/a.h": ""},
     "drivers/a.c includes hv/a.h"),
    ("boot includes GNU-EFI", {"boot/a.c": c_file("efi/efi.h")}, "efi.h"),
    ("boot includes hv", {"boot/a.S": c_file("hv/a.h"), "hv/a.h": ""}, "boot/a.S includes hv/a.h"),
    ("an inner header includes arch", {"include/tern/a.h": c_file("arch/x86_64/regs.h"),
                                       "arch/x86_64/regs.h": ""}, "include/tern/a.h includes arch"),
    ("the ABI includes tern", {"include/abi/a.h": c_file("tern/types.h")},
     "include/abi/a.h includes include/tern/types.h"),
    ("the ABI includes libc", {"include/abi/a.h": c_file("string.h")}, "string.h"),
    ("guest-tools include the parser", {"guest-tools/a.c": c_file("tern/toml.h")}, None),
    ("guest-tools include tern", {"guest-tools/a.c": c_file("tern/log.h"), "include/tern/log.h": ""},
     "guest-tools/a.c includes include/tern/log.h"),
    ("a folder without a rule", {"plugins/a.c": ""}, "has no rule"),
    ("a missing header", {"hv/a.c": c_file("tern/no_such.h")}, "no_such.h"),
]


def check_objects(root):
    """The rule as make check uses it: from .d files that the compiler writes while compiling."""
    objects = root / "build/obj"
    for path in checklib.sources(root, ".c", ".S"):
        obj = objects / path.with_suffix(".o")
        obj.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-ffreestanding", "-Iinclude", "-I.", "-MD", "-MP", "-c", path, "-o", obj],
                       cwd=root, capture_output=True, timeout=30, check=False)
    return check(root, [objects])


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--build", default="build")
    args = ap.parse_args()
    part = checklib.Part("layers", args.build)
    objects = [checklib.ROOT / args.build / kind for kind in ("obj", "efi", "guest-tools/obj")]
    # -MMD leaves system headers out, and with them the libc that nobody may include.
    if not any(" /usr/" in d.read_text() for d in objects[0].rglob("*.d")):
        part.add("dependency files", f"none in {args.build}/obj that names system headers (-MD)")
    for name, problem in check(checklib.ROOT, objects).items():
        part.add(name, problem)
    checklib.plant(part, check, PLANTS)
    checklib.plant(part, check_objects, [(f"{w} (.d files)", f, p) for w, f, p in PLANTS[:5]])
    return part.finish()


if __name__ == "__main__":
    checklib.main(main)
