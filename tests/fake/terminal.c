/* SPDX-License-Identifier: MIT */
#include "terminal.h"

#include <string.h>

void terminal_reset(struct terminal *t)
{
	memset(t, 0, sizeof(*t));
	for (int i = 0; i < TERMINAL_ROWS; i++)
		memset(t->cells[i], ' ', TERMINAL_COLUMNS);
}

static void line_feed(struct terminal *t)
{
	if (t->row < TERMINAL_ROWS - 1) {
		t->row++;
		return;
	}
	memmove(t->cells[0], t->cells[1], sizeof(t->cells) - sizeof(t->cells[0]));
	memset(t->cells[t->row], ' ', TERMINAL_COLUMNS);
}

static void sequence(struct terminal *t, char c)
{
	if (c == 'K' && t->param == 0) {
		memset(t->cells[t->row] + t->column, ' ', (size_t)(TERMINAL_COLUMNS - t->column));
	} else if (c == 'H' && t->param == 0) {
		t->row = 0;
		t->column = 0;
	} else if (c == 'J' && t->param == '2') {
		for (int i = 0; i < TERMINAL_ROWS; i++)
			memset(t->cells[i], ' ', TERMINAL_COLUMNS);
	} else {
		t->bad++;
	}
}

static void put(struct terminal *t, char c)
{
	if (t->escape == 1) {
		t->escape = c == '[' ? 2 : 0;
		t->param = 0;
		t->bad += c != '[';
	} else if (t->escape == 2 && c >= '0' && c <= '9') {
		t->param = c;
	} else if (t->escape == 2) {
		t->escape = 0;
		sequence(t, c);
	} else if (c == '\x1b') {
		t->escape = 1;
	} else if (c == '\r') {
		t->column = 0;
	} else if (c == '\n') {
		line_feed(t);
	} else if (c == '\a') {
		t->bells++;
	} else if (c == '\b') {
		t->bad += t->column == 0;
		t->column -= t->column > 0;
	} else if (c < ' ' || c > '~') {
		t->bad++;
	} else {
		t->cells[t->row][t->column] = c;
		if (++t->column == TERMINAL_COLUMNS) {
			t->bad++;
			t->column = 0;
			line_feed(t);
		}
	}
}

void terminal_write(struct terminal *t, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(t, text[i]);
}

const char *terminal_row(const struct terminal *t, int row)
{
	static char text[TERMINAL_COLUMNS + 1];
	size_t n = TERMINAL_COLUMNS;

	while (n > 0 && t->cells[row][n - 1] == ' ')
		n--;
	memcpy(text, t->cells[row], n);
	text[n] = '\0';
	return text;
}
