# SPDX-License-Identifier: MIT
# The bare guests (tests/guest, tests/bench): one ELF32 Multiboot 1 image each, B/guest/NAME. A guest
# is NAME.c, with NAME.S and NAME/*.c where it needs them, and the library in tests/guest/lib.

GUEST32 := real prot
BENCH_GUESTS := bench bench_virtio
GUEST := $(sort $(patsubst tests/guest/%.c,%,$(wildcard tests/guest/*.c)) $(BENCH_GUESTS))
GUEST64 := $(filter-out $(GUEST32),$(GUEST))

GUEST_DIR := $(B)/guest
GUEST_LIB := $(wildcard tests/guest/lib/*.c tests/guest/lib/*.S)
GUEST_DEPS := $(wildcard tests/guest/*/*.h) tests/guest/lib/guest.ld mk/guest.mk \
	$(wildcard include/abi/*.h)
GUEST_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -mgeneral-regs-only -mno-red-zone \
	-fno-stack-protector -fno-strict-aliasing -fno-common -fwrapv -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-delete-null-pointer-checks -Iinclude -Itests/guest/lib \
	-I$(GUEST_DIR) $(WARN)
GUEST_LDFLAGS := -static -nostdlib -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments \
	--build-id=none -T tests/guest/lib/guest.ld

# What a guest is made of beside the library, and its bits.
guest_src = $(if $(filter $(BENCH_GUESTS),$(1)),tests/bench/$(1).c,tests/guest/$(1).c \
	$(wildcard tests/guest/$(1).S tests/guest/$(1)/*.c))
guest_bits = $(if $(filter $(1),$(GUEST32)),32,64)
guest_obj = $(patsubst %,$(GUEST_DIR)/obj$(2)/%.o,$(1))

$(GUEST_DIR)/obj32/%.o: % $(GUEST_DEPS) | $(SETUP)
	@mkdir -p $(@D)
	@echo "  GUEST32 $<"
	@$(CC) -m32 $(GUEST_CFLAGS) -c $< -o $@

$(GUEST_DIR)/obj64/%.o: % $(GUEST_DEPS) | $(SETUP)
	@mkdir -p $(@D)
	@echo "  GUEST64 $<"
	@$(CC) -m64 $(GUEST_CFLAGS) -c $< -o $@

define guest_rule
$(GUEST_DIR)/$(1): $(call guest_obj,$(call guest_src,$(1)) $(GUEST_LIB),$(call guest_bits,$(1))) mk/elf32.py
	@echo "  LD      $$@"
	@$(LD) $(if $(filter $(1),$(GUEST32)),-m elf_i386,-m elf_x86_64) $(GUEST_LDFLAGS) \
		-o $$@$(if $(filter $(1),$(GUEST64)),.elf64) $$(filter %.o,$$^)
	$(if $(filter $(1),$(GUEST64)),@$(PYTHON) mk/elf32.py $$@.elf64 $$@)
endef
$(foreach g,$(GUEST),$(eval $(call guest_rule,$(g))))

guests: $(GUEST:%=$(GUEST_DIR)/%) ## the bare guests of the tests

# The second CPU of the guest "hostdev" starts as that of the guest "apic" does.
$(GUEST_DIR)/obj64/tests/guest/hostdev.S.o: tests/guest/apic.S

# The table of MSRs that the guest "msr" walks is the published one.
$(GUEST_DIR)/msr_table.h: docs/msrs.md tests/guest/msr_table.py | $(SETUP)
	@mkdir -p $(@D)
	@$(PYTHON) tests/guest/msr_table.py $< > $@
$(GUEST_DIR)/obj64/tests/guest/msr.c.o: $(GUEST_DIR)/msr_table.h

.PHONY: guests
