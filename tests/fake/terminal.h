/* SPDX-License-Identifier: MIT */
/* A terminal of 80x25 as far as Tern's shell uses one: what a person would see. */
#ifndef FAKE_TERMINAL_H
#define FAKE_TERMINAL_H

#include <tern/types.h>

#define TERMINAL_COLUMNS 80
#define TERMINAL_ROWS    25

struct terminal {
	char cells[TERMINAL_ROWS][TERMINAL_COLUMNS + 1]; /* each row NUL-ended, blanks are ' ' */
	int row, column;
	u32 bells;
	u32 bad; /* bytes that it does not know, wraps at the right edge, \b at the left one */
	int escape;
	char param;
};

void terminal_reset(struct terminal *t);
void terminal_write(struct terminal *t, const char *text, size_t n);
/* A row without the blanks at its end; valid until the next call. */
const char *terminal_row(const struct terminal *t, int row);

#endif
