/* SPDX-License-Identifier: MIT */
/*
 * The shell: takes keys from the consoles, feeds the line editor, splits a finished line into words
 * and runs the command that the first one names.
 */
#include "line.h"
#include "words.h"

#include <tern/arch.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/shell.h>
#include <tern/trace.h>

/* Keys that one shell_poll() takes: a flood of them must not keep this CPU from its other work. */
#define KEYS_A_POLL 256u

/* Boot CPU, thread context: no lock. */
static struct line line;
static struct line_out out;
static u64 looked_at; /* TSC when the last look at the keys ended; 0: there was none */
static struct shell_times longest;
static shell_session_fn *in_session; /* a command that goes on, or NULL */

/* Prints what the editor wants printed; with_prompt: the prompt line stays the last one on the screen. */
static void show(bool with_prompt)
{
	static struct line_out image;

	image.n = 0;
	if (with_prompt)
		line_image(&line, &image);
	console_write_prompt(out.text, out.n, image.text, image.n);
}

static const struct shell_command *find_command(const char *name)
{
	for (u32 i = 0; i < shell_command_count; i++) {
		if (strcmp(shell_commands[i].name, name) == 0)
			return &shell_commands[i];
	}
	return NULL;
}

static void unknown_command(const char *name)
{
	const char *best = NULL;
	u32 best_edits = 3; /* more than two typing errors are another word */

	for (u32 i = 0; i < shell_command_count; i++) {
		u32 edits = words_distance(name, shell_commands[i].name);

		/* And a word of which half is wrong, too. */
		if (edits < best_edits && edits * 2 < strlen(shell_commands[i].name)) {
			best_edits = edits;
			best = shell_commands[i].name;
		}
	}
	console_printf("unknown command '%s'; try 'help'", name);
	if (best != NULL)
		console_printf(" (did you mean '%s'?)", best);
	console_printf("\n");
}

/* The first characters of a command's name as a number, for the trace. */
static u64 trace_name(const char *name)
{
	u64 v = 0;

	for (u32 i = 0; i < sizeof(v) && name[i] != '\0'; i++)
		v |= (u64)(u8)name[i] << (8 * i);
	return v;
}

static void run(char *text)
{
	char *argv[SHELL_ARGS_MAX + 1];
	const struct shell_command *command;
	int argc = words_split(text, argv, SHELL_ARGS_MAX);

	if (argc == -TERN_E2BIG) {
		console_printf("more than %u words in one command\n", SHELL_ARGS_MAX);
		return;
	}
	if (argc < 0) {
		console_printf("a double quote is not closed\n");
		return;
	}
	if (argc == 0)
		return;
	argv[argc] = NULL;
	command = find_command(argv[0]);
	if (command == NULL) {
		unknown_command(argv[0]);
		return;
	}
	trace_write(TRACE_SHELL, trace_name(command->name), 0);
	if (command->run(argc, argv) == -TERN_EINVAL)
		console_printf("usage: %s\n", command->usage);
}

static void run_timed(char *text)
{
	u64 begin = arch_tsc();

	run(text);
	longest.command = max_u64(longest.command, arch_tsc() - begin);
}

/* What the word at the cursor may be: a command, or an argument of one. */
struct choice {
	const struct shell_command *command; /* NULL: the word is a command itself */
	int arg;
	const char *word; /* what of it is typed */
	size_t len;
};

static const char *choice_get(const struct choice *c, u32 i)
{
	if (c->arg != 0)
		return c->command->complete(c->arg, i);
	return i < shell_command_count ? shell_commands[i].name : NULL;
}

static bool choice_fits(const struct choice *c, const char *word)
{
	return strncmp(word, c->word, c->len) == 0;
}

/* Looks at the line before the cursor. False: nothing can be completed there. */
static bool choice_at_cursor(struct choice *c)
{
	static char text[LINE_MAX + 1];
	char *argv[SHELL_ARGS_MAX];
	bool begins;
	int argc;

	memcpy(text, line.text, line.cursor);
	text[line.cursor] = '\0';
	if (strchr(text, '"') != NULL)
		return false;
	begins = line.cursor == 0 || text[line.cursor - 1] == ' ';
	argc = words_split(text, argv, SHELL_ARGS_MAX);
	if (argc < 0)
		return false;
	c->arg = begins ? argc : argc - 1;
	c->word = begins ? "" : argv[argc - 1];
	c->len = strlen(c->word);
	c->command = c->arg != 0 ? find_command(argv[0]) : NULL;
	return c->arg == 0 || (c->command != NULL && c->command->complete != NULL);
}

static void list_choices(const struct choice *c)
{
	u32 column = 0;
	const char *word;

	console_write_prompt("\n", 1, NULL, 0);
	for (u32 i = 0; (word = choice_get(c, i)) != NULL; i++) {
		if (!choice_fits(c, word))
			continue;
		if (column + strlen(word) + 2 > LINE_COLUMNS) {
			console_printf("\n");
			column = 0;
		}
		console_printf("%s  ", word);
		column += (u32)strlen(word) + 2;
	}
	console_printf("\n");
	line_redraw(&line, &out);
}

/* Completes the word at the cursor as far as it is certain; else, if asked to, lists the choices. */
static void complete(bool list)
{
	const char *first = NULL, *word;
	struct choice c;
	size_t common = 0;
	u32 fits = 0;

	line_bell(&out);
	if (!choice_at_cursor(&c))
		return;
	for (u32 i = 0; (word = choice_get(&c, i)) != NULL; i++) {
		if (!choice_fits(&c, word))
			continue;
		if (fits++ == 0) {
			first = word;
			common = strlen(word);
		}
		for (size_t k = 0; k < common; k++) {
			if (word[k] != first[k])
				common = k;
		}
	}
	if (fits == 0)
		return;
	if (fits == 1 || common > c.len) {
		char text[LINE_MAX + 2];
		size_t n = str_copy(text, first + c.len, sizeof(text) - 1);

		n = min_u64(n, common - c.len);
		if (fits == 1)
			text[n++] = ' ';
		line_insert(&line, text, n, &out);
	} else if (list) {
		list_choices(&c);
	}
}

static void prompt(void)
{
	line_start(&line, &out);
	show(true);
}

void shell_session(shell_session_fn *session)
{
	in_session = session;
}

/* Returns true when the key ended a line. */
static bool take_key(int key)
{
	enum line_event event = line_key(&line, key, &out);

	switch (event) {
	case LINE_MORE:
		show(true);
		return false;
	case LINE_TAB:
	case LINE_LIST:
		complete(event == LINE_LIST);
		show(true);
		return false;
	case LINE_DONE:
		show(false);
		run_timed(line.text);
		break;
	case LINE_CANCEL:
		show(false);
		break;
	}
	if (in_session == NULL)
		prompt();
	return true;
}

void shell_start(void)
{
	looked_at = 0;
	longest = (struct shell_times){0};
	line_init(&line, SHELL_PROMPT);
	in_session = NULL;
	prompt();
}

static bool take_keys(void)
{
	if (in_session != NULL) {
		if (in_session())
			return false; /* guests are what it waits for */
		in_session = NULL;
		prompt();
		return true;
	}
	for (u32 i = 0; i < KEYS_A_POLL; i++) {
		int key = console_read();

		if (key < 0)
			return i != 0;
		if (take_key(key))
			return true;
	}
	return true;
}

bool shell_poll(void)
{
	bool some;

	if (looked_at != 0)
		longest.wait = max_u64(longest.wait, arch_tsc() - looked_at);
	some = take_keys();
	looked_at = arch_tsc();
	return some;
}

struct shell_times shell_longest(void)
{
	return longest;
}
