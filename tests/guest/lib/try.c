/* SPDX-License-Identifier: MIT */
/* One instruction each, tried: what it raised. */
#include "cpu.h"
#include "guest.h"

struct try_msr {
	u32 msr;
	u64 value;
};

static void do_rdmsr(void *arg)
{
	struct try_msr *t = arg;

	t->value = rdmsr(t->msr);
}

static void do_wrmsr(void *arg)
{
	struct try_msr *t = arg;

	wrmsr(t->msr, t->value);
}

int try_rdmsr(u32 msr, u64 *value)
{
	struct try_msr t = {msr, 0};
	int vector = trap_run(do_rdmsr, &t);

	if (value)
		*value = t.value;
	return vector;
}

int try_wrmsr(u32 msr, u64 value)
{
	struct try_msr t = {msr, value};

	return trap_run(do_wrmsr, &t);
}

static void do_cr0(void *arg)
{
	write_cr0(*(unsigned long *)arg);
}

static void do_cr3(void *arg)
{
	write_cr3(*(unsigned long *)arg);
}

static void do_cr4(void *arg)
{
	write_cr4(*(unsigned long *)arg);
}

int try_write_cr0(unsigned long value)
{
	return trap_run(do_cr0, &value);
}

int try_write_cr3(unsigned long value)
{
	return trap_run(do_cr3, &value);
}

int try_write_cr4(unsigned long value)
{
	return trap_run(do_cr4, &value);
}

static void do_xsetbv(void *arg)
{
	const struct try_msr *t = arg;

	__asm__ volatile("xsetbv" ::"c"(t->msr), "a"((u32)t->value), "d"((u32)(t->value >> 32)));
}

int try_xsetbv(u32 index, u64 value)
{
	struct try_msr t = {index, value};

	return trap_run(do_xsetbv, &t);
}

struct try_access {
	volatile u8 *address;
	u8 value;
};

static void do_read(void *arg)
{
	struct try_access *t = arg;

	t->value = *t->address;
}

static void do_write(void *arg)
{
	struct try_access *t = arg;

	*t->address = t->value;
}

int try_read(const volatile void *address)
{
	struct try_access t = {(volatile u8 *)(uintptr_t)address, 0};

	return trap_run(do_read, &t);
}

int try_write(volatile void *address, u8 value)
{
	struct try_access t = {address, value};

	return trap_run(do_write, &t);
}
