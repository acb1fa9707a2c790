# SPDX-License-Identifier: MIT
# The hypervisor image: tern.elf64 (with symbols) and tern.elf (what loaders load).

HV_C := $(sort $(wildcard hv/*.c hv/*/*.c arch/x86_64/*.c arch/x86_64/*/*.c drivers/*.c drivers/*/*.c boot/*.c))
HV_S := $(sort $(wildcard boot/*.S arch/x86_64/*.S arch/x86_64/*/*.S))
HV_OBJ := $(HV_C:%.c=$(B)/obj/%.o) $(HV_S:%.S=$(B)/obj/%.o) $(B)/obj/font.o $(B)/obj/dsdt.o $(B)/obj/version.o

WARN := -Wall -Wextra -Wconversion -Wvla -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wimplicit-fallthrough -Wwrite-strings -Wundef -Werror
HV_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
	-mgeneral-regs-only -fno-omit-frame-pointer -fno-strict-aliasing -fno-common \
	-fwrapv -fno-delete-null-pointer-checks -ffunction-sections -fdata-sections \
	-fstack-protector-strong -mstack-protector-guard=tls -mstack-protector-guard-reg=fs \
	-mstack-protector-guard-offset=40 -fcf-protection=none -fno-asynchronous-unwind-tables \
	-ffile-prefix-map=$(CURDIR)=. $(WARN) -DTERN_DEBUG=$(DEBUG) -DTERN_COUNT=$(COUNT)
# GHASH is SSE code, and runs only between fpu_begin() and fpu_end().
CFLAGS_arch/x86_64/ghash := -msse2
HV_INC := -Iinclude -I.
HV_LDFLAGS := -nostdlib -static -z max-page-size=4096 -z noexecstack --gc-sections \
	--no-warn-rwx-segments --build-id=none

$(B)/obj/%.o: %.c | $(SETUP)
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(HV_CFLAGS) $(CFLAGS_$(basename $<)) $(HV_INC) -MD -MP -c $< -o $@
	@printf '{"directory": "%s", "file": "%s", "command": "%s"},\n' '$(CURDIR)' '$<' \
		'$(CC) $(HV_CFLAGS) $(CFLAGS_$(basename $<)) $(HV_INC) -c $<' > $@.json

$(B)/obj/%.o: %.S | $(SETUP)
	@mkdir -p $(@D)
	@echo "  AS      $<"
	@$(CC) $(HV_CFLAGS) $(HV_INC) -D__ASSEMBLY__ -MD -MP -c $< -o $@

# The version string changes with the commit, nothing else does.
$(B)/version.txt: FORCE | $(SETUP)
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(B)/obj/version.o: $(B)/version.txt
	@mkdir -p $(@D)
	@printf 'extern const char tern_version[];\nconst char tern_version[] = "%s";\n' "$$(cat $<)" > $(@:.o=.c)
	@$(CC) $(HV_CFLAGS) -c $(@:.o=.c) -o $@

# The 8x16 font of the framebuffer console, from Debian's console-setup-linux.
FONT_PSF := /usr/share/consolefonts/Lat15-VGA16.psf.gz
$(B)/obj/font.o: mk/font.py | $(SETUP)
	@mkdir -p $(@D)
	@$(PYTHON) mk/font.py $(FONT_PSF) > $(@:.o=.c)
	@$(CC) $(HV_CFLAGS) $(HV_INC) -c $(@:.o=.c) -o $@

# The DSDT of the VMs. Its header names iasl's version, no time: the same sources give the same bytes.
$(B)/obj/dsdt.c: hv/vm/dsdt.asl mk/bytes.py | $(SETUP)
	@mkdir -p $(@D)
	@echo "  IASL    $<"
	@iasl -vs -we -p $(@:.c=) $< > $(@:.c=.log) || { cat $(@:.c=.log) >&2; exit 1; }
	@$(PYTHON) mk/bytes.py $(@:.c=.aml) dsdt_aml > $@
$(B)/obj/dsdt.o: $(B)/obj/dsdt.c
	@$(CC) $(HV_CFLAGS) $(HV_INC) -c $< -o $@

# Libraries of Debian come in through one gate file each. What the gate and all it pulls in need from us is
# a list: nothing else may be reached.
# Looked for when it is needed: set-up may install it first.
BEARSSL = $(shell $(CC) -print-file-name=libbearssl.a)
BEARSSL_MAY := _GLOBAL_OFFSET_TABLE_ __memcpy_chk __memset_chk __stack_chk_fail memcpy memset fpu_begin fpu_end \
	ghash_init ghash_run
BEARSSL_GATE := $(B)/obj/hv/net/fabric_crypto.o
$(B)/gate/bearssl.ok: $(BEARSSL_GATE) mk/hv.mk
	@mkdir -p $(@D)
	@$(LD) -r -o $(@:.ok=.o) $(BEARSSL_GATE) $(BEARSSL)
	@bad="$$($(NM) -u $(@:.ok=.o) | awk '{ print $$2 }' | grep -vxF -f <(printf '%s\n' $(BEARSSL_MAY)) || true)"; \
		[ -z "$$bad" ] || { echo "link: BearSSL wants what mk/hv.mk does not list:" $$bad >&2; exit 1; }
	@touch $@

# Two links: the first tells the addresses of the functions, the second holds the table of them that
# backtraces use. The table comes after all code, so that the addresses do not move.
$(B)/tern.pre: $(HV_OBJ) $(B)/gate/bearssl.ok boot/image.ld mk/symbols.awk
	@echo "  LD      $@"
	@$(NM) /dev/null 2>/dev/null | awk -f mk/symbols.awk > $(B)/obj/symbols0.S
	@$(CC) -c $(B)/obj/symbols0.S -o $(B)/obj/symbols0.o
	@$(LD) $(HV_LDFLAGS) -T boot/image.ld -o $@ $(HV_OBJ) $(B)/obj/symbols0.o $(BEARSSL)

$(B)/tern.elf64: $(B)/tern.pre
	@echo "  LD      $@"
	@$(NM) -n $< | awk -f mk/symbols.awk > $(B)/obj/symbols.S
	@$(CC) -c $(B)/obj/symbols.S -o $(B)/obj/symbols.o
	@$(LD) $(HV_LDFLAGS) -T boot/image.ld -o $@ $(HV_OBJ) $(B)/obj/symbols.o $(BEARSSL)
	@cmp -s <($(NM) -n $< | grep -i ' t ') <($(NM) -n $@ | grep -i ' t ') || \
		{ echo "link: the symbol table moved the code" >&2; exit 1; }

# Multiboot 1 loaders read ELF32 only; the image is the same, the container differs.
$(B)/tern.elf: $(B)/tern.elf64 mk/elf32.py
	@$(PYTHON) mk/elf32.py $< $@

compile_commands.json: $(HV_OBJ)
	@{ echo '['; cat $$(find $(B)/obj -name '*.o.json' | sort) | sed '$$ s/,$$//'; echo ']'; } > $@

-include $(HV_C:%.c=$(B)/obj/%.d) $(HV_S:%.S=$(B)/obj/%.d)

FORCE:
.PHONY: FORCE
