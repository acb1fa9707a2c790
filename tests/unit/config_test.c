/* SPDX-License-Identifier: MIT */
/* links: hv/config.c hv/net/netdev_which.c hv/log_level.c hv/lib/toml.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/config.h>
#include <tern/err.h>

#include "tests/fake/fake_host.h"

/* --- the boot information under test control --- */

static struct boot_info boot;

const struct boot_info *boot_info_get(void)
{
	return &boot;
}

const struct boot_module *boot_info_module(const struct boot_info *bi, const char *name)
{
	for (u32 i = 0; i < bi->module_count; i++) {
		if (strcmp(bi->modules[i].name, name) == 0)
			return &bi->modules[i];
	}
	return NULL;
}

bool boot_info_option(const char *cmdline, const char *key, char *value, size_t size)
{
	char copy[BOOT_CMDLINE_MAX], *save = NULL;
	size_t n = strlen(key);
	bool found = false;

	snprintf(copy, sizeof(copy), "%s", cmdline);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		if (strncmp(w, key, n) != 0 || (w[n] != '=' && w[n] != '\0'))
			continue;
		snprintf(value, size, "%s", w[n] == '=' ? w + n + 1 : "");
		found = true;
	}
	return found;
}

#define MODULE_BASE MiB(32)

static void boot_with(const char *text, size_t len, const char *cmdline)
{
	fake_reset();
	memset(&boot, 0, sizeof(boot));
	snprintf(boot.cmdline, sizeof(boot.cmdline), "%s", cmdline);
	if (text != NULL) {
		boot.module_count = 2;
		strcpy(boot.modules[0].name, "vmlinuz");
		strcpy(boot.modules[1].name, "tern.toml");
		boot.modules[1].base = MODULE_BASE;
		boot.modules[1].len = len;
		memcpy(phys_to_virt(hpa(MODULE_BASE)), text, len);
	}
	config_init();
}

/* --- reading --- */

static void assert_defaults(const struct config *c)
{
	assert_string_equal(c->name, "tern");
	assert_int_equal(c->com_port, 0x3f8);
	assert_int_equal(c->com_speed, 115200);
	assert_int_equal(c->com_irq, 4);
	assert_true(c->screen);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_string_equal(c->fabric_nic, "");
	assert_string_equal(c->uplink_nic, "");
}

static struct config read_good(const char *text)
{
	struct toml_error err = {0};
	struct config c;

	config_defaults(&c);
	if (config_read(text, strlen(text), &c, &err) != 0)
		fail_msg("%u:%u: %s, in\n%s", err.line, err.col, err.text, text);
	return c;
}

/* What comes before the error must not stay set: all texts begin with a good line. */
static void read_bad(const char *text, u32 line, u32 col, const char *want)
{
	struct toml_error err = {0};
	struct config c;
	char full[512];
	int n = snprintf(full, sizeof(full), "[node]\nname = \"x\"\n%s", text);

	config_defaults(&c);
	if (config_read(full, (size_t)n, &c, &err) != -TERN_EINVAL)
		fail_msg("accepted:\n%s", text);
	if (err.line != line + 2 || err.col != col || strcmp(err.text, want) != 0)
		fail_msg("%u:%u: %s, in\n%s", err.line - 2, err.col, err.text, text);
	assert_defaults(&c);
}

static void test_all_keys(UNUSED void **state)
{
	struct config c = read_good("[node]\n"
				    "name = \"rack-1.a_B\"\n"
				    "[console]\n"
				    "port = 0x2f8\n"
				    "speed = 9_600\n"
				    "irq = 3\n"
				    "screen = false\n"
				    "[log]\n"
				    "level = 'debug'\n"
				    "[boot]\n"
				    "modules = [\"vmlinuz\", \"initrd.img\"]\n"
				    "cmdline = \"log=debug\"\n");

	assert_string_equal(c.name, "rack-1.a_B");
	assert_int_equal(c.com_port, 0x2f8);
	assert_int_equal(c.com_speed, 9600);
	assert_int_equal(c.com_irq, 3);
	assert_false(c.screen);
	assert_int_equal(c.log_level, LOG_DEBUG);
	c = read_good("");
	assert_defaults(&c);
}

