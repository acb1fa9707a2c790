/* SPDX-License-Identifier: MIT */
/* Shell commands about VMs: vm, exits, top. */
#include "commands.h"

#include <tern/arch.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/pcpu.h>
#include <tern/timer.h>
#include <tern/vm.h>

#define PERMILLE 1000u

/* A VM by name or id; says so when there is none. */
static struct vm *named(const char *name)
{
	struct vm *vm = vm_find(name);

	if (vm == NULL)
		console_printf("there is no VM '%s'; 'vm list' shows them\n", name);
	return vm;
}

static u64 vm_used(struct vm *vm)
{
	u64 used = 0;

	for (u32 i = 0; i < vm->vcpu_count; i++)
		used += sched_used(vm->vcpus[i]);
	return used;
}

static int vm_list(UNUSED struct vm *none, UNUSED int argc, UNUSED char **argv)
{
	struct vm *vm;

	console_printf("  id  %-20s %-8s vcpus  advertised      backed  reason\n", "name", "state");
	for (u32 i = 0; (vm = vm_get(i)) != NULL; i++) {
		struct gmem_stats st;
		char told[16], backed[16];

		gmem_get_stats(&vm->mem, &st);
		console_printf("%4u  %-20s %-8s %5u  %10s  %10s  %s\n", vm->id, vm->name,
			       vm_state_name(vm->state), vm->vcpu_count,
			       fmt_size(told, sizeof(told), st.advertised),
			       fmt_size(backed, sizeof(backed), st.backed), vm->reason);
	}
	return 0;
}

/* --- vm create --- */

static bool set_u32(const char *text, u32 *out)
{
	u64 v;

	if (str_to_u64(text, &v) != 0 || v > UINT32_MAX)
		return false;
	*out = (u32)v;
	return true;
}

/* Splits "A,B" in place. */
static bool set_modules(char *text, struct vm_config *c)
{
	for (;;) {
		char *comma = strchr(text, ',');

		if (c->module_count == ARRAY_SIZE(c->modules) || *text == '\0' || *text == ',')
			return false;
		c->modules[c->module_count++] = text;
		if (comma == NULL)
			return true;
		*comma = '\0';
		text = comma + 1;
	}
}

/* One more text of a list. */
static bool set_next(const char *value, const char **list, u32 max, u32 *count)
{
	if (*count == max || *value == '\0')
		return false;
	list[(*count)++] = value;
	return true;
}

static bool set_switch(const char *text, bool *out)
{
	*out = strcmp(text, "on") == 0;
	return *out || strcmp(text, "off") == 0;
}

/* One "key=value" of vm create whose value is more than a text. */
static bool set_checked(const char *key, char *value, struct vm_config *c)
{
	if (strcmp(key, "memory") == 0)
		return str_to_size(value, &c->memory) == 0;
	if (strcmp(key, "modules") == 0)
		return set_modules(value, c);
	if (strcmp(key, "vcpus") == 0)
		return set_u32(value, &c->vcpus);
	if (strcmp(key, "weight") == 0)
		return set_u32(value, &c->weight) && c->weight != 0;
	if (strcmp(key, "cap") == 0)
		return set_u32(value, &c->cap);
	if (strcmp(key, "disk") == 0)
		return set_next(value, c->disks, ARRAY_SIZE(c->disks), &c->disk_count);
	if (strcmp(key, "nic") == 0)
		return set_next(value, c->nics, ARRAY_SIZE(c->nics), &c->nic_count);
	if (strcmp(key, "testdev") == 0)
		return set_switch(value, &c->testdev);
	if (strcmp(key, "log") != 0 || !set_switch(value, &c->log_off))
		return false;
	c->log_off = !c->log_off;
	return true;
}

static bool set_option(char *word, struct vm_config *c)
{
	char *value = strchr(word, '=');

	if (value == NULL)
		return false;
	*value++ = '\0';
	if (strcmp(word, "kernel") == 0)
		c->kernel = value;
	else if (strcmp(word, "initrd") == 0)
		c->initrd = value;
	else if (strcmp(word, "cmdline") == 0)
		c->cmdline = value;
	else
		return set_checked(word, value, c);
	return true;
}

static int vm_make(UNUSED struct vm *none, int argc, char **argv)
{
	struct vm_config c = {.vcpus = 1};
	char why[VM_REASON_MAX];

	if (argc < 3)
		return -TERN_EINVAL;
	c.name = argv[2];
	for (int i = 3; i < argc; i++) {
		if (!set_option(argv[i], &c)) {
			console_printf("'%s' is no option, or its value is wrong\n", argv[i]);
			return -TERN_EINVAL;
		}
	}
	if (c.memory == 0 || c.kernel == NULL)
		return -TERN_EINVAL;
	if (vm_create(&c, why, sizeof(why)) != 0)
		console_printf("%s: not created: %s\n", c.name, why);
	return 0;
}

