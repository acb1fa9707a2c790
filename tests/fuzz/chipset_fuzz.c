/* SPDX-License-Identifier: MIT */
/* links: hv/dev/platform.c hv/dev/vpic.c hv/dev/vioapic.c hv/dev/vpit.c hv/dev/vrtc.c hv/dev/vpm.c hv/dev/vuart.c hv/dev/parts.c hv/dev/bus.c hv/timer.c hv/trace.c hv/lock.c tests/fake/fake_frames.c tests/fake/fake_host.c */
/*
 * A hostile guest at its chipset, all devices on one bus: any access of any width at any place, time that passes or
 * jumps, acknowledge cycles and EOIs that nobody asked for. What must hold is checked after every step.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/err.h>
#include <tern/pcpu.h>
#include <tern/vlapic.h>
#include <tern/vm.h>
#include <tern/wall_clock.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define STEPS_MAX 512u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct vm vm;
static struct vcpu vcpu;
static u32 kicks;
static const u8 *input;
static size_t left;

void vcpu_kick(struct vcpu *vc)
{
	REQUIRE(vc == &vcpu);
	kicks++;
}

void vlapic_send(struct vm *to, const struct apic_message *m)
{
	REQUIRE(to == &vm && lock_held(&vm.bus.lock));
	REQUIRE(m->dest <= 0xff && !m->x2apic && m->assert);
	if (m->delivery == APIC_FIXED || m->delivery == APIC_LOWEST)
		REQUIRE(m->vector >= 16);
	else
		REQUIRE(!m->level && m->delivery != APIC_SIPI && (u32)m->delivery != 3);
}

void vm_poweroff_requested(struct vm *v)
{
	REQUIRE(v == &vm);
}

void vm_reset_requested(struct vm *v)
{
	REQUIRE(v == &vm);
}

u64 wall_clock_unix_seconds(void)
{
	return 1700000000;
}

static u64 take(u32 bytes)
{
	u64 v = 0;

	for (u32 i = 0; i < bytes && left > 0; i++, left--)
		v = v << 8 | *input++;
	return v;
}

/* The timer interrupts up to a moment, a bounded number of them; then the rest is late. */
static void pass(u64 ticks)
{
	u64 end = fake_tsc + ticks;

	for (u32 i = 0; i < 64 && fake_armed[0] <= end; i++) {
		fake_tsc = fake_tsc > fake_armed[0] ? fake_tsc : fake_armed[0];
		timer_interrupt();
	}
	fake_tsc = fake_tsc > end ? fake_tsc : end;
	if (fake_armed[0] <= fake_tsc)
		timer_interrupt();
	/* Whatever was due is done, and what comes is later. */
	REQUIRE(fake_armed[0] > fake_tsc);
}

static void access(void)
{
	static const u32 ports[] = {0x20,  0x21,  0x40,  0x41,  0x42,  0x43,  0x61,  0x64,
				    0x70,  0x71,  0xa0,  0xa1,  0x3f8, 0x3f9, 0x3fa, 0x3fb,
				    0x3fc, 0x3fd, 0x3fe, 0x4d0, 0x4d1, 0x600, 0x602, 0x604,
				    0x605, 0x608, 0x60c, 0x60f, 0x1f,  0x3f,  0x6f,  0x9f};
	u8 how = (u8)take(1);
	bool mem = (how & 0x40) != 0;
	u32 width = 1u << (how & (mem ? 3 : 1) & (how >> 4 | 2));
	u64 at = mem ? IOAPIC_BASE + (how & 0x20        ? take(2) % 0x1008
				      : take(1) & 0x40u ? 0x10
							: 0)
		     : ports[take(1) % ARRAY_SIZE(ports)];
	u64 v;

	if ((how & 0x80) == 0) {
		bus_write(&vm.bus, mem ? DEV_MEM : DEV_PORT, at, width, take(width), NULL);
		return;
	}
	v = bus_read(&vm.bus, mem ? DEV_MEM : DEV_PORT, at, width, NULL);
	REQUIRE(width == 8 || v < 1ull << width * 8);
}

static void step(void)
{
	static const u8 lines[] = {0, 1, 3, 5, 7, 8, 9, 12, 15, 16, 20, 23};
	u32 what = (u32)take(1);
	lock_token token;

	switch (what & 15) {
	case 0:
		pass(take(3));
		break;
	case 1:
		pass(take(7)); /* years at most */
		break;
	case 2: /* a CPU whose clock is a little behind */
		fake_tsc -= take(1);
		break;
	case 3:
		vpic_ack(vm.platform.pic);
		break;
	case 4:
		vioapic_eoi(vm.platform.ioapic, (u8)take(1));
		break;
	case 5:
		token = lock_take(&vm.bus.lock);
		platform_irq(&vm, lines[take(1) % ARRAY_SIZE(lines)], (what & 16) != 0);
		lock_release(&vm.bus.lock, token);
		break;
	case 6:
		vuart_input(vm.platform.uart, (const char *)input, left < 32 ? left : 32);
		break;
	case 7:
		vpm_power_button(vm.platform.pm);
		break;
	case 8:
		if (what == 8)
			bus_reset(&vm.bus);
		break;
	default:
		access();
		break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u64 hz[] = {50000000, 1000000000, 2893202977, 5000000000};
	static bool ready;
	bool asked;

	if (!ready)
		fake_reset();
	ready = true;
	input = data;
	left = size;
	fake_frames_reset(64);
	fake_tsc_step = 0;
	fake_tsc_hz = hz[take(1) % ARRAY_SIZE(hz)];
	fake_tsc = 10 * fake_tsc_hz;
	fake_armed[0] = UINT64_MAX;
	REQUIRE(timer_cpu_init(pcpu_self()) == 0);
	memset(&vm, 0, sizeof(vm));
	vm.vcpus[0] = &vcpu;
	bus_init(&vm.bus);
	REQUIRE(vpic_create(&vm, &vm.bus) == 0 && vioapic_create(&vm, &vm.bus) == 0);
	REQUIRE(vpit_create(&vm, &vm.bus) == 0 && vrtc_create(&vm, &vm.bus) == 0);
	REQUIRE(vpm_create(&vm, &vm.bus) == 0);
	REQUIRE(vuart_create(&vm, &vm.bus, &vm.platform.uart) == 0);
	for (u32 i = 0; i < STEPS_MAX && left > 0; i++) {
		asked = vpic_asks(vm.platform.pic);
		kicks = 0;
		step();
		/* A request that appears is told. */
		REQUIRE(asked || !vpic_asks(vm.platform.pic) || kicks > 0);
		REQUIRE(!lock_held(&vm.bus.lock));
	}
	bus_destroy(&vm.bus);
	REQUIRE(fake_frames_used() == 0 && fake_armed[0] == UINT64_MAX);
	return 0;
}
