/* SPDX-License-Identifier: MIT */
/* Where the agent's words go. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <guest-tools/agent/log.h>

static bool use_syslog, journal;

void log_open(bool to_syslog)
{
	use_syslog = to_syslog;
	journal = getenv("JOURNAL_STREAM") != NULL;
	if (use_syslog)
		openlog("tern-agent", LOG_PID, LOG_DAEMON);
}

void log_say(int level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (use_syslog)
		syslog(level, "%s", text);
	else if (journal)
		fprintf(stderr, "<%d>%s\n", level, text);
	else
		fprintf(stderr, "tern-agent: %s\n", text);
}
