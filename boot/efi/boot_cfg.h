/* SPDX-License-Identifier: MIT */
/* What ternboot.efi is told to load: the [boot] table and the load options (boot/efi/boot_cfg.c). */
#ifndef BOOT_EFI_BOOT_CFG_H
#define BOOT_EFI_BOOT_CFG_H

#include <abi/boot_info.h>
#include <tern/toml.h>

struct boot_cfg {
	bool given; /* the file has a [boot] table */
	u32 module_count;
	char modules[TOML_ARRAY_MAX]; /* "NAME args" strings, each NUL-ended, one after another */
	char cmdline[BOOT_CMDLINE_MAX];
};

/*
 * Reads the [boot] table; all other tables are the hypervisor's to judge. Returns 0, or
 * -TERN_EINVAL with *err filled and *cfg empty. Pure.
 */
MUST_CHECK int boot_cfg_parse(const char *text, size_t len, struct boot_cfg *cfg,
			      struct toml_error *err);

/*
 * Appends load options (count UTF-16 units, which may end at a NUL before) to a command line,
 * without the name of the loader that iPXE and the EFI shell put in front. Returns false, with the
 * command line as it was, when they do not fit or are not printable ASCII: firmware's boot manager
 * may hand over binary data. Pure.
 */
MUST_CHECK bool boot_cfg_options(char *cmdline, size_t size, const u16 *options, size_t count);

#endif
