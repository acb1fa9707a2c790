/* SPDX-License-Identifier: MIT */
/* The library of hints: one connection, one request, one reply. No state, so any thread may call. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <guest-tools/hint/hint_proto.h>
#include <guest-tools/hint/ternhint.h>

#define PUBLIC __attribute__((visibility("default")))

static const struct timeval patience = {.tv_sec = 3};

/* A connected socket, or a negative errno. */
static int hint_connect(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = HINT_SOCKET};
	const char *other = secure_getenv("TERN_HINT_SOCKET");
	int fd, rc;

	if (other != NULL) {
		if (strlen(other) >= sizeof(to.sun_path))
			return -EINVAL;
		strcpy(to.sun_path, other);
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		rc = -errno;
		close(fd);
		return rc == -EAGAIN ? -ETIMEDOUT : rc;
	}
	return fd;
}

static int exchange(int fd, const struct hint_request *request)
{
	struct hint_reply reply;
	ssize_t n;

	if (send(fd, request, sizeof(*request), MSG_NOSIGNAL) != (ssize_t)sizeof(*request))
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	do {
		n = recv(fd, &reply, sizeof(reply), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (n != (ssize_t)sizeof(reply) || reply.version != HINT_VERSION)
		return n == 0 ? -ECONNREFUSED : -EPROTO;
	return reply.result;
}

static int ask(uint64_t bytes, unsigned int seconds)
{
	struct hint_request request = {.version = HINT_VERSION, .seconds = seconds, .bytes = bytes};
	int fd = hint_connect(), rc;

	if (fd < 0)
		return fd;
	rc = exchange(fd, &request);
	close(fd);
	return rc;
}

PUBLIC int tern_hint(uint64_t bytes, unsigned int seconds)
{
	if (bytes == 0 || seconds == 0 || seconds > HINT_SECONDS_MAX)
		return -EINVAL;
	return ask(bytes, seconds);
}

PUBLIC int tern_hint_withdraw(void)
{
	return ask(0, 0);
}
