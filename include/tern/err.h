/* SPDX-License-Identifier: MIT */
/*
 * Errors, in three kinds (docs/coding-style.md): our bug panics, the machine or the operator gets a
 * negative E-code and a message, a guest gets the architectural event.
 */
#ifndef TERN_ERR_H
#define TERN_ERR_H

#include <tern/types.h>

/* Values as Linux numbers them, so that a hypercall result reads the same in a guest. */
enum {
	TERN_EPERM = 1,
	TERN_ENOENT = 2,
	TERN_EIO = 5,
	TERN_E2BIG = 7,
	TERN_EAGAIN = 11,
	TERN_ENOMEM = 12,
	TERN_EFAULT = 14,
	TERN_EBUSY = 16,
	TERN_EEXIST = 17,
	TERN_ENODEV = 19,
	TERN_EINVAL = 22,
	TERN_ENOSPC = 28,
	TERN_ERANGE = 34,
	TERN_ENOSYS = 38,
	TERN_ETIMEDOUT = 110,
};

/* Name of a positive error number, "E?" when unknown. Never NULL. */
const char *err_name(int err);

/* Stops the node: prints registers, backtrace and trace on every console. Any context. */
NORETURN void panic_at(const char *file, int line, const char *fmt, ...) PRINTF(3, 4);

#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)

/* Always on: a false condition is our bug and the node must not go on with it. */
#define ASSERT(cond)                                          \
	do {                                                  \
		if (UNLIKELY(!(cond)))                        \
			panic("assertion failed: %s", #cond); \
	} while (0)

#ifndef TERN_DEBUG
#define TERN_DEBUG 0
#endif

/* Debug builds only, but always type-checked. */
#define DEBUG_ASSERT(cond)                                          \
	do {                                                        \
		if (TERN_DEBUG && UNLIKELY(!(cond)))                \
			panic("debug assertion failed: %s", #cond); \
	} while (0)

#endif
