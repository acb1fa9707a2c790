/* SPDX-License-Identifier: MIT */
/* tern-agent: options, and what they start. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <guest-tools/agent/agent.h>
#include <guest-tools/agent/caps.h>
#include <guest-tools/agent/log.h>
#include <guest-tools/linux/tern_dev.h>

#define EXIT_USAGE 2

extern const char tern_version[];

static const char usage[] =
	"usage: tern-agent [OPTION...]          the daemon, in the foreground\n"
	"       tern-agent [OPTION...] status   what the daemon knows\n"
	"  --config FILE      default /etc/tern/agent.toml\n"
	"  --check-config     read it, say what is wrong with it, and leave\n"
	"  --dry-run          tell the node nothing, take no memory back\n"
	"  --once             two samples and what follows from them, and leave\n"
	"  --run-dir DIR      of the sockets, default /run/tern\n"
	"  --state-dir DIR    of the profiles, default /var/lib/tern\n"
	"  --device FILE      default /dev/tern\n"
	"  --port FILE        default: the virtio port org.tern.agent\n"
	"  --syslog           log there, not to standard error\n"
	"  --version, --help\n";

struct options {
	struct agent_options agent;
	bool check, status, syslog;
};

static void read_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, 'k'},
		{"dry-run", no_argument, NULL, 'n'},
		{"once", no_argument, NULL, '1'},
		{"run-dir", required_argument, NULL, 'r'},
		{"state-dir", required_argument, NULL, 's'},
		{"device", required_argument, NULL, 'd'},
		{"port", required_argument, NULL, 'p'},
		{"syslog", no_argument, NULL, 'l'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char **const strings[] = {
		['c'] = &o->agent.config, ['r'] = &o->agent.run_dir, ['s'] = &o->agent.state_dir,
		['d'] = &o->agent.device, ['p'] = &o->agent.port,
	};
	bool *const flags[] = {
		['k'] = &o->check,
		['n'] = &o->agent.dry_run,
		['1'] = &o->agent.once,
		['l'] = &o->syslog,
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'V') {
			printf("tern-agent %s\n", tern_version);
			exit(0);
		} else if (c == 'h') {
			fputs(usage, stdout);
			exit(0);
		} else if (c == '?') {
			fputs(usage, stderr);
			exit(EXIT_USAGE);
		} else if (optarg != NULL) {
			*strings[c] = optarg;
		} else {
			*flags[c] = true;
		}
	}
	o->status = argc - optind == 1 && strcmp(argv[optind], "status") == 0;
	if (optind < argc && !o->status) {
		fputs(usage, stderr);
		exit(EXIT_USAGE);
	}
}

static int check_config(const char *path)
{
	struct conf c;
	struct conf_error e;

	if (conf_load(&c, path, &e) == 0) {
		printf("%s: good\n", path);
		return 0;
	}
	fprintf(stderr, "%s:%u:%u: %s\n", path, e.line, e.col, e.text);
	return 1;
}

/* One agent at a time. The lock ends with the process, however it ends. */
static bool lock_instance(const char *run_dir)
{
	char path[AGENT_PATH_MAX], pid[16] = "";
	int fd;

	mkdir(run_dir, 0755);
	snprintf(path, sizeof(path), "%s/agent.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		log_say(LOG_ERR, "%s: %s", path, strerror(errno));
		return false;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (read(fd, pid, sizeof(pid) - 1) > 0)
			pid[strcspn(pid, "\n")] = '\0';
		log_say(LOG_ERR, "an agent runs already, process %s", pid);
		return false;
	}
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	/* The number is for people; the lock is what counts. */
	(void)!ftruncate(fd, 0);
	(void)!write(fd, pid, strlen(pid));
	return true;
}

int main(int argc, char **argv)
{
	static struct agent agent;
	struct options o = {.agent = {.config = CONF_PATH,
				      .run_dir = "/run/tern",
				      .state_dir = "/var/lib/tern",
				      .device = TERN_DEV_PATH}};
	char path[AGENT_PATH_MAX], text[16384];
	int rc;

	read_options(argc, argv, &o);
	if (o.check)
		return check_config(o.agent.config);
	snprintf(path, sizeof(path), "%s/agent.sock", o.agent.run_dir);
	if (o.status)
		return status_ask(path);
	log_open(o.syslog);
	if (!o.agent.once && !lock_instance(o.agent.run_dir))
		return 1;
	mkdir(o.agent.state_dir, 0700);
	if (agent_open(&agent, &o.agent) != 0)
		return 1;
	rc = caps_drop();
	if (rc != 0)
		log_say(LOG_WARNING, "capabilities stay: %s", strerror(-rc));
	rc = agent_run(&agent);
	if (o.agent.once) {
		status_text(&agent, text, sizeof(text));
		fputs(text, stdout);
	}
	agent_close(&agent);
	return rc;
}
