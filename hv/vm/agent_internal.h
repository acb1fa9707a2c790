/* SPDX-License-Identifier: MIT */
/* What the files hv/vm/agent*.c share. But for the last one, the bus lock is held in all of it. */
#ifndef HV_VM_AGENT_INTERNAL_H
#define HV_VM_AGENT_INTERNAL_H

#include <tern/agent.h>
#include <tern/frames.h>
#include <tern/vm.h>

#define AGENT_EVENT_KINDS 3u
#define AGENT_EVENTS_MAX  8u /* that were sent and may still be acknowledged */
#define AGENT_ROW_PAGES   2u
#define AGENT_PAGE_ROWS   (AGENT_ROWS / AGENT_ROW_PAGES)

/* One of a kind is all that waits: a newer one says more. */
_Static_assert(AGENT_EVENT_KINDS <= 8, "docs/agent-abi.md");

struct agent_waiting {
	u64 order; /* 0: none of that kind waits; else the lowest is the oldest */
	u64 bytes;
};

/* Give back what is more than `to`. */
struct agent_shrink {
	bool active;
	u64 to, from; /* backed */
	u64 start;    /* vm_now(), as what follows */
	u64 deadline;
	u64 asked, done, ms; /* how it ended: bytes, and after how long */
	u64 count;
};

struct agent {
	enum agent_way way;
	bool silent;
	bool line;        /* of IRQ_AGENT */
	u64 features;     /* both have */
	u64 seq_in;       /* of the last message that was taken */
	u64 seq_out;      /* of the last one of the node */
	u64 since, heard; /* vm_now() at HELLO, at the last SAMPLE or DEMAND */
	u64 sample_time;  /* of the last SAMPLE */
	u64 used;         /* by it */
	u64 second;       /* vm_now() when the second began that `messages` are of */
	u32 messages;
	u32 notices;
	u64 logged;                 /* vm_now() at the last line about it in the log; 0: none */
	struct agent_demand demand; /* bytes 0: none counts */
	struct agent_notice notice;
	char name[AGENT_NAME_MAX];
	struct agent_waiting waiting[AGENT_EVENT_KINDS]; /* by kind - 1 */
	u64 order;
	u64 sent[AGENT_EVENTS_MAX]; /* head.seq of events; 0: acknowledged */
	u32 sent_next;
	s32 last_error;
	u64 taken[AGENT_TYPES], refused[AGENT_TYPES], why[AGENT_REFUSALS];
	u64 owner_grant; /* or AGENT_GRANT_AUTO */
	u64 grant_seen;  /* the last row about it is about this one */
	struct agent_shrink shrink;
	void (*notify)(void *arg);
	void *notify_arg;
	u64 row_count; /* ever written */
	struct agent_row *rows[AGENT_ROW_PAGES];
};
_Static_assert(sizeof(struct agent) <= PAGE_SIZE, "one page");
_Static_assert(sizeof(struct agent_row) * AGENT_PAGE_ROWS == PAGE_SIZE, "a page of rows");

/* --- agent.c --- */
/* An event of that kind waits, instead of an older one. */
void agent_event_post(struct vm *vm, enum agent_event_kind kind, u64 bytes);
/* AGENT_QUERY without a head, as a hypercall has it. */
MUST_CHECK s64 agent_query(struct vm *vm, enum agent_way way, struct agent_state *out);
/* True when a line may be logged about what the guest alone causes: one a second of its time. */
bool agent_may_log(struct vm *vm);

/* --- agent_grant.c --- */
/* The grant as the demand and its owner want it. ask: the agent is asked to shrink whenever more is backed; else
 * only when the grant falls below that. */
void agent_grant_apply(struct vm *vm, bool ask);
/* Notes that the grant has changed by a touch. */
void agent_grant_look(struct vm *vm);
/* A shrink that is done or whose deadline has passed is over. */
void agent_shrink_look(struct vm *vm);

/* --- agent_row.c --- */
void agent_row_add(struct vm *vm, enum agent_row_kind kind, u64 bytes);

/* --- agent_call.c --- */
/* A hypercall of the agent: type is enum agent_type, args are address and bytes. IRQs off, no lock is held. */
MUST_CHECK s64 agent_call(struct vcpu *vc, const u64 *args, s64 type);
/* One that a program of the guest made: counted. As above. */
void agent_call_denied(struct vcpu *vc, s64 type);

#endif
