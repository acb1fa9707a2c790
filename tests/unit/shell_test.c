/* SPDX-License-Identifier: MIT */
/* links: hv/shell/shell.c hv/shell/line.c hv/shell/words.c hv/shell/commands.c hv/shell/cmd_cpu.c hv/shell/cmd_devices.c hv/shell/cmd_info.c hv/shell/cmd_log.c hv/shell/cmd_mem.c hv/shell/cmd_panic.c hv/shell/cmd_power.c hv/console.c hv/log.c hv/log_level.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/terminal.c tests/fake/fake_node.c tests/fake/fake_host.c */
#include "hv/shell/words.h"
#include "tests/fake/fake_host.h"
#include "tests/fake/fake_node.h"
#include "tests/fake/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/log.h>
#include <tern/shell.h>

static struct terminal term;
static char output[65536]; /* all that was printed, without '\r' */
static size_t output_len;
static const char *typed = "";

static void term_write(struct console *con, const char *text, size_t n)
{
	(void)con;
	terminal_write(&term, text, n);
	for (size_t i = 0; i < n && output_len < sizeof(output) - 1; i++) {
		if (text[i] != '\r')
			output[output_len++] = text[i];
	}
	output[output_len] = '\0';
}

static int term_read(struct console *con)
{
	(void)con;
	return *typed != '\0' ? (u8)*typed++ : -1;
}

static struct console term_console = {
	.name = "term", .write = term_write, .read = term_read, .cr_lf = true, .shell = true};

/* Types keys; returns all that the node printed meanwhile. */
static const char *type(const char *keys)
{
	output_len = 0;
	output[0] = '\0';
	typed = keys;
	while (shell_poll())
		;
	assert_string_equal(typed, "");
	return output;
}

#define assert_says(text, part)                                     \
	do {                                                        \
		const char *said_ = (text);                         \
		if (strstr(said_, part) == NULL)                    \
			fail_msg("no \"%s\" in:\n%s", part, said_); \
	} while (0)

/* The number of lines of all that was printed. */
static u32 line_count(void)
{
	u32 n = 0;

	for (const char *p = output; *p != '\0'; p++)
		n += *p == '\n';
	return n;
}

static int reset(void **state)
{
	(void)state;
	fake_reset();
	fake_node_reset();
	assert_int_equal(console_register(&term_console), 0);
	terminal_reset(&term);
	shell_start();
	assert_string_equal(terminal_row(&term, 0), "tern>");
	assert_int_equal(term.column, 6);
	return 0;
}

static void test_unknown_commands(void **state)
{
	(void)state;
	assert_says(type("foo\r"), "unknown command 'foo'; try 'help'\n");
	assert_says(type("cpu\r"), "unknown command 'cpu'; try 'help' (did you mean 'cpus'?)\n");
	assert_says(type("rebot\r"), "(did you mean 'reboot'?)");
	assert_says(type("hlep\r"), "(did you mean 'help'?)");
	assert_says(type("x\r"), "unknown command 'x'; try 'help'\n");
	type("\r   \r");
	assert_null(strstr(output, "unknown"));
}

