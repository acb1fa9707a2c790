/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/vmx/vmx_tlb.c tests/fake/fake_tlb.c tests/fake/fake_host.c */
/*
 * CPUs that remember translations until they are told to forget them, VMs that come, go and get the
 * roots and VPIDs of others, vCPUs that move about. Every mapping has a number that is never used twice;
 * a guest that gets at one which was taken from it has found a hole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arch/x86_64/vmx/vmx_regs.h>
#include <arch/x86_64/vmx/vmx_tlb.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_tlb.h>

#define CPUS      4u
#define VMS       3u
#define ROOTS     4u /* few, so that they are used again */
#define VCPUS     3u /* of a VM */
#define PAGES     3u
#define NUMBERS   400000u
#define ROOT_BASE 0x10000u

struct model_vcpu {
	struct vmx_vcpu v;
	u32 at;            /* CPU that it is loaded on, CPUS: none */
	u64 linear[PAGES]; /* what the guest's own tables say */
};

static struct model_vm {
	struct vm vm;
	struct vmx_vm x;
	bool used;
	u64 pages[PAGES]; /* what the EPT says */
	struct model_vcpu vcpus[VCPUS];
} vms[VMS];

static struct {
	struct model_vm *vm; /* of the vCPU that is loaded here */
	struct model_vcpu *vcpu;
	bool inside, kicked;
} cpus[CPUS];

static bool gone[NUMBERS]; /* no guest may reach this mapping any more */
static bool root_used[ROOTS];
static u64 numbers;
static u32 seed, waits;

static u32 rnd(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (u32)(((u64)(seed >> 8) * n) >> 24);
}

static u64 number(void)
{
	assert_true(numbers < NUMBERS);
	return numbers++;
}

/* --- what CPUs do --- */

static void load(u32 cpu, struct model_vm *m, struct model_vcpu *c)
{
	fake_cpu_set(cpu);
	assert_null(cpus[cpu].vcpu);
	cpus[cpu].vm = m;
	cpus[cpu].vcpu = c;
	c->at = cpu;
	(void)vmx_tlb_load(&c->v, cpu);
}

static void enter(u32 cpu)
{
	fake_cpu_set(cpu);
	vmx_tlb_enter(&cpus[cpu].vcpu->v);
	fake_tlb_cross();
	cpus[cpu].inside = true;
	cpus[cpu].kicked = false;
}

static void leave(u32 cpu)
{
	fake_cpu_set(cpu);
	fake_tlb_cross();
	vmx_tlb_leave(&cpus[cpu].vcpu->v);
	cpus[cpu].inside = false;
}

static void unload(u32 cpu)
{
	if (cpus[cpu].inside)
		leave(cpu);
	if (cpus[cpu].vcpu != NULL)
		cpus[cpu].vcpu->at = CPUS;
	cpus[cpu].vcpu = NULL;
}

/* The guest uses every page it has. */
static void use(u32 cpu)
{
	const struct model_vm *m = cpus[cpu].vm;
	const struct model_vcpu *c = cpus[cpu].vcpu;
	u64 root = m->x.ept_pointer;

	fake_cpu_set(cpu);
	for (u64 i = 0; i < PAGES; i++) {
		u64 got = fake_tlb_use(root, FAKE_TLB_PHYSICAL, i, m->pages[i]);

		if (gone[got])
			fail_msg("CPU %u reaches page %lu, which was taken", cpu, i);
		/* A page of the guest's linear addresses, through the same EPT. */
		got = fake_tlb_use(root, c->v.vpid, i, c->linear[i]);
		if (gone[got])
			fail_msg("CPU %u reaches linear page %lu as it was", cpu, i);
		/* Combined mappings hold what the EPT says, too. */
		got = fake_tlb_use(root, c->v.vpid, PAGES + i, m->pages[i]);
		if (gone[got])
			fail_msg("CPU %u reaches page %lu through VPID %u", cpu, i, c->v.vpid);
	}
}

/* --- somebody waits for the other CPUs --- */

static void kicked(u32 cpu)
{
	cpus[cpu].kicked = true;
}

static void relaxed(void)
{
	u32 self = pcpu_self()->index, cpu = rnd(CPUS);

	if (++waits > 10000)
		fail_msg("it waits for a CPU that does not know");
	if (cpu != self && cpus[cpu].inside) {
		if (cpus[cpu].kicked) {
			leave(cpu);
			if (rnd(2) == 0)
				enter(cpu); /* it is back before anybody has looked */
		} else {
			use(cpu);
		}
	}
	fake_cpu_set(self);
}

