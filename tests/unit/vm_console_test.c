/* SPDX-License-Identifier: MIT */
/* links: $(NODE) hv/shell/cmd_agent.c hv/shell/cmd_vm.c hv/shell/cmd_console.c hv/shell/cmd_dump.c hv/shell/cmd_tools.c hv/shell/guest_text.c hv/shell/shell.c hv/shell/line.c hv/shell/words.c hv/console.c hv/log.c hv/log_level.c tests/fake/terminal.c */
/* "vm console" as the operator sees it: a terminal, the shell, the log, and guests that write and read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <hv/shell/commands.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/log.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>
#include <tests/fake/terminal.h>

const struct shell_command shell_commands[] = {
	{.name = "vm", .usage = "vm", .brief = "", .run = cmd_vm, .complete = complete_vm},
};
const u32 shell_command_count = 1;

static struct terminal term;
static char output[200000]; /* all that the shell's console got */
static size_t output_len;
static char screen[65536]; /* what the other console got */
static size_t screen_len;
static const char *typed = "";
static struct vm *vm;

static void term_write(struct console *con, const char *text, size_t n)
{
	(void)con;
	terminal_write(&term, text, n);
	assert_true(output_len + n < sizeof(output));
	memcpy(output + output_len, text, n);
	output_len += n;
	output[output_len] = '\0';
}

static int term_read(struct console *con)
{
	(void)con;
	return *typed != '\0' ? (u8)*typed++ : -1;
}

static void screen_write(struct console *con, const char *text, size_t n)
{
	(void)con;
	if (screen_len + n < sizeof(screen)) {
		memcpy(screen + screen_len, text, n);
		screen_len += n;
	}
	screen[screen_len] = '\0';
}

static struct console term_console = {
	.name = "term", .write = term_write, .read = term_read, .cr_lf = true, .shell = true};
static struct console screen_console = {.name = "screen", .write = screen_write, .cr_lf = true};

/* Types keys and lets the shell look so often. Returns all that it printed. */
static const char *poll(const char *keys, u32 polls)
{
	output_len = 0;
	output[0] = '\0';
	typed = keys;
	while (polls-- > 0)
		(void)shell_poll();
	assert_string_equal(typed, "");
	return output;
}

static void guest_says(const char *text)
{
	vuart_output(vm->platform.uart, text, strlen(text));
}

/* What the guest reads from its port. */
static const char *guest_hears(void)
{
	static char heard[1024];
	size_t n = 0;

	while ((bus_in(&vm->bus, VUART_BASE + 5, 1) & 1) != 0)
		heard[n++] = (char)bus_in(&vm->bus, VUART_BASE, 1);
	heard[n] = '\0';
	return heard;
}

static int setup(void **state)
{
	(void)state;
	fake_node_start(1, 4096);
	assert_int_equal(console_register(&term_console), 0);
	assert_int_equal(console_register(&screen_console), 0);
	vm = fake_vm("web", 1, 0, 0);
	shell_start();
	poll("\x03", 1);
	terminal_reset(&term);
	screen_len = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)console_hold_log(false);
	fake_vm_end();
	return 0;
}

static void test_session(void **state)
{
	(void)state;
	guest_says("booted\r\nlogin: ");
	poll("vm console web\r", 1);
	assert_non_null(strstr(output, "vm console web\r\n[web: Ctrl-] leaves]\r\n"));
	/* No prompt while it lasts; first what was written before. */
	assert_string_equal(poll("", 1), "booted\r\nlogin: ");
	assert_string_equal(poll("", 3), "");
	/* Every key but one is the guest's. */
	assert_string_equal(poll("root\r\x03\x04\x1b[A\t", 1), "");
	assert_string_equal(guest_hears(), "root\r\x03\x04\x1b[A\t");
	guest_says("root\r\n# \x1b[1mbold\x1b[0m\x1b]0;no\a");
	assert_string_equal(poll("", 1), "root\r\n# \x1b[1mbold\x1b[0m");
	/* A line feed alone is one. */
	guest_says("a\nb");
	assert_string_equal(poll("", 1), "a\nb");
	/* What was typed before it still gets there. */
	poll("x\x1d", 1);
	assert_string_equal(guest_hears(), "x");
	assert_non_null(strstr(output, "\x1b[0m"));
	assert_non_null(strstr(output, "\r\n[left]\r\ntern> "));
	assert_non_null(strstr(poll("vm list\r", 1), "web "));
}

