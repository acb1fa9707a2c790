/* SPDX-License-Identifier: MIT */
/* Boot: every subsystem in its order, one line each, down to the shell. */
#include <tern/main.h>

#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/config.h>
#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/init.h>
#include <tern/irq.h>
#include <tern/layout.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/mem.h>
#include <tern/netdev.h>
#include <tern/panic.h>
#include <tern/pci.h>
#include <tern/pcpu.h>
#include <tern/sched.h>
#include <tern/scrub.h>
#include <tern/shell.h>
#include <tern/timer.h>
#include <tern/trace.h>
#include <tern/uplink.h>
#include <tern/virt.h>
#include <tern/vm.h>

#define VGA_TEXT_BASE 0xb8000u
#define VGA_TEXT_SIZE 0x1000u
#define ZERO_BATCH    16u    /* frames zeroed between two looks at the keyboard */
#define POLL_US       10000u /* shell and VMs get a look this often, whatever guests do */

static struct timer poll_timer;
static u64 boot_ticks;

u64 main_boot_ticks(void)
{
	return boot_ticks;
}

/* The log of this boot lies where the next one finds it, unless a loader put something there. */
static bool log_place_free(const struct boot_info *bi)
{
	u64 base = LAYOUT_LOG_PHYS, end = base + LAYOUT_LOG_SIZE;
	bool ram = false;

	for (u32 i = 0; i < bi->mem_count; i++) {
		const struct boot_mem *m = &bi->mem[i];

		if (m->type == BOOT_MEM_RAM && m->base <= base && end <= m->base + m->len)
			ram = true;
	}
	for (u32 i = 0; i < bi->module_count; i++) {
		const struct boot_module *m = &bi->modules[i];

		if (m->base < end && base < m->base + m->len)
			return false;
	}
	return ram && (bi->image_base >= end || bi->image_base + bi->image_len <= base);
}

/* The direct map holds 64 TiB; RAM beyond it cannot be used. The map is sorted. */
static void cut_memory(struct boot_info *bi)
{
	while (bi->mem_count > 0) {
		struct boot_mem *last = &bi->mem[bi->mem_count - 1];

		if (last->base + last->len <= LAYOUT_DIRECT_SIZE)
			return;
		if (last->type == BOOT_MEM_RAM)
			log_warn("memory: RAM past 64 TiB, near %#lx, is not used", last->base);
		if (last->base < LAYOUT_DIRECT_SIZE) {
			last->len = LAYOUT_DIRECT_SIZE - last->base;
			return;
		}
		bi->mem_count--;
	}
}

static void start_memory(struct boot_info *bi, bool keep_log)
{
	const struct mem_hole log_hole = {LAYOUT_LOG_PHYS, LAYOUT_LOG_SIZE, "log"};

	cut_memory(bi);
	mem_boot_init(bi, &log_hole, keep_log ? 1 : 0);
	init_page_tables(bi);
}

static void start_log(bool keep_log)
{
	hpa_t ring = keep_log ? hpa(LAYOUT_LOG_PHYS) : mem_boot_alloc(LAYOUT_LOG_SIZE, PAGE_SIZE);
	hpa_t prev = mem_boot_alloc(LAYOUT_LOG_SIZE, PAGE_SIZE);

	if (ring.v == 0 || prev.v == 0) {
		log_warn("log: no memory for it; only the newest lines are kept");
		return;
	}
	log_init_ring(phys_to_virt(ring), LAYOUT_LOG_SIZE, phys_to_virt(prev), LAYOUT_LOG_SIZE);
	if (!keep_log)
		log_warn("log: its place at %#x is taken; this log will not survive a restart",
			 LAYOUT_LOG_PHYS);
}

static void start_screen(const struct boot_info *bi)
{
	if (bi->fb.base != 0) {
		void *fb =
			arch_map_framebuffer(hpa(bi->fb.base), (u64)bi->fb.pitch * bi->fb.height);

		if (fb == NULL || framebuffer_init(&bi->fb, fb) != 0)
			log_warn("screen: the framebuffer cannot be used");
	} else if (bi->text_screen != 0) {
		void *text = arch_map_mmio(hpa(VGA_TEXT_BASE), VGA_TEXT_SIZE);

		if (text == NULL || vga_text_init(text) != 0)
			log_warn("screen: the text screen cannot be used");
	}
}

static void start_consoles(const struct boot_info *bi)
{
	const struct config *c = config_get();

	log_set_console_level(c->log_level);
	panic_set_reboot(c->panic_reboot);
	if (e9_init() != 0)
		log_debug("console: no port e9");
	if (uart_init(c->com_port, c->com_speed) != 0)
		log_warn("console: no serial port at %#x; there will be no shell. "
			 "Set console.port in tern.toml or console= on the command line",
			 c->com_port);
	if (c->screen)
		start_screen(bi);
}

static void start_uart_irq(void)
{
	const struct config *c = config_get();
	int vector;

	if (c->com_irq == 0 || c->com_irq > 15)
		return;
	vector = irq_alloc("serial port", uart_interrupt, NULL);
	if (vector < 0)
		return;
	if (irq_route_isa((u8)c->com_irq, vector) != 0) {
		log_warn("console: no I/O APIC for IRQ %u; the serial port is polled", c->com_irq);
		irq_free(vector);
		return;
	}
	uart_irq_on();
}

