/* SPDX-License-Identifier: MIT */
/* The node's configuration: what a key of tern.toml may hold is one row of a table. */
#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/config.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/netdev.h>

#define COM_BASE_RATE 115200 /* bit/s of a 16550 whose divisor latch holds 1 */
#define COM_PORT      0x3f8  /* COM1 */
#define COM_IRQ       4
#define COM_REGISTERS 8 /* I/O ports of a 16550 */

#define VM_ROWS       "vm.NAME" /* the rows of all tables of VMs */
#define VM_TABLE      "vm."     /* what the names of all tables of VMs begin with */
#define VM_MEMORY_MIN KiB(64)
#define VM_MEMORY_MAX GiB(65536)
#define VM_VCPUS_MAX  64
#define VM_WEIGHT_MAX 65536
#define VM_WEIGHT     256

#define NIC_EXPECTED \
	"a PCI address such as \"00:03.0\" or a MAC address such as \"52:54:00:12:34:51\""

#define KNOWN_MAX 128u /* names of the tables, or of the keys of one */

static struct config loaded;
static bool ready; /* loaded holds something */
static enum config_state state;
static struct toml_error error;

/* Takes a value of the row's type; false when it is not one of those the row allows. */
typedef bool set_fn(struct config *c, const struct toml_value *v);

/* The characters of a name. */
static bool name_ok(const char *name)
{
	size_t len = strlen(name);

	for (const char *s = name; *s != '\0'; s++) {
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= 'A' && *s <= 'Z') &&
		    !(*s >= '0' && *s <= '9') && strchr("-_.", *s) == NULL)
			return false;
	}
	return len > 0 && len < CONFIG_NAME_MAX;
}

static bool set_name(struct config *c, const struct toml_value *v)
{
	if (!name_ok(v->str))
		return false;
	str_copy(c->name, v->str, sizeof(c->name));
	return true;
}

static bool set_port(struct config *c, const struct toml_value *v)
{
	if (v->num < 1 || v->num > UINT16_MAX + 1 - COM_REGISTERS)
		return false;
	c->com_port = (u16)v->num;
	return true;
}

static bool set_speed(struct config *c, const struct toml_value *v)
{
	if (v->num < 1200 || v->num > COM_BASE_RATE || COM_BASE_RATE % v->num != 0)
		return false;
	c->com_speed = (u32)v->num;
	return true;
}

/* IRQ 2 is where the second 8259 hangs on the first: no device can have it. */
static bool set_irq(struct config *c, const struct toml_value *v)
{
	if (v->num < 0 || v->num > 15 || v->num == 2)
		return false;
	c->com_irq = (u32)v->num;
	return true;
}

static bool set_screen(struct config *c, const struct toml_value *v)
{
	c->screen = v->num != 0;
	return true;
}

static bool set_level(struct config *c, const struct toml_value *v)
{
	return log_level_parse(v->str, &c->log_level);
}

static bool set_panic(struct config *c, const struct toml_value *v)
{
	bool reboot = strcmp(v->str, "reboot") == 0;

	if (!reboot && strcmp(v->str, "stop") != 0)
		return false;
	c->panic_reboot = reboot;
	return true;
}

static bool set_nic(const struct toml_value *v, char out[CONFIG_NIC_MAX])
{
	struct netdev_which which;

	return netdev_which_parse(v->str, &which) &&
	       str_copy(out, v->str, CONFIG_NIC_MAX) < CONFIG_NIC_MAX;
}

static bool set_fabric_nic(struct config *c, const struct toml_value *v)
{
	return set_nic(v, c->fabric_nic);
}

static bool set_uplink_nic(struct config *c, const struct toml_value *v)
{
	return set_nic(v, c->uplink_nic);
}

/* --- [vm.NAME]: the table that the file is in is the last one --- */

static struct config_vm *this_vm(struct config *c)
{
	return &c->vms[c->vm_count - 1];
}

