/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/vmx/vmx_tss.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86_64/guest/msr_regs.h>
#include <arch/x86_64/vmx/vmx_regs.h>
#include <arch/x86_64/vmx/vmx_tss.h>
#include <arch/x86_64/x86_regs.h>

/* Byte offsets as figures 8-2 and 8-10 of SDM vol. 3A have them. */
static void put16(u8 *image, u32 at, u16 value)
{
	memcpy(image + at, &value, sizeof(value));
}

static void put32(u8 *image, u32 at, u32 value)
{
	memcpy(image + at, &value, sizeof(value));
}

static u32 get32(const u8 *image, u32 at)
{
	u32 value;

	memcpy(&value, image + at, sizeof(value));
	return value;
}

static u16 get16(const u8 *image, u32 at)
{
	u16 value;

	memcpy(&value, image + at, sizeof(value));
	return value;
}

static void parse_32(UNUSED void **state)
{
	u8 image[TSS_MAX];
	struct tss_state t;

	memset(image, 0xaa, sizeof(image));
	put16(image, 0, 0x18);
	put32(image, 28, 0x12345000);
	put32(image, 32, 0x100020);
	put32(image, 36, 0x202);
	for (u32 i = 0; i < 8; i++)
		put32(image, 40 + 4 * i, 0x1000 + i);
	for (u32 i = 0; i < 6; i++)
		put16(image, 72 + 4 * i, (u16)(0x10 + 8 * i));
	put16(image, 96, 0x60);
	put16(image, 100, 0xfffe);
	tss_parse(image, true, &t);
	assert_int_equal(t.link, 0x18);
	assert_int_equal(t.cr3, 0x12345000);
	assert_int_equal(t.eip, 0x100020);
	assert_int_equal(t.eflags, 0x202);
	assert_int_equal(t.gpr[REG_RAX], 0x1000);
	assert_int_equal(t.gpr[REG_RSP], 0x1004);
	assert_int_equal(t.gpr[REG_RDI], 0x1007);
	assert_int_equal(t.seg[SEG_ES], 0x10);
	assert_int_equal(t.seg[SEG_CS], 0x18);
	assert_int_equal(t.seg[SEG_GS], 0x38);
	assert_int_equal(t.ldt, 0x60);
	assert_false(t.trap);
	put16(image, 100, 1);
	tss_parse(image, true, &t);
	assert_true(t.trap);
}

static void parse_16(UNUSED void **state)
{
	u8 image[44];
	struct tss_state t;

	memset(image, 0xaa, sizeof(image));
	put16(image, 14, 0x1234);
	put16(image, 16, 0x7202);
	put16(image, 26, 0xfffe); /* SP */
	put16(image, 34, 0x10);   /* ES */
	put16(image, 40, 0x20);   /* DS */
	put16(image, 42, 0x28);
	tss_parse(image, false, &t);
	assert_int_equal(tss_size(false), sizeof(image));
	assert_int_equal(t.eip, 0x1234);
	assert_int_equal(t.eflags, 0x7202);
	assert_int_equal(t.gpr[REG_RAX], 0xaaaa);
	assert_int_equal(t.gpr[REG_RSP], 0xfffe);
	assert_int_equal(t.seg[SEG_ES], 0x10);
	assert_int_equal(t.seg[SEG_DS], 0x20);
	assert_int_equal(t.seg[SEG_FS], 0);
	assert_int_equal(t.seg[SEG_GS], 0);
	assert_int_equal(t.ldt, 0x28);
	assert_int_equal(t.cr3, 0);
	assert_false(t.trap);
}

static void save(UNUSED void **state)
{
	struct tss_state s = {.eip = 0x11223344, .eflags = 0x4246, .gpr = {1, 2, 3, 4, 5, 6, 7, 8}};
	u8 image[TSS_MAX];
	u32 at;

	for (u32 i = 0; i < TSS_SEGMENTS; i++)
		s.seg[i] = (u16)(8 + 8 * i);
	/* Neither CR3 nor LDT nor link is among it (8.3, step 9). */
	assert_int_equal(tss_save(image, true, &s, &at), 96 - 32);
	assert_int_equal(at, 32);
	assert_int_equal(get32(image, 32), 0x11223344);
	assert_int_equal(get32(image, 36), 0x4246);
	assert_int_equal(get32(image, 56), 5); /* ESP */
	assert_int_equal(get32(image, 76), 0x10);
	assert_int_equal(get32(image, 92), 0x30);
	assert_int_equal(tss_save(image, false, &s, &at), 42 - 14);
	assert_int_equal(at, 14);
	assert_int_equal(get16(image, 14), 0x3344);
	assert_int_equal(get16(image, 16), 0x4246);
	assert_int_equal(get16(image, 32), 8); /* DI */
	assert_int_equal(get16(image, 40), 0x20);
}

