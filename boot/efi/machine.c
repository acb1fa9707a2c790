/* SPDX-License-Identifier: MIT */
/* Configuration tables, screen and memory map of UEFI (UEFI 2.10, 4.6, 7.2, 7.4.6, 12.9). */
#include <boot/efi/machine.h>

#include <boot/efi/boot_fill.h>
#include <boot/efi/efi_mem.h>
#include <boot/efi/fw.h>
#include <tern/lib.h>

#define EXIT_ATTEMPTS     8u
#define MAP_SPARE_ENTRIES 64u

static u64 config_table(const EFI_GUID *guid)
{
	for (UINTN i = 0; i < fw_st->NumberOfTableEntries; i++) {
		const EFI_CONFIGURATION_TABLE *t = &fw_st->ConfigurationTable[i];

		if (memcmp(&t->VendorGuid, guid, sizeof(*guid)) == 0)
			return (u64)t->VendorTable;
	}
	return 0;
}

/* A colour of eight bits in one piece, or false. */
static bool mask_shift(u32 mask, u8 *shift)
{
	if (mask == 0)
		return false;
	*shift = (u8)__builtin_ctz(mask);
	return mask >> *shift == 0xff;
}

static bool fb_colours(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info, struct boot_fb *fb)
{
	const EFI_PIXEL_BITMASK *m = &info->PixelInformation;

	switch (info->PixelFormat) {
	case PixelRedGreenBlueReserved8BitPerColor:
		fb->green_shift = 8;
		fb->blue_shift = 16;
		return true;
	case PixelBlueGreenRedReserved8BitPerColor:
		fb->red_shift = 16;
		fb->green_shift = 8;
		return true;
	case PixelBitMask:
		/* The highest bit of all masks tells the size of a pixel (12.9.2). */
		return (m->RedMask | m->GreenMask | m->BlueMask | m->ReservedMask) >> 24 != 0 &&
		       mask_shift(m->RedMask, &fb->red_shift) &&
		       mask_shift(m->GreenMask, &fb->green_shift) &&
		       mask_shift(m->BlueMask, &fb->blue_shift);
	default:
		return false;
	}
}

static void describe_screen(struct boot_info *bi)
{
	static EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info;
	EFI_GRAPHICS_OUTPUT_PROTOCOL *gop;
	EFI_BOOT_SERVICES *bs = fw_st->BootServices;
	struct boot_fb fb = {0};
	void *interface;

	/* The screen that firmware itself writes on, else any. */
	if (EFI_ERROR(bs->HandleProtocol(fw_st->ConsoleOutHandle, &guid, &interface)) &&
	    EFI_ERROR(bs->LocateProtocol(&guid, NULL, &interface)))
		return;
	gop = interface;
	if (!gop->Mode || !gop->Mode->Info)
		return;
	info = gop->Mode->Info;
	if (!fb_colours(info, &fb))
		return;
	fb.base = gop->Mode->FrameBufferBase;
	fb.pitch = info->PixelsPerScanLine * 4;
	fb.width = info->HorizontalResolution;
	fb.height = info->VerticalResolution;
	bi->fb = fb;
}

void machine_describe(struct boot_info *bi)
{
	static const EFI_GUID acpi20 = ACPI_20_TABLE_GUID;
	static const EFI_GUID acpi10 = ACPI_TABLE_GUID;

	bi->efi_system_table = (u64)fw_st;
	bi->rsdp = config_table(&acpi20);
	if (bi->rsdp == 0)
		bi->rsdp = config_table(&acpi10);
	if (bi->rsdp == 0)
		fw_say("firmware tells no ACPI tables; Tern will search for them");
	describe_screen(bi);
}

/* Firmware lists each purpose by itself; to Tern most neighbours are one piece of RAM. */
static void fill_memory(struct boot_info *bi, const u8 *map, UINTN size, UINTN step)
{
	for (UINTN at = 0; at + sizeof(struct efi_mem) <= size; at += step) {
		struct boot_mem *last = bi->mem_count > 0 ? &bi->mem[bi->mem_count - 1] : NULL;
		struct efi_mem d;
		u64 len;
		u32 type;

		memcpy(&d, map + at, sizeof(d));
		if (d.pages >= EFI_MEM_PAGES_MAX)
			continue;
		type = efi_mem_type(&d);
		len = d.pages << EFI_MEM_PAGE_SHIFT;
		if (last && last->type == type && last->base + last->len == d.base)
			last->len += len;
		else
			boot_fill_mem(bi, d.base, len, type);
	}
}

EFI_STATUS machine_take(EFI_HANDLE image, struct boot_info *bi)
{
	EFI_BOOT_SERVICES *bs = fw_st->BootServices;
	UINTN room = 0, size, key, step = 0;
	EFI_STATUS status;
	UINT32 version;
	void *map;

	status = bs->GetMemoryMap(&room, NULL, &key, &step, &version);
	if (status != EFI_BUFFER_TOO_SMALL || step < sizeof(struct efi_mem))
		return EFI_UNSUPPORTED;
	/* The buffer itself and whatever events do until the end may split entries. */
	room += MAP_SPARE_ENTRIES * step;
	status = bs->AllocatePool(EfiLoaderData, room, &map);
	if (EFI_ERROR(status))
		return status;

	/*
	 * 7.4.6: ExitBootServices() refuses an old map key, for its own events may allocate. From
	 * its first refusal on only the memory services may be called: no more messages.
	 */
	for (u32 i = 0; i < EXIT_ATTEMPTS; i++) {
		size = room;
		status = bs->GetMemoryMap(&size, map, &key, &step, &version);
		if (!EFI_ERROR(status))
			status = bs->ExitBootServices(image, key);
		if (!EFI_ERROR(status)) {
			fill_memory(bi, map, size, step);
			return EFI_SUCCESS;
		}
	}
	fw_st->RuntimeServices->ResetSystem(EfiResetCold, status, 0, NULL);
	return status;
}
