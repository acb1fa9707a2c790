/* SPDX-License-Identifier: MIT */
/*
 * The node's side of the agent in a guest (hv/vm/agent*.c, abi/agent.h, docs/agent-abi.md): what the agent
 * said, the events that wait for it, and the grant that follows from both. It is a device of the VM with an
 * interrupt line, so the VM's bus lock guards all of it.
 */
#ifndef TERN_AGENT_H
#define TERN_AGENT_H

#include <abi/agent.h>
#include <tern/types.h>

struct vm;

#define AGENT_ROWS       256u   /* of a VM's table */
#define AGENT_TYPES      7u     /* AGENT_HELLO to AGENT_ACK; 0: no such type */
#define AGENT_SILENT_MS  30000u /* of the VM's time without SAMPLE or DEMAND */
#define AGENT_RATE       64u    /* messages that are taken in a second of the VM's time */
#define AGENT_SHRINK_MS  10000u /* the deadline of AGENT_SHRINK */
#define AGENT_GRANT_AUTO UINT64_MAX

/* How the agent reaches the node. What the other way says is refused: it is not the agent. */
enum agent_way { AGENT_WAY_NONE, AGENT_WAY_CALL, AGENT_WAY_PORT };

/* Why a message was refused, as counters. */
enum agent_refusal {
	AGENT_REFUSED_FORM,   /* EINVAL: length, version, type, pad, a figure out of its range */
	AGENT_REFUSED_REPLAY, /* EINVAL: its number is not above the last */
	AGENT_REFUSED_TIME,   /* EINVAL: time runs backwards */
	AGENT_REFUSED_NOBODY, /* ENODEV: no HELLO, or not from this way */
	AGENT_REFUSED_EVENT,  /* ENOENT */
	AGENT_REFUSED_RATE,   /* EBUSY */
	AGENT_REFUSED_PLACE,  /* EFAULT: the address is not memory */
	AGENT_REFUSED_CPL,    /* EPERM */
	AGENT_REFUSALS,
};
const char *agent_refusal_name(enum agent_refusal why);

/* --- making and ending: no vCPU runs, no lock is held --- */
/* -TERN_ENOMEM. Sets vm->agent. */
MUST_CHECK int agent_create(struct vm *vm);
/* vm->agent may be NULL. */
void agent_destroy(struct vm *vm);
/* The VM begins anew: nobody has said HELLO. A grant that its owner set stays. */
void agent_reset(struct vm *vm);

/* --- messages: IRQs off, the bus lock is held --- */
/* Pure: 0, or -TERN_EINVAL when length, version, type, pad or a figure is wrong. type: what it must be, or 0:
 * anything an agent sends. advertised: the VM's memory. message: a copy, of any alignment. */
MUST_CHECK int agent_check(const void *message, u32 bytes, u32 type, u64 advertised);
/*
 * Checks a message and does what it says, or refuses it: then only a counter has changed. message: a copy that the
 * guest cannot change, bytes of it; type: as above. The result is a hypercall's: 0 or more, or a negative error of
 * docs/agent-abi.md. AGENT_QUERY: *out is filled and the result is its size; otherwise *out is left alone.
 */
MUST_CHECK s64 agent_message(struct vm *vm, enum agent_way way, u32 type, const void *message,
			     u32 bytes, struct agent_state *out);
/* Copies the oldest event that waits: its size, 0: none waits, or -TERN_ENODEV: the agent is not there. It waits on
 * until agent_event_sent() says that the guest has it; the lock is held from one to the other. */
MUST_CHECK s64 agent_event_next(struct vm *vm, enum agent_way way, struct agent_event *out);
void agent_event_sent(struct vm *vm);
/* The head.seq of one more message of the node: for AGENT_RESULT. */
u64 agent_seq(struct vm *vm);
/* Something was refused before it got here: counted. */
void agent_refused(struct vm *vm, u32 type, enum agent_refusal why);
/* notify(arg) is called with the bus lock held when an event waits for an agent at the port. Once, before the VM
 * runs. May only ask for work (dev_request_work()). */
void agent_set_notify(struct vm *vm, void (*notify)(void *arg), void *arg);

/* --- grants: thread context, no lock is held --- */
/* The grant is that many bytes from now on, or the node's affair again: AGENT_GRANT_AUTO. A grant below what is
 * backed asks the agent to shrink. -TERN_EINVAL: not whole pages, or more than is advertised. */
MUST_CHECK int agent_set_grant(struct vm *vm, u64 bytes);
/* Silence, deadlines. Every few milliseconds. */
void agent_poll(struct vm *vm);

/* --- for people: thread context, no lock is held --- */
enum agent_row_kind {
	AGENT_ROW_HELLO,
	AGENT_ROW_SAMPLE,
	AGENT_ROW_DEMAND, /* bytes: of the demand */
	AGENT_ROW_NOTICE,
	AGENT_ROW_GRANT,  /* bytes: the grant before */
	AGENT_ROW_SHRINK, /* bytes: asked for */
	AGENT_ROW_ACK,    /* bytes: that the agent says it gave back */
	AGENT_ROW_SHRUNK, /* bytes: really given back, at ACK or when the deadline passed */
	AGENT_ROW_SILENT,
	AGENT_ROW_KINDS,
};
const char *agent_row_name(u32 kind);

/* One line of the table of what happened. All memory in pages, at most 16 TiB. */
struct agent_row {
	u64 time_ms; /* of the VM */
	u32 kind;    /* enum agent_row_kind */
	u32 bytes;
	u32 used; /* by the last SAMPLE */
	u32 demand, grant, backed;
};

struct agent_view {
	enum agent_way way;
	char name[AGENT_NAME_MAX];
	u64 now_ms, since_ms, heard_ms; /* of the VM's time: now, HELLO, last SAMPLE or DEMAND */
	bool silent;
	u64 owner_grant; /* what its owner set, or AGENT_GRANT_AUTO */
	u64 used;
	struct agent_demand demand; /* bytes 0: none counts */
	u64 taken[AGENT_TYPES], refused[AGENT_TYPES], why[AGENT_REFUSALS];
	s32 last_error;             /* negative, 0: nothing was refused yet */
	u32 events, notices;        /* that wait; in all */
	struct agent_notice notice; /* the last one */
	/* The last shrink: to bytes used; asked for and given back (bytes), until ms after it. */
	bool shrinking; /* it is not over yet */
	u64 shrinks;    /* in all; 0: none */
	u64 shrink_to, shrink_asked, shrink_done, shrink_ms;
	u64 rows_first, rows_next; /* numbers of the oldest row that is kept, of the next one */
};
void agent_view(struct vm *vm, struct agent_view *out);
/* A row by its number, from view.rows_first on. False: overwritten, or not written yet. */
MUST_CHECK bool agent_row_get(struct vm *vm, u64 number, struct agent_row *out);

#endif
