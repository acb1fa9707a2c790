/* SPDX-License-Identifier: MIT */
#include "fake_virt.h"

#include "fake_frames.h"
#include "fake_host.h"

#include <arch/x86_64/vmx/ept.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/config.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/scrub.h>
#include <tern/vcpu_loop.h>
#include <tern/main.h>
#include <tern/vlapic.h>
#include <tern/wall_clock.h>
#include <tern/timer.h>
#include <tern/trace.h>

#define REQUIRE(cond)                                                              \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

void (*fake_virt_guest)(struct vcpu *vc, u64 until, struct vm_exit *out);
bool fake_virt_absent;
u32 fake_virt_flushes, fake_virt_objects;
int fake_mmio_result;
u32 fake_mmio_value;

static struct boot_info boot;
static u64 module_end;

struct fake_vcpu *fake_vcpu(struct vcpu *vc)
{
	return (struct fake_vcpu *)(void *)vc->arch;
}

static struct fake_vcpu *loaded(struct vcpu *vc)
{
	struct fake_vcpu *f = fake_vcpu(vc);

	REQUIRE(f->loaded && f->cpu == pcpu_self()->index && !arch_irq_enabled());
	return f;
}

static int cpu_enable(struct pcpu *pc)
{
	(void)pc;
	return 0;
}

static void cpu_disable(struct pcpu *pc)
{
	(void)pc;
}

static const struct npt_format *format(void)
{
	return &ept_format;
}

static int vm_create_arch(struct vm *vm)
{
	vm->arch = frames_alloc_page();
	if (vm->arch == NULL)
		return -TERN_ENOMEM;
	fake_virt_objects++;
	return 0;
}

static void vm_destroy_arch(struct vm *vm)
{
	frames_free_page(vm->arch);
	fake_virt_objects--;
}

static int vcpu_create(struct vcpu *vc)
{
	_Static_assert(sizeof(struct fake_vcpu) <= PAGE_SIZE, "one page");
	vc->arch = frames_alloc_page();
	if (vc->arch == NULL)
		return -TERN_ENOMEM;
	vc->gpr = fake_vcpu(vc)->regs;
	fake_virt_objects++;
	return 0;
}

static void vcpu_destroy(struct vcpu *vc)
{
	REQUIRE(!fake_vcpu(vc)->loaded);
	frames_free_page(vc->arch);
	fake_virt_objects--;
}

static void vcpu_reset(struct vcpu *vc)
{
	struct fake_vcpu *f = loaded(vc);

	memset(f->regs, 0, sizeof(f->regs));
	memset(f->segs, 0, sizeof(f->segs));
	f->regs[REG_RIP] = 0xfff0;
	f->segs[SEG_CS] =
		(struct vcpu_seg){.base = 0xffff0000, .selector = 0xf000, .limit = 0xffff};
	f->resets++;
}

static void vcpu_load(struct vcpu *vc)
{
	struct fake_vcpu *f = fake_vcpu(vc);

	REQUIRE(!f->loaded && !arch_irq_enabled());
	f->loaded = true;
	f->cpu = pcpu_self()->index;
}

static void vcpu_unload(struct vcpu *vc)
{
	loaded(vc)->loaded = false;
}

static void enter(struct vcpu *vc, u64 until, struct vm_exit *out)
{
	loaded(vc)->runs++;
	REQUIRE(vc->sched.running && vc->state == VCPU_RUNNABLE);
	memset(out, 0, sizeof(*out));
	vcpu_count_as(vc, STAT_OTHER);
	out->kind = EXIT_HLT;
	if (fake_virt_guest != NULL)
		fake_virt_guest(vc, until, out);
}

static bool vcpu_run(struct vcpu *vc, u64 until)
{
	return vcpu_loop(virt_ops_get(), vc, until, enter);
}

static u64 reg_get(struct vcpu *vc, enum vcpu_reg reg)
{
	return loaded(vc)->regs[reg];
}

static void reg_set(struct vcpu *vc, enum vcpu_reg reg, u64 value)
{
	loaded(vc)->regs[reg] = value;
}

static void seg_get(struct vcpu *vc, enum vcpu_segment seg, struct vcpu_seg *out)
{
	*out = loaded(vc)->segs[seg];
}

static void seg_set(struct vcpu *vc, enum vcpu_segment seg, const struct vcpu_seg *in)
{
	loaded(vc)->segs[seg] = *in;
}

static void skip(struct vcpu *vc, const struct vm_exit *exit)
{
	(void)exit;
	loaded(vc)->skips++;
}

static void pio_done(struct vcpu *vc, const struct vm_exit *exit)
{
	loaded(vc)->pio_dones++;
	fake_vcpu(vc)->pio_value = exit->pio.value;
}

static void inject(struct vcpu *vc, const struct vcpu_event *event)
{
	(void)event;
	loaded(vc);
}

static void npt_flush(struct vm *vm)
{
	REQUIRE(vm->backend);
	fake_virt_flushes++;
}

static const struct virt_ops virt_fake = {
	.name = "fake",
	.cpu_enable = cpu_enable,
	.cpu_disable = cpu_disable,
	.npt_format = format,
	.vm_create = vm_create_arch,
	.vm_destroy = vm_destroy_arch,
	.vcpu_create = vcpu_create,
	.vcpu_destroy = vcpu_destroy,
	.vcpu_reset = vcpu_reset,
	.vcpu_load = vcpu_load,
	.vcpu_unload = vcpu_unload,
	.vcpu_run = vcpu_run,
	.reg_get = reg_get,
	.reg_set = reg_set,
	.seg_get = seg_get,
	.seg_set = seg_set,
	.skip = skip,
	.pio_done = pio_done,
	.inject = inject,
	.npt_flush = npt_flush,
};

