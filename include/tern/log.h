/* SPDX-License-Identifier: MIT */
/* The log: levels, one ring that survives a warm reboot, and every console as a sink (hv/log.c). */
#ifndef TERN_LOG_H
#define TERN_LOG_H

#include <tern/types.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/*
 * One line, without the final newline. Any context, also before any console exists. It is stored
 * and shown as "[    0.012345] text", the time in seconds since reset (0.000000 until the TSC is
 * calibrated); errors, warnings and debug lines have "E ", "W " or "D " before the text. Bytes that
 * are not printable ASCII become '?'; a line longer than LOG_LINE_MAX ends in "...".
 */
#define LOG_LINE_MAX 256u /* bytes of a stored line, with its time */
void log_write(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

/*
 * Text as it is, in pieces of any length, to every console and, each time a line is complete, to
 * the ring: what a panic tells beside its message, so that log_previous() has it. Any context, one
 * CPU at a time.
 */
void log_piece(const char *text, size_t n);
/* The same, formatted; at most 159 bytes, the rest is cut. */
void log_piecef(const char *fmt, ...) PRINTF(1, 2);

#define log_err(...)   log_write(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* Lines above this level go to the ring but not to the consoles. */
void log_set_console_level(enum log_level level);
/* True when a stored line is one that the consoles show. */
bool log_line_shown(const char *text);

/* The level of a stored line, as its letter says. */
enum log_level log_line_level(const char *text);
/* "error", "warn", "info", "debug", and back: false when name is none of them. */
const char *log_level_name(enum log_level level);
bool log_level_parse(const char *name, enum log_level *level);

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

/* Lines that were overwritten in the ring since boot, or dropped because an NMI interrupted the
 * writing of another. */
u64 log_lost(void);

/* Boots whose logs this memory has seen in a row, this one included; 1 after power-on. */
u32 log_boot_count(void);

/* Makes sure the ring is in memory and not only in the caches (WBINVD). Before reset, in panic. */
void log_flush(void);

#endif
