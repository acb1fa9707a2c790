/* SPDX-License-Identifier: MIT */
/*
 * The line editor. Every key changes the text first; then refresh() compares what the screen should
 * show with what it shows and prints the difference. Needed of the terminal: backspace, carriage
 * return, and "erase to the end of the line" (ESC [ K).
 */
#include "line.h"

#include <tern/lib.h>

#define CTRL(c) ((c)&0x1f)

enum {
	KEY_ESC = 0x1b,
	KEY_DEL = 0x7f,
	BELL = 0x07,
	SCROLL_STEP = 16, /* columns that a long line moves at once */
};

/* Number before the '~' of a VT220 editing key. */
enum { VT_HOME = 1, VT_DELETE = 3, VT_END = 4, VT_HOME_RXVT = 7, VT_END_RXVT = 8 };

static void put(struct line_out *out, char c)
{
	if (out->n < sizeof(out->text))
		out->text[out->n++] = c;
}

static void put_text(struct line_out *out, const char *s)
{
	while (*s != '\0')
		put(out, *s++);
}

static u32 prompt_len(const struct line *l)
{
	return (u32)strlen(l->prompt);
}

/* Moves the window so that the cursor is inside. */
static void scroll(struct line *l)
{
	u32 width = LINE_COLUMNS - prompt_len(l) - 1; /* the cursor may stand behind the text */

	/* Not at the very edge: what a backspace is going to take must show. */
	if (l->cursor <= l->left)
		l->left = l->cursor > SCROLL_STEP ? l->cursor - SCROLL_STEP : 0;
	if (l->cursor > l->left + width)
		l->left = l->cursor - width + SCROLL_STEP;
	if (l->len <= width)
		l->left = 0;
}

/* Brings the screen's last line from what it shows to what it should show. */
static void refresh(struct line *l, struct line_out *out)
{
	u32 prompt = prompt_len(l), len, same = 0, cursor;
	char want[LINE_COLUMNS];

	scroll(l);
	memcpy(want, l->prompt, prompt);
	len = (u32)min_u64(l->len - l->left, LINE_COLUMNS - prompt);
	memcpy(want + prompt, l->text + l->left, len);
	len += prompt;
	while (same < len && same < l->shown_len && want[same] == l->shown[same])
		same++;

	cursor = l->shown_cursor;
	if (same < len || same < l->shown_len) {
		for (; cursor > same; cursor--)
			put(out, '\b');
		for (; cursor < len; cursor++)
			put(out, want[cursor]);
		if (l->shown_len > len)
			put_text(out, "\x1b[K");
	}
	for (; cursor > prompt + l->cursor - l->left; cursor--)
		put(out, '\b');
	for (; cursor < prompt + l->cursor - l->left; cursor++)
		put(out, want[cursor]);
	memcpy(l->shown, want, len);
	l->shown_len = len;
	l->shown_cursor = cursor;
}

/* The screen's last line is empty now. */
static void forget_shown(struct line *l)
{
	l->shown_len = 0;
	l->shown_cursor = 0;
}

static void set_text(struct line *l, const char *text)
{
	l->len = (u32)min_u64(str_copy(l->text, text, sizeof(l->text)), LINE_MAX);
	l->cursor = l->len;
	l->left = 0;
}

/* Removes the characters from..to. */
static void cut(struct line *l, u32 from, u32 to)
{
	memmove(l->text + from, l->text + to, l->len - to + 1);
	l->len -= to - from;
	l->cursor = from;
}

static bool insert(struct line *l, char c)
{
	if (l->len == LINE_MAX)
		return false;
	memmove(l->text + l->cursor + 1, l->text + l->cursor, l->len - l->cursor + 1);
	l->text[l->cursor++] = c;
	l->len++;
	return true;
}

/* Where the word before the cursor begins. */
static u32 word_begin(const struct line *l)
{
	u32 i = l->cursor;

	while (i > 0 && l->text[i - 1] == ' ')
		i--;
	while (i > 0 && l->text[i - 1] != ' ')
		i--;
	return i;
}

/* Puts the line on top of the history; an equal one further down goes. */
static void remember(struct line *l)
{
	u32 i = 0;

	if (l->len == 0)
		return;
	while (i < l->history_count && strcmp(l->history[i], l->text) != 0)
		i++;
	if (i == l->history_count) {
		if (l->history_count < LINE_HISTORY)
			l->history_count++;
		i = l->history_count - 1;
	}
	memmove(l->history[1], l->history[0], i * sizeof(l->history[0]));
	memcpy(l->history[0], l->text, sizeof(l->history[0]));
}

static void show_history(struct line *l, u32 at, struct line_out *out)
{
	if (at > l->history_count) {
		put(out, BELL);
		return;
	}
	if (l->history_at == 0)
		memcpy(l->draft, l->text, sizeof(l->draft));
	l->history_at = at;
	set_text(l, at == 0 ? l->draft : l->history[at - 1]);
}

static void history_older(struct line *l, struct line_out *out)
{
	show_history(l, l->history_at + 1, out);
}

static void history_newer(struct line *l, struct line_out *out)
{
	if (l->history_at == 0)
		put(out, BELL);
	else
		show_history(l, l->history_at - 1, out);
}

static void move(struct line *l, s32 by)
{
	if (by < 0 ? l->cursor > 0 : l->cursor < l->len)
		l->cursor = (u32)((s32)l->cursor + by);
}

static void delete_at_cursor(struct line *l)
{
	if (l->cursor < l->len)
		cut(l, l->cursor, l->cursor + 1);
}

