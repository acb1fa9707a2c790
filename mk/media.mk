# SPDX-License-Identifier: MIT
# tern.iso and pxe/
