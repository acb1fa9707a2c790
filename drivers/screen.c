/* SPDX-License-Identifier: MIT */
/* The text screen that vga_text.c and framebuffer.c show. Caller holds the console lock. */
#include "screen.h"

#include <tern/lib.h>

#define TAB_STOP 8u

enum { ESCAPE_NONE, ESCAPE_SEEN, ESCAPE_CSI };

static void changed(struct screen *s, u32 row)
{
	if (row < s->first_changed)
		s->first_changed = row;
	if (row > s->last_changed)
		s->last_changed = row;
}

/* Rows are a ring, so that scrolling moves no text. */
static char *row_cells(struct screen *s, u32 row)
{
	return s->cells[(s->top + row) % s->rows];
}

static void erase(struct screen *s, u32 row, u32 from, u32 to)
{
	memset(row_cells(s, row) + from, ' ', to - from);
	changed(s, row);
}

static void new_line(struct screen *s)
{
	s->column = 0;
	if (s->row + 1 < s->rows) {
		s->row++;
		return;
	}
	s->top = (s->top + 1) % s->rows;
	erase(s, s->rows - 1, 0, s->columns);
	changed(s, 0);
}

static void put(struct screen *s, char c)
{
	if (s->column == s->columns)
		new_line(s);
	row_cells(s, s->row)[s->column++] = c;
	changed(s, s->row);
}

/* The last byte of a control sequence (ECMA-48 8.3.39 ED, 8.3.41 EL, 8.3.21 CUP). */
static void control_final(struct screen *s, char c)
{
	u32 column = (u32)min_u64(s->column, s->columns - 1);

	if (c == 'K') {
		erase(s, s->row, s->param == 0 ? column : 0,
		      s->param == 1 ? column + 1 : s->columns);
	} else if (c == 'J' && s->param == 2) {
		for (u32 row = 0; row < s->rows; row++)
			erase(s, row, 0, s->columns);
	} else if (c == 'H' && s->param == 0) {
		s->column = 0;
		s->row = 0;
	}
}

/* Takes a byte of an escape sequence. */
static void escape_byte(struct screen *s, char c)
{
	if (s->escape == ESCAPE_SEEN) {
		s->param = 0;
		s->escape = c == '[' ? ESCAPE_CSI : ESCAPE_NONE;
	} else if (c >= '@' && c <= '~') {
		s->escape = ESCAPE_NONE;
		control_final(s, c);
	} else if (c >= '0' && c <= '9') {
		s->param = (u32)min_u64(s->param * 10 + (u32)(c - '0'), 999);
	}
}

static void control(struct screen *s, char c)
{
	s->escape = ESCAPE_NONE;
	switch (c) {
	case '\n':
		new_line(s);
		break;
	case '\r':
		s->column = 0;
		break;
	case '\b':
		if (s->column > 0)
			s->column--;
		break;
	case '\t':
		s->column = (u32)min_u64(align_down(s->column, TAB_STOP) + TAB_STOP, s->columns);
		break;
	case '\x1b':
		s->escape = ESCAPE_SEEN;
		break;
	default:
		break;
	}
}

void screen_init(struct screen *s, u32 columns, u32 rows)
{
	memset(s, 0, sizeof(*s));
	s->columns = (u32)min_u64(columns, SCREEN_COLUMNS_MAX);
	s->rows = (u32)min_u64(rows, SCREEN_ROWS_MAX);
	memset(s->cells, ' ', sizeof(s->cells));
	s->first_changed = 0;
	s->last_changed = s->rows - 1;
}

void screen_write(struct screen *s, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		u8 c = (u8)text[i];

		if (c < ' ')
			control(s, text[i]);
		else if (s->escape != ESCAPE_NONE)
			escape_byte(s, text[i]);
		else
			put(s, c <= '~' ? text[i] : '?');
	}
}

void screen_show(struct screen *s, screen_draw_fn *draw)
{
	for (u32 row = s->first_changed; row <= s->last_changed && row < s->rows; row++) {
		const char *want = row_cells(s, row);
		char *have = s->shown[row];

		for (u32 column = 0; column < s->columns; column++) {
			if (want[column] == have[column])
				continue;
			have[column] = want[column];
			draw(column, row, want[column]);
		}
	}
	s->first_changed = SCREEN_ROWS_MAX;
	s->last_changed = 0;
}
