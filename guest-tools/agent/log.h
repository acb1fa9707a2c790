/* SPDX-License-Identifier: MIT */
/* The agent's log: standard error, with levels that the journal understands, or syslog. */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <syslog.h>

/* Says where to; standard error until then. */
void log_open(bool to_syslog);

/* level is LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO or LOG_DEBUG. One line, no newline. */
void log_say(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
