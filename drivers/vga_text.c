/* SPDX-License-Identifier: MIT */
/* The VGA text screen: shows the log on machines that booted by BIOS. */
#include "screen.h"
#include "vga_text_regs.h"

#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/err.h>
#include <tern/io.h>

static struct screen screen;
static u16 *video; /* VGA_ROWS x VGA_COLUMNS cells */
static u32 cursor; /* where the CRT controller shows it */

static void draw(u32 column, u32 row, char c)
{
	mmio_write16(&video[row * VGA_COLUMNS + column],
		     (u16)(VGA_GREY_ON_BLACK << VGA_ATTRIBUTE_SHIFT | (u8)c));
}

static void crtc_write(u8 reg, u32 v)
{
	io_out8(VGA_CRTC_INDEX, reg);
	io_out8(VGA_CRTC_DATA, (u8)v);
}

static void show_cursor(void)
{
	u32 column = (u32)min_u64(screen.column, VGA_COLUMNS - 1);
	u32 at = screen.row * VGA_COLUMNS + column;

	if (at == cursor)
		return;
	cursor = at;
	crtc_write(CRTC_CURSOR_HIGH, at >> 8);
	crtc_write(CRTC_CURSOR_LOW, at & 0xff);
}

static void vga_text_write(UNUSED struct console *con, const char *text, size_t n)
{
	screen_write(&screen, text, n);
	screen_show(&screen, draw);
	show_cursor();
}

static struct console vga_text_console = {.name = "vga", .write = vga_text_write};

int vga_text_init(void *base)
{
	if (base == NULL)
		return -TERN_ENODEV;
	video = base;
	cursor = UINT32_MAX;
	screen_init(&screen, VGA_COLUMNS, VGA_ROWS);
	screen_show(&screen, draw);
	show_cursor();
	return console_register(&vga_text_console);
}
