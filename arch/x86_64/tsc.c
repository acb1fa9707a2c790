/* SPDX-License-Identifier: MIT */
/*
 * The TSC and its frequency: CPUID 15h, else measured against HPET, PM timer or, without any ACPI,
 * the 8254. What CPUID says is checked against a clock too: emulators repeat the figures of a CPU
 * that they are slower than.
 */
#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/init.h>
#include <tern/io.h>
#include <tern/log.h>

#include "apic.h"
#include "clock_regs.h"
#include "tsc.h"
#include "x86.h"

#define MEASURE_MS  10u
#define CHECK_MS    2u
#define STUCK_TICKS (1ull << 31) /* a reference that stands still this long is broken */
#define TOLERANCE   50u          /* CPUID may be off by one part in this many: 2 % */

static u64 tsc_hz;
static const char *source = "none";

struct reference {
	const char *name;
	u64 hz;
	u64 mask;
	u64 (*read)(void);
};

static char *hpet;
static u16 pm_port;

static u64 hpet_read(void)
{
	return mmio_read32(hpet + HPET_COUNTER);
}

static u64 pm_read(void)
{
	return io_in32(pm_port);
}

/* The 8254 counts down; the two halves are read low byte first. */
static u64 pit_read(void)
{
	u32 lo;

	io_out8(PIT_CMD, PIT_LATCH2);
	lo = io_in8(PIT_CH2);
	return 0xffff - (lo | (u32)io_in8(PIT_CH2) << 8);
}

static bool hpet_reference(struct reference *ref)
{
	u64 base = acpi_get()->hpet_base;
	u32 period;

	if (base == 0)
		return false;
	hpet = arch_map_mmio(hpa(base), HPET_SIZE);
	if (hpet == NULL)
		return false;
	period = mmio_read32(hpet + HPET_CAP + 4);
	if (period == 0 || period > HPET_PERIOD_MAX)
		return false;
	mmio_write32(hpet + HPET_CONFIG, mmio_read32(hpet + HPET_CONFIG) | HPET_CONFIG_ON);
	*ref = (struct reference){"HPET", FS_PER_SECOND / period, UINT32_MAX, hpet_read};
	return true;
}

static bool pm_reference(struct reference *ref)
{
	const struct acpi_info *acpi = acpi_get();

	if (acpi->pm_timer_port == 0 || acpi->pm_timer_port > UINT16_MAX)
		return false;
	pm_port = (u16)acpi->pm_timer_port;
	*ref = (struct reference){"PM timer", PM_TIMER_HZ,
				  acpi->pm_timer_32bit ? UINT32_MAX : 0xffffff, pm_read};
	return true;
}

static bool pit_reference(struct reference *ref)
{
	u8 gate = io_in8(PORT61) & (u8)~PORT61_SPEAKER;

	io_out8(PORT61, gate | PORT61_GATE2);
	io_out8(PIT_CMD, PIT_CH2_ONE);
	io_out8(PIT_CH2, 0xff);
	io_out8(PIT_CH2, 0xff);
	*ref = (struct reference){"8254", PIT_HZ, 0xffff, pit_read};
	return true;
}

/* TSC ticks a second, or 0 when the reference does not count. */
static u64 measure(const struct reference *ref, u32 ms)
{
	u64 want = ref->hz * ms / 1000, start, now, tsc0, tsc1;

	/* Begin at an edge, so that the error is one read and not one tick of a slow clock. */
	start = ref->read();
	tsc0 = rdtsc();
	do {
		now = ref->read();
		if (rdtsc() - tsc0 > STUCK_TICKS)
			return 0;
	} while (now == start);
	start = now;
	tsc0 = rdtsc();
	do {
		now = ref->read();
		tsc1 = rdtsc();
		if (tsc1 - tsc0 > STUCK_TICKS)
			return 0;
	} while (((now - start) & ref->mask) < want);
	return (tsc1 - tsc0) * ref->hz / ((now - start) & ref->mask);
}

/* SDM vol. 2A, CPUID leaf 15h: crystal clock times ratio. */
static u64 cpuid_hz(void)
{
	struct cpuid_regs r;

	if (cpuid(0, 0).eax < 0x15)
		return 0;
	r = cpuid(0x15, 0);
	if (r.eax == 0 || r.ebx == 0 || r.ecx == 0)
		return 0;
	return (u64)r.ecx * r.ebx / r.eax;
}

static void set(u64 hz, const char *from)
{
	tsc_hz = hz;
	source = from;
	log_info("clock: TSC at %lu.%03lu MHz by %s", hz / 1000000, hz / 1000 % 1000, from);
}

void init_clock(void)
{
	static bool (*const finders[])(struct reference *) = {hpet_reference, pm_reference,
							      pit_reference};
	u64 claimed = cpuid_hz();

	for (u32 i = 0; i < sizeof(finders) / sizeof(finders[0]); i++) {
		struct reference ref;
		u64 hz;

		if (!finders[i](&ref))
			continue;
		hz = measure(&ref, claimed != 0 ? CHECK_MS : MEASURE_MS);
		if (hz == 0) {
			log_warn("clock: the %s does not count; trying the next clock", ref.name);
			continue;
		}
		if (claimed != 0 && claimed - claimed / TOLERANCE < hz &&
		    hz < claimed + claimed / TOLERANCE) {
			set(claimed, "CPUID 15h");
			return;
		}
		if (claimed != 0) {
			log_warn(
				"clock: CPUID 15h claims %lu MHz, the %s measures %lu MHz; measured it is",
				claimed / 1000000, ref.name, hz / 1000000);
			hz = measure(&ref, MEASURE_MS);
		}
		set(hz, ref.name);
		return;
	}
	if (claimed == 0)
		panic("clock: nothing to measure the TSC against: no CPUID 15h, HPET, PM timer or 8254");
	set(claimed, "CPUID 15h");
}

u64 arch_tsc_hz(void)
{
	return tsc_hz;
}

const char *tsc_source(void)
{
	return source;
}

#define HZ_UNKNOWN 4000000000ull

void arch_delay_us(u64 us)
{
	u64 start = rdtsc(), ticks = (tsc_hz != 0 ? tsc_hz : HZ_UNKNOWN) / 1000000 * us;

	while (rdtsc() - start < ticks)
		arch_relax();
}