static bool set_vm_memory(struct config *c, const struct toml_value *v)
{
	u64 bytes;

	if (str_to_size(v->str, &bytes) != 0 || bytes < VM_MEMORY_MIN || bytes > VM_MEMORY_MAX ||
	    bytes % PAGE_SIZE != 0)
		return false;
	this_vm(c)->memory = bytes;
	return true;
}

/* A number from least to most. */
static bool set_number(const struct toml_value *v, s64 least, s64 most, u32 *out)
{
	if (v->num < least || v->num > most)
		return false;
	*out = (u32)v->num;
	return true;
}

static bool set_vm_vcpus(struct config *c, const struct toml_value *v)
{
	return set_number(v, 1, VM_VCPUS_MAX, &this_vm(c)->vcpus);
}

static bool set_vm_weight(struct config *c, const struct toml_value *v)
{
	return set_number(v, 1, VM_WEIGHT_MAX, &this_vm(c)->weight);
}

static bool set_vm_cap(struct config *c, const struct toml_value *v)
{
	return set_number(v, 0, 100, &this_vm(c)->cap);
}

static bool set_file(const char *text, char out[CONFIG_VM_FILE_MAX])
{
	return text[0] != '\0' && str_copy(out, text, CONFIG_VM_FILE_MAX) < CONFIG_VM_FILE_MAX;
}

static bool set_vm_kernel(struct config *c, const struct toml_value *v)
{
	return set_file(v->str, this_vm(c)->kernel);
}

static bool set_vm_initrd(struct config *c, const struct toml_value *v)
{
	return set_file(v->str, this_vm(c)->initrd);
}

/* An array of at most max texts. */
static bool set_list(const struct toml_value *v, char out[][CONFIG_VM_FILE_MAX], u32 max,
		     u32 *count)
{
	const char *item = v->str;

	if (v->count > max)
		return false;
	for (u32 i = 0; i < v->count; i++) {
		if (!set_file(item, out[i]))
			return false;
		item += strlen(item) + 1;
	}
	*count = v->count;
	return true;
}

static bool set_vm_modules(struct config *c, const struct toml_value *v)
{
	return set_list(v, this_vm(c)->modules, CONFIG_VM_MODULES, &this_vm(c)->module_count);
}

static bool set_vm_disks(struct config *c, const struct toml_value *v)
{
	return set_list(v, this_vm(c)->disks, CONFIG_VM_DISKS, &this_vm(c)->disk_count);
}

static bool set_vm_nics(struct config *c, const struct toml_value *v)
{
	return set_list(v, this_vm(c)->nics, CONFIG_VM_NICS, &this_vm(c)->nic_count);
}

static bool set_vm_cmdline(struct config *c, const struct toml_value *v)
{
	return str_copy(this_vm(c)->cmdline, v->str, CONFIG_VM_CMDLINE_MAX) < CONFIG_VM_CMDLINE_MAX;
}

static bool set_vm_log_console(struct config *c, const struct toml_value *v)
{
	this_vm(c)->log_console = v->num != 0;
	return true;
}

static bool set_vm_testdev(struct config *c, const struct toml_value *v)
{
	this_vm(c)->testdev = v->num != 0;
	return true;
}

static bool set_vm_autostart(struct config *c, const struct toml_value *v)
{
	this_vm(c)->autostart = v->num != 0;
	return true;
}

/* For the keys that only ternboot.efi acts on. */
static bool set_nothing(UNUSED struct config *c, UNUSED const struct toml_value *v)
{
	return true;
}

