/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/emulate.c arch/x86_64/guest/walk.c arch/x86_64/guest/insn.c arch/x86_64/guest/mmio.c hv/dev/bus.c hv/lock.c tests/fake/fake_host.c */
/* Reading a guest's memory by its own page tables, as the dump of a vCPU does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/vlapic.h>
#include <tern/vm.h>

#include "arch/x86_64/guest/guest.h"
#include "tests/fake/fake_host.h"

static u8 memory[0x10000]; /* from 0 on */
static u64 regs[REG_COUNT];
static u32 ss_attr;
static int read_rc;
static struct vm vm;
static struct vcpu_arch arch;
static struct vcpu vc = {.vm = &vm, .arch = &arch};

int gmem_read(struct gmem *g, gpa_t at, void *dst, u64 len)
{
	assert_ptr_equal(g, &vm.mem);
	if (read_rc != 0)
		return read_rc;
	if (at.v >= sizeof(memory) || len > sizeof(memory) - at.v)
		return -TERN_EFAULT;
	memcpy(dst, memory + at.v, len);
	return 0;
}

int gmem_cas(struct gmem *g, gpa_t at, u32 width, u64 *old, u64 value)
{
	assert_ptr_equal(g, &vm.mem);
	memcpy(old, memory + at.v, width);
	memcpy(memory + at.v, &value, width);
	return 0;
}

/* The rest of what emulate.c needs is for instructions. */
int gmem_write(struct gmem *g, gpa_t at, const void *src, u64 len)
{
	(void)g;
	(void)at;
	(void)src;
	(void)len;
	fail();
	return 0;
}

enum gmem_touch gmem_touch(struct gmem *g, gpa_t at, bool write)
{
	(void)g;
	(void)at;
	(void)write;
	fail();
	return GMEM_MAPPED;
}

u64 vlapic_read(struct vcpu *v, u32 offset, u32 width)
{
	(void)v;
	(void)offset;
	(void)width;
	fail();
	return 0;
}

void vlapic_write(struct vcpu *v, u32 offset, u32 width, u64 value)
{
	(void)value;
	(void)vlapic_read(v, offset, width);
}

void vcpu_kick(struct vcpu *v)
{
	(void)v;
	fail();
}

u8 guest_phys_bits(const struct cpuid_policy *p)
{
	(void)p;
	return 40;
}

static u64 reg_get(struct vcpu *v, enum vcpu_reg reg)
{
	assert_ptr_equal(v, &vc);
	return regs[reg];
}

static void seg_get(struct vcpu *v, enum vcpu_segment seg, struct vcpu_seg *out)
{
	assert_ptr_equal(v, &vc);
	*out = (struct vcpu_seg){.attr = seg == SEG_SS ? ss_attr : 0};
}

const struct virt_ops *virt_ops_get(void)
{
	static const struct virt_ops ops = {.reg_get = reg_get, .seg_get = seg_get};

	return &ops;
}

static void entry(u64 at, u64 value)
{
	memcpy(memory + at, &value, sizeof(value));
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	memset(regs, 0, sizeof(regs));
	read_rc = 0;
	ss_attr = 0x93;
	for (u32 i = 0; i < sizeof(memory); i++)
		memory[i] = (u8)(i >> 8 ^ i);
	return 0;
}

/* Linear 0xffffffff80000000 to 0x8000, the next page, which is the user's, to 0x6000. */
static void long_mode(void)
{
	memset(memory + 0x1000, 0, 0x4000);
	entry(0x1000 + 511 * 8, 0x2007);
	entry(0x2000 + 510 * 8, 0x3007);
	entry(0x3000, 0x4007);
	entry(0x4000, 0x8003);
	entry(0x4008, 0x6007);
	entry(0x4010, 0x123456003);
	regs[REG_CR0] = 0x80000001;
	regs[REG_CR3] = 0x1000;
	regs[REG_CR4] = 0x20;
	regs[REG_EFER] = 0x500;
}

static void test_without_paging(void **state)
{
	u8 buf[16];

	(void)state;
	assert_int_equal(arch_guest_read_linear(&vc, 0x5ff8, buf, 16), 0);
	assert_memory_equal(buf, memory + 0x5ff8, 16);
	assert_int_equal(arch_guest_read_linear(&vc, 0xfff8, buf, 16), -TERN_EFAULT);
	read_rc = -TERN_EAGAIN;
	assert_int_equal(arch_guest_read_linear(&vc, 0, buf, 16), -TERN_EAGAIN);
}

static void test_across_pages(void **state)
{
	u8 buf[16];

	(void)state;
	long_mode();
	assert_int_equal(arch_guest_read_linear(&vc, 0xffffffff80000ff8, buf, 16), 0);
	assert_memory_equal(buf, memory + 0x8ff8, 8);
	assert_memory_equal(buf + 8, memory + 0x6000, 8);
}

/* The user's stack too, whatever ring the guest is in and whether SMAP is on. */
static void test_rights(void **state)
{
	u64 word;

	(void)state;
	long_mode();
	regs[REG_CR4] |= 1u << 21;
	assert_int_equal(arch_guest_read_linear(&vc, 0xffffffff80001000, &word, 8), 0);
	ss_attr = 0xf3;
	assert_int_equal(arch_guest_read_linear(&vc, 0xffffffff80000000, &word, 8), 0);
	assert_memory_equal(&word, memory + 0x8000, 8);
}

static void test_nothing_there(void **state)
{
	u64 word;

	(void)state;
	long_mode();
	assert_int_equal(arch_guest_read_linear(&vc, 0, &word, 8), -TERN_EFAULT);
	assert_int_equal(arch_guest_read_linear(&vc, 0x800000000000, &word, 8), -TERN_EFAULT);
	assert_int_equal(arch_guest_read_linear(&vc, 0xffffffff80002000, &word, 8), -TERN_EFAULT);
	assert_int_equal(arch_guest_read_linear(&vc, 0xfffffffffffffffc, &word, 8), -TERN_EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_without_paging, setup),
		cmocka_unit_test_setup(test_across_pages, setup),
		cmocka_unit_test_setup(test_rights, setup),
		cmocka_unit_test_setup(test_nothing_there, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
