/* SPDX-License-Identifier: MIT */
/* links: $(NODE) hv/shell/cmd_vm.c */
/* The shell's commands about VMs, word for word, on a node whose guests are scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <hv/shell/commands.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virt.h>

static char said[8192];

void console_write(const char *text, size_t n)
{
	strncat(said, text, n);
}

void console_printf(const char *fmt, ...)
{
	size_t at = strlen(said);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + at, sizeof(said) - at, fmt, ap);
	va_end(ap);
}

/* Runs a command of words without quotes. */
static int command(shell_fn *fn, const char *text)
{
	static char copy[256];
	char *argv[SHELL_ARGS_MAX], *save = NULL;
	int argc = 0;

	said[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return fn(argc, argv);
}

static void says(const char *text, const char *part)
{
	assert_int_equal(command(cmd_vm, text), 0);
	if (strstr(said, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, said);
}

static int setup(void **state)
{
	(void)state;
	fake_node_start(1, 4096);
	fake_module("data", "abc", 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_end();
	return 0;
}

static void test_life(void **state)
{
	(void)state;
	says("vm create web memory=64MiB kernel=guest vcpus=2 weight=512 modules=data,guest", "");
	assert_string_equal(said, "");
	says("vm list", "web                  created      2      64 MiB");
	says("vm pause web", "web: it is created: no pause\n");
	says("vm start web", "");
	while (vcpu_run_slice())
		;
	says("vm info web", "64 MiB advertised, 64 MiB grant, 24 KiB backed");
	says("vm info web", "weight 512, cap none");
	says("vm info web", "vCPU 0: halted, CPU 0\n  vCPU 1: off");
	says("vm stats web", "vCPU 0: ");
	says("vm stats web", "1 exits");
	says("vm send web hello", "");
	says("vm console web", "\n");
	says("vm pause web", "");
	says("vm resume web", "");
	assert_int_equal(command(cmd_exits, "exits web"), 0);
	assert_non_null(strstr(said, "other "));
	assert_int_equal(command(cmd_top, "top"), 0);
	assert_non_null(strstr(said, "web                  running"));
	says("vm stop web", "");
	says("vm list", "stopped by the operator");
	says("vm kill web", "");
	says("vm kill web", "web: it is dying: no kill");
	while (vm_idle_work())
		;
	says("vm info web", "there is no VM 'web'");
}

static void test_wrong(void **state)
{
	static const char *const lines[] = {
		"vm",
		"vm foo",
		"vm list x",
		"vm start",
		"vm start a b",
		"vm create",
		"vm create a",
		"vm create a memory=1MiB",
		"vm create a memory=x kernel=guest",
		"vm create a memory=1MiB kernel=guest disk=1",
		"vm create a memory=1MiB kernel=guest x",
		"vm create a memory=1MiB kernel=guest weight=0",
		"vm create a memory=1MiB kernel=guest modules=a,,b",
		"vm create a memory=1MiB kernel=guest modules=1,2,3,4,5,6,7,8,9",
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(command(cmd_vm, lines[i]), -TERN_EINVAL);
	assert_int_equal(command(cmd_exits, "exits"), -TERN_EINVAL);
	assert_int_equal(command(cmd_top, "top x"), -TERN_EINVAL);
	says("vm create a memory=1MiB kernel=none",
	     "a: not created: there is no boot module 'none'");
	says("vm start nobody", "there is no VM 'nobody'");
	assert_null(vm_get(0));
}

/* A guest's output does not drive the operator's terminal. */
static void test_console_is_clean(void **state)
{
	struct vm *vm = fake_vm("a", 1, 0, 0);

	(void)state;
	vuart_output(vm->platform.uart, "x\x1b[2J\xffy\n", 8);
	says("vm console a", "x?[2J?y\n");
}

static void test_complete(void **state)
{
	(void)state;
	fake_vm("a", 1, 0, 0);
	assert_string_equal(complete_vm(1, 0), "console");
	assert_string_equal(complete_vm(1, 12), "stop");
	assert_null(complete_vm(1, 13));
	assert_string_equal(complete_vm(2, 0), "a");
	assert_null(complete_vm(2, 1));
	assert_null(complete_vm(3, 0));
	assert_string_equal(complete_exits(1, 0), "a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(test_console_is_clean, setup, teardown),
		cmocka_unit_test_setup_teardown(test_complete, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
