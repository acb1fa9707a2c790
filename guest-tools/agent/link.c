/* SPDX-License-Identifier: MIT */
/*
 * Messages to the node. The device takes each by an ioctl that returns the result. Over the port a message is
 * bytes, and so is its answer; events may stand before the answer and are kept.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <guest-tools/agent/link.h>
#include <guest-tools/linux/tern_dev.h>

#define PATIENCE_MS 2000
#define PORT_CLASS  "/sys/class/virtio-ports"
#define PORT_LINK   "/dev/virtio-ports/" AGENT_PORT_NAME

/* The port by its name, where udev has made no link: /sys/class/virtio-ports/vport1p2/name. */
static int open_port_by_name(void)
{
	DIR *dir = opendir(PORT_CLASS);
	struct dirent *e;
	int found = -ENODEV;

	while (dir != NULL && found < 0 && (e = readdir(dir)) != NULL) {
		char path[320], name[64] = "";
		int fd;

		snprintf(path, sizeof(path), PORT_CLASS "/%s/name", e->d_name);
		fd = e->d_name[0] != '.' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0)
			continue;
		if (read(fd, name, sizeof(name) - 1) > 0 &&
		    strcmp(name, AGENT_PORT_NAME "\n") == 0) {
			snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			found = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
		close(fd);
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

void link_use_port(struct link *l, int fd)
{
	*l = (struct link){.kind = LINK_PORT, .fd = fd};
}

int link_open(struct link *l, const char *device, const char *port)
{
	int fd = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC), why = errno;

	*l = (struct link){.fd = -1};
	if (fd >= 0) {
		l->kind = LINK_DEVICE;
		l->fd = fd;
		return 0;
	}
	fd = open(port != NULL ? port : PORT_LINK, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && port == NULL)
		fd = open_port_by_name();
	if (fd < 0)
		return why != ENOENT && why != ENXIO ? -why : -ENODEV;
	link_use_port(l, fd);
	return 0;
}

void link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	*l = (struct link){.fd = -1};
}

static int broken(struct link *l, int rc)
{
	link_close(l);
	return rc;
}