static void test_words(void **state)
{
	char text[64], *argv[4];

	(void)state;
	strcpy(text, "  a \"b  c\"d e\"\" ");
	assert_int_equal(words_split(text, argv, 4), 3);
	assert_string_equal(argv[0], "a");
	assert_string_equal(argv[1], "b  cd");
	assert_string_equal(argv[2], "e");
	strcpy(text, "a \"\"");
	assert_int_equal(words_split(text, argv, 4), 2);
	assert_string_equal(argv[1], "");
	strcpy(text, "a b c d e");
	assert_int_equal(words_split(text, argv, 4), -TERN_E2BIG);
	strcpy(text, "a \"b");
	assert_int_equal(words_split(text, argv, 4), -TERN_EINVAL);
	assert_int_equal(words_distance("kitten", "sitting"), 3);
	assert_int_equal(words_distance("", "abc"), 3);
	assert_int_equal(words_distance("ab", "ba"), 1);
	assert_int_equal(words_distance("a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 24);
	assert_says(type("help \"version\r"), "a double quote is not closed\n");
	assert_says(type("a b c d e f g h i j k l m n o p q r s t u v w x y\r"),
		    "more than 24 words");
	assert_says(type("\"help\" \"version\"\r"), "usage: version\n");
}

static void test_table_and_help(void **state)
{
	char keys[64];

	(void)state;
	assert_int_equal(shell_command_count, 22);
	type("help\r");
	for (u32 i = 0; i < shell_command_count; i++) {
		const struct shell_command *c = &shell_commands[i];

		assert_true(i == 0 || strcmp(shell_commands[i - 1].name, c->name) < 0);
		assert_says(output, c->brief);
		assert_memory_equal(c->usage, c->name, strlen(c->name));
	}
	for (u32 i = 0; i < shell_command_count; i++) {
		const struct shell_command *c = &shell_commands[i];

		snprintf(keys, sizeof(keys), "help %s\r", c->name);
		assert_says(type(keys), c->usage);
		snprintf(keys, sizeof(keys), "%s no such argument\r", c->name);
		assert_says(type(keys), "usage: ");
		assert_says(output, c->usage);
	}
	assert_says(type("help foo\r"), "there is no command 'foo'");
}

static void test_completion(void **state)
{
	(void)state;
	type("ver\t");
	assert_string_equal(terminal_row(&term, 0), "tern> version");
	assert_int_equal(term.column, 6 + 8);
	type("\x15\x0c");
	type("p\t"); /* panic, pci, poweroff: nothing is certain */
	assert_string_equal(terminal_row(&term, 0), "tern> p");
	assert_int_equal(term.bells, 1);
	type("\t");
	assert_string_equal(terminal_row(&term, 1), "panic  pci  poweroff");
	assert_string_equal(terminal_row(&term, 2), "tern> p");
	assert_int_equal(term.column, 7);
	type("o\t");
	assert_string_equal(terminal_row(&term, 2), "tern> poweroff");
	type("\x15log --l\t");
	assert_string_equal(terminal_row(&term, 2), "tern> log --level");
	type("w\t");
	assert_string_equal(terminal_row(&term, 2), "tern> log --level warn");
	type("\x15"
	     "help \t\t");
	assert_says(output, "acpi  config  cpus");
	type("re\t");
	assert_string_equal(terminal_row(&term, term.row), "tern> help reboot");
	type("\x15t\t");
	assert_string_equal(terminal_row(&term, term.row), "tern> t");
	type("\x15zz\t\x15mem x\t\x15\"p\t\x15");
	assert_int_equal(term.bad, 0);
}

static void test_log_line_while_typing(void **state)
{
	(void)state;
	type("cpu");
	log_info("something happened");
	assert_string_equal(terminal_row(&term, 0) + 15, "something happened");
	assert_string_equal(terminal_row(&term, 1), "tern> cpu");
	type("s");
	assert_string_equal(terminal_row(&term, 1), "tern> cpus");
	assert_int_equal(term.bad, 0);
	type("\x03");
	assert_string_equal(terminal_row(&term, 2), "tern>");
}

static void test_version_and_uptime(void **state)
{
	(void)state;
	type("version\r");
	assert_says(output, "Tern test-version, debug build\n");
	assert_says(output, "loader: GRUB 2.06, BIOS\n");
	assert_says(output, "boot: 1234567 ticks from the loader to the prompt, 1 ms\n");
	fake_tsc = 90061500ull * 1000000; /* of 10^9 a second: 25 h 1 min 1.5 s */
	type("uptime\r");
	assert_says(output, "since reset 1 d 01:01:01.500\n");
	assert_says(output, "CPU 0: idle 50.0 %");
	fake_tsc_hz = 0;
	assert_says(type("uptime\r"), "ticks; the TSC's frequency is not known");
	fake_tsc_hz = 1000000000;
}

static void test_uptime_shows_the_longest_waits(void **state)
{
	(void)state;
	type("\r");
	fake_tsc += 2000ull * 1000000; /* nobody looks for 2 s */
	type("uptime\r");
	assert_says(output,
		    "\nconsole: longest wait for a look at its keys 2000000 us, longest command ");
	fake_tsc += 1000ull * 1000000;
	assert_says(type("uptime\r"), " keys 2000000 us");
	assert_true(shell_longest().command > 0);
	assert_true(shell_longest().command < 1000000);
}

static void test_config_states(void **state)
{
	(void)state;
	assert_says(type("config\r"), "# no module tern.toml: defaults and command line\n");
	assert_says(output, "[console]\nport = 0x3f8\nspeed = 115200\nirq = 4\nscreen = true\n");
	assert_says(output, "[log]\nlevel = \"info\"\n");
	assert_says(output, "# command line: console=0x3f8 quiet\n");
	fake_node.config_state = CONFIG_BAD;
	assert_says(type("config\r"), "# tern.toml:3:7: expected a string\n");
	fake_node.config_state = CONFIG_OK;
	assert_says(type("config\r"), "# from tern.toml and the command line\n");
}

static void test_cpus(void **state)
{
	(void)state;
	fake_cpus(4);
	type("cpus\r");
	assert_says(output, "4 CPUs, 4 online\n");
	assert_says(output, "CPU   3  APIC id   3  node  0  online       Fake CPU");
	assert_says(output, "CPUs 0-3:\n");
	assert_says(output, "VT-x: usable\n");
	assert_says(output, "    has:     EPT, unrestricted guest");
	assert_says(output, "    missing: posted interrupts\n");
	assert_says(output, "mitigations: VERW, RSB fill\n");
	fake_node.cpus[2].virt_usable = false;
	strcpy(fake_node.cpus[2].virt_why, "locked off; look for 'VT-x' in the firmware setup");
	fake_node.cpu_absent[1] = true;
	pcpu_get(1)->online = 0;
	type("cpus\r");
	assert_says(output, "CPU   1  APIC id   1  node  0  not started");
	assert_says(output, "CPUs 0, 3:\n");
	assert_says(output, "CPUs 2:\n");
	assert_says(output, "VT-x: not usable: locked off; look for");
	fake_node.no_virt = true;
	type("cpus\r");
	assert_null(strstr(output, "mitigations:"));
}

static void test_256_cpus_stay_readable(void **state)
{
	(void)state;
	fake_cpus(256);
	type("cpus\r");
	assert_says(output, "CPUs 0-255:\n");
	assert_true(line_count() < 275);
}

static void test_memory_adds_up(void **state)
{
	(void)state;
	assert_says(type("mem\r"), "RAM in the loader's map:\n");
	assert_says(output, "= total");
	assert_null(strstr(output, "DOES NOT"));
	fake_node.mem.given += 4096;
	assert_says(type("mem\r"), "DOES NOT ADD UP");
	type("mmap\r");
	assert_says(output, "0x000000100000-0x00001fffffff    511 MiB  RAM\n");
	assert_says(output, "tern.toml\n");
	assert_says(type("frames\r"), "    9  2 MiB      17\n");
	assert_says(output, "metadata: 8 bytes a frame\n");
}

static void test_devices(void **state)
{
	(void)state;
	type("pci\r");
	assert_says(output, "00:1f.2  8086:2922  0106  fake class\n");
	assert_says(output, "1 devices by FAKE\n");
	type("pci 00:1f.2\r");
	assert_says(output, "  BAR 0: memory 0xfebf0000, 4 KiB, 64-bit\n");
	assert_says(output, "  INTA, line 11 by firmware\n");
	assert_says(output, "  MSI, 4 vectors\n");
	assert_says(type("pci 0000:00:1f.2\r"), "BAR 0");
	assert_says(type("pci 00:1f.3\r"), "there is no PCI device 00:1f.3");
	assert_says(type("pci 00:20.0\r"), "usage: pci [BUS:DEV.FN]\n");
	assert_says(type("pci 1:2\r"), "usage:");
	assert_says(type("pci ::.\r"), "usage:");
	assert_says(type("pci 10000:00:00.0\r"), "usage:");
	assert_says(type("pci 00:00.00x\r"), "usage:");
	type("acpi\r");
	assert_says(output, "  FACP 0x00001ffe0000      244 bytes\n");
	assert_says(output, "  HPET 0x00001ffe1000       56 bytes  BAD: checksum\n");
	assert_says(output, "MADT: 2 CPUs, 1 usable");
	assert_says(output, "reset: write 0x6 to I/O port 0xcf9\n");
	fake_node.acpi.rsdp = 0;
	assert_says(type("acpi\r"), "no ACPI");
	type("irq\r");
	assert_says(output, "  0x21         42  serial port\n");
	assert_says(output, "  none          3  spurious\n");
	assert_says(type("timers\r"), "CPU 0: 1 timer\n  console poll     in ");
}

static void test_log_and_trace(void **state)
{
	(void)state;
	log_warn("a warning");
	log_info("an info");
	type("log\r");
	assert_says(output, "] W a warning\n");
	assert_says(output, "] an info\n");
	type("log --level warn\r");
	assert_says(output, "] W a warning\n");
	assert_null(strstr(output, "an info"));
	assert_says(type("log --previous\r"), "no log of an earlier boot");
	assert_says(type("log --level\r"), "usage: log [--previous] [--level LEVEL]\n");
	assert_says(type("log --level loud\r"), "usage: log");
	type("trace\r");
	assert_says(output, "CPU 0: newest 2 records, 5 older ones overwritten\n");
	assert_says(output, "irq    0x21 0x0\n");
	assert_says(output, "shell  trace\n");
	assert_says(type("trace 0 1\r"), "newest 1 records");
	assert_says(type("trace 1\r"), "there is no CPU 1: this machine has 0 to 0\n");
	assert_says(type("trace 0 257\r"), "COUNT is 1 to 256\nusage: trace [CPU] [COUNT]\n");
	assert_says(type("trace x\r"), "usage: trace");
}

/* arch_reboot() of the fake ends the process; it is enough that wrong arguments do not get there. */
static void test_power_takes_no_arguments(void **state)
{
	(void)state;
	assert_says(type("reboot now\r"), "usage: reboot\n");
	assert_says(type("poweroff -f\r"), "usage: poweroff\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_unknown_commands, reset),
		cmocka_unit_test_setup(test_words, reset),
		cmocka_unit_test_setup(test_table_and_help, reset),
		cmocka_unit_test_setup(test_completion, reset),
		cmocka_unit_test_setup(test_log_line_while_typing, reset),
		cmocka_unit_test_setup(test_version_and_uptime, reset),
		cmocka_unit_test_setup(test_uptime_shows_the_longest_waits, reset),
		cmocka_unit_test_setup(test_config_states, reset),
		cmocka_unit_test_setup(test_cpus, reset),
		cmocka_unit_test_setup(test_256_cpus_stay_readable, reset),
		cmocka_unit_test_setup(test_memory_adds_up, reset),
		cmocka_unit_test_setup(test_devices, reset),
		cmocka_unit_test_setup(test_log_and_trace, reset),
		cmocka_unit_test_setup(test_power_takes_no_arguments, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