static void flush(u32 cpu, struct model_vm *m)
{
	fake_cpu_set(cpu);
	waits = 0;
	vmx_npt_flush(&m->vm);
	assert_int_equal(pcpu_self()->index, cpu);
}

/* --- VMs --- */

static void create(struct model_vm *m)
{
	u32 root = rnd(ROOTS);

	while (root_used[root])
		root = (root + 1) % ROOTS;
	root_used[root] = true;
	memset(m, 0, sizeof(*m));
	m->used = true;
	m->vm.arch = &m->x;
	m->x.ept_pointer = ROOT_BASE + root;
	vmx_tlb_vm_init(&m->x);
	for (u32 i = 0; i < PAGES; i++)
		m->pages[i] = number();
	for (u32 n = 0; n < VCPUS; n++) {
		struct model_vcpu *c = &m->vcpus[n];

		c->at = CPUS;
		c->v.vm = &m->x;
		vmx_tlb_vcpu_init(&c->v);
		for (u32 i = 0; i < PAGES; i++)
			c->linear[i] = number();
	}
}

static void destroy(u32 cpu, struct model_vm *m)
{
	for (u32 i = 0; i < CPUS; i++) {
		if (cpus[i].vcpu != NULL && cpus[i].vm == m)
			unload(i);
	}
	flush(cpu, m);
	for (u32 i = 0; i < PAGES; i++) {
		gone[m->pages[i]] = true;
		for (u32 n = 0; n < VCPUS; n++)
			gone[m->vcpus[n].linear[i]] = true;
	}
	for (u32 n = 0; n < VCPUS; n++)
		vmx_tlb_vcpu_end(&m->vcpus[n].v);
	root_used[m->x.ept_pointer - ROOT_BASE] = false;
	m->used = false;
	m->vm.arch = NULL;
}

/* Takes pages from a guest, as gmem does: entry, flush, and then they are somebody else's. */
static void take_pages(u32 cpu, struct model_vm *m)
{
	u64 old[PAGES];
	u32 mask = 1 + rnd((1u << PAGES) - 1);

	memcpy(old, m->pages, sizeof(old));
	for (u32 i = 0; i < PAGES; i++) {
		if ((mask >> i & 1) != 0)
			m->pages[i] = number();
	}
	flush(cpu, m);
	for (u32 i = 0; i < PAGES; i++) {
		if ((mask >> i & 1) != 0)
			gone[old[i]] = true;
	}
	/* Guests run on, also where a kick is still on its way. */
	for (u32 i = 0; i < CPUS; i++) {
		if (cpus[i].inside)
			use(i);
	}
}

/* The guest changes its own tables and tells this CPU, as software must. */
static void change_linear(u32 cpu)
{
	struct model_vcpu *c = cpus[cpu].vcpu;
	u32 i = rnd(PAGES);

	fake_cpu_set(cpu);
	gone[c->linear[i]] = true;
	c->linear[i] = number();
	fake_tlb_invlpg(c->v.vpid, i);
}

/* The same by an instruction that Tern executes for it. */
static void change_linear_emulated(u32 cpu)
{
	struct model_vcpu *c = cpus[cpu].vcpu;

	fake_cpu_set(cpu);
	for (u32 i = 0; i < PAGES; i++) {
		gone[c->linear[i]] = true;
		c->linear[i] = number();
	}
	vmx_flush_linear(&c->v);
}

static void step_empty(u32 cpu)
{
	struct model_vm *m = &vms[rnd(VMS)];
	struct model_vcpu *c = &m->vcpus[rnd(VCPUS)];

	if (m->used && c->at == CPUS)
		load(cpu, m, c);
}

static void step_inside(u32 cpu)
{
	if (cpus[cpu].kicked || rnd(4) == 0)
		leave(cpu);
	else if (rnd(3) == 0)
		change_linear(cpu);
	else
		use(cpu);
}

static void step_loaded(u32 cpu)
{
	switch (rnd(5)) {
	case 0:
		unload(cpu);
		break;
	case 1:
		change_linear_emulated(cpu);
		break;
	default:
		enter(cpu);
		use(cpu);
		break;
	}
}

static void step(void)
{
	u32 cpu = rnd(CPUS);
	struct model_vm *m = &vms[rnd(VMS)];

	if (!cpus[cpu].inside && rnd(4) == 0) {
		if (!m->used)
			create(m);
		else if (rnd(6) == 0)
			destroy(cpu, m);
		else
			take_pages(cpu, m);
	} else if (cpus[cpu].vcpu == NULL) {
		step_empty(cpu);
	} else if (cpus[cpu].inside) {
		step_inside(cpu);
	} else {
		step_loaded(cpu);
	}
}

