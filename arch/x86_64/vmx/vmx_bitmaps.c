/* SPDX-License-Identifier: MIT */
/* The bitmaps all guests share. */
#include "vmx_bitmaps.h"

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>

#include "../guest/guest.h"
#include "../guest/vlapic_regs.h"
#include "vmx_regs.h"

static u8 *io, *msrs, *msrs_apicv;

/* SDM vol. 3C 25.6.9: 1 KiB each for reads and writes of the low MSRs and of the high ones. */
static void pass(u8 *map, u32 msr, bool read, bool write)
{
	u32 bit = msr % MSR_BITMAP_COUNT;
	u32 at = msr < MSR_BITMAP_COUNT ? MSR_BITMAP_READ_LOW : MSR_BITMAP_READ_HIGH;

	ASSERT(msr < MSR_BITMAP_COUNT || msr - MSR_BITMAP_HIGH_BASE < MSR_BITMAP_COUNT);
	if (read)
		map[at + bit / 8] &= (u8) ~(1u << bit % 8);
	if (write)
		map[at + MSR_BITMAP_WRITE + bit / 8] &= (u8) ~(1u << bit % 8);
}

/*
 * What the CPU does by itself for a guest in x2APIC mode (SDM vol. 3C 30.5). Reads of what is no register
 * and of the timer's count exit; so does ICR, whose upper half lies elsewhere.
 */
static void pass_apicv(void)
{
	static const u16 reads[] = {LAPIC_ID,        LAPIC_VERSION,    LAPIC_TPR,
				    LAPIC_PPR,       LAPIC_LDR,        LAPIC_SVR,
				    LAPIC_ESR,       LAPIC_LVT_TIMER,  LAPIC_LVT_THERMAL,
				    LAPIC_LVT_PERF,  LAPIC_LVT_LINT0,  LAPIC_LVT_LINT1,
				    LAPIC_LVT_ERROR, LAPIC_TIMER_INIT, LAPIC_TIMER_DIVIDE};
	static const u16 writes[] = {LAPIC_TPR, LAPIC_EOI, LAPIC_SELF_IPI};

	for (u32 i = 0; i < ARRAY_SIZE(reads); i++)
		pass(msrs_apicv, MSR_X2APIC_BASE + (reads[i] >> X2APIC_MSR_SHIFT), true, false);
	for (u32 at = LAPIC_ISR; at <= LAPIC_IRR_LAST; at += LAPIC_REG_STEP)
		pass(msrs_apicv, MSR_X2APIC_BASE + (at >> X2APIC_MSR_SHIFT), true, false);
	for (u32 i = 0; i < ARRAY_SIZE(writes); i++)
		pass(msrs_apicv, MSR_X2APIC_BASE + (writes[i] >> X2APIC_MSR_SHIFT), false, true);
}

static void give_back(u8 **map)
{
	if (*map != NULL)
		frames_free_page(*map);
	*map = NULL;
}

int vmx_bitmaps_init(void)
{
	struct msr_info info;

	if (io != NULL)
		return 0;
	io = frames_alloc_page();
	msrs = frames_alloc_page();
	msrs_apicv = frames_alloc_page();
	if (io == NULL || msrs == NULL || msrs_apicv == NULL) {
		give_back(&io);
		give_back(&msrs);
		give_back(&msrs_apicv);
		return -TERN_ENOMEM;
	}
	memset(io, 0xff, PAGE_SIZE);
	memset(msrs, 0xff, PAGE_SIZE);
	for (u32 i = 0; guest_msr_info(i, &info); i++)
		for (u32 msr = info.first; info.action == MSR_PASS && msr <= info.last; msr++)
			pass(msrs, msr, true, true);
	memcpy(msrs_apicv, msrs, PAGE_SIZE);
	pass_apicv();
	return 0;
}

hpa_t vmx_bitmaps_io(void)
{
	return virt_to_phys(io);
}

hpa_t vmx_bitmaps_msr(bool apicv)
{
	return virt_to_phys(apicv ? msrs_apicv : msrs);
}
