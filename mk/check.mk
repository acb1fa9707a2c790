# SPDX-License-Identifier: MIT
# The tests. Each part of `make check` is a target of its own.

# A test names the sources it links in its first lines: "links: hv/lib/toml.c tests/fake/fake_host.c"
# (made ones, and all of a node whose guests are scripts, by variables: "$(B)/obj/dsdt.c", "$(NODE)"), libraries of
# the host that judge it: "libs: -lZydis", and flags of its own: "flags: -include tests/fake/fake_steps.h".
links = $(eval LINKS := $(shell sed -n 's/^.*links: *\(.*[^ */]\) *\(\*\/\)\?$$/\1/p' $(1)))$(LINKS)
flags = $(shell sed -n 's/^\/\* flags: *\(.*[^ ]\) *\*\/$$/\1/p' $(1))
libs = $(shell sed -n 's/^\/\* libs: *\(.*[^ ]\) *\*\/$$/\1/p' $(1))

HOST_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-strict-aliasing -fwrapv \
	-Iinclude -I. -DTERN_DEBUG=1 $(WARN)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all

HOST_HEADERS := $(wildcard include/*/*.h hv/*.h hv/*/*.h arch/x86_64/*.h arch/x86_64/*/*.h \
	drivers/*.h drivers/*/*.h boot/*.h boot/*/*.h guest-tools/*/*.h tests/fake/*.h)
UNIT := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/*_test.c)))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))
FUZZ_RUNS ?= 40000

NODE := $(sort $(filter-out hv/vm/vm_boot.c,$(wildcard hv/vm/*.c)) $(wildcard hv/dev/*.c hv/sched/*.c hv/mem/gmem*.c) \
	$(filter-out hv/net/netdev% hv/net/uplink% hv/net/fabric% hv/net/ip%,$(wildcard hv/net/*.c))) hv/mem/scrub.c hv/lib/elf.c hv/lib/err.c \
	hv/lib/str.c hv/lib/fmt.c hv/timer.c hv/trace.c hv/lock.c arch/x86_64/npt.c \
	arch/x86_64/vmx/ept.c $(B)/obj/dsdt.c \
	tests/fake/fake_virt.c tests/fake/fake_frames.c tests/fake/fake_host.c

# A source is compiled once for all unit tests, but for one that has flags of its own.
$(B)/host/%.o: %.c $(HOST_HEADERS) | $(SETUP)
	@mkdir -p $(@D)
	@echo "  HOSTCC  $<"
	@$(HOSTCC) $(HOST_CFLAGS) $(SAN) -c $< -o $@
$(B)/host/$(B)/%.o: $(B)/%.c | $(SETUP)
	@mkdir -p $(@D)
	@$(HOSTCC) $(HOST_CFLAGS) $(SAN) -c $< -o $@
unit_parts = $(if $(call flags,$(1)),$(call links,$(1)),$(patsubst %.c,$(B)/host/%.o,$(call links,$(1))))

define unit_rule
$(B)/unit/$(1): tests/unit/$(1).c $$(call unit_parts,tests/unit/$(1).c) $(HOST_HEADERS) | $(SETUP)
	@mkdir -p $$(@D)
	@echo "  HOSTLD  $$@"
	@$(HOSTCC) $(HOST_CFLAGS) $(SAN) $(call flags,tests/unit/$(1).c) $$(filter %.c %.o,$$^) $(call libs,tests/unit/$(1).c) \
		-lcmocka -o $$@
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(t))))

define fuzz_rule
$(B)/fuzz/$(1): tests/fuzz/$(1).c $(call links,tests/fuzz/$(1).c) $(HOST_HEADERS) | $(SETUP)
	@mkdir -p $$(@D)
	@echo "  FUZZCC  $$@"
	@$(FUZZCC) $(HOST_CFLAGS) $(SAN) $(call flags,tests/fuzz/$(1).c) -fsanitize=fuzzer tests/fuzz/$(1).c \
		$(call links,tests/fuzz/$(1).c) $(call libs,tests/fuzz/$(1).c) -o $$@
endef
$(foreach t,$(FUZZ),$(eval $(call fuzz_rule,$(t))))

# Every part writes B/check/PART.json; tests/check/run.py runs them all and sums up.
CHECK := PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/check
VARIANT := CC=$(CC) DEBUG=$(DEBUG) B=$(B)

check: $(SETUP) ## all parts below; the last line is the sum
	@$(CHECK)/run.py --build $(B)

check-build: $(SETUP) ## gcc and clang, release and debug: no warning
	@$(CHECK)/build.py --build $(B)

check-layers: $(HV_OBJ) $(TOOLS_OUT) ## who includes whom (docs/architecture.md), from the compiler's .d files
	@$(CHECK)/layers.py --build $(B)

check-headers: $(SETUP) ## each header compiles alone, gcc and clang; the ABI as strict C11
	@$(CHECK)/headers.py --build $(B) --cflags '$(HV_CFLAGS)' \
		--efi-cflags '$(EFI_CFLAGS) $(EFI_INC)'

check-budget: $(B)/tern.elf ## lines of files, functions, headers; bytes of the image
	@$(CHECK)/budget.py --build $(B)

check-format: $(SETUP) ## clang-format (make format), white space
	@$(CHECK)/format.py --build $(B)

check-spdx: $(SETUP) ## one licence line a file
	@$(CHECK)/spdx.py --build $(B)

check-unit: $(SETUP) ## host unit tests, ASan and UBSan
	@$(CHECK)/hosttests.py --build $(B) $(VARIANT:%=--make=%) unit $(UNIT:%=$(B)/unit/%)

check-mutants: $(B)/obj/dsdt.c | $(SETUP) ## faults put into the sources one by one: the unit tests must see each (SELECT='INVEPT')
	@$(CHECK)/mutants.py --build $(B) --cc $(HOSTCC) --cflags '$(HOST_CFLAGS) $(SAN)' \
		--var 'B=$(B)' --var 'NODE=$(NODE)' --select '$(SELECT)'

check-fuzz: $(SETUP) ## every fuzzer over its corpus and a bounded number of new inputs
	@$(CHECK)/hosttests.py --build $(B) --runs $(FUZZ_RUNS) $(VARIANT:%=--make=%) fuzz \
		$(FUZZ:%=$(B)/fuzz/%)

check-repro: $(SETUP) ## two builds in two places give the same bits
	@$(CHECK)/repro.py --build $(B)

check-rig: $(B)/tern.iso ## the rig itself: tests/rig
	@$(CHECK)/pytests.py rig tests/rig --build $(B) --timeout 400 --select '$(SELECT)'

check-boot: guests $(B)/tern.iso $(B)/pxe/.done $(B)/ternboot.efi $(B)/shim/shim.elf ## nodes in emulators: every boot path, bad inputs (SELECT='bochs and cpus2')
	@$(CHECK)/pytests.py boot tests/system --build $(B) --timeout 1500 --select '$(SELECT)'

# The hostile loader of the boot tests: a Multiboot 1 kernel that starts tern.elf with made-up facts.
SHIM_CFLAGS := -m32 -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-pie -mgeneral-regs-only \
	-fno-stack-protector -fno-strict-aliasing -fcf-protection=none \
	-fno-asynchronous-unwind-tables -Iinclude $(WARN)
SHIM_SRC := tests/system/shim/start.S tests/system/shim/shim.c tests/system/shim/lies.c

$(B)/shim/shim.elf: $(SHIM_SRC) tests/system/shim/shim.h tests/system/shim/shim.ld | $(SETUP)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(HOSTCC) $(SHIM_CFLAGS) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack,--no-warn-rwx-segments \
		-Wl,-T,tests/system/shim/shim.ld $(SHIM_SRC) -o $@

.PHONY: check check-build check-layers check-headers check-budget check-format check-spdx
check-linux: $(B)/tern.iso ## Debian guests: kernels, vCPUs, disks, network, memory, time
	@$(PYTHON) tests/system/linux_image.py --build $(B) # before two rows want the same
	@TERN_LONG=1 TERN_BUILD=$(B) $(PYTHON) -m pytest -q -n 2 -k '$(or $(SELECT),linux)' tests/system/test_linux.py

check-long: guests $(B)/tern.iso ## bare guests, the long rows too: a million operations each, canaries, 1,000 VMs
	@TERN_LONG=1 TERN_BUILD=$(B) $(PYTHON) -m pytest -q -n 2 tests/system/test_guests.py

.PHONY: check-linux check-long check-unit check-mutants check-fuzz check-repro check-rig check-boot

# The fabric as the hypervisor has it (but for the code model), driven on the host.
FABRIC_C := $(sort $(wildcard hv/net/fabric*.c)) arch/x86_64/ghash.c hv/lib/mem.c
FABRIC_BENCH_C := tests/bench/fabric_bench.c tests/bench/tcp_flow.c tests/fake/fake_fpu.c tests/fake/fake_road.c \
	tests/fake/fake_host.c
FABRIC_CFLAGS := $(filter-out -mcmodel=kernel -mstack-protector-guard%,$(HV_CFLAGS))

$(B)/bench/obj/%.o: %.c $(HOST_HEADERS) | $(SETUP)
	@mkdir -p $(@D)
	@$(HOSTCC) $(FABRIC_CFLAGS) $(CFLAGS_$(basename $<)) $(HV_INC) -c $< -o $@
$(B)/bench/fabric_bench: $(FABRIC_C:%.c=$(B)/bench/obj/%.o) $(FABRIC_BENCH_C) $(HOST_HEADERS)
	@$(HOSTCC) -std=gnu11 -O2 -g -no-pie -fno-pie -Iinclude -I. -DTERN_DEBUG=0 $(filter %.c %.o,$^) -l:libbearssl.a -lm -o $@

bench-fabric: $(B)/bench/fabric_bench ## instructions a page of the fabric, goodput and share beside TCP on a simulated link
	@$(PYTHON) tests/bench/fabric_bench.py --program $< --out build/bench.json

.PHONY: bench-fabric
