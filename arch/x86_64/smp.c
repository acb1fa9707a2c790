/* SPDX-License-Identifier: MIT */
/*
 * Starts the other CPUs (SDM vol. 3A 9.4.4.1): INIT to all, one wait, then a start-up message for
 * each in turn, so that the page below 1 MiB and its parameters serve one CPU at a time.
 */
#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/boot_info.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/init.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/main.h>
#include <tern/pcpu.h>
#include <tern/timer.h>
#include <tern/trace.h>

#include "apic.h"
#include "apic_regs.h"
#include "cpu.h"
#include "cpu_info_arch.h"
#include "hpt.h"
#include "x86.h"

extern const char entry_ap_start[], entry_ap_end[], entry_ap_params[];

struct ap_params {
	u64 cr3, rsp, pcpu, entry;
};

#define INIT_WAIT_US    10000u
#define STARTUP_WAIT_US 1000u
#define ONLINE_WAIT_US  200000u

/* The start page must be RAM that nobody uses: the first MiB never goes to the allocator. The
 * lowest pages hold the real-mode vectors and what firmware and loaders keep there. */
#define LOW_FIRST 0x8000u
#define LOW_END   0x9f000u

static u64 find_low_page(void)
{
	const struct boot_info *bi = boot_info_get();

	for (u32 i = 0; i < bi->mem_count; i++) {
		u64 base = max_u64(bi->mem[i].base, LOW_FIRST);

		if (bi->mem[i].type == BOOT_MEM_RAM &&
		    base + PAGE_SIZE <= min_u64(bi->mem[i].base + bi->mem[i].len, LOW_END))
			return base;
	}
	return 0;
}

/* First C code of another CPU, on its own stack. */
static NORETURN void ap_entry(struct pcpu *pc)
{
	cpu_set_control_registers();
	traps_load(pc);
	apic_cpu_init();
	cpu_info_fill(pc);
	__atomic_store_n(&pc->online, 1, __ATOMIC_RELEASE);
	main_ap(pc);
}

static int cpu_prepare(struct pcpu *pc)
{
	int rc = stacks_map(pc);

	if (rc == 0)
		rc = frames_cpu_init(pc);
	if (rc == 0)
		rc = trace_cpu_init(pc);
	if (rc == 0)
		rc = timer_cpu_init(pc);
	if (rc == 0)
		init_canary(pc);
	return rc;
}

static bool wait_online(const struct pcpu *pc, u32 us)
{
	for (u32 waited = 0; waited < us; waited += 10) {
		if (__atomic_load_n(&pc->online, __ATOMIC_ACQUIRE) != 0)
			return true;
		arch_delay_us(10);
	}
	return false;
}

static void start_one(struct pcpu *pc, u64 page, struct ap_params *params)
{
	struct cpu *cpu = pc->arch;
	u32 startup = ICR_STARTUP | ICR_ASSERT | (u32)(page >> PAGE_SHIFT);

	*params = (struct ap_params){hpt_root().v, cpu->stack_top, (u64)pc, (u64)ap_entry};
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	apic_send(pc->apic_id, startup);
	if (!wait_online(pc, STARTUP_WAIT_US)) {
		apic_send(pc->apic_id, startup);
		if (!wait_online(pc, ONLINE_WAIT_US)) {
			log_warn("smp: CPU %u (APIC id %u) did not start; going on without it",
				 pc->index, pc->apic_id);
			/* Should it wake up late, it must not take another CPU's parameters. */
			apic_send(pc->apic_id, ICR_INIT | ICR_ASSERT);
			return;
		}
	}
	trace_write(TRACE_CPU, pc->index, pc->apic_id);
}

static void start_all(void)
{
	u64 page = find_low_page();
	char *low;

	if (page == 0 || hpt_map(page, hpa(page), PAGE_SIZE, HPT_CODE) != 0) {
		log_warn(
			"smp: no free page below 640 KiB to start the other CPUs; going on with one");
		return;
	}
	low = phys_to_virt(hpa(page));
	memcpy(low, entry_ap_start, (size_t)(entry_ap_end - entry_ap_start));
	for (u32 i = 1; i < pcpu_count(); i++)
		apic_send(pcpu_get(i)->apic_id, ICR_INIT | ICR_ASSERT);
	arch_delay_us(INIT_WAIT_US);
	for (u32 i = 1; i < pcpu_count(); i++) {
		if (cpu_prepare(pcpu_get(i)) != 0) {
			log_warn("smp: no memory for CPU %u; going on with %u", i, i);
			break;
		}
		start_one(pcpu_get(i), page,
			  (struct ap_params *)(void *)(low + (entry_ap_params - entry_ap_start)));
	}
	hpt_unmap_page(page);
}

void init_other_cpus(void)
{
	if (pcpu_count() > 1)
		start_all();
	if (TERN_DEBUG)
		log_debug("smp: %lu host pages mapped, none writable and executable", hpt_audit());
}

void init_cpu_list(void)
{
	const struct acpi_info *acpi = acpi_get();
	struct pcpu *boot = pcpu_get(0);
	u32 dropped = acpi->cpus_dropped;

	for (u32 i = 0; i < acpi->cpu_count; i++) {
		const struct acpi_cpu *c = &acpi->cpus[i];
		struct pcpu *pc;

		if (c->apic_id == boot->apic_id) {
			boot->acpi_uid = c->uid;
			boot->node = c->node;
			continue;
		}
		if (!c->usable || (c->apic_id > 254 && !apic_is_x2()))
			continue;
		pc = pcpu_add(c->apic_id, c->uid);
		if (pc == NULL) {
			dropped++;
			continue;
		}
		pc->node = c->node;
	}
	if (dropped > 0)
		log_warn("smp: %u CPUs are beyond the %u that Tern uses", dropped, CPUS_MAX);
}
