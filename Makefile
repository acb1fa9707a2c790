# SPDX-License-Identifier: MIT
# Tern: `make help` lists the targets. Everything made lies in build/ (or B=DIR).
#
# Variants, each in a folder of its own: DEBUG=1 (lock ranks, poisoning, debug assertions),
# CC=clang, COUNT=1 (counts VMREADs and the like, for make bench).
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

ifeq ($(origin CC),default)
CC := gcc
endif
DEBUG ?= 0
COUNT ?= 0
ifeq ($(DEBUG),1)
B ?= build/debug
else ifeq ($(COUNT),1)
B ?= build/count
else ifneq ($(findstring clang,$(CC)),)
B ?= build/clang
else
B ?= build
endif
LD := ld
NM := nm
PYTHON := /usr/bin/python3
HOSTCC := gcc
FUZZCC := clang
JOBS := $(shell nproc)

# The version is the commit: two builds of one commit give the same bits.
VERSION := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH

SETUP := build/.setup

include mk/hv.mk
include mk/guest.mk
include mk/efi.mk
include mk/media.mk
include mk/tools.mk
include mk/check.mk
include mk/package.mk

all: $(B)/tern.elf $(B)/ternboot.efi $(B)/tern.iso $(B)/pxe/.done tools compile_commands.json ## build the hypervisor, the EFI loader, tern.iso, the PXE folder and the guest tools

setup: ## install the Debian packages that are missing
	@mk/setup.sh
	@mkdir -p $(dir $(SETUP)) && touch $(SETUP)

$(SETUP): mk/packages mk/setup.sh
	@mk/setup.sh
	@mkdir -p $(@D) && touch $@

run: $(B)/tern.iso ## boot a node in an emulator, interactive (Ctrl-] leaves)
	@tests/rig/ternrun --build $(B)

demo: $(B)/tern.iso ## boot a node, and on it a Debian guest that costs what it uses
	@B=$(B) tests/rig/demo

debug: ## boot a debug build in QEMU with gdb attached (Ctrl-D in gdb ends both)
	@$(MAKE) --no-print-directory DEBUG=1 all
	@tests/rig/debug build/debug

bench: $(B)/tern.iso guests ## measure the budgets; prints a table, writes build/bench.json
	@$(MAKE) --no-print-directory COUNT=1 B=$(B)/count guests $(B)/count/tern.iso
	@$(PYTHON) tests/bench/bench.py --build $(B) --out build/bench.json

format: $(SETUP) ## format all C files in place
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

clean: ## remove build/
	@rm -rf build compile_commands.json

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{ printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST) | sort

.PHONY: all setup run demo debug bench format clean help
