/* SPDX-License-Identifier: MIT */
/* The keys of /etc/tern/agent.toml. One row a key; an unknown one is an error that names its place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <guest-tools/agent/conf.h>
#include <guest-tools/hint/duration.h>
#include <guest-tools/hint/hint_proto.h>
#include <tern/lib.h>
#include <tern/toml.h>

enum conf_type { CONF_SIZE, CONF_SECONDS, CONF_PERMILLE, CONF_BOOL };

static const struct row {
	const char *table, *key;
	enum conf_type type;
	size_t at;
} rows[] = {
	{"sample", "interval", CONF_SECONDS, offsetof(struct conf, interval_s)},
	{"sample", "interval_max", CONF_SECONDS, offsetof(struct conf, interval_max_s)},
	{"forecast", "horizon", CONF_SECONDS, offsetof(struct conf, horizon_s)},
	{"forecast", "min", CONF_SIZE, offsetof(struct conf, min)},
	{"forecast", "profiles", CONF_BOOL, offsetof(struct conf, profiles)},
	{"reclaim", "gentle", CONF_BOOL, offsetof(struct conf, gentle)},
	{"reclaim", "keep", CONF_SIZE, offsetof(struct conf, keep)},
	{"reclaim", "psi_limit", CONF_PERMILLE, offsetof(struct conf, psi_limit)},
	{"hints", "users", CONF_BOOL, offsetof(struct conf, user_hints)},
	{"hints", "max", CONF_SIZE, offsetof(struct conf, hint_max)},
};
static const char hint_prefix[] = "hint.";

void conf_default(struct conf *c)
{
	*c = (struct conf){
		.interval_s = 1,
		.interval_max_s = 5,
		.horizon_s = 60,
		.profiles = true,
		.gentle = true,
		.keep = MiB(64),
		.psi_limit = 10,
		.user_hints = true,
	};
}

static int wants(struct toml_error *err, const struct toml_value *v, const char *what)
{
	return toml_fail(err, v->line, v->col, "expected %s", what);
}

static int read_size(const struct toml_value *v, u64 *to, struct toml_error *err)
{
	if (v->type != TOML_STRING || str_to_size(v->str, to) != 0)
		return wants(err, v, "a size such as \"64MiB\"");
	return 0;
}

static int read_seconds(const struct toml_value *v, u32 *to, struct toml_error *err)
{
	if (v->type != TOML_STRING || duration_parse(v->str, to) != 0 || *to > HINT_SECONDS_MAX)
		return wants(err, v, "a time such as \"90s\" or \"2m\", at most a day");
	return 0;
}

static int read_row(const struct row *row, const struct toml_value *v, struct conf *c,
		    struct toml_error *err)
{
	void *to = (char *)c + row->at;

	switch (row->type) {
	case CONF_SIZE:
		return read_size(v, to, err);
	case CONF_SECONDS:
		return read_seconds(v, to, err);
	case CONF_PERMILLE:
		if (v->type != TOML_INT || v->num < 0 || v->num > (s64)AGENT_PERMILLE)
			return wants(err, v, "an integer from 0 to 1000");
		*(u32 *)to = (u32)v->num;
		return 0;
	case CONF_BOOL:
		if (v->type != TOML_BOOL)
			return wants(err, v, "true or false");
		*(bool *)to = v->num != 0;
		return 0;
	}
	return 0;
}

static int read_hint(struct conf_hint *h, const char *key, const struct toml_value *v,
		     struct toml_error *err)
{
	bool exe = strcmp(key, "exe") == 0;

	if (strcmp(key, "need") == 0)
		return read_size(v, &h->need, err);
	if (strcmp(key, "for") == 0)
		return read_seconds(v, &h->seconds, err);
	if (!exe && strcmp(key, "unit") != 0)
		return toml_fail(err, v->line, v->key_col,
				 "unknown key %s; a hint has exe or unit, need, for", key);
	if (h->name[0] != '\0')
		return toml_fail(err, v->line, v->key_col, "a hint has exe or unit, not both");
	if (v->type != TOML_STRING || v->str[0] == '\0' || strlen(v->str) >= sizeof(h->name))
		return wants(err, v, "a name of 1 to 31 bytes in quotes");
	h->kind = exe ? RUN_EXE : RUN_UNIT;
	str_copy(h->name, v->str, sizeof(h->name));
	return 0;
}

static int begin_hint(struct conf *c, const char *label, const struct toml_value *v,
		      struct toml_error *err)
{
	if (c->hint_count == CONF_HINTS_MAX)
		return toml_fail(err, v->line, v->col, "more than %u hints", CONF_HINTS_MAX);
	if (strchr(label, '.') != NULL || strlen(label) >= sizeof(c->hint[0].label))
		return toml_fail(err, v->line, v->col,
				 "a hint's table is [hint.NAME], NAME at most 31 bytes");
	str_copy(c->hint[c->hint_count++].label, label, sizeof(c->hint[0].label));
	return 0;
}

static int event(const char *table, const char *key, const struct toml_value *v,
		 struct toml_error *err, void *arg)
{
	struct conf *c = arg;
	bool known = false;

	if (str_starts(table, hint_prefix)) {
		if (key == NULL)
			return begin_hint(c, table + strlen(hint_prefix), v, err);
		return read_hint(&c->hint[c->hint_count - 1], key, v, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].table, table) != 0)
			continue;
		known = true;
		if (key != NULL && strcmp(rows[i].key, key) == 0)
			return read_row(&rows[i], v, c, err);
	}
	if (key == NULL && known)
		return 0;
	if (key == NULL)
		return toml_fail(
			err, v->line, v->col,
			"unknown table [%s]; there are sample, forecast, reclaim, hints and hint.NAME",
			table);
	return toml_fail(err, v->line, v->key_col, "unknown key %s%s%s", table,
			 table[0] != '\0' ? "." : "", key);
}

static int check(const struct conf *c, struct conf_error *e)
{
	for (u32 i = 0; i < c->hint_count; i++) {
		const struct conf_hint *h = &c->hint[i];

		if (h->name[0] == '\0' || h->need == 0 || h->seconds == 0) {
			snprintf(e->text, sizeof(e->text),
				 "[hint.%s] lacks exe or unit, need, or for", h->label);
			return -EINVAL;
		}
	}
	if (c->interval_s > c->interval_max_s || c->interval_max_s > 20) {
		snprintf(
			e->text, sizeof(e->text),
			"[sample] interval must not be above interval_max, and that not above 20s: the "
			"node takes an agent for silent after 30 s");
		return -EINVAL;
	}
	return 0;
}

int conf_parse(struct conf *c, const char *text, size_t n, struct conf_error *e)
{
	struct toml_error err = {0};

	conf_default(c);
	*e = (struct conf_error){0};
	if (toml_parse(text, n, event, c, &err) != 0) {
		e->line = err.line;
		e->col = err.col;
		str_copy(e->text, err.text, sizeof(e->text));
		return -EINVAL;
	}
	return check(c, e);
}

int conf_load(struct conf *c, const char *path, struct conf_error *e)
{
	char text[CONF_TEXT_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	size_t n = 0;
	ssize_t got;

	*e = (struct conf_error){0};
	conf_default(c);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0) {
		do {
			got = read(fd, text + n, sizeof(text) - n);
			n += got > 0 ? (size_t)got : 0;
		} while (got > 0 && n < sizeof(text));
		rc = got < 0 ? -errno : n > CONF_TEXT_MAX ? -EFBIG : 0;
		close(fd);
	} else {
		rc = -errno;
	}
	if (rc == 0)
		return conf_parse(c, text, n, e);
	snprintf(e->text, sizeof(e->text), "%s", strerror(-rc));
	return rc;
}