static void start(bool has_vpid)
{
	fake_reset();
	fake_cpus(CPUS);
	fake_tlb_reset();
	fake_kicked = kicked;
	fake_relaxed = relaxed;
	memset(vms, 0, sizeof(vms));
	memset(cpus, 0, sizeof(cpus));
	memset(gone, 0, sizeof(gone));
	memset(root_used, 0, sizeof(root_used));
	numbers = 1;
	seed = 11;
	vmx_caps.proc2.use = has_vpid ? PROC2_VPID : 0;
}

static void end(void)
{
	for (u32 i = 0; i < CPUS; i++)
		unload(i);
	for (u32 i = 0; i < VMS; i++) {
		if (vms[i].used)
			destroy(0, &vms[i]);
	}
}

static void test_random(void **state)
{
	(void)state;
	for (u32 run = 0; run < 8; run++) {
		start(run % 4 != 3);
		seed = run;
		for (u32 i = 0; i < 20000; i++)
			step();
		end();
		assert_true(fake_invepts > 1000);
		assert_int_equal(fake_invvpids > 0, run % 4 != 3);
	}
}

/* As few as possible: the first entry on a CPU, one a flush, none else. */
static void test_invalidations_are_counted(void **state)
{
	struct model_vm *m = &vms[0];

	(void)state;
	start(true);
	create(m);
	load(1, m, &m->vcpus[0]);
	assert_int_equal(fake_invvpids, 1);
	for (u32 i = 0; i < 5; i++) {
		enter(1);
		leave(1);
	}
	assert_int_equal(fake_invepts, 1);
	flush(0, m);
	flush(0, m);
	flush(1, m);
	assert_int_equal(fake_invepts, 1);
	assert_int_equal(fake_kicks, 0); /* nobody is inside */
	for (u32 i = 0; i < 5; i++) {
		enter(1);
		leave(1);
	}
	assert_int_equal(fake_invepts, 2);
	unload(1);
	load(1, m, &m->vcpus[0]);
	assert_int_equal(fake_invvpids, 1);
	unload(1);
	load(2, m, &m->vcpus[0]);
	assert_int_equal(fake_invvpids, 2);
	enter(2);
	assert_int_equal(fake_invepts, 3);
	flush(0, m);
	assert_int_equal(fake_kicks, 1);
	/* Another VM's guest is not disturbed. */
	create(&vms[1]);
	load(3, &vms[1], &vms[1].vcpus[0]);
	enter(3);
	if (!cpus[2].inside)
		enter(2);
	flush(0, m);
	assert_int_equal(fake_kicks, 2);
	assert_false(cpus[3].kicked);
	end();
}

/* All VPIDs are given out once, then 0; one that was given back is given out again. */
static void test_vpids(void **state)
{
	static struct vmx_vcpu v[VMS_MAX * VCPUS_PER_VM_MAX + 1];
	static bool seen[VMS_MAX * VCPUS_PER_VM_MAX + 1];
	u32 last = VMS_MAX * VCPUS_PER_VM_MAX;

	(void)state;
	start(true);
	memset(seen, 0, sizeof(seen));
	for (u32 i = 0; i < last; i++) {
		vmx_tlb_vcpu_init(&v[i]);
		assert_in_range(v[i].vpid, 1, last);
		assert_false(seen[v[i].vpid]);
		seen[v[i].vpid] = true;
		assert_int_equal(v[i].cpu, CPUS_MAX);
	}
	vmx_tlb_vcpu_init(&v[last]);
	assert_int_equal(v[last].vpid, 0);
	vmx_flush_linear(&v[last]); /* INVVPID of 0 would fail */
	vmx_tlb_vcpu_end(&v[last]);
	vmx_tlb_vcpu_end(&v[70]);
	vmx_tlb_vcpu_init(&v[last]);
	assert_int_equal(v[last].vpid, v[70].vpid);
	v[70].vpid = 0;
	for (u32 i = 0; i <= last; i++)
		vmx_tlb_vcpu_end(&v[i]);
}

/* A VM that never ran has nothing to flush. */
static void test_never_ran(void **state)
{
	struct vm vm = {.arch = NULL};

	(void)state;
	start(true);
	vmx_npt_flush(&vm);
	assert_int_equal(fake_kicks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_invalidations_are_counted),
		cmocka_unit_test(test_vpids),
		cmocka_unit_test(test_never_ran),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
