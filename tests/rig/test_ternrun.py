# SPDX-License-Identifier: MIT
"""ternrun from outside, with a stand-in kernel: statuses, order, media, nothing left behind."""
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rig import network

ROOT = Path(__file__).resolve().parents[2]
TERNRUN = ROOT / "tests/rig/ternrun"
QEMU = ("--emulator", "qemu-tcg")
needs_root = pytest.mark.skipif(not network.have_namespaces(), reason="taps need root")


@pytest.fixture(scope="module", name="kernel")
def fixture_kernel(tmp_path_factory):
    out = tmp_path_factory.mktemp("kernel") / "fake.elf"
    subprocess.run(["gcc", "-m32", "-march=i686", "-O1", "-Wall", "-Wextra", "-Werror",
                    "-ffreestanding", "-fno-pic", "-fno-stack-protector", "-fcf-protection=none",
                    "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext-segment=0x200000",
                    "-Wl,--section-start=.head=0x200100", "-Wl,--build-id=none",
                    ROOT / "tests/rig/fake_kernel.c", "-o", out], check=True)
    return out


@pytest.fixture(name="run")
def fixture_run(kernel, tmp_path):
    """Runs ternrun on the stand-in and checks that its folder of temporary files is empty after."""
    temp = tmp_path / "tmp"
    temp.mkdir()

    def run(*args, stand_in=True, timeout=60):
        argv = [TERNRUN, "--timeout", "40", *(("--kernel", kernel) if stand_in else ()), *args]
        done = subprocess.run([str(a) for a in argv], env=dict(os.environ, TMPDIR=str(temp)),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace",
                              timeout=timeout, check=False)
        assert not left_behind(temp)
        return done
    return run


def left_behind(temp):
    """Files in `temp`, and processes that name it."""
    found = [str(path) for path in temp.iterdir()]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(temp) in words:
            found.append(words)
    return found


@pytest.mark.parametrize("args, word", [
    (("--cpus", "0", "--shell", "x"), "between"),
    (("--cpus", "many", "--shell", "x"), "not a number"),
    (("--memory", "1", "--shell", "x"), "between"),
    (("--boot", "floppy", "--shell", "x"), "floppy"),
    (("--emulator", "simics", "--shell", "x"), "simics"),
    (("--no-such-option",), "--no-such-option"),
    (("--expect", "("), "--expect '('"),
    (("--shell", "a\nb"), "one command"),
    (("--type", "\\x1"), "--type"),
    ((), "needs a terminal"),
    (("--emulator", "bochs", "--boot", "efi", "--shell", "x"), "Bochs has no UEFI"),
    (("--emulator", "bochs", "--boot", "grub-efi", "--shell", "x"), "Bochs has no UEFI"),
    (("--no-serial", "--shell", "x"), "without a serial port"),
    (("--http", "--shell", "x"), "--http"),
    (("--usb", "--boot", "ipxe", "--shell", "x"), "--usb"),
    (("--module", "name", "--shell", "x"), "NAME=FILE"),
    (("--module", "a=/no/such/file", "--shell", "x"), "/no/such/file"),
    (("--module", "../a=/etc/hostname", "--shell", "x"), "letters"),
    (("--module", "tern.elf=/etc/hostname", "--shell", "x"), "tern.elf"),
    (("--module", "a=/etc/hostname", "--module", "A=/etc/hostname", "--shell", "x"), "twice"),
    (("--config", "/no/such/file", "--shell", "x"), "--config"),
    (("--cmdline", "a='b'", "--shell", "x"), "--cmdline"),
    (("--cmdline", "${net0/mac}", "--shell", "x"), "--cmdline"),
    (("--cmdline", "a || b", "--shell", "x"), "iPXE"),
    (("--emulator", "bochs", "--qemu-arg=-S", "--shell", "x"), "--qemu-arg"),
    (("--nic", "e1000", "--boot", "ipxe", "--expect", "x"), "brings its own card"),
    (("--serve", "/tmp", "--expect", "x"), "--serve goes with --nic"),
    (("--nic", "e1000e", "--emulator", "bochs", "--expect", "x"), "Bochs has no e1000e"),
])
def test_wrong_usage_is_2(run, args, word):
    done = run(*args)
    assert done.returncode == 2
    assert word in done.stderr
    assert done.stdout == ""


def test_missing_build_is_2(run, tmp_path):
    done = run("--build", tmp_path, "--shell", "x", stand_in=False)
    assert done.returncode == 2 and "run 'make'" in done.stderr


def test_help_is_0(run):
    assert run("--help").returncode == 0


def test_script_in_order(run):
    done = run(*QEMU, "--expect", "^fake kernel$", "--shell", "one", "--expect", "^did one$",
               "--shell", "two", "--expect", "^did two$")
    assert done.returncode == 0, done.stderr
    assert "tern> one\ndid one\ntern> two\ndid two\ntern> " in done.stdout
    assert "\r" not in done.stdout


def test_expects_in_wrong_order_is_1(run):
    done = run(*QEMU, "--shell", "one", "--shell", "two", "--expect", "did two", "--expect",
               "did one", "--grace", "0.5")
    assert done.returncode == 1
    assert "--expect 'did one'" in done.stderr


def test_expect_before_its_command_still_counts(run):
    assert run(*QEMU, "--grace", "0.5", "--expect", "^did one$", "--shell", "one").returncode == 0


