/* SPDX-License-Identifier: MIT */
/* The bitmaps all guests share. */
#include "vmx_bitmaps.h"

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>

#include "../guest/guest.h"
#include "vmx_regs.h"

static u8 *io, *msrs;

/* SDM vol. 3C 25.6.9: 1 KiB each for reads and writes of the low MSRs and of the high ones. */
static void pass(u32 msr)
{
	u32 bit = msr % MSR_BITMAP_COUNT;
	u32 at = msr < MSR_BITMAP_COUNT ? MSR_BITMAP_READ_LOW : MSR_BITMAP_READ_HIGH;

	ASSERT(msr < MSR_BITMAP_COUNT || msr - MSR_BITMAP_HIGH_BASE < MSR_BITMAP_COUNT);
	msrs[at + bit / 8] &= (u8) ~(1u << bit % 8);
	msrs[at + MSR_BITMAP_WRITE + bit / 8] &= (u8) ~(1u << bit % 8);
}

int vmx_bitmaps_init(void)
{
	struct msr_info info;

	if (io != NULL)
		return 0;
	io = frames_alloc_page();
	msrs = frames_alloc_page();
	if (io == NULL || msrs == NULL) {
		if (io != NULL)
			frames_free_page(io);
		if (msrs != NULL)
			frames_free_page(msrs);
		io = msrs = NULL;
		return -TERN_ENOMEM;
	}
	memset(io, 0xff, PAGE_SIZE);
	memset(msrs, 0xff, PAGE_SIZE);
	for (u32 i = 0; guest_msr_info(i, &info); i++)
		for (u32 msr = info.first; info.action == MSR_PASS && msr <= info.last; msr++)
			pass(msr);
	return 0;
}

hpa_t vmx_bitmaps_io(void)
{
	return virt_to_phys(io);
}

hpa_t vmx_bitmaps_msr(void)
{
	return virt_to_phys(msrs);
}