/* docs/tern.toml.md has the same rows; the rows of one table stand together. */
static const struct rule {
	const char *table, *key;
	enum toml_type type;
	set_fn *set;
	const char *expected;
} rules[] = {
	{"node", "name", TOML_STRING, set_name,
	 "a string of 1 to 31 letters, digits, '-', '_' and '.'"},
	{"node", "panic", TOML_STRING, set_panic, "\"stop\" or \"reboot\""},
	{"console", "port", TOML_INT, set_port, "an integer from 1 to 0xfff8"},
	{"console", "speed", TOML_INT, set_speed,
	 "an integer from 1200 to 115200 that divides 115200"},
	{"console", "irq", TOML_INT, set_irq, "an integer from 0 (no IRQ) to 15, but not 2"},
	{"console", "screen", TOML_BOOL, set_screen, "true or false"},
	{"log", "level", TOML_STRING, set_level, "\"error\", \"warn\", \"info\" or \"debug\""},
	{"fabric", "nic", TOML_STRING, set_fabric_nic, NIC_EXPECTED},
	{"uplink", "nic", TOML_STRING, set_uplink_nic, NIC_EXPECTED},
	{"boot", "modules", TOML_ARRAY, set_nothing, "an array of strings"},
	{"boot", "cmdline", TOML_STRING, set_nothing, "a string"},
	{VM_ROWS, "memory", TOML_STRING, set_vm_memory,
	 "a size such as \"512MiB\", 64 KiB or more, a multiple of 4 KiB"},
	{VM_ROWS, "vcpus", TOML_INT, set_vm_vcpus, "an integer from 1 to 64"},
	{VM_ROWS, "weight", TOML_INT, set_vm_weight, "an integer from 1 to 65536"},
	{VM_ROWS, "cap", TOML_INT, set_vm_cap, "an integer from 0 (none) to 100"},
	{VM_ROWS, "kernel", TOML_STRING, set_vm_kernel, "a boot module's name"},
	{VM_ROWS, "modules", TOML_ARRAY, set_vm_modules, "an array of at most 8 boot modules"},
	{VM_ROWS, "initrd", TOML_STRING, set_vm_initrd, "a boot module's name"},
	{VM_ROWS, "disks", TOML_ARRAY, set_vm_disks,
	 "an array of at most 4 strings such as \"root.img size=4GiB ro\""},
	{VM_ROWS, "nics", TOML_ARRAY, set_vm_nics,
	 "an array of at most 4 strings such as \"default mac=02:00:00:00:00:01\""},
	{VM_ROWS, "cmdline", TOML_STRING, set_vm_cmdline, "a string of at most 511 bytes"},
	{VM_ROWS, "log_console", TOML_BOOL, set_vm_log_console, "true or false"},
	{VM_ROWS, "testdev", TOML_BOOL, set_vm_testdev, "true or false"},
	{VM_ROWS, "autostart", TOML_BOOL, set_vm_autostart, "true or false"},
};

struct reading {
	struct config *config;
	u32 key_count;
};

/* Lists the known tables, or with a table its known keys; "" when there is no such table. */
static void list_known(const char *table, char *buf, size_t size)
{
	const char *last = "";
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];

		if (table == NULL && strcmp(r->table, last) != 0)
			n += (size_t)fmt_str(buf + n, size - n, "%s[%s]", n > 0 ? ", " : "",
					     r->table);
		if (table != NULL && strcmp(r->table, table) == 0)
			n += (size_t)fmt_str(buf + n, size - n, "%s%s", n > 0 ? ", " : "", r->key);
		if (n >= size)
			return;
		last = r->table;
	}
}

/* The name under which a table stands in the rows: all VMs have the same. */
static const char *rows_of(const char *table)
{
	return str_starts(table, VM_TABLE) ? VM_ROWS : table;
}

/* A VM that the file has told all about. */
static int check_vm(const struct config *c, struct toml_error *err)
{
	const struct config_vm *vm;

	if (c->vm_count == 0)
		return 0;
	vm = &c->vms[c->vm_count - 1];
	if (vm->memory != 0 && vm->kernel[0] != '\0')
		return 0;
	return toml_fail(err, vm->line, 1, "[vm.%s]: %s is missing", vm->name,
			 vm->memory == 0 ? "memory" : "kernel");
}

