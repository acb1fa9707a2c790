/* SPDX-License-Identifier: MIT */
/*
 * Hints of processes. Any user may ask, unless the administrator says no, so nothing here waits for a client, and
 * each has one packet. The process that asked is held by a pidfd: its number cannot become another's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <guest-tools/agent/hint.h>
#include <guest-tools/hint/hint_proto.h>

#define SILENT_MS 5000u

int hint_apply(struct hint_state *s, const void *packet, size_t n, const struct hint_peer *peer,
	       const struct conf *c, const struct observation *now)
{
	struct hint_request r;
	u64 bytes;

	if (n != sizeof(r))
		return -EINVAL;
	memcpy(&r, packet, sizeof(r));
	if (r.version != HINT_VERSION || peer->pid <= 0)
		return -EINVAL;
	if (peer->uid != 0 && !c->user_hints)
		return -EACCES;
	if (r.bytes == 0 && r.seconds == 0) {
		hint_drop(s, peer->pid);
		return 0;
	}
	bytes = r.bytes;
	if (peer->uid != 0 && c->hint_max != 0 && bytes > c->hint_max)
		bytes = c->hint_max;
	return hint_add(s, peer->pid, peer->uid, bytes, r.seconds, now);
}

int hint_open(struct hint_server *s, const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	*s = (struct hint_server){.listen_fd = -1};
	for (u32 i = 0; i < HINT_CLIENTS_MAX; i++)
		s->client[i].fd = -1;
	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	s->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen_fd < 0)
		return -errno;
	unlink(path);
	if (bind(s->listen_fd, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
	    chmod(path, 0666) != 0 || listen(s->listen_fd, HINT_CLIENTS_MAX) != 0) {
		int rc = -errno;

		close(s->listen_fd);
		s->listen_fd = -1;
		return rc;
	}
	return 0;
}

static void hang_up(struct hint_server *s, u32 i)
{
	close(s->client[i].fd);
	s->client[i].fd = -1;
}

void hint_close(struct hint_server *s, const char *path)
{
	for (u32 i = 0; i < HINT_CLIENTS_MAX; i++) {
		if (s->client[i].fd >= 0)
			hang_up(s, i);
	}
	for (u32 i = 0; i < HINTS_MAX; i++) {
		if (s->watch[i].pid != 0)
			close(s->watch[i].pidfd);
		s->watch[i].pid = 0;
	}
	if (s->listen_fd >= 0) {
		close(s->listen_fd);
		unlink(path);
	}
	s->listen_fd = -1;
}

u32 hint_poll(const struct hint_server *s, struct pollfd *fds, u32 max)
{
	u32 n = 0;

	if (s->listen_fd >= 0 && n < max)
		fds[n++] = (struct pollfd){.fd = s->listen_fd, .events = POLLIN};
	for (u32 i = 0; i < HINT_CLIENTS_MAX && n < max; i++) {
		if (s->client[i].fd >= 0)
			fds[n++] = (struct pollfd){.fd = s->client[i].fd, .events = POLLIN};
	}
	for (u32 i = 0; i < HINTS_MAX && n < max; i++) {
		if (s->watch[i].pid != 0)
			fds[n++] = (struct pollfd){.fd = s->watch[i].pidfd, .events = POLLIN};
	}
	return n;
}

void hint_accept(struct hint_server *s, u64 now_ms)
{
	for (u32 i = 0; i < HINT_CLIENTS_MAX && s->listen_fd >= 0; i++) {
		if (s->client[i].fd >= 0 && now_ms - s->client[i].since_ms > SILENT_MS)
			hang_up(s, i);
		if (s->client[i].fd >= 0)
			continue;
		s->client[i].fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		s->client[i].since_ms = now_ms;
	}
}

int hint_receive(struct hint_server *s, void *packet, size_t size, size_t *n,
		 struct hint_peer *peer)
{
	for (u32 i = 0; i < HINT_CLIENTS_MAX; i++) {
		struct ucred cred;
		socklen_t len = sizeof(cred);
		ssize_t got =
			s->client[i].fd >= 0 ? recv(s->client[i].fd, packet, size, MSG_TRUNC) : -1;

		if (s->client[i].fd < 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
			continue;
		if (got <= 0 ||
		    getsockopt(s->client[i].fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
			hang_up(s, i);
			continue;
		}
		*n = (size_t)got;
		*peer = (struct hint_peer){.pid = cred.pid, .uid = cred.uid};
		return (int)i;
	}
	return -1;
}

void hint_reply(struct hint_server *s, int client, s32 result, u64 demand)
{
	struct hint_reply r = {.version = HINT_VERSION, .result = result, .demand = demand};

	/* One that does not listen has lost its answer. */
	(void)!send(s->client[client].fd, &r, sizeof(r), MSG_DONTWAIT | MSG_NOSIGNAL);
	hang_up(s, (u32)client);
	if (result < 0)
		s->refused++;
	else
		s->taken++;
}

int hint_watch(struct hint_server *s, s32 pid)
{
	u32 free = HINTS_MAX;
	int fd;

	for (u32 i = 0; i < HINTS_MAX; i++) {
		if (s->watch[i].pid == pid)
			return 0;
		if (s->watch[i].pid == 0)
			free = i;
	}
	if (free == HINTS_MAX)
		return -ENOSPC;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return -errno;
	s->watch[free].pidfd = fd;
	s->watch[free].pid = pid;
	return 0;
}

static bool has_hint(const struct hint_state *hints, s32 pid)
{
	for (u32 i = 0; i < hints->count; i++) {
		if (hints->h[i].pid == pid)
			return true;
	}
	return false;
}

bool hint_reap(struct hint_server *s, struct hint_state *hints)
{
	bool some = false;

	for (u32 i = 0; i < HINTS_MAX; i++) {
		struct pollfd p = {.fd = s->watch[i].pidfd, .events = POLLIN};
		bool ended;

		if (s->watch[i].pid == 0)
			continue;
		ended = poll(&p, 1, 0) > 0;
		if (!ended && has_hint(hints, s->watch[i].pid))
			continue;
		some |= hint_drop(hints, s->watch[i].pid);
		close(s->watch[i].pidfd);
		s->watch[i].pid = 0;
	}
	return some;
}