/* --- vm start, stop, ... --- */

static int stop(struct vm_locked l)
{
	return vm_stop(l, "stopped by the operator");
}

static int change(struct vm *vm, int (*action)(struct vm_locked l), const char *name)
{
	struct vm_locked l = {.vm = vm, .token = lock_take(&vm->lock)};
	enum vm_state state = vm->state;
	int rc = action(l);

	vm_unlock(l);
	if (rc != 0)
		console_printf("%s: it is %s: no %s\n", vm->name, vm_state_name(state), name);
	return 0;
}

static int vm_do_start(struct vm *vm, UNUSED int argc, char **argv)
{
	return change(vm, vm_start, argv[1]);
}

static int vm_do_stop(struct vm *vm, UNUSED int argc, char **argv)
{
	return change(vm, stop, argv[1]);
}

static int vm_do_kill(struct vm *vm, UNUSED int argc, char **argv)
{
	return change(vm, vm_destroy, argv[1]);
}

static int reset(struct vm_locked l)
{
	return vm_reset(l, "reset by the operator");
}

static int vm_do_reset(struct vm *vm, UNUSED int argc, char **argv)
{
	return change(vm, reset, argv[1]);
}

/* The power button: whether it has an effect is the guest's affair. */
static int vm_do_shutdown(struct vm *vm, UNUSED int argc, UNUSED char **argv)
{
	vpm_power_button(vm->platform.pm);
	return 0;
}

static int vm_do_pause(struct vm *vm, UNUSED int argc, char **argv)
{
	return change(vm, vm_pause, argv[1]);
}

static int vm_do_resume(struct vm *vm, UNUSED int argc, char **argv)
{
	return change(vm, vm_resume, argv[1]);
}

/* --- vm info, stats, send --- */

static int vm_info(struct vm *vm, UNUSED int argc, UNUSED char **argv)
{
	char told[16], grant[16], backed[16], tables[16];
	struct gmem_stats st;

	gmem_get_stats(&vm->mem, &st);
	console_printf("%s: id %u, %s%s%s\n", vm->name, vm->id, vm_state_name(vm->state),
		       vm->reason[0] != '\0' ? ": " : "", vm->reason);
	console_printf("  memory: %s advertised, %s grant, %s backed, %s page tables\n",
		       fmt_size(told, sizeof(told), st.advertised),
		       fmt_size(grant, sizeof(grant), st.grant),
		       fmt_size(backed, sizeof(backed), st.backed),
		       fmt_size(tables, sizeof(tables), st.tables));
	vm_show_agent(vm);
	console_printf("  weight %u, cap ", vm->weight);
	if (vm->cap != 0)
		console_printf("%u %%\n", vm->cap);
	else
		console_printf("none\n");
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *vc = vm->vcpus[i];
		enum vcpu_state state = __atomic_load_n(&vc->state, __ATOMIC_ACQUIRE);

		console_printf("  vCPU %u: %s, CPU %u", i, vcpu_state_name(state), vc->sched.cpu);
		if (state == VCPU_STALLED)
			console_printf(", at 0x%llx", (unsigned long long)vc->stalled_at.v);
		console_printf("\n");
	}
	return 0;
}

static int vm_stats(struct vm *vm, UNUSED int argc, UNUSED char **argv)
{
	struct gmem_stats st;

	gmem_get_stats(&vm->mem, &st);
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		u64 ticks = sched_used(vm->vcpus[i]), exits = 0;

		for (u32 k = 0; k < STAT_COUNT; k++)
			exits += __atomic_load_n(&vm->vcpus[i]->exits[k].count, __ATOMIC_RELAXED);
		console_printf("vCPU %u: %llu ticks, %llu ms, %llu exits\n", i,
			       (unsigned long long)ticks,
			       (unsigned long long)(timer_tsc_to_us(ticks) / 1000),
			       (unsigned long long)exits);
	}
	console_printf("memory: %llu pages backed, %llu faults that backed some, %llu stalls\n",
		       (unsigned long long)(st.backed >> PAGE_SHIFT), (unsigned long long)st.faults,
		       (unsigned long long)st.stalls);
	return 0;
}

static int vm_send(struct vm *vm, int argc, char **argv)
{
	size_t len, n;

	if (argc != 4)
		return -TERN_EINVAL;
	len = strlen(argv[3]);
	n = vuart_input(vm->platform.uart, argv[3], len);
	if (n < len || vuart_input(vm->platform.uart, "\r", 1) == 0)
		console_printf("%s: its port had room for %zu bytes\n", vm->name, n);
	return 0;
}

