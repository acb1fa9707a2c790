/* SPDX-License-Identifier: MIT */
/* /etc/tern/agent.toml, tern-agent.toml(5): the language of tern.toml, by the same parser. */
#ifndef CONF_H
#define CONF_H

#include <guest-tools/agent/predict.h>

#define CONF_PATH      "/etc/tern/agent.toml"
#define CONF_TEXT_MAX  65536u
#define CONF_HINTS_MAX 16u

/* A hint that the administrator gives: when such a workload begins, it is going to need this. */
struct conf_hint {
	char label[RUN_NAME_MAX]; /* of its table */
	char name[RUN_NAME_MAX];  /* of the run */
	enum run_kind kind;
	u64 need;
	u32 seconds;
};

struct conf {
	u32 interval_s;     /* [sample] interval: while use changes */
	u32 interval_max_s; /* [sample] interval_max: while it does not */
	u32 horizon_s;      /* [forecast] horizon */
	u64 min;            /* [forecast] min: never less than this */
	bool profiles;      /* [forecast] profiles */
	bool gentle;        /* [reclaim] gentle */
	u64 keep;           /* [reclaim] keep: page cache that stays */
	u32 psi_limit;      /* [reclaim] psi_limit, permille */
	bool user_hints;    /* [hints] users: not only root's */
	u64 hint_max;       /* [hints] max of one that is not root's; 0: no limit */
	u32 hint_count;
	struct conf_hint hint[CONF_HINTS_MAX];
};

struct conf_error {
	u32 line, col;
	char text[256];
};

/* Fills *c with what holds without a file. */
void conf_default(struct conf *c);

/* Reads a text over the defaults. Pure. Returns 0, or -EINVAL with *e filled and *c of no use. */
int conf_parse(struct conf *c, const char *text, size_t n, struct conf_error *e);

/* Reads a file; one that does not exist holds nothing. Returns 0, or a negative errno with *e.text filled. */
int conf_load(struct conf *c, const char *path, struct conf_error *e);

#endif
