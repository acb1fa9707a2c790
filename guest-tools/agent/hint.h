/* SPDX-License-Identifier: MIT */
/* The server of hints: a socket that processes ask at (hint_proto.h), and a watch on those that asked. */
#ifndef HINT_H
#define HINT_H

#include <poll.h>

#include <guest-tools/agent/conf.h>
#include <guest-tools/agent/predict_hint.h>

#define HINT_CLIENTS_MAX 16u

struct hint_server {
	int listen_fd; /* -1: not open */
	struct {
		int fd; /* -1: free */
		u64 since_ms;
	} client[HINT_CLIENTS_MAX];
	struct {
		int pidfd;
		s32 pid; /* 0: free */
	} watch[HINTS_MAX];
	u64 taken, refused;
};

/* Who asks, as the kernel says. */
struct hint_peer {
	s32 pid;
	u32 uid;
};

/* What becomes of a packet: 0 or a negative errno. Pure but for *s. */
int hint_apply(struct hint_state *s, const void *packet, size_t n, const struct hint_peer *peer,
	       const struct conf *c, const struct observation *now);

/* Opens the socket, in a folder that exists. Returns 0 or a negative errno. */
int hint_open(struct hint_server *s, const char *path);

void hint_close(struct hint_server *s, const char *path);

/* Adds what is to be waited for; returns how many. */
u32 hint_poll(const struct hint_server *s, struct pollfd *fds, u32 max);

/* Takes those that knock, and drops those that say nothing for 5 s. */
void hint_accept(struct hint_server *s, u64 now_ms);

/* A request that waits: *peer and the packet of up to size bytes. Returns the client's place and its
 * length in *n; -1 when none waits. */
int hint_receive(struct hint_server *s, void *packet, size_t size, size_t *n,
		 struct hint_peer *peer);

/* Answers and hangs up. */
void hint_reply(struct hint_server *s, int client, s32 result, u64 demand);

/* Watches a process that has hinted. Returns 0, or -ESRCH when it has ended. */
int hint_watch(struct hint_server *s, s32 pid);

/* Drops the hints of processes that have ended. Returns whether there were some. */
bool hint_reap(struct hint_server *s, struct hint_state *hints);

#endif
