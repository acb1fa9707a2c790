# SPDX-License-Identifier: MIT
# ternboot.efi: GNU-EFI's start-up code, our loader, and the parts of hv/lib that it shares, all
# compiled again as position-independent code with UEFI's 16-bit characters.

EFI_C := $(sort $(wildcard boot/efi/*.c)) hv/lib/elf.c hv/lib/mem.c hv/lib/str.c hv/lib/fmt.c \
	hv/lib/toml.c
EFI_OBJ := $(EFI_C:%.c=$(B)/efi/%.o)

# GNU_EFI_USE_MS_ABI: firmware is called by its own convention directly, the compiler sees the types.
EFI_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fpic -fvisibility=hidden -fshort-wchar \
	-mno-red-zone -mgeneral-regs-only -fno-strict-aliasing -fno-common -fwrapv \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	-ffile-prefix-map=$(CURDIR)=. -DGNU_EFI_USE_MS_ABI $(WARN) -DTERN_DEBUG=$(DEBUG)
EFI_INC := -Iinclude -I. -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
EFI_LDFLAGS := -nostdlib -shared -Bsymbolic -z nocombreloc -z noexecstack --no-undefined \
	--no-warn-rwx-segments --build-id=none --defsym=EFI_SUBSYSTEM=0xa
EFI_OBJCOPY := objcopy
EFI_SECTIONS := .text .data .reloc .rela .dynamic .dynsym

$(B)/efi/%.o: %.c | $(SETUP)
	@mkdir -p $(@D)
	@echo "  EFICC   $<"
	@$(CC) $(EFI_CFLAGS) $(EFI_INC) -MMD -MP -c $< -o $@

$(B)/ternboot.so: $(EFI_OBJ)
	@echo "  LD      $@"
	@$(LD) $(EFI_LDFLAGS) -T /usr/lib/elf_x86_64_efi.lds -o $@ /usr/lib/crt0-efi-x86_64.o \
		$(EFI_OBJ) /usr/lib/libgnuefi.a

$(B)/ternboot.efi: $(B)/ternboot.so
	@echo "  EFI     $@"
	@$(EFI_OBJCOPY) $(EFI_SECTIONS:%=-j %) --target efi-app-x86_64 --subsystem=10 $< $@

-include $(EFI_OBJ:.o=.d)
