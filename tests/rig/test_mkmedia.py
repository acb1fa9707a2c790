# SPDX-License-Identifier: MIT
"""boot/mkmedia: the same inputs give the same bytes, whatever the clock says."""
import os
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

MKMEDIA = Path(__file__).resolve().parents[2] / "boot/mkmedia"


@pytest.fixture(name="make")
def fixture_make(tmp_path):
    for name in ("tern.elf", "ternboot.efi", "data"):
        (tmp_path / name).write_text(f"this is {name}\n")

    def make(kind, out, *args):
        out = tmp_path / out
        subprocess.run([MKMEDIA, kind, "--kernel", tmp_path / "tern.elf", "--efi",
                        tmp_path / "ternboot.efi", "-o", out, *args], check=True,
                       env=dict(os.environ, SOURCE_DATE_EPOCH="1700000000"))
        return out
    return make


@pytest.mark.parametrize("kind", ["iso", "esp"])
def test_images_are_repeatable(make, tmp_path, kind):
    args = ("--module", f"data={tmp_path}/data", "--cmdline", "a=b")
    first = make(kind, "first", *args).read_bytes()
    time.sleep(2.1)  # FAT counts in steps of two seconds
    (tmp_path / "tern.elf").touch()
    assert make(kind, "second", *args).read_bytes() == first
    assert make(kind, "third", "--cmdline", "a=c").read_bytes() != first


def test_no_image_is_left_half_made(tmp_path):
    done = subprocess.run([MKMEDIA, "iso", "--kernel", tmp_path / "none", "-o", tmp_path / "x.iso"],
                          stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2 and b"none is not a file" in done.stderr
    assert not list(tmp_path.iterdir())


def test_pxe_folder(make, tmp_path):
    out = make("pxe", "pxe", "--module", f"data={tmp_path}/data", "--module-args", "data=x y",
               "--cmdline", "a=b")
    script = (out / "tern.ipxe").read_text()
    assert script.startswith("#!ipxe\n")
    assert "kernel tern.elf a=b ||" in script and "module data x y ||" in script
    assert "imgfetch boot.cfg ||" in script and "imgfetch data ||" in script
    boot = tomllib.loads((out / "boot.cfg").read_text())["boot"]
    assert boot == {"modules": ["data x y", "tern.toml"], "cmdline": "a=b"}
    tomllib.loads((out / "tern.toml").read_text())
    for name in ("undionly.kpxe", "snponly.efi", "ipxe.efi", "dnsmasq.conf", "ternboot.efi"):
        assert (out / name).stat().st_size


def test_boot_cfg_only_when_it_says_something(make):
    out = make("pxe", "pxe", "--cmdline", "a=b")
    assert (out / "boot.cfg").exists()
    make("pxe", "pxe")
    assert not (out / "boot.cfg").exists()
    assert "boot.cfg" not in (out / "tern.ipxe").read_text()


def test_dnsmasq_takes_our_example(make):
    conf = make("pxe", "pxe") / "dnsmasq.conf"
    subprocess.run(["dnsmasq", "--test", f"--conf-file={conf}"], check=True,
                   stderr=subprocess.DEVNULL)
