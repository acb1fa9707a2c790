/* SPDX-License-Identifier: MIT */
/*
 * What the agent in a guest and the node tell each other: messages of fixed size, little-endian, the
 * same over hypercalls (abi/hypercall.h) and over the virtio-console port AGENT_PORT_NAME. Each begins
 * with a head. Who receives one copies it once, checks all of it, and then uses it; a message with
 * anything wrong is refused as a whole and counted. docs/agent-abi.md.
 */
#ifndef ABI_AGENT_H
#define ABI_AGENT_H

#include <abi/types.h>

#define AGENT_ABI_VERSION 1u
#define AGENT_PORT_NAME   "org.tern.agent"
#define AGENT_MESSAGE_MAX 256u       /* bytes; no message is longer */
#define AGENT_PERMILLE    1000u      /* the whole, of what is in permille */
#define AGENT_HORIZON_MAX 86400000u  /* ms, a day */
#define AGENT_ACPI_HID    "TERN0001" /* the device whose interrupt says that an event waits */

enum agent_type {
	/* From the agent. */
	AGENT_HELLO = 1,
	AGENT_SAMPLE = 2,
	AGENT_DEMAND = 3,
	AGENT_NOTICE = 4,
	AGENT_QUERY = 5, /* the head alone */
	AGENT_ACK = 6,
	/* From the node. */
	AGENT_STATE = 16,
	AGENT_EVENT = 17,
	AGENT_RESULT = 18, /* over the port only: a hypercall has it in RAX */
};

struct agent_head {
	u32 bytes;   /* of the message, this head included */
	u16 version; /* AGENT_ABI_VERSION */
	u16 type;    /* enum agent_type */
	/* The sender's number of this message. HELLO may have any; after it each is greater than the
	 * one before, or the message is a replay and is refused. */
	u64 seq;
};

/* What both ends may be able to do. Neither uses what the other did not offer. */
#define AGENT_CAN_SHRINK (1ull << 0) /* the agent gives memory back when asked: AGENT_SHRINK */
#define AGENT_CAN_DEMAND (1ull << 1) /* forecasts */
#define AGENT_CAN_HINT   (1ull << 2) /* some of them from hints of processes */
#define AGENT_CAN_ALL    (AGENT_CAN_SHRINK | AGENT_CAN_DEMAND | AGENT_CAN_HINT)

#define AGENT_NAME_MAX 32u

/* The agent begins, or begins again: what it said before counts no more. The result is the
 * features both have. */
struct agent_hello {
	struct agent_head head;
	u64 features;  /* AGENT_CAN_*; unknown bits are ignored */
	u64 mem_total; /* bytes the guest's kernel manages (MemTotal), > 0, <= advertised */
	char name
		[AGENT_NAME_MAX]; /* program and version, printable ASCII, NUL-ended, zero after it */
};

/* How the guest is, now. */
struct agent_sample {
	struct agent_head head;
	u64 time_ns;   /* CLOCK_MONOTONIC of the guest, never less than in the sample before */
	u64 mem_total; /* bytes, as in all that follow: MemTotal */
	u64 mem_free;  /* <= mem_total, as in the three that follow */
	u64 mem_available;
	u64 mem_cached; /* page cache and buffers */
	u64 mem_anon;
	u64 swap_used;
	u64 refaults;  /* pages that came back after they were reclaimed, since the boot */
	u64 disk_read; /* bytes a second, as in the three that follow */
	u64 disk_write;
	u64 net_rx;
	u64 net_tx;
	u32 interval_ms;  /* that rates and permilles are of, > 0 */
	u32 vcpus;        /* online, > 0 */
	u32 cpu;          /* permille of all vCPUs together */
	u32 psi_mem_some; /* permille of the time somebody waited for memory; <= 1000, as all here */
	u32 psi_mem_full;
	u32 psi_cpu_some;
	u32 psi_io_some;
	u32 pad; /* 0 */
};

enum agent_source {                       /* what a forecast rests on most */
		    AGENT_BY_HISTORY = 1, /* what this guest used until now */
		    AGENT_BY_PROFILE = 2, /* earlier runs of the same workload */
		    AGENT_BY_HINT = 3,    /* a process or the administrator said so */
};

/* What the guest is going to use. It holds until the next one, or until the agent falls silent. */
struct agent_demand {
	struct agent_head head;
	u64 bytes; /* the most that the guest will use within the horizon: advertised minus free
			 * memory; > 0, <= advertised */
	u64 now;   /* what it uses now, the same way */
	u32 horizon_ms; /* > 0, <= AGENT_HORIZON_MAX */
	u32 confidence; /* permille: how often forecasts like this one held until now */
	u32 source;     /* enum agent_source */
	u32 pad;        /* 0 */
};

enum agent_notice_kind { AGENT_PRE_CONGESTION = 1, AGENT_LOW_UTILIZATION = 2 };
enum agent_resource { AGENT_MEMORY = 1, AGENT_CPU = 2, AGENT_DISK = 3, AGENT_NET = 4 };

/* Something will soon be short, or is hardly used: worth a look by who places VMs. */
struct agent_notice {
	struct agent_head head;
	u32 kind;       /* enum agent_notice_kind */
	u32 resource;   /* enum agent_resource */
	u32 level;      /* permille of the resource that is in use */
	u32 horizon_ms; /* until it is short; 0: it is so now */
};

/* An event was carried out, as far as it could be. */
struct agent_ack {
	struct agent_head head;
	u64 event; /* its head.seq; one that was never sent or was acknowledged before is refused */
	u64 bytes; /* SHRINK: bytes given back */
	s32 result; /* 0, or a negative errno why nothing, or not all, was done */
	u32 pad;    /* 0 */
};

/* The answer to QUERY. */
struct agent_state {
	struct agent_head head;
	u64 advertised; /* bytes, as in all that follow; never changes */
	u64 grant;
	u64 backed;
	u64 demand; /* the last one that was taken, 0: none */
	u32 mode;   /* of the node: 0 normal, 1 to 3: how hard it sheds load */
	u32 events; /* that wait to be fetched */
};

enum agent_event_kind {
	AGENT_SHRINK = 1,        /* give memory back until no more than `bytes` are used */
	AGENT_GRANT_CHANGED = 2, /* `bytes`: the new grant */
	AGENT_MODE_CHANGED = 3,  /* `bytes`: the new mode */
};

struct agent_event {
	struct agent_head head;
	u64 bytes;
	u32 kind;        /* enum agent_event_kind */
	u32 deadline_ms; /* SHRINK: from now on; what was not given back then is reported as missing */
};

/* Over the port: what became of the message `to`. */
struct agent_result {
	struct agent_head head;
	u64 to;     /* its head.seq */
	s64 result; /* as the hypercall's */
};

_Static_assert(sizeof(struct agent_head) == 16, "ABI");
_Static_assert(sizeof(struct agent_hello) == 64, "ABI");
_Static_assert(sizeof(struct agent_sample) == 144, "ABI");
_Static_assert(sizeof(struct agent_demand) == 48, "ABI");
_Static_assert(sizeof(struct agent_notice) == 32, "ABI");
_Static_assert(sizeof(struct agent_ack) == 40, "ABI");
_Static_assert(sizeof(struct agent_state) == 56, "ABI");
_Static_assert(sizeof(struct agent_event) == 32, "ABI");
_Static_assert(sizeof(struct agent_result) == 32, "ABI");

#endif
