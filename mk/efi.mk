# SPDX-License-Identifier: MIT
# ternboot.efi
