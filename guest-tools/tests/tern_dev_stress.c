/* SPDX-License-Identifier: MIT */
/*
 * Tries to break /dev/tern, in a guest: garbage, replayed and racing messages, bad pointers, short
 * reads, forks, a close and a kill while somebody reads. Afterwards it must serve as before.
 *
 *   tern_dev_stress [CALLS [THREADS [SEED]]]
 *
 * The last line is the sum; status 1: something answered what it may not.
 */
#include "linux/tern_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 64
#define PAGE        4096u
#define FORK_EVERY  8192u /* calls of a thread */

static const struct {
	unsigned long ioctl;
	size_t bytes;
	long good; /* what it returns when the node takes it */
} commands[] = {
	{TERN_IOC_HELLO, sizeof(struct agent_hello), 0},
	{TERN_IOC_SAMPLE, sizeof(struct agent_sample), 0},
	{TERN_IOC_DEMAND, sizeof(struct agent_demand), 0},
	{TERN_IOC_NOTICE, sizeof(struct agent_notice), 0},
	{TERN_IOC_QUERY, sizeof(struct agent_state), sizeof(struct agent_state)},
	{TERN_IOC_ACK, sizeof(struct agent_ack), 0},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int device;
static unsigned long calls_each;
static unsigned char *edge;   /* a page that nobody may touch follows it */
static unsigned char *shared; /* all threads write to it while others send it */
static atomic_ulong taken, refused, wrong;

static unsigned long next_random(unsigned long *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void complain(const char *what, unsigned long which, long result)
{
	if (atomic_fetch_add(&wrong, 1) < 20)
		dprintf(2, "tern_dev_stress: %s %#lx: %ld, errno %d\n", what, which, result, errno);
}

static void must(int good, const char *what)
{
	if (!good)
		complain(what, 0, 0);
}

/* Sorts an answer of an ioctl. */
static void judge(unsigned long ioctl_number, long result, long good)
{
	if (result == good) {
		atomic_fetch_add(&taken, 1);
	} else if (result == -1 &&
		   (errno == EFAULT || errno == EINVAL || errno == ENODEV || errno == ENOENT ||
		    errno == EBUSY || errno == ENOTTY || errno == EINTR)) {
		atomic_fetch_add(&refused, 1);
	} else {
		complain("ioctl", ioctl_number, result);
	}
}

static int said_hello(int fd)
{
	struct agent_hello hello = {.features = AGENT_CAN_ALL, .name = "tern_dev_stress 1"};
	struct sysinfo info;

	sysinfo(&info);
	hello.mem_total = (u64)info.totalram * info.mem_unit;
	while (ioctl(fd, TERN_IOC_HELLO, &hello) != 0) {
		if (errno != EBUSY) /* too many in this second */
			return 0;
		sleep(1);
	}
	return (hello.features & ~AGENT_CAN_ALL) == 0;
}

/* Where the message lies: mostly memory, else what the kernel must not follow. */
static void *place(unsigned long *random, size_t bytes, unsigned char *own)
{
	switch (next_random(random) % 16) {
	case 0:
		return NULL;
	case 1:
		return (void *)next_random(random); /* anywhere */
	case 2:
		return (void *)(0xffff888000000000ul | (next_random(random) & 0xfffffff));
	case 3:
		return edge + PAGE - next_random(random) % (bytes + 1);
	case 4:
	case 5:
	case 6:
		return shared;
	default:
		return own;
	}
}

static void garble(unsigned long *random, unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (unsigned char)(next_random(random) % 3 ? 0 : next_random(random));
}

static void one_ioctl(unsigned long *random, unsigned char *own)
{
	unsigned long which = next_random(random) % (COMMANDS + 1);

	if (which == COMMANDS) {
		unsigned long number = next_random(random) & 0xffffffff;

		for (which = 0; which < COMMANDS && commands[which].ioctl != number; which++)
			;
		if (which == COMMANDS) {
			long result = ioctl(device, number, own);

			judge(number, result, -2);
			return;
		}
	}
	if (next_random(random) % 4) /* else what was sent before: a replay */
		garble(random, own, AGENT_MESSAGE_MAX);
	if (next_random(random) % 8 == 0)
		garble(random, shared, AGENT_MESSAGE_MAX);
	judge(commands[which].ioctl,
	      ioctl(device, commands[which].ioctl, place(random, commands[which].bytes, own)),
	      commands[which].good);
}

static void one_read(unsigned long *random, unsigned char *own)
{
	size_t bytes = next_random(random) % (2 * sizeof(struct agent_event));
	ssize_t got = read(device, place(random, bytes, own), bytes);

	if (got == -1 && (errno == EAGAIN || errno == EINVAL || errno == EFAULT || errno == EINTR))
		atomic_fetch_add(&refused, 1);
	else if (got == sizeof(struct agent_event) && bytes >= sizeof(struct agent_event))
		atomic_fetch_add(&taken, 1);
	else
		complain("read of", bytes, got);
}

/* What a character device may also be asked. */
static void one_other(unsigned long *random)
{
	struct pollfd poll_fd = {.fd = device, .events = POLLIN};
	void *map;
	int fd;

	switch (next_random(random) % 5) {
	case 0:
		must(poll(&poll_fd, 1, 0) >= 0 && (poll_fd.revents & ~POLLIN) == 0, "poll");
		break;
	case 1:
		must(lseek(device, 0, SEEK_SET) == -1 && errno == ESPIPE, "lseek");
		break;
	case 2:
		must(write(device, "x", 1) == -1 && errno == EINVAL, "write");
		break;
	case 3:
		map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
		must(map == MAP_FAILED && errno == ENODEV, "mmap");
		break;
	default:
		fd = open(TERN_DEV_PATH, O_RDWR);
		must(fd == -1 && errno == EBUSY, "a second open");
	}
	atomic_fetch_add(&refused, 1);
}

/* A child has the same file, and goes at once or is killed in the middle of a call. */
static void one_fork(unsigned long *random, unsigned char *own)
{
	int killed = next_random(random) % 2 == 0;
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		do {
			one_ioctl(random, own);
		} while (killed);
		_exit(atomic_load(&wrong) != 0);
	}
	if (child == -1) {
		complain("fork", 0, -1);
		return;
	}
	if (killed)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		;
	must(killed || status == 0, "a child's call");
}

static void *attack(void *seed)
{
	unsigned long random = (unsigned long)seed;
	unsigned char own[AGENT_MESSAGE_MAX] = {0};

	for (unsigned long i = 1; i <= calls_each; i++) {
		unsigned long what = next_random(&random) % 16;

		if (i % FORK_EVERY == 0)
			one_fork(&random, own);
		if (what < 11)
			one_ioctl(&random, own);
		else if (what < 14)
			one_read(&random, own);
		else
			one_other(&random);
	}
	return NULL;
}

static void ignore(int number)
{
	(void)number;
}

static void *blocked_reader(void *fd)
{
	struct agent_event event;
	ssize_t got = read(*(int *)fd, &event, sizeof(event));

	must(got == sizeof(event) || (got == -1 && errno == EINTR), "a read with a signal");
	return NULL;
}

/* Opens the device, which is still held by somebody who is just about to let it go. */
static int open_again(int flags)
{
	int fd = -1;

	for (int tries = 0; fd == -1 && tries < 100; tries++) {
		fd = open(TERN_DEV_PATH, O_RDWR | flags);
		if (fd == -1) {
			if (errno != EBUSY)
				break;
			usleep(100000);
		}
	}
	must(fd != -1, "open after a close");
	return fd;
}

/* The descriptor goes while a thread reads from it; then a whole process goes. */
static void close_while_reading(void)
{
	struct sigaction action = {.sa_handler = ignore};
	int fd = open_again(0);
	int old = fd;
	pthread_t reader;
	pid_t child;

	sigaction(SIGUSR1, &action, NULL);
	must(said_hello(fd), "HELLO");
	if (pthread_create(&reader, NULL, blocked_reader, &old) != 0)
		abort();
	usleep(200000); /* until it waits */
	close(fd);
	pthread_kill(reader, SIGUSR1);
	pthread_join(reader, NULL);

	child = fork();
	if (child == 0) {
		fd = open_again(0);
		for (;;)
			blocked_reader(&fd);
	}
	usleep(200000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	unsigned long calls = argc > 1 ? strtoul(argv[1], NULL, 0) : 500000;
	unsigned long threads = argc > 2 ? strtoul(argv[2], NULL, 0) : 4;
	unsigned long seed = argc > 3 ? strtoul(argv[3], NULL, 0) : 1;
	struct agent_state state;
	pthread_t thread[THREADS_MAX];

	if (threads == 0 || threads > THREADS_MAX || seed == 0 || calls < threads) {
		fprintf(stderr, "usage: tern_dev_stress [CALLS [THREADS [SEED]]]\n");
		return 2;
	}
	device = open(TERN_DEV_PATH, O_RDWR | O_NONBLOCK);
	if (device == -1) {
		perror("tern_dev_stress: " TERN_DEV_PATH);
		return 1;
	}
	edge = mmap(NULL, 2 * (size_t)PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (edge == MAP_FAILED || shared == MAP_FAILED || mprotect(edge + PAGE, PAGE, PROT_NONE))
		abort();

	must(said_hello(device), "HELLO");
	calls_each = calls / threads;
	for (unsigned long i = 0; i < threads; i++) {
		if (pthread_create(&thread[i], NULL, attack, (void *)(seed + i * 7919)) != 0)
			abort();
	}
	for (unsigned long i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	close(device);
	close_while_reading();

	device = open_again(O_NONBLOCK);
	sleep(2); /* the node counts messages by the second */
	must(said_hello(device), "HELLO afterwards");
	must(ioctl(device, TERN_IOC_QUERY, &state) == sizeof(state), "QUERY afterwards");
	must(state.grant <= state.advertised, "the state afterwards");
	printf("tern_dev_stress: %lu taken, %lu refused, %lu wrong\n", atomic_load(&taken),
	       atomic_load(&refused), atomic_load(&wrong));
	return atomic_load(&wrong) != 0;
}
