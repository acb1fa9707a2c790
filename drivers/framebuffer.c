/* SPDX-License-Identifier: MIT */
/* A linear framebuffer as a text screen: shows the log on machines that booted by UEFI. */
#include "screen.h"

#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/err.h>

#define GLYPH_WIDTH  8u
#define GLYPH_HEIGHT 16u
#define GLYPH_LEFT   0x80u /* the bit of the leftmost pixel */
#define GREY         0xaau /* of 255, as VGA's colour 7 */
#define SHIFT_MAX    24u   /* 8 bits a colour in 32 */

/* 0x20-0x7e; made from Debian's console font by mk/font.py. */
extern const u8 font_glyphs[95][GLYPH_HEIGHT];

static struct screen screen;
static u8 *video;
static u32 pitch;
static u32 ink;

static void draw(u32 column, u32 row, char c)
{
	const u8 *glyph = font_glyphs[c - ' '];
	u8 *line =
		video + (u64)row * GLYPH_HEIGHT * pitch + (u64)column * GLYPH_WIDTH * sizeof(u32);

	for (u32 y = 0; y < GLYPH_HEIGHT; y++, line += pitch) {
		volatile u32 *pixel = (volatile u32 *)(void *)line;

		for (u32 x = 0; x < GLYPH_WIDTH; x++)
			pixel[x] = (glyph[y] & GLYPH_LEFT >> x) != 0 ? ink : 0;
	}
}

static void framebuffer_write(UNUSED struct console *con, const char *text, size_t n)
{
	screen_write(&screen, text, n);
	screen_show(&screen, draw);
}

static struct console framebuffer_console = {.name = "fb", .write = framebuffer_write};

int framebuffer_init(const struct boot_fb *fb, void *base)
{
	if (base == NULL || fb->base == 0)
		return -TERN_ENODEV;
	if (fb->width < GLYPH_WIDTH || fb->height < GLYPH_HEIGHT || fb->pitch % sizeof(u32) != 0 ||
	    fb->pitch / sizeof(u32) < fb->width || fb->red_shift > SHIFT_MAX ||
	    fb->green_shift > SHIFT_MAX || fb->blue_shift > SHIFT_MAX)
		return -TERN_EINVAL;
	video = base;
	pitch = fb->pitch;
	ink = GREY << fb->red_shift | GREY << fb->green_shift | GREY << fb->blue_shift;
	screen_init(&screen, fb->width / GLYPH_WIDTH, fb->height / GLYPH_HEIGHT);
	screen_show(&screen, draw);
	return console_register(&framebuffer_console);
}
