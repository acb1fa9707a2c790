/* SPDX-License-Identifier: MIT */
/*
 * The serial shell (hv/shell). It never blocks: shell_poll() takes the keys that are there, runs at
 * most one command and returns, so that a CPU can run guests between two calls.
 */
#ifndef TERN_SHELL_H
#define TERN_SHELL_H

#include <tern/types.h>

#define SHELL_ARGS_MAX 24u
#define SHELL_PROMPT   "tern> "

/* argv[0] is the command. Returns 0; or -TERN_EINVAL: the shell then prints the usage line. */
typedef int shell_fn(int argc, char **argv);

/* The i-th word that argument number arg (from 1) of a command may be, or NULL past the last. */
typedef const char *shell_complete_fn(int arg, u32 i);

struct shell_command {
	const char *name;
	const char *usage; /* "log [--previous] [--level LEVEL]" */
	const char *brief; /* one line for help */
	const char *help;  /* the rest of help CMD: several lines, or NULL */
	shell_fn *run;
	shell_complete_fn *complete; /* or NULL */
};

/* All commands, sorted by name (hv/shell/commands.c). */
extern const struct shell_command shell_commands[];
extern const u32 shell_command_count;

/*
 * A command that is not over when it returns: from then on session is called at every shell_poll(), in place of the
 * line editor, reads the keys and prints what it wants, until it returns false. It does not block either.
 */
typedef bool shell_session_fn(void);
void shell_session(shell_session_fn *session);

/* Prints the first prompt. Boot CPU, thread context. */
void shell_start(void);
/* Returns true when it should be called again before this CPU does anything else. Boot CPU, thread context, no lock
 * held. */
bool shell_poll(void);

/* The longest since boot, in TSC ticks. A line is answered no later than both together after it came. */
struct shell_times {
	u64 wait;    /* from one shell_poll() to the next: guests, dying VMs, sleep */
	u64 command; /* from the end of a line to the next prompt, all output included */
};
/* Boot CPU, thread context. */
struct shell_times shell_longest(void);

#endif
