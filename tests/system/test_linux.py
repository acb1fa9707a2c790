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

GRACE = 300  # Linux may work for so long without a word
FOLDER = pathlib.Path(os.path.abspath(ROOT / BUILD))
ROWS = [row for row in linux_rows.ROWS if not row.long or os.environ.get("TERN_LONG") == "1"]


def files_of(guest, tmp_path):
    """(name, path) of its kernel and its initrd as boot modules."""
    vmlinuz, initrd = linux_image.guest(FOLDER, guest.kernel)
    if guest.pvh:
        vmlinuz = linux_image.vmlinux(vmlinuz, tmp_path / "vmlinux")
    return (pathlib.Path(vmlinuz).name, vmlinuz), (pathlib.Path(initrd).name, initrd)


def config(row, files):
    text = '[log]\nlevel = "info"\n'
    if row.nic:
        text += '[uplink]\nnic = "52:54:00:87:00:01"\n'
    for guest in row.guests:
        (kernel, _), (initrd, _) = files[guest.name]
        lists = "".join(f"{key} = [{', '.join(chr(34) + v + chr(34) for v in values)}]\n"
                        for key, values in (("disks", guest.disks), ("nics", guest.nics))
                        if values)
        text += (f'\n[vm.{guest.name}]\nkernel = "{kernel}"\ninitrd = "{initrd}"\n'
                 f'memory = "{guest.memory}"\nvcpus = {guest.vcpus}\nautostart = false\n'
                 f'cmdline = "{linux_rows.CMDLINE} {guest.words}"\n{lists}')
    return text


def arguments(row, tmp_path):
    """ternrun's, for that row; its files are made in tmp_path."""
    files = {guest.name: files_of(guest, tmp_path) for guest in row.guests}
    (tmp_path / "tern.toml").write_text(config(row, files))
    argv = ["--build", BUILD, "--emulator", "bochs", "--cpus", row.cpus, "--memory", row.memory,
            "--timeout", row.timeout, "--grace", GRACE, "--config", tmp_path / "tern.toml",
            "--cmdline", row.tern]
    modules = {name: path for pair in files.values() for name, path in pair}
    if any(d.startswith("disk.img") for guest in row.guests for d in guest.disks):
        modules["disk.img"] = tmp_path / "disk.img"
        modules["disk.img"].write_bytes(linux_rows.DISK)
    for name, path in modules.items():
        argv += ["--module", f"{name}={path}"]
    if row.nic:
        (tmp_path / "served").mkdir()
        (tmp_path / "served" / "file").write_bytes(linux_rows.SERVED)
        argv += ["--nic", row.nic, "--serve", tmp_path / "served"]
    for step in row.script:
        argv += ["--shell", step[2:]] if step.startswith("> ") else [f"--expect={step}"]
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
