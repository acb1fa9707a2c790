/* SPDX-License-Identifier: MIT */
/* links: hv/lib/toml.c hv/lib/str.c hv/lib/fmt.c hv/lib/err.c */
/* Any bytes are either told as well-formed events or refused at a place within the text. */
#include <stdlib.h>
#include <string.h>

#include <tern/err.h>
#include <tern/toml.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

struct told {
	const char *text;
	size_t len;
	u32 events;
	u32 line;   /* of the last event */
	u32 refuse; /* the event that refuses; 0: none */
	bool refused;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

static u32 line_count(const char *text, size_t len)
{
	u32 n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* The byte at a place, which must be in the text or directly behind a line or the text. */
static const char *at(const char *text, size_t len, u32 line, u32 col)
{
	size_t off = 0;

	REQUIRE(line >= 1 && col >= 1);
	while (--line > 0) {
		const char *end = memchr(text + off, '\n', len - off);

		REQUIRE(end != NULL);
		off = (size_t)(end - text) + 1;
	}
	REQUIRE(col - 1 <= len - off);
	REQUIRE(memchr(text + off, '\n', col - 1) == NULL);
	return text + off + col - 1;
}

static int event(const char *table, const char *key, const struct toml_value *v,
		 struct toml_error *err, void *arg)
{
	struct told *t = arg;

	REQUIRE(!t->refused);
	REQUIRE(v->line > t->line);
	t->line = v->line;
	REQUIRE(strlen(table) < TOML_PATH_MAX);
	if (key != NULL) {
		const char *k = at(t->text, t->len, v->line, v->key_col);
		const char *s = v->str;

		REQUIRE(strlen(key) > 0 && strlen(table) + strlen(key) < TOML_PATH_MAX);
		REQUIRE(memcmp(k, key, strlen(key)) == 0);
		REQUIRE(v->col > v->key_col && at(t->text, t->len, v->line, v->col) != NULL);
		REQUIRE(v->type != TOML_STRING || strlen(s) < TOML_STR_MAX);
		REQUIRE(v->type != TOML_BOOL || v->num == 0 || v->num == 1);
		REQUIRE(v->count <= (v->type == TOML_ARRAY ? TOML_ITEMS_MAX : 0));
		for (u32 i = 0; i < v->count; i++) {
			REQUIRE(strlen(s) < TOML_STR_MAX);
			s += strlen(s) + 1;
		}
		REQUIRE(s - v->str <= (ptrdiff_t)TOML_ARRAY_MAX);
	} else {
		REQUIRE(strlen(table) > 0);
	}
	if (++t->events != t->refuse)
		return 0;
	t->refused = true;
	return toml_fail(err, v->line, v->col, "refused");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	const char *text = (const char *)data;
	struct told all = {.text = text, .len = len}, part = all;
	struct toml_error err = {0};
	int rc = toml_parse(text, len, event, &all, &err);

	REQUIRE(rc == 0 || rc == -TERN_EINVAL);
	REQUIRE(all.events <= TOML_NAMES_MAX);
	if (rc != 0) {
		at(text, len, err.line, err.col);
		REQUIRE(err.line >= all.line);
		REQUIRE(strlen(err.text) > 0 && strlen(err.text) < sizeof(err.text));
		for (const char *s = err.text; *s != '\0'; s++)
			REQUIRE(*s >= ' ' && *s < 0x7f);
	} else {
		REQUIRE(all.line <= line_count(text, len));
	}

	/* An event that refuses ends it there, with its own words. */
	part.refuse = all.events / 2 + 1;
	rc = toml_parse(text, len, event, &part, &err);
	REQUIRE(part.refused == (part.refuse <= all.events));
	if (part.refused)
		REQUIRE(rc == -TERN_EINVAL && strcmp(err.text, "refused") == 0);
	return 0;
}