static void test_bounds_good(UNUSED void **state)
{
	static const u32 speeds[] = {1200,  2400,  4800,  9600,  14400,
				     19200, 28800, 38400, 57600, 115200};
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	struct config c;
	char text[80];

	for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
		snprintf(text, sizeof(text), "[console]\nspeed = %u", speeds[i]);
		assert_int_equal(read_good(text).com_speed, speeds[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		snprintf(text, sizeof(text), "[log]\nlevel = \"%s\"", levels[i]);
		assert_int_equal(read_good(text).log_level, LOG_ERR + i);
	}
	assert_int_equal(read_good("[console]\nport = 1").com_port, 1);
	assert_int_equal(read_good("[console]\nport = 0xfff8").com_port, 0xfff8);
	assert_int_equal(read_good("[console]\nirq = 0").com_irq, 0);
	assert_int_equal(read_good("[console]\nirq = 15").com_irq, 15);
	c = read_good("[node]\nname = \"1234567890123456789012345678901\"");
	assert_int_equal(strlen(c.name), 31);
}

static void test_bounds_bad(UNUSED void **state)
{
	static const char port[] = "console.port: expected an integer from 1 to 0xfff8";
	static const char speed[] =
		"console.speed: expected an integer from 1200 to 115200 that divides 115200";
	static const char irq[] =
		"console.irq: expected an integer from 0 (no IRQ) to 15, but not 2";
	static const char level[] =
		"log.level: expected \"error\", \"warn\", \"info\" or \"debug\"";

	read_bad("[console]\nport = 0", 2, 8, port);
	read_bad("[console]\nport = -1", 2, 8, port);
	read_bad("[console]\nport = 0xfff9", 2, 8, port);
	read_bad("[console]\nport = 0x100003f8", 2, 8, port);
	read_bad("[console]\nspeed = 0", 2, 9, speed);
	read_bad("[console]\nspeed = -9600", 2, 9, speed);
	read_bad("[console]\nspeed = 600", 2, 9, speed);
	read_bad("[console]\nspeed = 9601", 2, 9, speed);
	read_bad("[console]\nspeed = 230400", 2, 9, speed);
	read_bad("[console]\nirq = 2", 2, 7, irq);
	read_bad("[console]\nirq = 16", 2, 7, irq);
	read_bad("[console]\nirq = -1", 2, 7, irq);
	read_bad("[log]\nlevel = \"loud\"", 2, 9, level);
	read_bad("[log]\nlevel = \"\"", 2, 9, level);
	read_bad("[log]\nlevel = \"INFO\"", 2, 9, level);
}

static void test_name_bad(UNUSED void **state)
{
	static const char *const names[] = {
		"", "a b", "a\\n", "\\u00e9", "a/b", "12345678901234567890123456789012",
	};
	struct config c;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct toml_error err = {0};
		char text[80];

		config_defaults(&c);
		snprintf(text, sizeof(text), "[node]\nname = \"%s\"", names[i]);
		assert_int_equal(config_read(text, strlen(text), &c, &err), -TERN_EINVAL);
		assert_int_equal(err.line, 2);
		assert_int_equal(err.col, 8);
		assert_string_equal(err.text, "node.name: expected a string of 1 to 31 letters, "
					      "digits, '-', '_' and '.'");
		assert_defaults(&c);
	}
}

static void test_types(UNUSED void **state)
{
	read_bad("[console]\nport = \"0x3f8\"", 2, 8,
		 "console.port: expected an integer from 1 to 0xfff8, found a string");
	read_bad("[console]\nscreen = 1", 2, 10,
		 "console.screen: expected true or false, found an integer");
	read_bad("[log]\nlevel = true", 2, 9,
		 "log.level: expected \"error\", \"warn\", \"info\" or \"debug\", found a boolean");
	read_bad("[boot]\nmodules = \"vmlinuz\"", 2, 11,
		 "boot.modules: expected an array of strings, found a string");
	read_bad("[boot]\ncmdline = [\"a\"]", 2, 11,
		 "boot.cmdline: expected a string, found an array");
}

static void test_nics(UNUSED void **state)
{
	struct config c = read_good("[fabric]\nnic = \"00:03.0\"\n[uplink]\n"
				    "nic = '52:54:00:12:34:51'\n");

	assert_string_equal(c.fabric_nic, "00:03.0");
	assert_string_equal(c.uplink_nic, "52:54:00:12:34:51");
	assert_string_equal(read_good("[uplink]\nnic = '0001:00:1f.7'").uplink_nic, "0001:00:1f.7");
	read_bad("[uplink]\nnic = 'eth0'", 2, 7,
		 "uplink.nic: expected a PCI address such as \"00:03.0\" or a MAC address such as "
		 "\"52:54:00:12:34:51\"");
	read_bad("[fabric]\nnic = ''", 2, 7,
		 "fabric.nic: expected a PCI address such as \"00:03.0\" or a MAC address such as "
		 "\"52:54:00:12:34:51\"");
	read_bad("[fabric]\nNIC = '00:03.0'", 2, 1, "unknown key NIC in [fabric]; known are nic");
}

