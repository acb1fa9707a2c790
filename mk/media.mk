# SPDX-License-Identifier: MIT
# What machines boot from: tern.iso (CD and stick, BIOS and UEFI), esp.img and the PXE folder.

MEDIA_TOOL := boot/mkmedia $(wildcard boot/grub/*.in boot/ipxe/*.in)

$(B)/tern.iso: $(B)/tern.elf $(MEDIA_TOOL) | $(SETUP)
	@echo "  ISO     $@"
	@boot/mkmedia iso --kernel $< -o $@

$(B)/esp.img: $(B)/tern.elf $(B)/ternboot.efi $(MEDIA_TOOL) | $(SETUP)
	@echo "  ESP     $@"
	@boot/mkmedia esp --kernel $< --efi $(B)/ternboot.efi -o $@

$(B)/pxe/.done: $(B)/tern.elf $(B)/ternboot.efi $(MEDIA_TOOL) | $(SETUP)
	@echo "  PXE     $(@D)"
	@boot/mkmedia pxe --kernel $< --efi $(B)/ternboot.efi -o $(@D)
	@touch $@