static void test_terminal_is_left_as_it_was(void **state)
{
	(void)state;
	guest_says("plain\r\n");
	poll("vm console web\r", 2);
	assert_string_equal(poll("\x1d", 1), "\r\n[left]\r\ntern> ");
	assert_int_equal(term.bad, 0);
	assert_string_equal(terminal_row(&term, term.row), "tern>");
}

static void test_log_waits(void **state)
{
	(void)state;
	poll("vm console web\r", 1);
	log_info("not for the terminal");
	log_err("nor this");
	guest_says("shown once\n");
	assert_string_equal(poll("", 2), "shown once\n");
	assert_non_null(strstr(screen, "] not for the terminal\r\n"));
	assert_non_null(strstr(screen, "] E nor this\r\n"));
	assert_null(strstr(screen, "shown once"));
	poll("\x1d", 1);
	assert_non_null(strstr(output, "[left; 2 lines for the log meanwhile]"));
	/* Then all is as before. */
	poll("", 1);
	log_info("seen");
	assert_non_null(strstr(output, "] seen\r\n"));
	guest_says("again\n");
	assert_non_null(strstr(output, "] [vm web] again\r\n"));
}

/* The guest reads nothing: what has no room in its port waits here, what has none here rings the bell. */
static void test_keys_wait(void **state)
{
	char keys[700];
	const char *heard;

	(void)state;
	poll("vm console web\r", 1);
	memset(keys, 'k', sizeof(keys));
	keys[600] = '\0';
	poll(keys, 3);
	assert_int_equal(strlen(output), 88); /* 256 in the port, 256 here */
	assert_int_equal(output[0], '\a');
	heard = guest_hears();
	assert_int_equal(strlen(heard), 256);
	poll("", 1);
	heard = guest_hears();
	assert_int_equal(strlen(heard), 256);
	poll("", 1);
	assert_string_equal(guest_hears(), "");
	/* And even then the way out is open. */
	poll(keys, 3);
	assert_non_null(strstr(poll("k\x1d", 1), "[left]"));
}

/* A piece at every look, so that guests run in between; a guest that is faster loses its own output. */
static void test_much_output(void **state)
{
	(void)state;
	for (u32 i = 0; i < 100000; i++)
		guest_says("0123456789");
	poll("vm console web\r", 1);
	poll("", 1);
	assert_int_equal(strlen(output), 256);
	poll("", VUART_RING / 256);
	assert_int_equal(strlen(output), VUART_RING - 256);
	for (u32 i = 0; i < 10000; i++)
		guest_says("0123456789");
	poll("", 1);
	assert_non_null(strstr(output, "\r\n[34464 bytes came too fast]\r\n"));
}

static void test_the_guest_stops(void **state)
{
	(void)state;
	poll("vm console web\r", 1);
	guest_says("bye\r\n");
	vm_kill(vm, "exit code 3");
	assert_string_equal(poll("", 1), "bye\r\n");
	poll("", 1);
	assert_non_null(
		strstr(output, "\r\n[exit code 3; 1 line for the log meanwhile]\r\ntern> "));
	/* One that has stopped shows what it said. */
	poll("vm console web\r", 1);
	assert_string_equal(poll("", 1), "bye\r\n");
	assert_string_equal(poll("", 1), "\r\n[exit code 3]\r\ntern> ");
}

static void test_the_guest_begins_anew(void **state)
{
	(void)state;
	poll("vm console web\r", 1);
	vm_reset_requested(vm);
	assert_string_equal(poll("", 2), "");
	while (vm_idle_work())
		;
	assert_int_equal(vm->state, VM_RUNNING);
	guest_says("hello again");
	assert_string_equal(poll("", 2), "hello again");
	poll("\x1d", 1);
}

static void test_a_vm_that_goes(void **state)
{
	struct vm_locked l;

	(void)state;
	poll("vm console web\r", 1);
	assert_true(vm_find_locked("web", &l));
	assert_int_equal(vm_destroy(l), 0);
	vm_unlock(l);
	while (vm_idle_work())
		;
	poll("", 1);
	assert_non_null(strstr(output, "[the VM is gone; "));
	assert_non_null(strstr(output, "tern> "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_session, setup, teardown),
		cmocka_unit_test_setup_teardown(test_terminal_is_left_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_much_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_guest_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_guest_begins_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_vm_that_goes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
