/* SPDX-License-Identifier: MIT */
/*
 * The one configuration parser: a strict subset of TOML 1.0 (hv/lib/toml.c). Used by the
 * hypervisor, by ternboot.efi and by the management daemon: no allocation, no recursion, no libc.
 * docs/tern.toml.md describes the language and the keys.
 */
#ifndef TERN_TOML_H
#define TERN_TOML_H

#include <tern/types.h>

#define TOML_TEXT_MAX  (1u << 20) /* longest accepted file, bytes */
#define TOML_PATH_MAX  128u       /* longest "table.table.key", with NUL */
#define TOML_STR_MAX   1024u      /* longest string value, with NUL */
#define TOML_ITEMS_MAX 32u        /* most strings in an array */
#define TOML_ARRAY_MAX 2048u      /* longest array, all its strings with their NULs */
#define TOML_NAMES_MAX 512u       /* most keys and tables in a file */

enum toml_type { TOML_STRING, TOML_INT, TOML_BOOL, TOML_ARRAY };

struct toml_value {
	enum toml_type type;
	u32 line, col;   /* where the value begins, from 1; col counts bytes */
	u32 key_col;     /* where the key begins, on the same line */
	s64 num;         /* TOML_INT; TOML_BOOL: 0 or 1 */
	const char *str; /* TOML_STRING; TOML_ARRAY: the items, each NUL-ended, one after another */
	u32 count;       /* TOML_ARRAY: how many */
};

struct toml_error {
	u32 line, col;
	char text[256]; /* what was expected and what was found, one line, no newline */
};

/*
 * One event a key: table is the dotted path of the table ("" at the top, "vm.web"), key the bare
 * key. With key NULL the event is a table header itself, and *v holds the place of its name and
 * nothing else. Strings live only during the call.
 * Return 0 to go on; else fill *err (toml_fail) and return -TERN_EINVAL: parsing stops.
 */
typedef int toml_event_fn(const char *table, const char *key, const struct toml_value *v,
			  struct toml_error *err, void *arg);

/*
 * Parses len bytes of text. Duplicate keys and duplicate tables are errors. Returns 0 or
 * -TERN_EINVAL with *err filled. Pure but for the events, which come in file order and only for
 * text before the first error. Takes about 7 KiB of stack.
 */
MUST_CHECK int toml_parse(const char *text, size_t len, toml_event_fn *event, void *arg,
			  struct toml_error *err);

/* Fills *err with a place and a formatted text; returns -TERN_EINVAL. */
int toml_fail(struct toml_error *err, u32 line, u32 col, const char *fmt, ...) PRINTF(4, 5);

#endif