static void test_unknown(UNUSED void **state)
{
	struct toml_error err = {0};
	struct config c;

	read_bad(
		"[vms.web]\nvcpus = 2", 1, 2,
		"unknown table [vms.web]; known are [node], [console], [log], [fabric], [uplink], [boot], [vm.NAME]");
	read_bad(
		"[console.x]", 1, 2,
		"unknown table [console.x]; known are [node], [console], [log], [fabric], [uplink], [boot], [vm.NAME]");
	read_bad("[console]\n  baud = 9600", 2, 3,
		 "unknown key baud in [console]; known are port, speed, irq, screen");
	read_bad("[log]\nLevel = 'info'", 2, 1, "unknown key Level in [log]; known are level");
	config_defaults(&c);
	assert_int_equal(config_read("\n name = 'x'", 12, &c, &err), -TERN_EINVAL);
	assert_int_equal(err.line, 2);
	assert_int_equal(err.col, 2);
	assert_string_equal(
		err.text,
		"name stands in no table; known tables are [node], [console], [log], [fabric], [uplink], [boot], [vm.NAME]");
}

/* The longest names leave room for the rest of the message. */
static void test_unknown_long(UNUSED void **state)
{
	char text[300];

	snprintf(text, sizeof(text), "[%0126d]", 0);
	read_bad(text, 1, 2,
		 "unknown table [0000000000000000000000000000000000000000]; known are [node], "
		 "[console], [log], [fabric], [uplink], [boot], [vm.NAME]");
	snprintf(text, sizeof(text), "[console]\n%0110d = 1", 0);
	read_bad(text, 2, 1,
		 "unknown key 0000000000000000000000000000000000000000 in [console]; known are "
		 "port, speed, irq, screen");
}

static void test_syntax_error(UNUSED void **state)
{
	read_bad("[console]\nport = 0x3f8\nscreen = of", 3, 10,
		 "expected a value, found the word of; text needs quotes: \"of\"");
}

/* --- the command line --- */

static void test_cmdline(UNUSED void **state)
{
	struct config c;

	fake_reset();
	config_defaults(&c);
	config_apply_cmdline("", &c);
	config_apply_cmdline("quiet loglevel=3 consoles=1 root=/dev/sda", &c);
	assert_defaults(&c);
	config_apply_cmdline("console=0x2f8,9600,3 log=debug screen=off", &c);
	assert_int_equal(c.com_port, 0x2f8);
	assert_int_equal(c.com_speed, 9600);
	assert_int_equal(c.com_irq, 3);
	assert_int_equal(c.log_level, LOG_DEBUG);
	assert_false(c.screen);
	config_apply_cmdline("console=1016 screen=on log=error", &c);
	assert_int_equal(c.com_port, 0x3f8);
	assert_int_equal(c.com_speed, 9600);
	assert_int_equal(c.com_irq, 3);
	assert_int_equal(c.log_level, LOG_ERR);
	assert_true(c.screen);
	config_apply_cmdline("console=0x3e8,38400", &c);
	assert_int_equal(c.com_port, 0x3e8);
	assert_int_equal(c.com_speed, 38400);
	assert_int_equal(c.com_irq, 3);
	assert_string_equal(fake_log(), "");
}

