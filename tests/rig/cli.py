# SPDX-License-Identifier: MIT
"""The command line of ternrun."""
import argparse
import os
import re
import select
import sys
import termios
import time
import tty
from pathlib import Path

from . import emulators
from .console import Console, Script
from .errors import RigError, UsageError
from .node import Medium, Node, ROOT, connect
from .scope import Interrupted, Scope, catch_signals

EXIT_OK, EXIT_MISSED, EXIT_USAGE, EXIT_TIMEOUT = 0, 1, 2, 124
LEAVE_KEY = b"\x1d"  # Ctrl-]
DEFAULT_TIMEOUT = 120.0
DEFAULT_GRACE = 2.0


class Step(argparse.Action):
    """--shell, --type and --expect go into one list: their order is part of their meaning."""

    def __call__(self, parser, namespace, value, option_string=None):
        if self.dest == "shell" and re.search(r"[\r\n]", value):
            parser.error(f"--shell {value!r}: one command a --shell, without line ends")
        if self.dest == "type":
            try:
                value.encode("utf-8").decode("unicode_escape").encode("latin-1")
            except (UnicodeDecodeError, UnicodeEncodeError) as err:
                parser.error(f"--type {value!r}: {err}")
        if self.dest == "expect":
            try:
                re.compile(value, re.MULTILINE)
            except re.error as err:
                parser.error(f"--expect {value!r}: {err}")
        namespace.steps.append((self.dest, value))


def number(low, high, convert=int):
    def parse(text):
        try:
            value = convert(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value
    return parse


def parser():
    p = argparse.ArgumentParser(
        prog="ternrun", allow_abbrev=False,
        description="Runs a Tern node in an emulator, types commands at its shell and looks for "
                    "what it should say. Without --shell and --expect it is interactive "
                    "(Ctrl-] leaves). Manual page: docs/ternrun.md.",
        epilog="Exit status: 0 all seen, 1 not, 2 wrong usage, 124 time-out.")
    p.set_defaults(steps=[])
    p.add_argument("--emulator", choices=emulators.NAMES, default="auto")
    p.add_argument("--cpus", type=number(1, 256), default=1, metavar="N")
    p.add_argument("--memory", type=number(16, 1 << 20), default=512, metavar="MiB")
    p.add_argument("--boot", choices=emulators.BOOTS, default="grub")
    p.add_argument("--config", metavar="FILE", help="the node's tern.toml")
    p.add_argument("--module", action="append", default=[], metavar="NAME=FILE",
                   help="a boot module; repeatable")
    p.add_argument("--module-args", action="append", default=[], metavar="NAME=WORDS",
                   help="what follows a module's name in its string")
    p.add_argument("--shell", action=Step, metavar="CMD",
                   help="type this at the prompt; repeatable")
    p.add_argument("--type", action=Step, metavar="KEYS",
                   help="type this, with Python's escapes, once what stands before it was seen; "
                        "repeatable")
    p.add_argument("--expect", action=Step, metavar="REGEX",
                   help="the console must say this, after what was expected before; repeatable")
    p.add_argument("--timeout", type=number(0.001, 1e7, float), metavar="S",
                   help="end the run after so many seconds (default 120; interactive: none)")
    p.add_argument("--grace", type=number(0, 1e7, float), default=DEFAULT_GRACE, metavar="S",
                   help="how long the prompt may be silent before an --expect is given up "
                        "(default 2)")
    p.add_argument("--log", metavar="FILE", help="write all that the console says there too")
    p.add_argument("--build", type=Path, default=ROOT / "build", metavar="DIR",
                   help="where make put its results (default build)")
    p.add_argument("--kernel", metavar="FILE", help="boot this image instead of tern.elf")
    p.add_argument("--cmdline", default="", metavar="TEXT", help="Tern's command line")
    p.add_argument("--usb", action="store_true", help="the medium is a USB stick, not a CD")
    p.add_argument("--http", action="store_true", help="ipxe: fetch by HTTP instead of TFTP")
    p.add_argument("--nic", choices=emulators.NICS,
                   help="a network card on a bridge of the rig's, 52:54:00:87:00:01, with DHCP")
    p.add_argument("--serve", metavar="DIR", help="with --nic: these files, by HTTP from 10.87.0.1")
    p.add_argument("--no-serial", dest="serial", action="store_false",
                   help="a machine without a serial port; the console is read from port 0xe9")
    p.add_argument("--qemu-arg", action="append", default=[], metavar="ARG",
                   help="one more argument for QEMU; repeatable")
    return p


def check(args):
    """What argparse cannot see."""
    if not args.steps and not sys.stdin.isatty():
        raise UsageError("without --shell and --expect it is interactive and needs a terminal")
    if not args.serial and (any(kind != "expect" for kind, _ in args.steps) or not args.steps):
        raise UsageError("--no-serial: nobody can type without a serial port; use --expect only")
    if args.http and args.boot not in emulators.NET_BOOTS:
        raise UsageError("--http goes with --boot ipxe and ipxe-efi")
    if args.nic and args.boot in emulators.NET_BOOTS:
        raise UsageError(f"--nic: --boot {args.boot} brings its own card")
    if args.serve and not args.nic:
        raise UsageError("--serve goes with --nic")
    if args.usb and args.boot in emulators.NET_BOOTS:
        raise UsageError("--usb goes with --boot grub, grub-efi and efi")


def run_script(console, node, script, until):
    """Runs the script to one of its ends; returns the exit status."""
    while not script.step():
        if console.ended:
            return ended(node, script)
        if time.monotonic() > until:
            say(f"time-out: still waiting for {script.missing() or 'the prompt'}")
            return EXIT_TIMEOUT
        if script.hopeless():
            say(f"not seen: {script.missing()}")
            return EXIT_MISSED
        console.pump(min(0.1, until - time.monotonic()))
    return EXIT_OK


def ended(node, script):
    """The emulator is gone: a power-off is a fair end, for what has been seen by then."""
    node.process.wait()
    well = node.emulator.ended_well(node.process, node, node.scope)
    missing = script.missing()
    if missing:
        say(f"the node ended before {missing}")
    if not well:
        say(f"{node.emulator.name} failed with status {node.process.returncode}:")
        say(node.emulator.words(node, node.scope))
    return EXIT_MISSED if missing or not well else EXIT_OK


def interact(console, until):
    """Joins the terminal and the console until Ctrl-] or the node's end."""
    say("interactive; Ctrl-] leaves")
    keyboard = sys.stdin.fileno()
    old = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard)
        while console.pump(0):
            if time.monotonic() > until:
                return EXIT_TIMEOUT
            ready, _, _ = select.select([keyboard, console.fd], [], [], 0.5)
            if keyboard in ready:
                keys = os.read(keyboard, 1024)
                if not keys or LEAVE_KEY in keys:
                    return EXIT_OK
                console.write(keys)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, old)
        print()
    return EXIT_OK