static int begin_vm(struct config *c, const char *name, const struct toml_value *v,
		    struct toml_error *err)
{
	int rc = check_vm(c, err);

	if (rc != 0)
		return rc;
	if (!name_ok(name))
		return toml_fail(err, v->line, v->col,
				 "the name of a VM has 1 to 31 letters, digits, '-' and '_'");
	if (c->vm_count == CONFIG_VMS_MAX)
		return toml_fail(err, v->line, v->col, "more than %u VMs", CONFIG_VMS_MAX);
	c->vm_count++;
	*this_vm(c) = (struct config_vm){.vcpus = 1,
					 .weight = VM_WEIGHT,
					 .log_console = true,
					 .autostart = true,
					 .line = v->line};
	str_copy(this_vm(c)->name, name, CONFIG_NAME_MAX);
	return 0;
}

static int read_header(struct config *c, const char *table, const struct toml_value *v,
		       struct toml_error *err)
{
	char known[KNOWN_MAX];

	if (str_starts(table, VM_TABLE) && strchr(table + strlen(VM_TABLE), '.') == NULL)
		return begin_vm(c, table + strlen(VM_TABLE), v, err);
	list_known(table, known, sizeof(known));
	if (known[0] != '\0' && strcmp(table, VM_ROWS) != 0)
		return 0;
	list_known(NULL, known, sizeof(known));
	return toml_fail(err, v->line, v->col, "unknown table [%.40s]; known are %s", table, known);
}

static int unknown_key(const char *table, const char *key, const struct toml_value *v,
		       struct toml_error *err)
{
	char known[KNOWN_MAX];

	list_known(table[0] != '\0' ? rows_of(table) : NULL, known, sizeof(known));
	if (table[0] == '\0')
		return toml_fail(err, v->line, v->key_col,
				 "%.40s stands in no table; known tables are %s", key, known);
	return toml_fail(err, v->line, v->key_col, "unknown key %.40s in [%s]; known are %s", key,
			 table, known);
}

static int read_event(const char *table, const char *key, const struct toml_value *v,
		      struct toml_error *err, void *arg)
{
	static const char *const types[] = {
		[TOML_STRING] = "a string",
		[TOML_INT] = "an integer",
		[TOML_BOOL] = "a boolean",
		[TOML_ARRAY] = "an array",
	};
	struct reading *reading = arg;

	if (key == NULL)
		return read_header(reading->config, table, v, err);
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];

		if (strcmp(rows_of(table), r->table) != 0 || strcmp(key, r->key) != 0)
			continue;
		if (v->type != r->type)
			return toml_fail(err, v->line, v->col, "%s.%s: expected %s, found %s",
					 table, key, r->expected, types[v->type]);
		if (!r->set(reading->config, v))
			return toml_fail(err, v->line, v->col, "%s.%s: expected %s", table, key,
					 r->expected);
		reading->key_count++;
		return 0;
	}
	return unknown_key(table, key, v, err);
}

/* config_read() that also counts the keys. */
static int read_text(const char *text, size_t len, struct config *c, u32 *key_count,
		     struct toml_error *err)
{
	struct reading reading = {.config = c};
	int rc = toml_parse(text, len, read_event, &reading, err);

	if (rc == 0)
		rc = check_vm(c, err);
	if (rc != 0)
		config_defaults(c);
	*key_count = reading.key_count;
	return rc;
}

void config_defaults(struct config *c)
{
	memset(c, 0, sizeof(*c));
	str_copy(c->name, "tern", sizeof(c->name));
	c->com_port = COM_PORT;
	c->com_speed = COM_BASE_RATE;
	c->com_irq = COM_IRQ;
	c->screen = true;
	c->log_level = LOG_INFO;
}

int config_read(const char *text, size_t len, struct config *c, struct toml_error *err)
{
	u32 key_count = 0;

	return read_text(text, len, c, &key_count, err);
}

