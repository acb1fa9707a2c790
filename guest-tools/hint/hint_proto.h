/* SPDX-License-Identifier: MIT */
/*
 * What libternhint and the agent say to each other over HINT_SOCKET, a Unix socket of sequenced packets:
 * one request, one reply, in the byte order of the machine. Who asks is what the kernel says
 * (SO_PEERCRED), not what the packet says.
 */
#ifndef HINT_PROTO_H
#define HINT_PROTO_H

#include <abi/types.h>

#define HINT_SOCKET      "/run/tern/hint.sock"
#define HINT_VERSION     1u
#define HINT_SECONDS_MAX 86400u

struct hint_request {
	u32 version; /* HINT_VERSION */
	u32 seconds; /* 1 to HINT_SECONDS_MAX; 0 with bytes 0 */
	u64 bytes;   /* more than now; 0: the process takes its hint back */
};

struct hint_reply {
	u32 version;
	s32 result; /* 0, 1: no node, or a negative errno */
	u64 demand; /* that the node was told */
};

_Static_assert(sizeof(struct hint_request) == 16, "protocol");
_Static_assert(sizeof(struct hint_reply) == 16, "protocol");

#endif