static void edit_tilde_key(struct line *l)
{
	switch (l->param) {
	case VT_HOME:
	case VT_HOME_RXVT:
		l->cursor = 0;
		break;
	case VT_END:
	case VT_END_RXVT:
		l->cursor = l->len;
		break;
	case VT_DELETE:
		delete_at_cursor(l);
		break;
	default: /* Insert, Page Up, function keys */
		break;
	}
}

/* The last byte of a sequence that began with ESC [ or ESC O. */
static void escape_final(struct line *l, int key, struct line_out *out)
{
	switch (key) {
	case 'A':
		history_older(l, out);
		break;
	case 'B':
		history_newer(l, out);
		break;
	case 'C':
		move(l, 1);
		break;
	case 'D':
		move(l, -1);
		break;
	case 'H':
		l->cursor = 0;
		break;
	case 'F':
		l->cursor = l->len;
		break;
	case '~':
		edit_tilde_key(l);
		break;
	default:
		break;
	}
}

/* A byte inside an escape sequence. False: it was none, and is a key of its own. */
static bool escape_byte(struct line *l, int key, struct line_out *out)
{
	enum line_escape was = l->escape;

	/* A control character ends a sequence that was cut short. */
	l->escape = LINE_ESC_NONE;
	if (was == LINE_ESC_NONE || key < ' ')
		return false;
	if (was == LINE_ESC_SEEN) {
		l->param = 0;
		l->params = 0;
		if (key == '[')
			l->escape = LINE_ESC_CSI;
		else if (key == 'O')
			l->escape = LINE_ESC_SS3;
		return true;
	}
	if (key >= '@') {
		escape_final(l, key, out);
		return true;
	}
	/* Parameter and intermediate bytes are 20h to 3Fh. */
	l->escape = was;
	if (key >= '0' && key <= '9' && l->params == 0)
		l->param = (u32)min_u64(l->param * 10 + (u32)(key - '0'), 999);
	else
		l->params = 1;
	return true;
}

static enum line_event control_key(struct line *l, int key, struct line_out *out)
{
	switch (key) {
	case CTRL('A'):
		l->cursor = 0;
		break;
	case CTRL('E'):
		l->cursor = l->len;
		break;
	case CTRL('B'):
		move(l, -1);
		break;
	case CTRL('F'):
		move(l, 1);
		break;
	case CTRL('D'):
		delete_at_cursor(l);
		break;
	case CTRL('H'):
	case KEY_DEL:
		if (l->cursor > 0)
			cut(l, l->cursor - 1, l->cursor);
		break;
	case CTRL('K'):
		cut(l, l->cursor, l->len);
		break;
	case CTRL('U'):
		cut(l, 0, l->cursor);
		break;
	case CTRL('W'):
		cut(l, word_begin(l), l->cursor);
		break;
	case CTRL('P'):
		history_older(l, out);
		break;
	case CTRL('N'):
		history_newer(l, out);
		break;
	case CTRL('L'):
		put_text(out, "\x1b[H\x1b[2J");
		forget_shown(l);
		break;
	case KEY_ESC:
		l->escape = LINE_ESC_SEEN;
		break;
	default:
		break;
	}
	refresh(l, out);
	return LINE_MORE;
}

/* The end of a line: what follows is printed below it. */
static enum line_event leave(struct line *l, enum line_event event, struct line_out *out)
{
	l->cursor = l->len;
	refresh(l, out);
	if (event == LINE_CANCEL && l->shown_cursor + 2 <= LINE_COLUMNS)
		put_text(out, "^C");
	put(out, '\n');
	forget_shown(l);
	if (event == LINE_DONE)
		remember(l);
	return event;
}

enum line_event line_key(struct line *l, int key, struct line_out *out)
{
	bool after_cr = l->after_cr, after_tab = l->after_tab;

	out->n = 0;
	if (key < 0 || key > 0xff)
		return LINE_MORE;
	l->after_cr = key == '\r';
	l->after_tab = key == '\t';
	if (escape_byte(l, key, out)) {
		refresh(l, out);
		return LINE_MORE;
	}
	if (key == '\n' && after_cr)
		return LINE_MORE;
	if (key == '\r' || key == '\n')
		return leave(l, LINE_DONE, out);
	if (key == CTRL('C'))
		return leave(l, LINE_CANCEL, out);
	if (key == '\t')
		return after_tab ? LINE_LIST : LINE_TAB;
	if (key < ' ' || key == KEY_DEL)
		return control_key(l, key, out);
	/* Names in Tern are ASCII: other bytes would only put the cursor in the wrong column. */
	if (key > KEY_DEL || !insert(l, (char)key))
		put(out, BELL);
	refresh(l, out);
	return LINE_MORE;
}

void line_init(struct line *l, const char *prompt)
{
	memset(l, 0, sizeof(*l));
	str_copy(l->prompt, prompt, sizeof(l->prompt));
}

void line_start(struct line *l, struct line_out *out)
{
	out->n = 0;
	l->history_at = 0;
	l->escape = LINE_ESC_NONE;
	l->after_tab = false;
	set_text(l, "");
	forget_shown(l);
	refresh(l, out);
}

void line_insert(struct line *l, const char *text, size_t n, struct line_out *out)
{
	size_t done = 0;

	out->n = 0;
	while (done < n && insert(l, text[done]))
		done++;
	if (done < n)
		put(out, BELL);
	refresh(l, out);
}

void line_bell(struct line_out *out)
{
	out->n = 0;
	put(out, BELL);
}

void line_redraw(struct line *l, struct line_out *out)
{
	out->n = 0;
	forget_shown(l);
	refresh(l, out);
}

void line_image(const struct line *l, struct line_out *out)
{
	out->n = 0;
	for (u32 i = 0; i < l->shown_len; i++)
		put(out, l->shown[i]);
	for (u32 i = l->shown_len; i > l->shown_cursor; i--)
		put(out, '\b');
}
