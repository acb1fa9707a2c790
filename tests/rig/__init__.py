# SPDX-License-Identifier: MIT
"""Runs nodes in emulators; docs/ternrun.md is its manual page."""