def say(text):
    """The rig's own words: never on the console's stream."""
    sys.stdout.flush()
    print(f"ternrun: {text}", file=sys.stderr, flush=True)


def run(args):
    check(args)
    begin = time.monotonic()
    emulator = emulators.choose(args.emulator, args.boot)
    if args.nic not in (None, "e1000") and emulator.name == "bochs":
        raise UsageError(f"Bochs has no {args.nic}, only e1000")
    limit = args.timeout or (DEFAULT_TIMEOUT if args.steps else 1e9)
    with Scope() as scope:
        log = open(args.log, "wb") if args.log else None
        node = Node(scope, emulator, args.boot, args.cpus, args.memory)
        node.serial = args.serial
        node.emulator_args = args.qemu_arg
        node.nic = args.nic
        node.insert(Medium(args.build, args.kernel, args.config, args.cmdline, args.module,
                           args.module_args), args.usb)
        connect(scope, node, args.http, args.serve)
        say(f"{emulator.name}, {args.cpus} CPU{'s' * (args.cpus > 1)}, {args.memory} MiB, "
            f"boot {args.boot}")
        console = Console(node.start(), sys.stdout.buffer, sys.stdout.isatty(), log)
        if args.steps:
            status = run_script(console, node, Script(console, args.steps, args.grace),
                                begin + limit)
        else:
            status = interact(console, begin + limit)
        if log:
            log.close()
        return status


def main(argv=None):
    catch_signals()
    try:
        args = parser().parse_args(argv)
        return run(args)
    except UsageError as err:
        say(err)
        return EXIT_USAGE
    except (RigError, OSError) as err:
        say(err)
        return EXIT_MISSED
    except Interrupted as err:
        say(f"ended by {err}")
        return 128 + err.signum