static const struct action {
	const char *name;
	int (*run)(struct vm *vm, int argc, char **argv);
	int argc; /* 0: checks itself */
	bool takes_vm;
} actions[] = {
	{"agent", vm_agent, 0, true},          {"console", vm_console, 0, true},
	{"create", vm_make, 0, false},         {"dump", vm_show_dump, 3, true},
	{"grant", vm_grant, 0, true},          {"info", vm_info, 3, true},
	{"kill", vm_do_kill, 3, true},         {"list", vm_list, 2, false},
	{"pause", vm_do_pause, 3, true},       {"reset", vm_do_reset, 3, true},
	{"resume", vm_do_resume, 3, true},     {"send", vm_send, 0, true},
	{"shutdown", vm_do_shutdown, 3, true}, {"start", vm_do_start, 3, true},
	{"stats", vm_stats, 3, true},          {"stop", vm_do_stop, 3, true},
	{"tools", vm_do_tools, 0, true},
};

int cmd_vm(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(actions); i++) {
		const struct action *a = &actions[i];
		struct vm *vm = NULL;

		if (strcmp(argv[1], a->name) != 0)
			continue;
		if ((a->argc != 0 && argc != a->argc) || (a->takes_vm && argc < 3))
			return -TERN_EINVAL;
		if (a->takes_vm) {
			vm = named(argv[2]);
			if (vm == NULL)
				return 0;
		}
		return a->run(vm, argc, argv);
	}
	return -TERN_EINVAL;
}

static const char *vm_name(u32 i)
{
	const struct vm *vm = vm_get(i);

	return vm != NULL ? vm->name : NULL;
}

const char *complete_vm(int arg, u32 i)
{
	if (arg == 1)
		return i < ARRAY_SIZE(actions) ? actions[i].name : NULL;
	return arg == 2 ? vm_name(i) : NULL;
}

const char *complete_exits(int arg, u32 i)
{
	return arg == 1 ? vm_name(i) : NULL;
}

static void show_exit(struct vm *vm, enum exit_stat stat)
{
	u64 count = 0, ticks = 0, ops[OP_COUNT] = {0};

	for (u32 i = 0; i < vm->vcpu_count; i++) {
		const struct exit_count *c = &vm->vcpus[i]->exits[stat];

		count += __atomic_load_n(&c->count, __ATOMIC_RELAXED);
		ticks += __atomic_load_n(&c->ticks, __ATOMIC_RELAXED);
		for (u32 o = 0; o < OP_COUNT; o++)
			ops[o] += __atomic_load_n(&c->ops[o], __ATOMIC_RELAXED);
	}
	if (count == 0)
		return;
	console_printf("%-18s %14llu %16llu %10llu", exit_stat_name(stat),
		       (unsigned long long)count, (unsigned long long)ticks,
		       (unsigned long long)(ticks / count));
	/* In tenths: an exit that sometimes needs one more shows. */
	for (u32 o = 0; TERN_COUNT && o < OP_COUNT; o++)
		console_printf(" %5llu.%llu", (unsigned long long)(ops[o] / count),
			       (unsigned long long)(ops[o] * 10 / count % 10));
	console_printf("\n");
}

int cmd_exits(int argc, char **argv)
{
	struct vm *vm;

	if (argc != 2)
		return -TERN_EINVAL;
	vm = named(argv[1]);
	if (vm == NULL)
		return 0;
	console_printf("%-18s %14s %16s %10s%s\n", "exit", "count", "ticks", "per exit",
		       TERN_COUNT ? "  VMREAD VMWRITE   WRMSR" : "");
	for (u32 k = 0; k < STAT_COUNT; k++)
		show_exit(vm, k);
	return 0;
}

/* What the last 'top' saw, by VM id: a slot of the table can be another VM's now. */
static struct {
	u32 id;
	u64 used;
} seen[VMS_MAX];
static u64 seen_at;

static u64 used_before(u32 id)
{
	for (u32 i = 0; i < VMS_MAX; i++) {
		if (seen[i].id == id)
			return seen[i].used;
	}
	return 0;
}

int cmd_top(int argc, UNUSED char **argv)
{
	u64 now = arch_tsc(), elapsed = now - seen_at, used[VMS_MAX];
	struct vm *vm;
	u32 n = 0;

	if (argc != 1)
		return -TERN_EINVAL;
	console_printf("%llu ms since the last look, %u CPUs\n",
		       (unsigned long long)(timer_tsc_to_us(elapsed) / 1000), pcpu_online_count());
	console_printf("%-20s %-8s %8s\n", "VM", "state", "CPU");
	for (; (vm = vm_get(n)) != NULL; n++) {
		u64 share;

		used[n] = vm_used(vm);
		share = (used[n] - used_before(vm->id)) / max_u64(elapsed / PERMILLE, 1);
		console_printf("%-20s %-8s %5llu.%llu %%\n", vm->name, vm_state_name(vm->state),
			       (unsigned long long)(share / 10), (unsigned long long)(share % 10));
	}
	for (u32 i = 0; i < VMS_MAX; i++) {
		seen[i].id = i < n ? vm_get(i)->id : 0;
		seen[i].used = i < n ? used[i] : 0;
	}
	seen_at = now;
	return 0;
}