const struct virt_ops *virt_ops_get(void)
{
	return fake_virt_absent ? NULL : &virt_fake;
}

int arch_mmio(struct vcpu *vc, gpa_t gpa, bool write, struct mmio_insn *insn)
{
	bool hit;

	loaded(vc);
	*insn = (struct mmio_insn){.len = 2, .bytes = {0x0f, 0x0b}};
	if (fake_mmio_result != 0)
		return fake_mmio_result;
	if (write)
		bus_write(&vc->vm->bus, DEV_MEM, gpa.v, 4, fake_mmio_value, &hit);
	else
		fake_mmio_value = (u32)bus_read(&vc->vm->bus, DEV_MEM, gpa.v, 4, &hit);
	return 0;
}

/* Linear addresses are physical ones. */
int arch_guest_read_linear(struct vcpu *vc, u64 linear, void *buf, u32 len)
{
	loaded(vc);
	return gmem_read(&vc->vm->mem, gpa(linear), buf, len);
}

/* --- the node --- */

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

void fake_module(const char *name, const void *data, size_t len)
{
	struct boot_module *m = &boot.modules[boot.module_count++];

	memset(m, 0, sizeof(*m));
	strcpy(m->name, name);
	m->base = module_end;
	m->len = len;
	memcpy(phys_to_virt(hpa(m->base)), data, len);
	module_end = align_up(module_end + len, PAGE_SIZE);
}

/* A header with addresses: 64 bytes at 1 MiB, entry behind the header. */
static void add_guest(void)
{
	u32 image[16] = {0x1badb002, 1u << 16, 0,        0x100000,
			 0x100000,   0x100040, 0x101000, FAKE_GUEST_ENTRY};

	image[2] = 0u - image[0] - image[1];
	fake_module("guest", image, sizeof(image));
}

void fake_node_start(u32 cpus, u32 frames)
{
	fake_reset();
	fake_cpus(cpus);
	fake_frames_reset(frames);
	fake_virt_guest = NULL;
	fake_virt_absent = false;
	fake_virt_flushes = fake_virt_objects = 0;
	fake_mmio_result = 0;
	for (u32 i = 0; i < cpus; i++) {
		fake_cpu_set(i);
		REQUIRE(timer_cpu_init(pcpu_get(i)) == 0);
		REQUIRE(trace_cpu_init(pcpu_get(i)) == 0);
		REQUIRE(sched_cpu_init(pcpu_get(i)) == 0);
	}
	fake_cpu_set(0);
	memset(&boot, 0, sizeof(boot));
	module_end = FAKE_MODULE_PLACE;
	add_guest();
}

struct vm *fake_vm(const char *name, u32 vcpus, u32 weight, u32 cap)
{
	struct vm_config c = {.name = name,
			      .memory = MiB(2),
			      .vcpus = vcpus,
			      .kernel = "guest",
			      .weight = weight,
			      .cap = cap};
	struct vm_locked l;
	char why[VM_REASON_MAX];

	if (vm_create(&c, why, sizeof(why)) != 0) {
		fprintf(stderr, "vm_create: %s\n", why);
		abort();
	}
	REQUIRE(vm_find_locked(name, &l));
	REQUIRE(vm_start(l) == 0);
	vm_unlock(l);
	return l.vm;
}

void fake_vm_end(void)
{
	struct vm *vm;

	for (u32 i = 0; (vm = vm_get(i)) != NULL; i++) {
		struct vm_locked l = {.vm = vm, .token = lock_take(&vm->lock)};

		REQUIRE(vm->state == VM_DYING || vm_destroy(l) == 0);
		vm_unlock(l);
	}
	while (vm_idle_work() || scrub_some(64))
		;
	REQUIRE(vm_get(0) == NULL && fake_virt_objects == 0);
}

/* --- the local APIC that its guests do not have --- */

int vlapic_create(struct vcpu *vc)
{
	(void)vc;
	return 0;
}

void vlapic_destroy(struct vcpu *vc)
{
	(void)vc;
}

void vlapic_reset(struct vcpu *vc, bool init)
{
	(void)vc;
	(void)init;
}

void vlapic_view(const struct vcpu *vc, struct vlapic_view *out)
{
	(void)vc;
	*out = (struct vlapic_view){.present = true, .irr = {0, 1}, .isr = {1ull << 63}};
}

bool vlapic_wakes(struct vcpu *vc)
{
	(void)vc;
	return false;
}

bool vlapic_takes_extint(const struct vcpu *vc)
{
	(void)vc;
	return false;
}

void vlapic_msi(struct vm *vm, u64 address, u32 data)
{
	(void)vm;
	(void)address;
	(void)data;
}

void vlapic_send(struct vm *vm, const struct apic_message *m)
{
	(void)vm;
	(void)m;
}

/* --- what the node is beside its guests --- */

const char tern_version[] = "test";

u64 wall_clock_unix_seconds(void)
{
	return 0;
}

/* Weak: a test of the shell has the configuration of fake_node.c. */
__attribute__((weak)) const struct config *config_get(void)
{
	static const struct config none;

	return &none;
}
