/* SPDX-License-Identifier: MIT */
/* Lines, words and numbers of the kernel's text files. */
#include <string.h>

#include <guest-tools/agent/text.h>

bool text_line(struct text *t, struct text *line)
{
	const char *nl = t->at < t->end ? memchr(t->at, '\n', (size_t)(t->end - t->at)) : NULL;

	if (nl == NULL)
		return false;
	*line = (struct text){t->at, nl};
	t->at = nl + 1;
	return true;
}

bool text_word(struct text *t, struct text *word)
{
	while (t->at < t->end && (*t->at == ' ' || *t->at == '\t'))
		t->at++;
	word->at = t->at;
	while (t->at < t->end && *t->at != ' ' && *t->at != '\t')
		t->at++;
	word->end = t->at;
	return word->at < word->end;
}

bool text_number(struct text *t, u64 *v)
{
	struct text word;

	*v = 0;
	if (!text_word(t, &word))
		return false;
	for (const char *p = word.at; p < word.end; p++) {
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, (u64)(*p - '0'), v))
			return false;
	}
	return true;
}

bool text_is(struct text t, const char *s)
{
	size_t n = (size_t)(t.end - t.at);

	return strlen(s) == n && memcmp(t.at, s, n) == 0;
}

bool text_starts(struct text t, const char *s)
{
	size_t n = strlen(s);

	return (size_t)(t.end - t.at) >= n && memcmp(t.at, s, n) == 0;
}
