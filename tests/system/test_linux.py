# SPDX-License-Identifier: MIT
"""Runs the rows of linux_rows.py through ternrun: make check the short ones, make check-linux all."""
import os
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import linux_image  # noqa: E402
import linux_rows  # noqa: E402
from test_boot import BUILD, MARGIN, ROOT, ternrun  # noqa: E402

GRACE = 1200  # Linux may work for so long without a word
FOLDER = pathlib.Path(os.path.abspath(ROOT / BUILD))
ROWS = [row for row in linux_rows.ROWS if not row.long or os.environ.get("TERN_LONG") == "1"]


def files_of(guest, tmp_path):
    """(name, path) of its kernel and its initrd, if it has one, as boot modules."""
    if guest.kernel == "memtest86+":
        return (("memtest.bin", linux_image.memtest(FOLDER)),)
    vmlinuz, initrd = linux_image.guest(FOLDER, guest.kernel)
    if guest.pvh:
        vmlinuz = linux_image.vmlinux(vmlinuz, tmp_path / "vmlinux")
    return (pathlib.Path(vmlinuz).name, vmlinuz), (pathlib.Path(initrd).name, initrd)


def disk_of(name, tmp_path):
    """The image behind a disk of that name."""
    if name == "root.img":
        return linux_image.root(FOLDER)
    if name == "tools-root.img":
        return linux_image.tools_root(FOLDER)
    (tmp_path / name).write_bytes(linux_rows.DISK)
    return tmp_path / name


def strings(values):
    return f"[{', '.join(chr(34) + v + chr(34) for v in values)}]"


def config(row, files):
    text = '[log]\nlevel = "info"\n'
    if row.nic:
        text += '[uplink]\nnic = "52:54:00:87:00:01"\n'
    for guest in row.guests:
        (kernel, _), *initrd = files[guest.name]
        text += (f'\n[vm.{guest.name}]\nkernel = "{kernel}"\nmemory = "{guest.memory}"\n'
                 f'vcpus = {guest.vcpus}\nautostart = false\n')
        text += f'initrd = "{initrd[0][0]}"\n' if initrd else ""
        text += f'cmdline = "{linux_rows.CMDLINE + " " if initrd else ""}{guest.words}"\n'
        text += "".join(f"{key} = {strings(values)}\n"
                        for key, values in (("disks", guest.disks), ("nics", guest.nics)) if values)
    return text


def step_words(step):
    """A step of a row's script as ternrun has it."""
    kind = {"> ": "--shell", "< ": "--type"}.get(step[:2])
    return [kind, step[2:]] if kind else [f"--expect={step}"]


def arguments(row, tmp_path):
    """ternrun's, for that row; its files are made in tmp_path."""
    files = {guest.name: files_of(guest, tmp_path) for guest in row.guests}
    (tmp_path / "tern.toml").write_text(config(row, files))
    argv = ["--build", BUILD, "--emulator", "bochs", "--cpus", row.cpus, "--memory", row.memory,
            "--timeout", row.timeout, "--grace", GRACE, "--config", tmp_path / "tern.toml",
            "--cmdline", row.tern]
    modules = {name: path for some in files.values() for name, path in some}
    for disk in (disk for guest in row.guests for disk in guest.disks):
        name = disk.split()[0]
        modules[name] = disk_of(name, tmp_path)
    for name, path in modules.items():
        argv += ["--module", f"{name}={path}"]
    if row.nic:
        (tmp_path / "served").mkdir()
        (tmp_path / "served" / "file").write_bytes(linux_rows.SERVED)
        argv += ["--nic", row.nic, "--serve", tmp_path / "served"]
    for step in row.script:
        argv += step_words(step)
    return [str(a) for a in argv]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_linux(row, tmp_path):
    status, out = ternrun(arguments(row, tmp_path), row.timeout + MARGIN)
    print(out)
    assert status == 0, f"status {status} of row {row.name}\n{out}"
    found = re.search(row.never, out, re.MULTILINE)
    assert not found, f"{found[0]!r} must not be said\n{out}"
    if row.judge is not None:
        row.judge(out)
