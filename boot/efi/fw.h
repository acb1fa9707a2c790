/* SPDX-License-Identifier: MIT */
/* What ternboot.efi wants of the firmware: a console, memory and files (boot/efi/fw.c). */
#ifndef BOOT_EFI_FW_H
#define BOOT_EFI_FW_H

#include <efi.h>
#include <tern/types.h>

#define FW_BELOW_4G (GiB(4) - 1)
#define FW_ANYWHERE UINT64_MAX

extern EFI_SYSTEM_TABLE *fw_st;

/* A file in memory, on pages of its own. data is NULL when it is empty. */
struct fw_file {
	void *data;
	u64 len;
};

/* Finds the volume the loader was started from; true when it can be read. Call it first. */
MUST_CHECK bool fw_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

/* The protocol of the loader's own image; never NULL once fw_init() was called. */
EFI_LOADED_IMAGE_PROTOCOL *fw_loaded_image(void);

/* Prints "ternboot: " and one line. */
void fw_say(const char *fmt, ...) PRINTF(1, 2);

/* Waits for a key or until the seconds are over. */
void fw_wait_key(u32 seconds);

/* The name that the UEFI specification gives to a status (appendix D). */
const char *fw_status_name(EFI_STATUS status);

/* Pages for len bytes, not above the address limit; *pa is a multiple of align (a power of 2). */
MUST_CHECK EFI_STATUS fw_alloc(EFI_MEMORY_TYPE type, u64 len, u64 align, u64 limit, u64 *pa);
void fw_free(u64 pa, u64 len);

/*
 * Loads \tern\NAME or else \NAME, or for iPXE NAME without its folders; '/' in a name is taken for
 * '\'. The file lies below 4 GiB if it fits there.
 * Silent when there is no such file, in all other cases a line is printed.
 */
MUST_CHECK EFI_STATUS fw_load_file(const char *name, struct fw_file *file);

#endif
