/* SPDX-License-Identifier: MIT */
/*
 * tern-hint: tells the agent what a command is going to need, waits until the node knows, and
 * becomes that command. The hint ends with the process, and the process is the command.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <guest-tools/hint/duration.h>
#include <guest-tools/hint/hint_proto.h>
#include <guest-tools/hint/ternhint.h>
#include <tern/lib.h>

#define EXIT_USAGE 2
#define EXIT_HINT  3 /* --require, and nobody took the hint */

extern const char tern_version[];

static const char usage[] =
	"usage: tern-hint --need SIZE --for TIME [--require] -- COMMAND [ARGUMENT...]\n"
	"  --need SIZE   memory it will need beyond what is used now: 600MiB, 2GiB\n"
	"  --for TIME    within this time: 90s, 2m, 1h; at most a day\n"
	"  --require     do not run COMMAND when the node cannot be told\n";

struct request {
	u64 bytes;
	u32 seconds;
	int require;
};

static void refuse(const char *what, const char *text)
{
	fprintf(stderr, "tern-hint: %s: '%s'\n", what, text);
	exit(EXIT_USAGE);
}

static void read_options(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{"need", required_argument, NULL, 'n'}, {"for", required_argument, NULL, 'f'},
		{"require", no_argument, NULL, 'r'},    {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+n:f:rhV", options, NULL)) != -1) {
		if (c == 'n' && (str_to_size(optarg, &r->bytes) != 0 || r->bytes == 0)) {
			refuse("--need wants a size such as 600MiB", optarg);
		} else if (c == 'f' && (duration_parse(optarg, &r->seconds) != 0 ||
					r->seconds > HINT_SECONDS_MAX)) {
			refuse("--for wants a time such as 2m, at most a day", optarg);
		} else if (c == 'r') {
			r->require = 1;
		} else if (c == 'h') {
			fputs(usage, stdout);
			exit(0);
		} else if (c == 'V') {
			printf("tern-hint %s\n", tern_version);
			exit(0);
		} else if (c == '?') {
			fputs(usage, stderr);
			exit(EXIT_USAGE);
		}
	}
	if (r->bytes == 0 || r->seconds == 0 || optind == argc) {
		fputs(usage, stderr);
		exit(EXIT_USAGE);
	}
}

int main(int argc, char **argv)
{
	struct request r = {0};
	const char *why = NULL;
	int rc;

	read_options(argc, argv, &r);
	rc = tern_hint(r.bytes, r.seconds);
	if (rc == TERN_HINT_NO_NODE)
		why = "the agent does not reach the node";
	else if (rc == -ENOENT || rc == -ECONNREFUSED)
		why = "no agent runs (systemctl status tern-agent)";
	else if (rc < 0)
		why = strerror(-rc);
	if (why != NULL) {
		fprintf(stderr, "tern-hint: %s: %s%s\n", r.require ? "error" : "warning", why,
			r.require ? "" : "; the command runs without a hint");
		if (r.require)
			return EXIT_HINT;
	}
	execvp(argv[optind], argv + optind);
	rc = errno;
	fprintf(stderr, "tern-hint: %s: %s\n", argv[optind], strerror(rc));
	return rc == ENOENT ? 127 : 126;
}
