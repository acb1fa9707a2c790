/* SPDX-License-Identifier: MIT */
#include "fake_node.h"

#include "fake_host.h"

#include <hv/shell/commands.h>
#include <stdio.h>
#include <string.h>
#include <tern/drivers.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/irq.h>
#include <tern/lib.h>
#include <tern/main.h>
#include <tern/pci.h>
#include <tern/scrub.h>
#include <tern/timer.h>
#include <tern/trace.h>
#include <tern/vm.h>

struct fake_node fake_node;
const char tern_version[] = "test-version";

static void set_boot_info(struct boot_info *bi)
{
	strcpy(bi->loader_name, "GRUB 2.06");
	strcpy(bi->cmdline, "console=0x3f8 quiet");
	bi->image_base = 0x200000;
	bi->image_len = 0x40000;
	bi->mem_count = 2;
	bi->mem[0] = (struct boot_mem){.base = 0, .len = 0x9f000, .type = BOOT_MEM_RAM};
	bi->mem[1] = (struct boot_mem){.base = MiB(1), .len = MiB(511), .type = BOOT_MEM_RAM};
	bi->module_count = 1;
	bi->modules[0] = (struct boot_module){.base = MiB(4), .len = 100, .name = "tern.toml"};
}

static void set_acpi(struct acpi_info *a)
{
	a->rsdp = 0xf5a40;
	a->table_count = 2;
	a->tables_bad = 1;
	a->tables[0] =
		(struct acpi_table){.sig = "FACP", .base = 0x1ffe0000, .len = 244, .ok = true};
	a->tables[1] = (struct acpi_table){
		.sig = "HPET", .base = 0x1ffe1000, .len = 56, .why = "checksum"};
	a->madt = true;
	a->cpu_count = 2;
	a->cpus[0].usable = true;
	a->fadt = true;
	a->reset_reg = (struct acpi_gas){.space = ACPI_SPACE_IO, .width = 8, .addr = 0xcf9};
	a->reset_value = 6;
	a->node_count = 1;
}

static void set_cpu(struct cpu_info *c)
{
	strcpy(c->vendor, "GenuineIntel");
	strcpy(c->model, "Fake CPU");
	c->tsc_hz = 1000000000;
	c->tsc_source = "HPET";
	c->virt = CPU_VIRT_VTX;
	c->virt_usable = true;
	c->feature_count = 3;
	c->features[0] = (struct cpu_feature){"EPT", true};
	c->features[1] = (struct cpu_feature){"unrestricted guest", true};
	c->features[2] = (struct cpu_feature){"posted interrupts", false};
}

void fake_node_reset(void)
{
	memset(&fake_node, 0, sizeof(fake_node));
	set_boot_info(&fake_node.boot);
	set_acpi(&fake_node.acpi);
	strcpy(fake_node.config.name, "tern");
	fake_node.config.com_port = 0x3f8;
	fake_node.config.com_speed = 115200;
	fake_node.config.com_irq = 4;
	fake_node.config.screen = true;
	fake_node.config.log_level = LOG_INFO;
	for (u32 i = 0; i < CPUS_MAX; i++)
		set_cpu(&fake_node.cpus[i]);
	fake_node.mem = (struct mem_stats){
		.total = MiB(512), .firmware = MiB(1), .image = MiB(1), .given = MiB(510)};
}

const struct boot_info *boot_info_get(void)
{
	return &fake_node.boot;
}

const struct acpi_info *acpi_get(void)
{
	return &fake_node.acpi;
}

const struct config *config_get(void)
{
	return &fake_node.config;
}

enum config_state config_state(const struct toml_error **err)
{
	static const struct toml_error error = {.line = 3, .col = 7, .text = "expected a string"};

	*err = &error;
	return fake_node.config_state;
}

const struct cpu_info *cpu_info_get(u32 cpu_index)
{
	return fake_node.cpu_absent[cpu_index] ? NULL : &fake_node.cpus[cpu_index];
}

u64 main_boot_ticks(void)
{
	return 1234567;
}

u64 pcpu_idle_ticks(const struct pcpu *pc)
{
	(void)pc;
	return fake_tsc / 2;
}

void mem_get_stats(struct mem_stats *st)
{
	*st = fake_node.mem;
}

