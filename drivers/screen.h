/* SPDX-License-Identifier: MIT */
/*
 * A text screen without the display: cells, cursor, scrolling and the few control sequences that
 * Tern itself writes. vga_text.c and framebuffer.c show it. What the display holds is kept beside
 * what it should hold, so that video memory, slow to read, is only ever written where it changes.
 */
#ifndef DRIVERS_SCREEN_H
#define DRIVERS_SCREEN_H

#include <tern/types.h>

#define SCREEN_COLUMNS_MAX 240u /* 1920 pixels */
#define SCREEN_ROWS_MAX    67u  /* 1080 pixels */

/* Shows a character (0x20-0x7e) at a place inside the screen. */
typedef void screen_draw_fn(u32 column, u32 row, char c);

struct screen {
	u32 columns, rows; /* (c) */
	u32 column, row;   /* of the cursor; column == columns: the next character wraps first */
	u32 first_changed, last_changed; /* rows to look at; none when first > last */
	u32 escape;                      /* enum in screen.c */
	u32 param;
	u32 top; /* the first row is cells[top] */
	char cells[SCREEN_ROWS_MAX][SCREEN_COLUMNS_MAX];
	char shown[SCREEN_ROWS_MAX][SCREEN_COLUMNS_MAX];
};

/* An empty screen, cut to the largest size. What the display shows is unknown: the first
 * screen_show() draws every cell. */
void screen_init(struct screen *s, u32 columns, u32 rows);
/* Changes the cells as the text says: \n \r \b \t, ESC [ K, ESC [ J, ESC [ H. Other control
 * characters and sequences do nothing. '\n' goes to the begin of the next line. */
void screen_write(struct screen *s, const char *text, size_t n);
/* Draws every cell that differs from what the display shows. */
void screen_show(struct screen *s, screen_draw_fn *draw);

#endif