static void descriptors(UNUSED void **state)
{
	struct vcpu_seg s;

	tss_descriptor(0x12cf9a3456789abcull, 0x8, &s);
	assert_int_equal(s.base, 0x12345678);
	assert_int_equal(s.limit, 0xf9abcfff);
	assert_int_equal(s.attr, 0xc09a);
	tss_descriptor(0x00008b0000000067ull, 0x18, &s);
	assert_int_equal(s.limit, 0x67);
	assert_int_equal(s.attr, 0x8b);
	s = tss_v86_segment(0x1234);
	assert_int_equal(s.base, 0x12340);
	assert_int_equal(s.limit, 0xffff);
	assert_int_equal(s.attr, 0xf3);
}

static u8 target(u32 attr, u32 limit, bool busy)
{
	return tss_check_target(&(struct vcpu_seg){.attr = attr, .limit = limit}, busy);
}

static void targets(UNUSED void **state)
{
	assert_int_equal(target(0x89, 0x67, false), 0);
	assert_int_equal(target(0x8b, 0x67, false), VEC_GP); /* busy: tasks are not recursive */
	assert_int_equal(target(0x8b, 0x67, true), 0);
	assert_int_equal(target(0x89, 0x67, true), VEC_TS);
	assert_int_equal(target(0x09, 0x67, false), VEC_NP);
	assert_int_equal(target(0x89, 0x66, false), VEC_TS);
	assert_int_equal(target(0x81, 0x2b, false), 0);
	assert_int_equal(target(0x81, 0x2a, false), VEC_TS);
	assert_int_equal(target(0x83, 0x2b, true), 0);
	assert_int_equal(target(0x99, 0x67, false), VEC_GP); /* a code segment */
	assert_int_equal(target(0x82, 0x67, false), VEC_GP); /* an LDT */
}

static u8 segment(enum vcpu_segment seg, u32 attr, u16 selector, u32 cpl)
{
	return tss_check_segment(seg, &(struct vcpu_seg){.attr = attr, .selector = selector}, cpl);
}

static void segments(UNUSED void **state)
{
	assert_int_equal(segment(SEG_CS, 0x9b, 0x08, 0), 0);
	assert_int_equal(segment(SEG_CS, 0x93, 0x08, 0), VEC_TS); /* data */
	assert_int_equal(segment(SEG_CS, 0x1b, 0x08, 0), VEC_NP);
	assert_int_equal(segment(SEG_CS, 0x9b, 0x0b, 3), VEC_TS); /* DPL 0, RPL 3 */
	assert_int_equal(segment(SEG_CS, 0x9f, 0x0b, 3), 0);      /* conforming */
	assert_int_equal(segment(SEG_CS, 0xff, 0x08, 0),
			 VEC_TS); /* conforming, DPL 3 above RPL 0 */
	assert_int_equal(segment(SEG_SS, 0x93, 0x10, 0), 0);
	assert_int_equal(segment(SEG_SS, 0x91, 0x10, 0), VEC_TS); /* read-only */
	assert_int_equal(segment(SEG_SS, 0x13, 0x10, 0), VEC_SS);
	assert_int_equal(segment(SEG_SS, 0xf3, 0x10, 0), VEC_TS);
	assert_int_equal(segment(SEG_SS, 0x93, 0x13, 0), VEC_TS);
	assert_int_equal(segment(SEG_DS, 0x91, 0x10, 0), 0);
	assert_int_equal(segment(SEG_DS, 0x99, 0x10, 0), VEC_TS); /* execute only */
	assert_int_equal(segment(SEG_DS, 0x9b, 0x10, 0), 0);
	assert_int_equal(segment(SEG_DS, 0x93, 0x10, 3), VEC_TS);
	assert_int_equal(segment(SEG_DS, 0x93, 0x13, 0), VEC_TS);
	assert_int_equal(segment(SEG_DS, 0x9e, 0x13, 3), 0); /* conforming */
	assert_int_equal(segment(SEG_DS, 0x13, 0x10, 0), VEC_NP);
	assert_int_equal(segment(SEG_DS, 0x89, 0x10, 0), VEC_TS); /* a TSS */
}

static void ldts(UNUSED void **state)
{
	struct vcpu_seg ldt = {.attr = 0x82, .selector = 0x28};

	assert_int_equal(tss_check_ldt(&ldt), 0);
	ldt.attr = 0x02;
	assert_int_equal(tss_check_ldt(&ldt), VEC_TS);
	ldt.attr = 0x92;
	assert_int_equal(tss_check_ldt(&ldt), VEC_TS);
	ldt = (struct vcpu_seg){.attr = 0x82, .selector = 0x2c};
	assert_int_equal(tss_check_ldt(&ldt), VEC_TS);
	assert_true((tss_unusable(3).attr & ATTR_UNUSABLE) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_32), cmocka_unit_test(parse_16),
		cmocka_unit_test(save),     cmocka_unit_test(descriptors),
		cmocka_unit_test(targets),  cmocka_unit_test(segments),
		cmocka_unit_test(ldts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
