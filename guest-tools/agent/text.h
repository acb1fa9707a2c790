/* SPDX-License-Identifier: MIT */
/* Reading the kernel's text files: words and numbers out of a buffer that need not end with NUL. Pure. */
#ifndef TEXT_H
#define TEXT_H

#include <abi/types.h>

/* A piece of text: what is left to read. */
struct text {
	const char *at, *end;
};

static inline struct text text_of(const char *s, size_t n)
{
	return (struct text){s, s + n};
}

/* Takes the next line, without its newline. False when there is none; a last line that does not end was
 * cut by the buffer and counts as none. */
bool text_line(struct text *t, struct text *line);

/* Takes the next word, which ends at blanks or tabs. False when there is none. *word is not *t. */
bool text_word(struct text *t, struct text *word);

/* Takes the next word, which must be a decimal number of 64 bits. */
bool text_number(struct text *t, u64 *v);

bool text_is(struct text t, const char *s);
bool text_starts(struct text t, const char *s);

#endif