static void start_cpu_data(struct pcpu *pc)
{
	if (frames_cpu_init(pc) != 0 || trace_cpu_init(pc) != 0 || timer_cpu_init(pc) != 0)
		panic("no memory for the boot CPU's own data");
	init_stacks(pc);
}

static void report_memory(void)
{
	struct mem_stats st;
	char total[16], given[16];

	mem_get_stats(&st);
	log_info("memory: %s RAM, %s free, %u NUMA node%s",
		 fmt_size(total, sizeof(total), st.total), fmt_size(given, sizeof(given), st.given),
		 acpi_get()->node_count, acpi_get()->node_count == 1 ? "" : "s");
}

static void report_modules(const struct boot_info *bi)
{
	for (u32 i = 0; i < bi->module_count; i++)
		log_info("boot: module %s, %lu bytes", bi->modules[i].name, bi->modules[i].len);
}

/* This CPU can run guests from here on. One that cannot has no run queue. */
static void start_guests(struct pcpu *pc)
{
	const struct virt_ops *ops = virt_ops_get();
	bool irqs = arch_irq_off();

	if (ops != NULL && ops->cpu_enable(pc) == 0 && sched_cpu_init(pc) != 0)
		log_err("smp: no memory for the run queue of CPU %u: it runs no guests", pc->index);
	if (irqs)
		arch_irq_on();
}

static void poll_again(struct timer *t)
{
	struct pcpu *pc = pcpu_self();

	__atomic_or_fetch(&pc->work, PCPU_WORK_POLL, __ATOMIC_RELAXED);
	timer_start(t, arch_tsc() + timer_us_to_tsc(POLL_US));
}

/* Cleans memory for a moment; false when there is none to clean. */
static bool clean_memory(void)
{
	return scrub_some(ZERO_BATCH) || frames_zero_some(ZERO_BATCH) > 0;
}

/* Sleeps until the next interrupt, unless a vCPU or other work came while nobody looked. */
static void sleep(const struct pcpu *pc)
{
	arch_irq_off();
	if (sched_runnable() || __atomic_load_n(&pc->work, __ATOMIC_RELAXED) != 0)
		arch_irq_on();
	else
		arch_idle();
}

/*
 * The boot CPU's life: NICs, keys, guests, idle work, then sleep. The poll timer takes it out of a guest. VMs
 * that die and memory that waits to be cleaned get a little at every poll, though guests never sleep.
 */
static NORETURN void run_boot_cpu(void)
{
	struct pcpu *pc = pcpu_self();

	for (;;) {
		u32 work = __atomic_exchange_n(&pc->work, 0, __ATOMIC_ACQ_REL);

		if (work != 0 && netdev_poll_all())
			__atomic_or_fetch(&pc->work, PCPU_WORK_NET, __ATOMIC_RELAXED);
		if ((work & PCPU_WORK_POLL) != 0) {
			vm_idle_work();
			scrub_some(ZERO_BATCH);
			vm_poll();
		}
		if (shell_poll() || vcpu_run_slice() || vm_idle_work() || clean_memory())
			continue;
		sleep(pc);
	}
}

/* The second half of boot, on a stack with a guard page. */
static NORETURN void main_continue(void)
{
	const struct boot_info *bi = boot_info_get();

	init_interrupts();
	init_cpu_list();
	arch_irq_on();
	start_guests(pcpu_self());
	init_other_cpus();
	log_info("smp: %u of %u CPUs online", pcpu_online_count(), pcpu_count());
	pci_init();
	log_info("pci: %u devices by %s", pci_device_count(), pci_access_name());
	netdev_init();
	if (config_get()->uplink_nic[0] != '\0')
		uplink_start(config_get()->uplink_nic);
	start_uart_irq();
	poll_timer.fn = poll_again;
	poll_timer.name = "console poll";
	poll_again(&poll_timer);
	boot_ticks = arch_tsc() - bi->entry_tsc;
	log_info("boot: %lu ticks from the loader to the prompt", boot_ticks);
	shell_start();
	vm_create_configured();
	run_boot_cpu();
}

void main_start(struct boot_info *bi)
{
	bool keep_log;

	pcpu_init();
	init_canary(pcpu_self());
	init_cpu_early();
	log_info("Tern %s, started by %s", tern_version, bi->loader_name);
	boot_info_set(bi);
	keep_log = log_place_free(bi);
	start_memory(bi, keep_log);
	acpi_init(bi->rsdp);
	init_clock();
	config_init();
	start_log(keep_log);
	start_consoles(bi);
	report_modules(bi);
	init_frames();
	report_memory();
	start_cpu_data(pcpu_self());
	init_switch_stack(main_continue);
}

void main_ap(struct pcpu *pc)
{
	start_guests(pc);
	for (;;) {
		if (!vcpu_run_slice() && !clean_memory())
			sleep(pc);
	}
}
