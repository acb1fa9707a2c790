/* SPDX-License-Identifier: MIT */
/*
 * The filter between a guest's output and the operator's terminal. A sequence is kept back until its last byte is
 * there, and passes as a whole or not at all. Bytes are ASCII: of a UTF-8 character one '?' is shown, since
 * terminals differ in what the bytes 80H to 9FH mean to them.
 */
#include "guest_text.h"

#include <tern/lib.h>

#define ESC         '\x1b'
#define DEL         0x7f
#define UTF8_LEAD   0xc0 /* and above: the first byte of a character */
#define FINAL_FIRST 0x40 /* ECMA-48 5.4: 40H to 7EH end a control sequence */

/* Cursor visible, wrap at the margin, cursor keys and keypad as usual, ASCII, no attributes, no margins. */
const char guest_text_restore[] =
	"\x1b[?25h\x1b[?7h\x1b[?1l\x1b>\x1b(B\x1b[0m\x1b\x37\x1b[r\x1b\x38";

/* The modes "?N" that guest_text_restore ends. */
static bool mode_passes(const char *number, u32 len)
{
	static const char *const modes[] = {"1", "7", "25"};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strlen(modes[i]) == len && memcmp(modes[i], number, len) == 0)
			return true;
	}
	return false;
}

/* ESC [ parameters final: moves (A to H, d, f, `, s, u), erases and inserts (J K L M P X @), looks (m), margins (r). */
static bool control_passes(const struct guest_text *t, char final)
{
	const char *parameters = t->sequence + 2;
	u32 len = t->len - 2;

	if (t->len == GUEST_SEQUENCE_MAX)
		return false;
	if (len > 0 && parameters[0] == '?')
		return (final == 'h' || final == 'l') && mode_passes(parameters + 1, len - 1);
	for (u32 i = 0; i < len; i++) {
		if (parameters[i] != ';' && (parameters[i] < '0' || parameters[i] > '9'))
			return false;
	}
	return strchr("ABCDEFGHJKLMPX@df`msur", final) != NULL;
}

static void keep(struct guest_text *t, char c)
{
	if (t->len < GUEST_SEQUENCE_MAX)
		t->sequence[t->len++] = c;
}

/* The sequence ends with c. */
static size_t end(struct guest_text *t, bool passes, char c, char *out)
{
	size_t n = t->len;

	t->state = GUEST_TEXT;
	if (!passes)
		return 0;
	t->changed = true;
	memcpy(out, t->sequence, n);
	out[n] = c;
	return n + 1;
}

static size_t escape_byte(struct guest_text *t, char c, char *out)
{
	switch (c) {
	case '[':
		keep(t, c);
		t->state = GUEST_CSI;
		return 0;
	case ']': /* OSC, DCS, SOS, PM, APC: strings */
	case 'P':
	case 'X':
	case '^':
	case '_':
		t->state = GUEST_STRING;
		return 0;
	default:
		break;
	}
	if (c < '0') {
		keep(t, c);
		t->state = GUEST_ESCAPE_MORE;
		return 0;
	}
	/* Save and restore the cursor, line feeds both ways, keypad. */
	return end(t, strchr("78DEM=>", c) != NULL, c, out);
}

/* A byte of a sequence, not a control character. */
static size_t sequence_byte(struct guest_text *t, char c, char *out)
{
	switch (t->state) {
	case GUEST_ESCAPE:
		return escape_byte(t, c, out);
	case GUEST_ESCAPE_MORE:
		if (c < '0') {
			keep(t, c);
			return 0;
		}
		/* ASCII, or the lines of the VT100. */
		return end(t, t->len == 2 && t->sequence[1] == '(' && (c == 'B' || c == '0'), c,
			   out);
	case GUEST_CSI:
		if (c >= FINAL_FIRST)
			return end(t, control_passes(t, c), c, out);
		keep(t, c);
		return 0;
	default: /* GUEST_STRING */
		return 0;
	}
}

static size_t text_byte(u8 c, char *out)
{
	bool text = c >= ' ' && c < DEL;

	if (!text && c < UTF8_LEAD && (c == '\0' || strchr("\a\b\t\n\r", (char)c) == NULL))
		return 0;
	*out = c < UTF8_LEAD ? (char)c : '?';
	return 1;
}

static size_t pass(struct guest_text *t, u8 c, char *out)
{
	bool string = t->state == GUEST_STRING;

	if (c == ESC) {
		t->state = GUEST_ESCAPE;
		t->len = 0;
		keep(t, ESC);
		return 0;
	}
	if (t->state == GUEST_TEXT)
		return text_byte(c, out);
	if (c >= DEL)
		return 0;
	if (c >= ' ')
		return sequence_byte(t, (char)c, out);
	/* A control character ends what is under way. That of a string may be its proper end. */
	t->state = GUEST_TEXT;
	return string && c == '\a' ? 0 : text_byte(c, out);
}

size_t guest_text_pass(struct guest_text *t, const char *in, size_t n, char *out)
{
	size_t done = 0;

	for (size_t i = 0; i < n; i++)
		done += pass(t, (u8)in[i], out + done);
	return done;
}
