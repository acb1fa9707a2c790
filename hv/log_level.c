/* SPDX-License-Identifier: MIT */
/* The names of the log levels, for configuration and shell. */
#include <tern/lib.h>
#include <tern/log.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

const char *log_level_name(enum log_level level)
{
	return (u32)level < ARRAY_SIZE(level_names) ? level_names[level] : "?";
}

bool log_level_parse(const char *name, enum log_level *level)
{
	for (u32 i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}
