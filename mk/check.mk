# SPDX-License-Identifier: MIT
# The tests. Each part of `make check` is a target of its own.

# A test names the sources it links in its first lines: "links: hv/lib/toml.c tests/fake/fake_host.c".
links = $(shell sed -n 's/^.*links: *\(.*[^ */]\) *\(\*\/\)\?$$/\1/p' $(1))

HOST_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-strict-aliasing -fwrapv \
	-Iinclude -I. -DTERN_DEBUG=1 $(WARN)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all

UNIT := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/*_test.c)))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))
FUZZ_RUNS ?= 200000

define unit_rule
$(B)/unit/$(1): tests/unit/$(1).c $(call links,tests/unit/$(1).c) $(wildcard include/*/*.h tests/fake/*.h) | $(SETUP)
	@mkdir -p $$(@D)
	@echo "  HOSTCC  $$@"
	@$(HOSTCC) $(HOST_CFLAGS) $(SAN) tests/unit/$(1).c $(call links,tests/unit/$(1).c) -lcmocka -o $$@
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(t))))

define fuzz_rule
$(B)/fuzz/$(1): tests/fuzz/$(1).c $(call links,tests/fuzz/$(1).c) $(wildcard include/*/*.h tests/fake/*.h) | $(SETUP)
	@mkdir -p $$(@D)
	@echo "  FUZZCC  $$@"
	@$(FUZZCC) $(HOST_CFLAGS) $(SAN),fuzzer tests/fuzz/$(1).c $(call links,tests/fuzz/$(1).c) -o $$@
endef
$(foreach t,$(FUZZ),$(eval $(call fuzz_rule,$(t))))

check-unit: $(UNIT:%=$(B)/unit/%) ## host unit tests, ASan and UBSan
	@set -e; for t in $^; do echo "RUN $$t"; $$t; done

check-fuzz: $(FUZZ:%=$(B)/fuzz/%) ## every fuzzer over its corpus and a bounded number of new inputs
	@set -e; for t in $^; do n=$$(basename $$t _fuzz); mkdir -p $(B)/fuzz/new/$$n; \
		echo "RUN $$t"; $$t -runs=$(FUZZ_RUNS) -seed=1 -max_len=8192 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix=$(B)/fuzz/ $(B)/fuzz/new/$$n tests/fuzz/corpus/$$n; done

.PHONY: check-unit check-fuzz
