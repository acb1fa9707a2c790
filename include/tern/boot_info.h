/* SPDX-License-Identifier: MIT */
/* The checked boot information, as the core sees it (hv/boot_info.c). */
#ifndef TERN_BOOT_INFO_H
#define TERN_BOOT_INFO_H

#include <abi/boot_info.h>
#include <tern/types.h>

/* Says what was wrong, for the operator; called zero or more times. */
typedef void boot_warn_fn(const char *text, void *arg);

/*
 * Checks and normalises what a loader gave, in place: magic, version and counts; strings get their
 * NUL; memory map sorted by base, entries 4 KiB aligned (RAM shrinks, everything else grows), no two
 * overlapping (the higher type wins), neighbours of one type merged, nothing past 2^52; modules must
 * lie in RAM as a whole and overlap neither each other nor the image: a module that does not is
 * dropped with a warning that names it. Pure. Returns 0, or -TERN_EINVAL when Tern cannot
 * run with it (not a boot_info, or no RAM at all).
 */
MUST_CHECK int boot_info_check(struct boot_info *bi, boot_warn_fn *warn, void *arg);

/* The checked information; constant after boot. Never NULL once main() runs. */
const struct boot_info *boot_info_get(void);

/* Makes *bi, checked and never changed again, what boot_info_get() returns. Once, by the boot CPU. */
void boot_info_set(const struct boot_info *bi);

/* The module of that name, or NULL. */
const struct boot_module *boot_info_module(const struct boot_info *bi, const char *name);

/*
 * The value of key in a command line of words "key" and "key=value" (words split at spaces).
 * Copies the value ("" for a bare key) and returns true; false when the key is absent.
 * The last one given wins. Pure.
 */
bool boot_info_option(const char *cmdline, const char *key, char *value, size_t size);

#endif