def test_missing_expect_is_1_long_before_the_timeout(run):
    begin = time.monotonic()
    done = run(*QEMU, "--shell", "one", "--expect", "never said")
    assert done.returncode == 1 and "'never said'" in done.stderr
    assert time.monotonic() - begin < 25


def test_timeout_is_124(run):
    done = run(*QEMU, "--timeout", "6", "--shell", "hang")
    assert done.returncode == 124 and "time-out" in done.stderr


def test_reboot_waits_for_the_prompt(run):
    done = run(*QEMU, "--shell", "reboot", "--shell", "one", "--expect", "did one")
    assert done.returncode == 0 and done.stdout.count("fake kernel") == 2


@pytest.mark.parametrize("emulator", ["qemu-tcg", "bochs"])
def test_power_off_is_a_fair_end(run, emulator):
    done = run("--emulator", emulator, "--shell", "poweroff")
    assert done.returncode == 0, done.stderr


def test_power_off_before_the_last_command_is_1(run):
    """A stand-in shell that printed its prompt before the emulator ended may still be typed at."""
    done = run(*QEMU, "--shell", "poweroff", "--expect", "did more")
    assert done.returncode == 1 and "--expect 'did more'" in done.stderr


def test_emulator_that_fails_is_1_with_its_words(run):
    done = run(*QEMU, "--qemu-arg=-no-such-option", "--shell", "x")
    assert done.returncode == 1 and "no-such-option" in done.stderr


@pytest.mark.parametrize("emulator", ["qemu-tcg", "bochs"])
def test_no_serial_port(run, emulator):
    assert run("--emulator", emulator, "--no-serial", "--expect", "fake kernel").returncode == 0


@pytest.mark.parametrize("options", [
    (*QEMU,), (*QEMU, "--usb"), ("--emulator", "bochs", "--usb"),
    (*QEMU, "--boot", "grub-efi"), (*QEMU, "--boot", "grub-efi", "--usb"),
], ids=" ".join)
def test_modules_and_command_line_arrive(run, tmp_path, options):
    (tmp_path / "text").write_text("what it holds\n")
    done = run(*options, "--cmdline", "one=1 two=[2,3];x", "--module", f"a.b-c_d={tmp_path}/text",
               "--module-args", "a.b-c_d=x y=z", "--shell", "x")
    assert done.returncode == 0, done.stderr
    assert "cmdline one=1 two=[2,3];x\n" in done.stdout
    assert "module a.b-c_d x y=z: what it holds\n" in done.stdout


@needs_root
@pytest.mark.parametrize("options", [(*QEMU,), (*QEMU, "--http"), ("--emulator", "bochs")],
                         ids=" ".join)
def test_ipxe(run, tmp_path, options):
    (tmp_path / "text").write_text("what it holds\n")
    (tmp_path / "ternboot.efi").write_text("not started on BIOS")
    done = run(*options, "--boot", "ipxe", "--build", tmp_path, "--cmdline", "one=1", "--module",
               f"text={tmp_path}/text", "--module-args", "text=x y", "--shell", "x")
    assert done.returncode == 0, done.stderr
    assert "/tern.elf one=1\n" in done.stdout
    assert "/text x y: what it holds\n" in done.stdout


def test_two_bochs_at_once(kernel):
    argv = [TERNRUN, "--emulator", "bochs", "--kernel", kernel, "--timeout", "40", "--shell", "x"]
    both = [subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]


def test_log_holds_the_raw_console(run, tmp_path):
    log = tmp_path / "log"
    assert run(*QEMU, "--log", log, "--shell", "one").returncode == 0
    assert b"tern> one\r\ndid one\r\n" in log.read_bytes()


@pytest.mark.parametrize("signum, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                            (signal.SIGKILL, -signal.SIGKILL)])
@pytest.mark.parametrize("options", [
    (*QEMU,), ("--emulator", "bochs"), pytest.param((*QEMU, "--boot", "ipxe"), marks=needs_root),
], ids=" ".join)
def test_nothing_left_when_killed(kernel, tmp_path, options, signum, status):
    temp = tmp_path / "tmp"
    temp.mkdir()
    (tmp_path / "ternboot.efi").write_text("not started on BIOS")
    with subprocess.Popen([TERNRUN, *options, "--kernel", kernel, "--build", tmp_path, "--shell",
                           "hang"], env=dict(os.environ, TMPDIR=str(temp)),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert b"boot" in process.stderr.readline()
        time.sleep(1)
        assert left_behind(temp)
        process.send_signal(signum)
        process.stdout.read()
        assert process.wait(20) == status
    until = time.monotonic() + 5
    while left_behind(temp) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left_behind(temp)


def test_interactive(kernel, tmp_path):
    """On a terminal the keys reach the node, and Ctrl-] leaves."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([TERNRUN, *QEMU, "--kernel", kernel], stdin=theirs, stdout=theirs,
                          stderr=theirs, env=dict(os.environ, TMPDIR=str(tmp_path))) as process:
        os.close(theirs)
        said = b""
        while b"tern> " not in said:
            said += os.read(ours, 1024)
        os.write(ours, b"one\r")
        while b"did one" not in said:
            said += os.read(ours, 1024)
        os.write(ours, b"\x1d")
        assert process.wait(20) == 0
    os.close(ours)
    assert not left_behind(tmp_path)
