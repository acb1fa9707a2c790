/* SPDX-License-Identifier: MIT */
/*
 * What of a guest's output may reach the operator's terminal (hv/shell/guest_text.c): text, and what moves the cursor,
 * erases, or changes how characters look. Nothing that makes a terminal answer, sets its title, keys or clipboard,
 * or leaves it in a state that guest_text_restore does not end. Pure.
 */
#ifndef HV_SHELL_GUEST_TEXT_H
#define HV_SHELL_GUEST_TEXT_H

#include <tern/types.h>

#define GUEST_SEQUENCE_MAX 32u /* longer control sequences do not pass */

/* Where the bytes of a sequence have got to (ECMA-48 5.3 to 5.6). */
enum guest_text_state { GUEST_TEXT, GUEST_ESCAPE, GUEST_ESCAPE_MORE, GUEST_CSI, GUEST_STRING };

/* All zero to begin with. */
struct guest_text {
	enum guest_text_state state;
	bool changed; /* a sequence has passed: the terminal needs guest_text_restore */
	u32 len;      /* of the sequence so far, GUEST_SEQUENCE_MAX: too long */
	char sequence[GUEST_SEQUENCE_MAX];
};

/* Copies from in what may pass. out has room for n + GUEST_SEQUENCE_MAX bytes; returns how many it got. */
size_t guest_text_pass(struct guest_text *t, const char *in, size_t n, char *out);

/* Puts back what sequences that pass can have changed, but for the cursor and what the screen shows. */
extern const char guest_text_restore[];

#endif
