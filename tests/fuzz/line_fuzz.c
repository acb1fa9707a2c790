/* SPDX-License-Identifier: MIT */
/* links: hv/shell/line.c hv/shell/words.c hv/lib/str.c tests/fake/terminal.c */
/* Hostile keys: whatever is typed, the line editor keeps its limits and the screen shows its line. */
#include "hv/shell/line.h"
#include "hv/shell/words.h"
#include "tests/fake/terminal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct terminal term;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void flush(const struct line_out *out)
{
	check(out->n < sizeof(out->text)); /* never cut */
	for (size_t i = 0; i < out->n; i++) {
		if (out->text[i] == '\n')
			terminal_write(&term, "\r", 1);
		terminal_write(&term, &out->text[i], 1);
	}
	check(term.bad == 0);
}

static void check_line(const struct line *l)
{
	size_t prompt = strlen(l->prompt), shown;
	const char *row = term.cells[term.row];

	check(l->len <= LINE_MAX && strlen(l->text) == l->len);
	check(l->left <= l->cursor && l->cursor <= l->len);
	check(l->history_count <= LINE_HISTORY && l->history_at <= l->history_count);
	check((size_t)term.column == prompt + l->cursor - l->left);
	shown = l->len - l->left < LINE_COLUMNS - prompt ? l->len - l->left : LINE_COLUMNS - prompt;
	check(memcmp(row, l->prompt, prompt) == 0);
	check(memcmp(row + prompt, l->text + l->left, shown) == 0);
	for (size_t i = prompt + shown; i < TERMINAL_COLUMNS; i++)
		check(row[i] == ' ');
}

static void check_words(const char *text)
{
	char copy[LINE_MAX + 1], *argv[16];
	int n;

	memcpy(copy, text, sizeof(copy));
	n = words_split(copy, argv, 16);
	check(n <= 16);
	for (int i = 0; i < n; i++) {
		check(argv[i] >= copy && argv[i] + strlen(argv[i]) < copy + sizeof(copy));
		(void)words_distance(argv[i], argv[0]);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct line l;
	struct line_out out;

	terminal_reset(&term);
	line_init(&l, "tern> ");
	line_start(&l, &out);
	flush(&out);
	for (size_t i = 0; i < size; i++) {
		switch (line_key(&l, data[i], &out)) {
		case LINE_DONE:
			flush(&out);
			check_words(l.text);
			line_start(&l, &out);
			break;
		case LINE_CANCEL:
			flush(&out);
			line_start(&l, &out);
			break;
		case LINE_TAB:
			line_insert(&l, "completed ", 10, &out);
			break;
		case LINE_LIST:
			terminal_write(&term, "\r\n", 2);
			line_redraw(&l, &out);
			break;
		case LINE_MORE:
			break;
		}
		flush(&out);
		check_line(&l);
		if (i % 16 == 0) {
			terminal_write(&term, "\r\x1b[K", 4);
			line_image(&l, &out);
			flush(&out);
			check_line(&l);
		}
	}
	return 0;
}
