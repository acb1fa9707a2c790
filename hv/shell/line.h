/* SPDX-License-Identifier: MIT */
/*
 * The line editor: a state machine that takes one key and says what to print. It touches no console,
 * so that host tests and the fuzzer drive it with strings. Not thread-safe: one user.
 */
#ifndef HV_SHELL_LINE_H
#define HV_SHELL_LINE_H

#include <tern/types.h>

#define LINE_MAX        255u /* characters of a line */
#define LINE_HISTORY    16u
#define LINE_PROMPT_MAX 16u
#define LINE_COLUMNS    79u /* of an 80-column terminal: the last one would wrap */
#define LINE_OUT_MAX    512u

/* What a key makes the caller print. One call never needs more than LINE_OUT_MAX. */
struct line_out {
	char text[LINE_OUT_MAX];
	size_t n;
};

enum line_event {
	LINE_MORE,   /* go on */
	LINE_DONE,   /* a line is complete in line->text; call line_start() when it was worked on */
	LINE_CANCEL, /* ^C: the line was given up; call line_start() */
	LINE_TAB,    /* complete the word at the cursor */
	LINE_LIST,   /* a second tab: show what the word at the cursor may become */
};

/* Where the bytes of an escape sequence have got to (ECMA-48 5.4). */
enum line_escape { LINE_ESC_NONE, LINE_ESC_SEEN, LINE_ESC_CSI, LINE_ESC_SS3 };

struct line {
	char text[LINE_MAX + 1]; /* NUL-ended */
	u32 len, cursor;
	u32 left; /* first character that is shown: long lines scroll sideways */
	char prompt[LINE_PROMPT_MAX];
	/* What the last line of the screen shows, prompt included. */
	char shown[LINE_COLUMNS];
	u32 shown_len, shown_cursor;
	enum line_escape escape;
	u32 param;     /* first number of a control sequence */
	u32 params;    /* separators seen: only the first number counts */
	bool after_cr; /* an LF now belongs to the CR before */
	bool after_tab;
	/* Lines entered before, newest first. */
	char history[LINE_HISTORY][LINE_MAX + 1];
	u32 history_count;
	u32 history_at;           /* 0: the line being written, n: history[n - 1] */
	char draft[LINE_MAX + 1]; /* the line being written, while another is shown */
};

/* Clears everything, history too. The prompt is cut to LINE_PROMPT_MAX - 1 characters. */
void line_init(struct line *l, const char *prompt);

/* The functions below clear *out first. */
/* An empty line and its prompt, at the beginning of a screen line. */
void line_start(struct line *l, struct line_out *out);
/* Takes one key, 0-255; others are ignored. */
enum line_event line_key(struct line *l, int key, struct line_out *out);
/* Inserts n characters at the cursor, as many as fit; rings the bell when not all did. */
void line_insert(struct line *l, const char *text, size_t n, struct line_out *out);
/* The terminal's bell: nothing to complete. */
void line_bell(struct line_out *out);
/* Draws prompt and line again on a fresh screen line. */
void line_redraw(struct line *l, struct line_out *out);

/* What draws the line as it is now shown, from the first column; does not clear anything before. */
void line_image(const struct line *l, struct line_out *out);

#endif
