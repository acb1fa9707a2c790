/* SPDX-License-Identifier: MIT */
/* links: drivers/framebuffer.c drivers/screen.c hv/console.c hv/log.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
#include "tests/fake/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/err.h>

extern const u8 font_glyphs[95][16];

/* A font in which every glyph is its own number, so that a picture can be read back. */
#define G(c)                                                                                   \
	{                                                                                      \
		(c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c), (c) \
	}
#define G5(c)  G(c), G((c) + 1), G((c) + 2), G((c) + 3), G((c) + 4)
#define G20(c) G5(c), G5((c) + 5), G5((c) + 10), G5((c) + 15)
const u8 font_glyphs[95][16] = {G20(0x20), G20(0x34), G20(0x48), G20(0x5c),
				G5(0x70),  G5(0x75),  G5(0x7a)};

static struct boot_fb fb;
static u32 *pixels;
static size_t pixel_count;

/* A framebuffer with a pitch wider than its lines; ASan watches its end. */
static int set_up(u32 width, u32 height, u32 extra)
{
	free(pixels);
	fb = (struct boot_fb){.base = 0xe0000000,
			      .pitch = (width + extra) * 4,
			      .width = width,
			      .height = height,
			      .red_shift = 16,
			      .green_shift = 8};
	pixel_count = (size_t)(width + extra) * height;
	pixels = malloc(pixel_count * 4);
	memset(pixels, 0x5a, pixel_count * 4);
	return framebuffer_init(&fb, pixels);
}

static void show(const char *s)
{
	console_write_log(s, strlen(s));
}

/* The character at a place, by its glyph; 0 when the lines of the glyph differ. */
static char at(u32 column, u32 row)
{
	u8 first = 0;

	for (u32 y = 0; y < 16; y++) {
		u8 bits = 0;

		for (u32 x = 0; x < 8; x++) {
			u32 p = pixels[(row * 16 + y) * (fb.pitch / 4) + column * 8 + x];

			assert_true(p == 0 || p == 0x00aaaaaa);
			bits = (u8)(bits << 1 | (p != 0));
		}
		if (y == 0)
			first = bits;
		else if (bits != first)
			return 0;
	}
	return (char)first;
}

static void test_draws_glyphs(void **state)
{
	(void)state;
	assert_int_equal(set_up(80, 48, 5), 0);
	show("Hi~\nyou");
	assert_int_equal(at(0, 0), 'H');
	assert_int_equal(at(1, 0), 'i');
	assert_int_equal(at(2, 0), '~');
	assert_int_equal(at(3, 0), ' ');
	assert_int_equal(at(2, 1), 'u');
	/* What lies between the lines is not touched. */
	for (u32 y = 0; y < 48; y++)
		for (u32 x = 80; x < 85; x++)
			assert_int_equal(pixels[y * 85 + x], 0x5a5a5a5a);
}

static void test_scrolls(void **state)
{
	char text[16];

	(void)state;
	assert_int_equal(set_up(83, 50, 0), 0); /* 10 cells of 3 rows, and a rest */
	for (int i = 0; i < 30; i++) {
		snprintf(text, sizeof(text), "\n%c", 'A' + i % 26);
		show(text);
	}
	assert_int_equal(at(0, 0), 'B');
	assert_int_equal(at(0, 1), 'C');
	assert_int_equal(at(0, 2), 'D');
	show("0123456789abc\x1b[K");
	assert_int_equal(at(9, 1), '8');
	assert_int_equal(at(3, 2), 'c');
	assert_int_equal(at(4, 2), ' ');
}

static void test_large_screen_is_cut(void **state)
{
	(void)state;
	assert_int_equal(set_up(3840, 2160, 0), 0);
	for (int i = 0; i < 300; i++)
		show("x");
	assert_int_equal(at(239, 0), 'x');
	assert_int_equal(at(59, 1), 'x');
	assert_int_equal(pixels[240 * 8], 0x5a5a5a5a);
	for (int i = 0; i < 100; i++)
		show("\nlast");
	assert_int_equal(at(3, 66), 't');
}

static void test_smallest_screen(void **state)
{
	(void)state;
	assert_int_equal(set_up(8, 16, 0), 0);
	show("a\x1b[Kb\n\b\b\t\rc");
	assert_int_equal(at(0, 0), 'c');
}

static void test_bad_geometry_is_refused(void **state)
{
	struct boot_fb bad;

	(void)state;
	assert_int_equal(set_up(80, 48, 0), 0);
	assert_int_equal(framebuffer_init(&fb, NULL), -TERN_ENODEV);
	bad = fb;
	bad.base = 0;
	assert_int_equal(framebuffer_init(&bad, pixels), -TERN_ENODEV);
	bad = fb;
	bad.width = 7;
	assert_int_equal(framebuffer_init(&bad, pixels), -TERN_EINVAL);
	bad = fb;
	bad.height = 15;
	assert_int_equal(framebuffer_init(&bad, pixels), -TERN_EINVAL);
	bad = fb;
	bad.pitch = 79 * 4;
	assert_int_equal(framebuffer_init(&bad, pixels), -TERN_EINVAL);
	bad.pitch = 80 * 4 + 2;
	assert_int_equal(framebuffer_init(&bad, pixels), -TERN_EINVAL);
	bad = fb;
	bad.green_shift = 25;
	assert_int_equal(framebuffer_init(&bad, pixels), -TERN_EINVAL);
	bad = fb;
	bad.width = 0x80000000;
	assert_int_equal(framebuffer_init(&bad, pixels), -TERN_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_draws_glyphs),
		cmocka_unit_test(test_scrolls),
		cmocka_unit_test(test_large_screen_is_cut),
		cmocka_unit_test(test_smallest_screen),
		cmocka_unit_test(test_bad_geometry_is_refused),
	};
	int failed;

	fake_reset();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(pixels);
	return failed;
}
