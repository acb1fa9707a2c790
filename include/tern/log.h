/* SPDX-License-Identifier: MIT */
/* The log: levels, one ring that survives a warm reboot, and every console as a sink (hv/log.c). */
#ifndef TERN_LOG_H
#define TERN_LOG_H

#include <tern/types.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One line, without the final newline. Any context, also before any console exists. */
void log_write(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_err(...)   log_write(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* Lines above this level go to the ring but not to the consoles. */
void log_set_console_level(enum log_level level);

/*
 * Moves the log into len bytes of memory at ring that no loader or firmware writes. If a valid log
 * of an earlier boot lies there, it is first copied to prev (prev_size bytes) for log_previous().
 * Called once, by the boot CPU.
 */
void log_init_ring(void *ring, size_t len, char *prev, size_t prev_size);

/* Calls line() for each stored line, oldest first; text has no newline. */
typedef void log_line_fn(const char *text, void *arg);
void log_current(log_line_fn *line, void *arg);

/* The same for the boot before this one. Returns false when nothing survived. */
bool log_previous(log_line_fn *line, void *arg);

/* Lines that were overwritten in the ring since boot. */
u64 log_lost(void);

/* Makes sure the ring is in memory and not only in the caches (WBINVD). Before reset, in panic. */
void log_flush(void);

#endif
