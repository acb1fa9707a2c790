# SPDX-License-Identifier: MIT
"""Runs the rows of boot_matrix.py, through ternrun alone."""
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import boot_matrix  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("TERN_BUILD", "build")
# What ternrun is given on top of its own time-out before it is ended from outside.
MARGIN = 30


def files(row, tmp_path):
    """Writes the row's files; returns the options that name them."""
    options = []
    if row.config is not None:
        path = tmp_path / "tern.toml"
        path.write_text(row.config)
        options += ["--config", path]
    if row.shim is not None:
        options += ["--kernel", ROOT / BUILD / "shim/shim.elf", "--cmdline", row.shim,
                    "--module", f"image={ROOT / BUILD / 'tern.elf'}"]
    if row.hello is not None:
        path = tmp_path / "hello"
        path.write_bytes(bytes(i % 251 for i in range(row.hello)))
        options += ["--module", f"hello={path}"]
    return options


def ternrun(argv, timeout):
    """Runs ternrun; ended by TERM, it cleans up after itself."""
    with subprocess.Popen([ROOT / "tests/rig/ternrun", *argv], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", cwd=ROOT) as proc:
        try:
            out, _ = proc.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            proc.send_signal(signal.SIGTERM)
            try:
                out, _ = proc.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                proc.kill()
                out, _ = proc.communicate()
            pytest.fail(f"ternrun ignored its own time-out\n{out}", pytrace=False)
        return proc.returncode, out


@pytest.mark.parametrize("row", boot_matrix.ROWS, ids=lambda row: row.name)
def test_boot(row, tmp_path):
    build = ROOT / (row.build or BUILD)
    if row.build and not (build / "tern.iso").is_file():
        pytest.skip(f"{row.build} is not built: make check-build")
    argv = ["--build", build, "--timeout", str(row.timeout), *row.options, *files(row, tmp_path)]
    for step in row.script:
        argv += ["--shell", step[2:]] if step.startswith("> ") else [f"--expect={step}"]
    status, out = ternrun([str(a) for a in argv], row.timeout + MARGIN)
    command = " ".join(map(repr, map(str, argv)))
    assert status == 0, f"status {status} of ternrun {command}\n{out}"
    for pattern in row.never:
        found = re.search(pattern, out, re.MULTILINE)
        assert not found, f"{found[0]!r} must not be said: ternrun {command}\n{out}"


def test_names_are_unique():
    names = [row.name for row in boot_matrix.ROWS]
    assert sorted(set(names)) == sorted(names)


def test_a_missing_answer_is_noticed(tmp_path):
    """The row that must fail: the tests above can."""
    row = next(r for r in boot_matrix.ROWS if r.name == "qemu-tcg-grub-cpus1")
    argv = [*row.options, "--build", BUILD, "--shell", "version", "--expect", "no such answer"]
    status, out = ternrun(argv, row.timeout)
    assert status == 1, out
