/* SPDX-License-Identifier: MIT */
/* Of the shell's vm: grants, and what the agent in a guest said. */
#include "commands.h"

#include <tern/agent.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/vm.h>

#define ROWS_DEFAULT 32u
#define PAGE_KIB     (PAGE_SIZE / KiB(1))

int vm_grant(struct vm *vm, int argc, char **argv)
{
	char size[16], more[16];
	struct gmem_stats st;
	struct agent_view v;
	u64 bytes = AGENT_GRANT_AUTO;

	if (argc != 4 || (strcmp(argv[3], "auto") != 0 && str_to_size(argv[3], &bytes) != 0))
		return -TERN_EINVAL;
	if (agent_set_grant(vm, bytes) != 0) {
		console_printf("%s: a grant is whole pages of 4 KiB, at most %s\n", vm->name,
			       fmt_size(size, sizeof(size), vm->mem.advertised));
		return 0;
	}
	gmem_get_stats(&vm->mem, &st);
	log_info("vm %s: grant %s, %s", vm->name, fmt_size(size, sizeof(size), st.grant),
		 bytes == AGENT_GRANT_AUTO ? "automatic" : "by its owner");
	if (st.backed_ram <= st.grant)
		return 0;
	agent_view(vm, &v);
	console_printf("%s: %s more are backed; %s\n", vm->name,
		       fmt_size(more, sizeof(more), st.backed_ram - st.grant),
		       v.shrinking ? "its agent is asked to give them back"
				   : "it has no agent that could give them back");
	return 0;
}

/* --- vm info, vm stats --- */

static void show_grant(const struct agent_view *v, const struct gmem_stats *st)
{
	console_printf("  grant: %s, raised by %llu touches, refused to %llu\n",
		       v->owner_grant == AGENT_GRANT_AUTO ? "automatic" : "by its owner",
		       (unsigned long long)st->grown, (unsigned long long)st->over_grant);
}

static void show_demand(const struct agent_view *v)
{
	static const char *const sources[] = {[AGENT_BY_HISTORY] = "history",
					      [AGENT_BY_PROFILE] = "profile",
					      [AGENT_BY_HINT] = "hint"};
	const struct agent_demand *d = &v->demand;
	char used[16], bytes[16];

	console_printf("    used %s, ", fmt_size(used, sizeof(used), v->used));
	if (d->bytes == 0)
		console_printf("no demand\n");
	else
		console_printf("demand %s (%s, %u permille sure, the next %u ms)\n",
			       fmt_size(bytes, sizeof(bytes), d->bytes), sources[d->source],
			       d->confidence, d->horizon_ms);
}

static void show_agent(const struct agent_view *v)
{
	if (v->way == AGENT_WAY_NONE) {
		console_printf("  agent: none\n");
		return;
	}
	console_printf("  agent: \"%s\" by %s, for %llu s", v->name,
		       v->way == AGENT_WAY_CALL ? "hypercalls" : "its port",
		       (unsigned long long)((v->now_ms - v->since_ms) / 1000));
	if (v->silent)
		console_printf(", silent the last %llu s\n",
			       (unsigned long long)((v->now_ms - v->heard_ms) / 1000));
	else
		console_printf(", %u events wait for it\n", v->events);
	show_demand(v);
}

static void show_messages(const struct agent_view *v)
{
	u64 taken = 0, refused = 0;

	for (u32 i = 0; i < AGENT_TYPES; i++) {
		taken += v->taken[i];
		refused += v->refused[i];
	}
	if (taken + refused == 0)
		return;
	console_printf("    messages: %llu taken, %llu refused", (unsigned long long)taken,
		       (unsigned long long)refused);
	if (refused != 0)
		console_printf(", the last with %s", err_name(-v->last_error));
	console_printf("\n");
}

static void show_shrink(const struct agent_view *v)
{
	char to[16], asked[16], done[16];

	if (v->shrinking || v->shrinks != 0)
		console_printf("    shrink to %s: asked for %s, ",
			       fmt_size(to, sizeof(to), v->shrink_to),
			       fmt_size(asked, sizeof(asked), v->shrink_asked));
	if (v->shrinking)
		console_printf("under way\n");
	else if (v->shrinks != 0)
		console_printf("%s given back after %llu ms\n",
			       fmt_size(done, sizeof(done), v->shrink_done),
			       (unsigned long long)v->shrink_ms);
}

void vm_show_agent(struct vm *vm)
{
	struct gmem_stats st;
	struct agent_view v;

	gmem_get_stats(&vm->mem, &st);
	agent_view(vm, &v);
	show_grant(&v, &st);
	show_agent(&v);
	show_messages(&v);
	show_shrink(&v);
}

/* --- vm agent --- */

static void show_counters(const struct agent_view *v)
{
	static const char *const names[AGENT_TYPES] = {"other",  "hello", "sample", "demand",
						       "notice", "query", "ack"};

	console_printf("taken, refused:");
	for (u32 i = 0; i < AGENT_TYPES; i++)
		console_printf(" %s %llu %llu%s", names[i], (unsigned long long)v->taken[i],
			       (unsigned long long)v->refused[i], i + 1 < AGENT_TYPES ? "," : "");
	console_printf("\nrefused:");
	for (u32 i = 0; i < AGENT_REFUSALS; i++)
		console_printf(" %s %llu%s", agent_refusal_name(i), (unsigned long long)v->why[i],
			       i + 1 < AGENT_REFUSALS ? "," : "\n");
}

/* Byte counts in KiB: a table that a program can read. */
static void show_row(const struct agent_row *r)
{
	console_printf("%12llu  %-8s %12llu %12llu %12llu %12llu %12llu\n",
		       (unsigned long long)r->time_ms, agent_row_name(r->kind),
		       (unsigned long long)(r->bytes * PAGE_KIB),
		       (unsigned long long)(r->used * PAGE_KIB),
		       (unsigned long long)(r->demand * PAGE_KIB),
		       (unsigned long long)(r->grant * PAGE_KIB),
		       (unsigned long long)(r->backed * PAGE_KIB));
}

int vm_agent(struct vm *vm, int argc, char **argv)
{
	u64 count = ROWS_DEFAULT, at;
	struct agent_row row;
	struct agent_view v;

	if (argc > 4 || (argc == 4 && (str_to_u64(argv[3], &count) != 0 || count == 0)))
		return -TERN_EINVAL;
	vm_show_agent(vm);
	agent_view(vm, &v);
	show_counters(&v);
	console_printf("%12s  %-8s %12s %12s %12s %12s %12s\n", "time (ms)", "event", "KiB", "used",
		       "demand", "grant", "backed");
	at = v.rows_next > count ? v.rows_next - count : 0;
	for (at = max_u64(at, v.rows_first); at < v.rows_next; at++) {
		if (agent_row_get(vm, at, &row))
			show_row(&row);
	}
	return 0;
}