static void test_cmdline_bad(UNUSED void **state)
{
	static const struct {
		const char *word, *expected;
	} rows[] = {
		{"console=", "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"console=ttyS0", "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"console=0", "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"console=0x2f8,", "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"console=0x2f8,9601", "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"console=0x2f8,9600,2", "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"console=0x2f8,9600,3,1", "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"console=0x2f8,9600,99999999999999999999999999999999999",
		 "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"console=18446744073709551615", "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"console=00000000000000000000000000000000000000000000000002,9600",
		 "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"log=", "error, warn, info or debug"},
		{"log=7", "error, warn, info or debug"},
		{"screen=", "on or off"},
		{"screen=no", "on or off"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config c;
		char want[256];

		fake_reset();
		config_defaults(&c);
		config_apply_cmdline(rows[i].word, &c);
		assert_defaults(&c);
		snprintf(want, sizeof(want), "command line: %s is ignored: expected %s\n",
			 rows[i].word, rows[i].expected);
		assert_string_equal(fake_log(), want);
	}
}

/* --- boot --- */

static void test_before_init(UNUSED void **state)
{
	const struct toml_error *err = (void *)1;

	assert_defaults(config_get());
	assert_int_equal(config_state(&err), CONFIG_NONE);
	assert_null(err);
}

static void test_init_none(UNUSED void **state)
{
	const struct toml_error *err = (void *)1;

	boot_with(NULL, 0, "");
	assert_int_equal(config_state(&err), CONFIG_NONE);
	assert_null(err);
	assert_defaults(config_get());
	assert_string_equal(fake_log(), "config: no boot module tern.toml: defaults\n");
}

static void test_init_good(UNUSED void **state)
{
	static const char text[] = "[node]\nname = \"a\"\n[console]\nirq = 0\n";
	const struct toml_error *err = (void *)1;

	boot_with(text, strlen(text), "");
	assert_int_equal(config_state(&err), CONFIG_OK);
	assert_null(err);
	assert_string_equal(config_get()->name, "a");
	assert_int_equal(config_get()->com_irq, 0);
	assert_string_equal(fake_log(), "config: tern.toml: 2 keys\n");
	boot_with("", 0, "");
	assert_int_equal(config_state(&err), CONFIG_OK);
	assert_defaults(config_get());
	assert_string_equal(fake_log(), "config: tern.toml: 0 keys\n");
}

/* The command line wins over the file, and holds when the file is bad. */
static void test_init_cmdline(UNUSED void **state)
{
	static const char text[] = "[console]\nport = 0x2f8\nspeed = 9600\n[log]\nlevel = 'warn'\n";
	const struct toml_error *err;

	boot_with(text, strlen(text), "console=0x3e8 screen=off");
	assert_int_equal(config_get()->com_port, 0x3e8);
	assert_int_equal(config_get()->com_speed, 9600);
	assert_int_equal(config_get()->log_level, LOG_WARN);
	assert_false(config_get()->screen);
	boot_with("[", 1, "log=debug");
	assert_int_equal(config_state(&err), CONFIG_BAD);
	assert_int_equal(config_get()->log_level, LOG_DEBUG);
	assert_int_equal(config_get()->com_port, 0x3f8);
}

static void test_init_bad(UNUSED void **state)
{
	static const char text[] = "[node]\nname = \"a\"\n[console]\nspeed = 9601\n";
	const struct toml_error *err = NULL;

	boot_with(text, strlen(text), "");
	assert_int_equal(config_state(&err), CONFIG_BAD);
	assert_non_null(err);
	assert_int_equal(err->line, 4);
	assert_int_equal(err->col, 9);
	assert_defaults(config_get());
	assert_string_equal(fake_log(),
			    "tern.toml:4:9: console.speed: expected an integer from 1200 to "
			    "115200 that divides 115200\n"
			    "config: tern.toml is ignored as a whole: defaults\n");
}

static void test_init_unreadable(UNUSED void **state)
{
	const struct toml_error *err = NULL;

	fake_reset();
	boot.module_count = 1;
	strcpy(boot.modules[0].name, "tern.toml");
	boot.modules[0].base = MODULE_BASE;
	boot.modules[0].len = TOML_TEXT_MAX + 1;
	config_init();
	assert_int_equal(config_state(&err), CONFIG_BAD);
	assert_string_equal(err->text, "the file is longer than 1048576 bytes");
	/* The fake maps nothing past its memory. */
	boot.modules[0].base = FAKE_MEM;
	boot.modules[0].len = 10;
	config_init();
	assert_int_equal(config_state(&err), CONFIG_BAD);
	assert_string_equal(err->text, "the boot module cannot be mapped");
	assert_defaults(config_get());
}

static void test_vms(UNUSED void **state)
{
	struct config c = read_good("[vm.web]\n"
				    "memory = \"64GiB\"\n"
				    "kernel = \"k.elf\"\n"
				    "[vm.db-1]\n"
				    "memory = \"512MiB\"\n"
				    "vcpus = 4\n"
				    "weight = 1024\n"
				    "cap = 50\n"
				    "kernel = \"guest.elf\"\n"
				    "modules = [\"a\", \"b c\"]\n"
				    "cmdline = \"x y\"\n"
				    "initrd = 'initrd.img'\n"
				    "disks = ['root.img size=4GiB', 'none size=1GiB ro']\n"
				    "nics = ['default mac=02:00:00:00:00:01']\n"
				    "log_console = false\n"
				    "testdev = true\n"
				    "autostart = false\n");

	assert_int_equal(c.vm_count, 2);
	assert_string_equal(c.vms[0].name, "web");
	assert_int_equal(c.vms[0].memory, GiB(64));
	assert_int_equal(c.vms[0].vcpus, 1);
	assert_int_equal(c.vms[0].weight, 256);
	assert_int_equal(c.vms[0].cap, 0);
	assert_true(c.vms[0].autostart);
	assert_true(c.vms[0].log_console);
	assert_false(c.vms[0].testdev);
	assert_string_equal(c.vms[0].initrd, "");
	assert_int_equal(c.vms[0].disk_count + c.vms[0].nic_count, 0);
	assert_string_equal(c.vms[1].name, "db-1");
	assert_int_equal(c.vms[1].vcpus, 4);
	assert_int_equal(c.vms[1].module_count, 2);
	assert_string_equal(c.vms[1].modules[1], "b c");
	assert_string_equal(c.vms[1].cmdline, "x y");
	assert_string_equal(c.vms[1].initrd, "initrd.img");
	assert_int_equal(c.vms[1].disk_count, 2);
	assert_string_equal(c.vms[1].disks[0], "root.img size=4GiB");
	assert_string_equal(c.vms[1].disks[1], "none size=1GiB ro");
	assert_int_equal(c.vms[1].nic_count, 1);
	assert_string_equal(c.vms[1].nics[0], "default mac=02:00:00:00:00:01");
	assert_false(c.vms[1].log_console);
	assert_true(c.vms[1].testdev);
	assert_false(c.vms[1].autostart);
}

static void test_bad_vms(UNUSED void **state)
{
	char many[512] = "", *p = many;

	read_bad("[vm.a]\nkernel = \"k\"\n", 1, 1, "[vm.a]: memory is missing");
	read_bad("[vm.a]\nmemory = \"1MiB\"\n[vm.b]\nmemory = \"1MiB\"\nkernel = \"k\"\n", 1, 1,
		 "[vm.a]: kernel is missing");
	read_bad("[vm.a]\nvcpus = 65\n", 2, 9, "vm.a.vcpus: expected an integer from 1 to 64");
	read_bad(
		"[vm.a]\nmemory = \"100\"\n", 2, 10,
		"vm.a.memory: expected a size such as \"512MiB\", 64 KiB or more, a multiple of 4 KiB");
	read_bad("[vm.a]\ndisk = 1\n", 2, 1,
		 "unknown key disk in [vm.a]; known are memory, vcpus, weight, cap, kernel, "
		 "modules, initrd, disks, nics, cmdline, log_console, testdev, autostart");
	read_bad("[vm.a]\ninitrd = \"\"\n", 2, 10, "vm.a.initrd: expected a boot module's name");
	read_bad("[vm.a]\ndisks = \"root.img\"\n", 2, 9,
		 "vm.a.disks: expected an array of at most 4 strings such as "
		 "\"root.img size=4GiB ro\", found a string");
	read_bad("[vm.a]\ndisks = ['1', '2', '3', '4', '5']\n", 2, 9,
		 "vm.a.disks: expected an array of at most 4 strings such as "
		 "\"root.img size=4GiB ro\"");
	read_bad("[vm.a]\nnics = ['']\n", 2, 8,
		 "vm.a.nics: expected an array of at most 4 strings such as "
		 "\"default mac=02:00:00:00:00:01\"");
	read_bad("[vm.a]\nlog_console = 'no'\n", 2, 15,
		 "vm.a.log_console: expected true or false, found a string");
	read_bad("[vm.a]\ntestdev = 1\n", 2, 11,
		 "vm.a.testdev: expected true or false, found an integer");
	for (u32 i = 0; i < 5; i++)
		p += sprintf(p, "[vm.v%u]\nmemory = \"1MiB\"\nkernel = \"k\"\n", i);
	sprintf(p, "[vm.a234567890123456789012345678901x]\n");
	read_bad(many, 16, 2, "the name of a VM has 1 to 31 letters, digits, '-' and '_'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_init),  cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_vms),          cmocka_unit_test(test_bad_vms),
		cmocka_unit_test(test_bounds_good),  cmocka_unit_test(test_bounds_bad),
		cmocka_unit_test(test_name_bad),     cmocka_unit_test(test_types),
		cmocka_unit_test(test_unknown),      cmocka_unit_test(test_unknown_long),
		cmocka_unit_test(test_syntax_error), cmocka_unit_test(test_cmdline),
		cmocka_unit_test(test_cmdline_bad),  cmocka_unit_test(test_init_none),
		cmocka_unit_test(test_init_good),    cmocka_unit_test(test_init_cmdline),
		cmocka_unit_test(test_init_bad),     cmocka_unit_test(test_init_unreadable),
		cmocka_unit_test(test_nics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