static int port_wait(const struct link *l, short events)
{
	struct pollfd p = {.fd = l->fd, .events = events};
	int n;

	do {
		n = poll(&p, 1, PATIENCE_MS);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n == 0 ? -ETIMEDOUT : -errno;
	return (p.revents & events) != 0 ? 0 : -EPIPE;
}

/* What read() or write() returned: bytes moved, 0: try again, waiting for events where it would have
 * blocked; or a negative errno. */
static ssize_t port_moved(const struct link *l, ssize_t n, short events)
{
	if (n > 0)
		return n;
	if (n < 0 && errno == EINTR)
		return 0;
	if (n == 0 || errno != EAGAIN)
		return -EPIPE;
	return port_wait(l, events);
}

static int port_write(const struct link *l, const void *m, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n =
			port_moved(l, write(l->fd, (const u8 *)m + done, bytes - done), POLLOUT);

		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}

static int port_fill(const struct link *l, u8 *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = port_moved(l, read(l->fd, to + done, bytes - done), POLLIN);

		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}

union message {
	struct agent_head head;
	struct agent_state state;
	struct agent_event event;
	struct agent_result result;
};

/* Reads one message of the node. 0, or a negative errno after which nothing on the port makes sense. */
static int port_read(struct link *l, union message *m)
{
	static const struct {
		u16 type;
		u32 bytes;
	} known[] = {
		{AGENT_STATE, sizeof(struct agent_state)},
		{AGENT_EVENT, sizeof(struct agent_event)},
		{AGENT_RESULT, sizeof(struct agent_result)},
	};
	int rc = port_fill(l, (u8 *)m, sizeof(m->head));

	if (rc != 0)
		return rc;
	for (u32 i = 0; i < 3; i++) {
		if (m->head.type == known[i].type && m->head.bytes == known[i].bytes &&
		    m->head.version == AGENT_ABI_VERSION)
			return port_fill(l, (u8 *)m + sizeof(m->head),
					 known[i].bytes - sizeof(m->head));
	}
	return -EPROTO;
}

static void keep_event(struct link *l, const struct agent_event *e)
{
	if (l->event_count < LINK_EVENTS_MAX)
		l->event[l->event_count++] = *e;
	else
		l->event_lost++;
}

/* Waits for the answer to the message of this number. */
static int port_answer(struct link *l, u64 seq, struct agent_state *state)
{
	for (u32 i = 0; i < 4 * LINK_EVENTS_MAX; i++) {
		union message m;
		int rc = port_read(l, &m);

		if (rc != 0)
			return broken(l, rc);
		if (m.head.type == AGENT_EVENT) {
			keep_event(l, &m.event);
		} else if (m.head.type == AGENT_STATE && state != NULL) {
			*state = m.state;
			return 0;
		} else if (m.head.type == AGENT_RESULT && m.result.to == seq) {
			return m.result.result > INT32_MAX    ? INT32_MAX
			       : m.result.result < -INT32_MAX ? -EPROTO
							      : (int)m.result.result;
		}
	}
	return broken(l, -EPROTO);
}

/* Sends a message whose body is complete. state: where a QUERY's answer goes. */
static int send_message(struct link *l, enum agent_type type, struct agent_head *head, u32 bytes,
			unsigned long request, struct agent_state *state)
{
	int rc;

	if (l->kind == LINK_NONE)
		return -ENODEV;
	*head = (struct agent_head){
		.bytes = bytes, .version = AGENT_ABI_VERSION, .type = (u16)type, .seq = ++l->seq};
	l->sent++;
	if (l->kind == LINK_DEVICE) {
		rc = ioctl(l->fd, request, state != NULL ? (void *)state : (void *)head);
		rc = rc < 0 ? -errno : rc;
	} else {
		rc = port_write(l, head, bytes);
		rc = rc != 0 ? broken(l, rc) : port_answer(l, head->seq, state);
	}
	l->refused += rc < 0;
	return rc;
}

int link_hello(struct link *l, u64 mem_total, u64 features, const char *name)
{
	struct agent_hello m = {.features = features, .mem_total = mem_total};
	int rc;

	snprintf(m.name, sizeof(m.name), "%s", name);
	rc = send_message(l, AGENT_HELLO, &m.head, sizeof(m), TERN_IOC_HELLO, NULL);
	if (rc >= 0)
		l->features = (l->kind == LINK_DEVICE ? m.features : (u64)rc) & features;
	return rc;
}

int link_sample(struct link *l, struct agent_sample *m)
{
	return send_message(l, AGENT_SAMPLE, &m->head, sizeof(*m), TERN_IOC_SAMPLE, NULL);
}

int link_demand(struct link *l, struct agent_demand *m)
{
	return send_message(l, AGENT_DEMAND, &m->head, sizeof(*m), TERN_IOC_DEMAND, NULL);
}

int link_notice(struct link *l, struct agent_notice *m)
{
	return send_message(l, AGENT_NOTICE, &m->head, sizeof(*m), TERN_IOC_NOTICE, NULL);
}

int link_ack(struct link *l, struct agent_ack *m)
{
	return send_message(l, AGENT_ACK, &m->head, sizeof(*m), TERN_IOC_ACK, NULL);
}

int link_query(struct link *l, struct agent_state *to)
{
	struct agent_head head;

	return send_message(l, AGENT_QUERY, &head, sizeof(head), TERN_IOC_QUERY, to);
}

static int device_event(struct link *l, struct agent_event *to)
{
	ssize_t n = read(l->fd, to, sizeof(*to));

	if (n == (ssize_t)sizeof(*to))
		return 1;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return broken(l, n < 0 ? -errno : -EPROTO);
}

int link_event(struct link *l, struct agent_event *to)
{
	struct pollfd p = {.fd = l->fd, .events = POLLIN};

	if (l->event_count > 0) {
		*to = l->event[0];
		memmove(&l->event[0], &l->event[1], --l->event_count * sizeof(l->event[0]));
		return 1;
	}
	if (l->kind == LINK_NONE)
		return 0;
	if (l->kind == LINK_DEVICE)
		return device_event(l, to);
	while (poll(&p, 1, 0) > 0) {
		union message m;
		int rc = port_read(l, &m);

		if (rc != 0)
			return broken(l, rc);
		if (m.head.type == AGENT_EVENT) {
			*to = m.event;
			return 1;
		}
		/* The late answer to a message whose patience ended. */
	}
	return 0;
}