void frames_get_stats(struct frames_stats *st)
{
	memset(st, 0, sizeof(*st));
	st->total = MiB(510) >> PAGE_SHIFT;
	st->free = st->total - 100;
	st->cached = 20;
	st->zeroed = 30;
	st->free_blocks[FRAME_ORDER_2M] = 17;
}

bool irq_view_get(u32 index, struct irq_view *out)
{
	*out = (struct irq_view){.vector = 0x21, .name = "serial port", .count = 42};
	return index == 0;
}

u64 irq_spurious_count(void)
{
	return 3;
}

static struct pci_device device = {
	.dev = 0x1f,
	.fn = 2,
	.vendor = 0x8086,
	.device = 0x2922,
	.class_code = 1,
	.subclass = 6,
	.irq_pin = 1,
	.irq_line = 11,
	.msi_cap = 0x80,
	.msi_vectors = 4,
	.bars = {{.base = 0xfebf0000, .size = 4096, .is64 = true}},
};

u32 pci_device_count(void)
{
	return 1;
}

u32 pci_devices_dropped(void)
{
	return 0;
}

struct pci_device *pci_device_get(u32 index)
{
	return index == 0 ? &device : NULL;
}

const char *pci_access_name(void)
{
	return "FAKE";
}

const char *pci_class_name(u8 class_code, u8 subclass)
{
	(void)class_code;
	(void)subclass;
	return "fake class";
}

u32 timer_list(const struct pcpu *pc, struct timer_view *out, u32 max)
{
	(void)pc;
	if (max > 0)
		out[0] = (struct timer_view){.name = "console poll",
					     .deadline = fake_tsc + 20000000};
	return 1;
}

u64 timer_tsc_to_us(u64 ticks)
{
	return ticks / 1000;
}

void trace_write(enum trace_event event, u64 a, u64 b)
{
	(void)event;
	(void)a;
	(void)b;
}

const char *trace_event_name(u32 event)
{
	return event == TRACE_IRQ ? "irq" : event == TRACE_SHELL ? "shell" : "?";
}

u32 trace_read(const struct pcpu *pc, struct trace_record *out, u32 max, u64 *lost)
{
	static const struct trace_record records[] = {
		{.tsc = 1000000, .event = TRACE_IRQ, .a = 0x21},
		{.tsc = 2000000, .event = TRACE_SHELL, .a = 0x6563617274},
	};
	u32 n = max < 2 ? max : 2;

	(void)pc;
	*lost = 5;
	memcpy(out, records, n * sizeof(records[0]));
	return n;
}

u64 uart_lost(void)
{
	return 0;
}

u64 uart_tx_lost(void)
{
	return 0;
}

/* No VMs: tests/unit/cmd_vm_test.c has some. */
struct vm *vm_get(u32 index)
{
	(void)index;
	return NULL;
}

/* Whoever asks does not look into it. */
const struct virt_ops *virt_ops_get(void)
{
	static const struct virt_ops ops;

	return fake_node.no_virt ? NULL : &ops;
}

const char *virt_mitigations(char *buf, size_t size)
{
	fmt_str(buf, size, "VERW, RSB fill");
	return buf;
}

u64 scrub_backlog(void)
{
	return 0;
}

void gmem_get_stats(struct gmem *g, struct gmem_stats *st)
{
	(void)g;
	memset(st, 0, sizeof(*st));
}

/* The commands about VMs, which have a test of their own. */
int cmd_vm(int argc, char **argv)
{
	(void)argv;
	return argc == 0 ? 0 : -TERN_EINVAL;
}

int cmd_exits(int argc, char **argv)
{
	return cmd_vm(argc, argv);
}

int cmd_top(int argc, char **argv)
{
	return cmd_vm(argc, argv);
}

const char *complete_vm(int arg, u32 i)
{
	(void)arg;
	(void)i;
	return NULL;
}

const char *complete_exits(int arg, u32 i)
{
	return complete_vm(arg, i);
}

int cmd_switch(int argc, char **argv)
{
	return cmd_vm(argc, argv);
}

const char *complete_switch(int arg, u32 i)
{
	return complete_exits(arg, i);
}

int cmd_nic(int argc, char **argv)
{
	return cmd_vm(argc, argv);
}

const char *complete_nic(int arg, u32 i)
{
	return complete_exits(arg, i);
}
