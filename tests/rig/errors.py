# SPDX-License-Identifier: MIT
"""The two ways in which a run cannot be done."""


class RigError(Exception):
    """The run failed: something of this machine, or the emulator. Exit status 1."""


class UsageError(Exception):
    """The caller asked for what cannot be. Exit status 2."""
