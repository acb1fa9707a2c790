/* SPDX-License-Identifier: MIT */
/* Multiboot 1 (0.6.96) and Multiboot 2 (2.0) information to struct boot_info (boot/multiboot.c). */
#ifndef TERN_MULTIBOOT_H
#define TERN_MULTIBOOT_H

#include <abi/boot_info.h>
#include <tern/types.h>

#define MULTIBOOT1_EAX 0x2badb002u
#define MULTIBOOT2_EAX 0x36d76289u

/* Reads physical memory: copies len bytes at pa to dst, false when that cannot be read. */
typedef bool multiboot_read_fn(u64 pa, void *dst, size_t len, void *arg);

/*
 * Fill *bi (zeroed by them, except that magic, version, size, loader are set) from the information
 * at pa. Every length is checked against what is really there, nothing is read twice. A damaged
 * part is left out; -TERN_EINVAL only when there is no usable memory map at all. Pure but for read.
 */
MUST_CHECK int multiboot1_parse(u64 pa, multiboot_read_fn *read, void *arg, struct boot_info *bi);
MUST_CHECK int multiboot2_parse(u64 pa, multiboot_read_fn *read, void *arg, struct boot_info *bi);

#endif
