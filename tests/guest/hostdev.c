/* SPDX-License-Identifier: MIT */
/*
 * What a guest does with its devices that wants to hurt the node. Words of the command line:
 *   virtq dev=N   descriptors to a virtio device: net, blk, console, rng, balloon by name as well
 *   pci           configuration space, BARs that move, MSI-X
 *   init          INIT, SIPI and other IPIs to the second vCPU
 * Each with count=N (default a million) and seed=N. At the end everything must work again: a theme that goes
 * wrong on our side shows in the checks, on the node's side in what the node does.
 */
#include "hostdev/hostdev.h"

#define X2APIC_SVR 0x80fu
#define X2APIC_EOI 0x80bu
#define APIC_ON    0xc00ull /* IA32_APIC_BASE: enabled, x2APIC */
#define SVR_ON     0x1ffull
#define RTC        0x70u
#define VECTOR_MIN 0x20u
#define MSI_MODE_LOW \
	0x300u /* with it the delivery mode may be INIT or ExtINT; fixed or NMI without */

const char guest_name[] = "hostdev";

u64 mess_end;
u32 interrupts;
static u64 state;

u64 rnd(void)
{
	return random_next(&state);
}

u32 pick(u32 n)
{
	return (u32)(rnd() >> 33) % n;
}

bool one_in(u32 n)
{
	return pick(n) == 0;
}

u64 data_at(u32 len)
{
	u64 room = mess_end - MESS_DATA;

	return MESS_DATA + (rnd() >> 16) % (len < room ? room - len : 1);
}

u64 bad_address(void)
{
	static const u64 edges[] = {0,          LOW_END,     0xa0000,    ROM,        BARS,
				    0xfee00000, 0x100000000, 1ull << 32, 1ull << 39, 1ull << 46,
				    1ull << 48, 1ull << 52,  1ull << 63, 0ull - 4096};

	switch (pick(6)) {
	case 0:
		return mess_end - pick(8192);
	case 1:
		return 0ull - 1 - pick(1u << 20);
	case 2:
		return rnd() >> pick(36);
	case 3:
		return pick((u32)LOW_END);
	case 4:
		return data_at(4096);
	default:
		return edges[pick(ARRAY_SIZE(edges))] + pick(4096);
	}
}

u32 bad_len(void)
{
	static const u32 edges[] = {0,          0,         1,        0xfff,          0x1001,
				    0xffff,     1 << 20,   1u << 30, (1u << 30) + 1, 0x7fffffff,
				    0x80000000, 0xffffffff};

	return one_in(3) ? (u32)(rnd() >> (32 + pick(32))) : edges[pick(ARRAY_SIZE(edges))];
}

void confine(u64 *addr, u32 *len)
{
	if (*addr >= LOW_END && *addr < MESS && (*addr < ROM || *addr >= ROM_END - GUEST_PAGE))
		*addr |= MESS;
	/* So that it ends before the image begins. */
	if (*addr<MESS && * len> GUEST_PAGE)
		*len = GUEST_PAGE;
}

/* No byte is small: no number in it, also where zeros follow, is that of a page of the image. */
void fill(u64 at, u32 len)
{
	u8 *to = (u8 *)(uintptr_t)at;

	for (u32 i = 0; i < len; i += 8) {
		u64 r = rnd() | (u64)BYTES_SET << 32 | BYTES_SET;

		memcpy(to + i, &r, len - i < 8 ? len - i : 8);
	}
}

static bool on_interrupt(struct trap_frame *frame)
{
	if (frame->vector == TRAP_NMI || frame->vector >= VECTOR_MIN) {
		interrupts++;
		if (frame->vector != TRAP_NMI)
			wrmsr(X2APIC_EOI, 0);
		return true;
	}
	return false;
}

void apic_on(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_ON);
	wrmsr(X2APIC_SVR, SVR_ON);
}

void take_interrupts(void)
{
	trap_hook = on_interrupt;
	apic_on();
	write_flags(read_flags() | FLAG_IF);
}

u32 msix_word(u32 value)
{
	value &= ~MSI_MODE_LOW;
	return (value & 0xf0) == 0x10 ? value | VECTOR_MIN : value;
}

void wait_seconds(u32 seconds)
{
	u8 now = 0, last;

	outb(RTC, 0);
	last = inb(RTC + 1);
	for (seconds++; seconds > 0; seconds -= now != last, last = now)
		now = inb(RTC + 1);
}

void progress(u32 *told, u32 done)
{
	/* Who waits for us takes a long silence for the end. */
	if (done / PROGRESS_EACH == *told)
		return;
	*told = done / PROGRESS_EACH;
	print("hostdev: %u so far\n", done);
}

/* Of the code, which nothing may have changed. */
static u32 sum_of_code(void)
{
	u32 sum = 0;

	for (const u8 *p = guest_image_start; p < guest_constant_end; p++)
		sum = sum * 31 + *p;
	return sum;
}

static const struct theme {
	const char *name;
	void (*run)(u32 count);
} themes[] = {{"virtq", hostile_virtq}, {"pci", hostile_pci}, {"init", hostile_init}};

void guest_main(void)
{
	u32 sum = sum_of_code(), count = cmdline_number("count", COUNT_DEFAULT);

	state = 0x123456789abcdefull + cmdline_number("seed", 1);
	if (!on_tern) {
		skip_check("devices", "not on Tern: it would be hostile to this machine");
		return;
	}
	mess_end = ram_ranges[ram_range_count - 1].base + ram_ranges[ram_range_count - 1].len;
	memset((void *)(uintptr_t)GUEST_PAGE, 0, LOW_END - GUEST_PAGE);
	for (u32 i = 0; i < ARRAY_SIZE(themes); i++) {
		if (cmdline_has(themes[i].name))
			themes[i].run(count);
	}
	check_eq("code-is-what-it-was", sum_of_code(), sum);
}