/* PORT[,SPEED[,IRQ]]; all of it or nothing. */
static bool apply_console(const char *text, struct config *c)
{
	static set_fn *const set[] = {set_port, set_speed, set_irq};
	const u16 port = c->com_port;
	const u32 speed = c->com_speed, irq = c->com_irq;

	for (size_t i = 0;; i++) {
		const char *comma = strchr(text, ',');
		struct toml_value v = {.type = TOML_INT};
		char word[24];
		u64 n;

		str_copy(word, text, sizeof(word));
		if (comma != NULL && comma < text + sizeof(word))
			word[comma - text] = '\0';
		if (i == ARRAY_SIZE(set) || str_to_u64(word, &n) != 0 || n > INT64_MAX)
			break;
		v.num = (s64)n;
		if (!set[i](c, &v))
			break;
		if (comma == NULL)
			return true;
		text = comma + 1;
	}
	c->com_port = port;
	c->com_speed = speed;
	c->com_irq = irq;
	return false;
}

static bool apply_log(const char *text, struct config *c)
{
	return set_level(c, &(struct toml_value){.type = TOML_STRING, .str = text});
}

static bool apply_panic(const char *text, struct config *c)
{
	return set_panic(c, &(struct toml_value){.type = TOML_STRING, .str = text});
}

static bool apply_screen(const char *text, struct config *c)
{
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return false;
	c->screen = strcmp(text, "on") == 0;
	return true;
}

void config_apply_cmdline(const char *cmdline, struct config *c)
{
	static const struct {
		const char *key;
		bool (*apply)(const char *text, struct config *c);
		const char *expected;
	} words[] = {
		{"console", apply_console, "PORT[,SPEED[,IRQ]] such as 0x3f8,115200,4"},
		{"log", apply_log, "error, warn, info or debug"},
		{"screen", apply_screen, "on or off"},
		{"panic", apply_panic, "stop or reboot"},
	};
	char value[64];

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (boot_info_option(cmdline, words[i].key, value, sizeof(value)) &&
		    !words[i].apply(value, c))
			log_warn("command line: %s=%s is ignored: expected %s", words[i].key, value,
				 words[i].expected);
	}
}

const struct config *config_get(void)
{
	if (!ready)
		config_defaults(&loaded);
	ready = true;
	return &loaded;
}

enum config_state config_state(const struct toml_error **err)
{
	*err = state == CONFIG_BAD ? &error : NULL;
	return state;
}

static int read_module(const struct boot_module *module, u32 *key_count)
{
	const char *text = "";

	/* Before the parser sees it, so that nothing that large is mapped. */
	if (module->len > TOML_TEXT_MAX)
		return toml_fail(&error, 1, 1, "the file is longer than %u bytes", TOML_TEXT_MAX);
	if (module->len > 0)
		text = arch_map_ro(hpa(module->base), module->len);
	if (text == NULL)
		return toml_fail(&error, 1, 1, "the boot module cannot be mapped");
	return read_text(text, module->len, &loaded, key_count, &error);
}

void config_init(void)
{
	const struct boot_info *bi = boot_info_get();
	const struct boot_module *module = boot_info_module(bi, CONFIG_MODULE);
	u32 key_count = 0;

	config_defaults(&loaded);
	ready = true;
	if (module == NULL) {
		state = CONFIG_NONE;
		log_info("config: no boot module %s: defaults", CONFIG_MODULE);
	} else if (read_module(module, &key_count) == 0) {
		state = CONFIG_OK;
		log_info("config: %s: %u keys", CONFIG_MODULE, key_count);
	} else {
		state = CONFIG_BAD;
		log_err("%s:%u:%u: %s", CONFIG_MODULE, error.line, error.col, error.text);
		log_err("config: %s is ignored as a whole: defaults", CONFIG_MODULE);
	}
	config_apply_cmdline(bi->cmdline, &loaded);
}
