/* SPDX-License-Identifier: MIT */
/*
 * The peer of `make bench`: the only program of a Linux that runs in the same emulator. As init it loads
 * KVM's modules, then runs the same Multiboot guest (/guest) as Tern does, on the raw KVM interface
 * (Documentation/virt/kvm/api.rst) with KVM's interrupt controllers in the kernel. COM1 and the exit
 * port are handled here, in user space, with nothing else on the way back.
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define GUEST_BYTES            (96u << 20)
#define INFO_ADDR              0x8000u
#define MAP_ADDR               0x8100u
#define TSS_ADDR               0xfffbd000u /* three pages of the guest's space that VT-x may need */
#define MULTIBOOT_LOADER_MAGIC 0x2badb002u
#define MULTIBOOT_INFO_MMAP    (1u << 6)
#define COM1                   0x3f8
#define COM1_LSR               0x3fd
#define LSR_IDLE               0x60
#define EXIT_PORT              0xf4
#define CPUID_ENTRIES          128u
#define CPUID_1_C_HYPERVISOR   (1u << 31) /* KVM leaves it to us */
#define SEG_CODE_READ          11
#define SEG_DATA_WRITE         3

struct machine {
	int vm, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
};

/* Multiboot 1 specification 3.3. */
struct mb_map_entry {
	uint32_t size;
	uint64_t base, len;
	uint32_t type;
} __attribute__((packed));

/* Off, when the last byte has left the serial port. */
static void power_off(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void finish(const char *why)
{
	perror(why);
	printf("kvmbench: failed\n");
	power_off();
}

static int must(int result, const char *what)
{
	if (result < 0)
		finish(what);
	return result;
}

static void load_modules(void)
{
	static const char *const modules[] = {"/irqbypass.ko", "/kvm.ko", "/kvm-intel.ko"};

	must(mount("devtmpfs", "/dev", "devtmpfs", 0, NULL), "mount /dev");
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		int fd = must(open(modules[i], O_RDONLY), modules[i]);

		must((int)syscall(SYS_finit_module, fd, "", 0), modules[i]);
		close(fd);
	}
}

/* Memory in small pages, as a VMM gets it when no huge page is free: one first touch, one 4 KiB page. */
static void make_memory(struct machine *m)
{
	struct kvm_userspace_memory_region region = {.memory_size = GUEST_BYTES};

	m->memory =
		mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->memory == MAP_FAILED)
		finish("mmap");
	must(madvise(m->memory, GUEST_BYTES, MADV_NOHUGEPAGE), "madvise");
	region.userspace_addr = (uintptr_t)m->memory;
	must(ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

static uint32_t load_guest(struct machine *m)
{
	static uint8_t file[1 << 20];
	int fd = must(open("/guest", O_RDONLY), "/guest");
	size_t size = (size_t)must((int)read(fd, file, sizeof(file)), "/guest");
	const Elf32_Ehdr *head = (const Elf32_Ehdr *)file;

	if (size < sizeof(*head) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
		finish("/guest is no ELF file");
	for (uint32_t i = 0; i < head->e_phnum; i++) {
		const Elf32_Phdr *p = (const Elf32_Phdr *)(file + head->e_phoff) + i;

		if (p->p_type == PT_LOAD)
			memcpy(m->memory + p->p_paddr, file + p->p_offset, p->p_filesz);
	}
	return head->e_entry;
}

static void write_info(struct machine *m)
{
	struct mb_map_entry map[] = {{20, 0, 640u << 10, 1},
				     {20, 1u << 20, GUEST_BYTES - (1u << 20), 1}};
	uint32_t info[13] = {MULTIBOOT_INFO_MMAP};

	info[11] = sizeof(map);
	info[12] = MAP_ADDR;
	memcpy(m->memory + INFO_ADDR, info, sizeof(info));
	memcpy(m->memory + MAP_ADDR, map, sizeof(map));
}

static struct kvm_segment flat(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){.limit = 0xffffffff,
				    .selector = selector,
				    .type = type,
				    .present = 1,
				    .db = 1,
				    .s = 1,
				    .g = 1};
}

static void make_vcpu(struct machine *m, int kvm, uint32_t entry)
{
	size_t bytes = sizeof(struct kvm_cpuid2) + CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2);
	struct kvm_cpuid2 *cpuid = calloc(1, bytes);
	struct kvm_regs regs = {
		.rip = entry, .rax = MULTIBOOT_LOADER_MAGIC, .rbx = INFO_ADDR, .rflags = 2};
	struct kvm_sregs sregs;

	m->vcpu = must(ioctl(m->vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	m->run = mmap(NULL, (size_t)must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "mmap size"),
		      PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
	if (m->run == MAP_FAILED || !cpuid)
		finish("vcpu memory");
	cpuid->nent = CPUID_ENTRIES;
	must(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= CPUID_1_C_HYPERVISOR;
	}
	must(ioctl(m->vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
	free(cpuid);
	must(ioctl(m->vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = flat(0x08, SEG_CODE_READ);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat(0x10, SEG_DATA_WRITE);
	sregs.cr0 |= 1;
	must(ioctl(m->vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	must(ioctl(m->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

/* True when the guest has written to the exit port: *code is what. */
static bool port_io(struct kvm_run *run, uint32_t *code)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	if (run->io.direction == KVM_EXIT_IO_IN) {
		memset(data, run->io.port == COM1_LSR ? LSR_IDLE : 0, run->io.size);
		return false;
	}
	if (run->io.port == COM1)
		fwrite(data, 1, 1, stdout);
	if (run->io.port != EXIT_PORT)
		return false;
	*code = 0;
	memcpy(code, data, run->io.size);
	return true;
}

int main(void)
{
	struct kvm_pit_config pit = {0};
	struct machine m = {0};
	uint32_t code;
	int kvm;

	setvbuf(stdout, NULL, _IOLBF, 4096);
	load_modules();
	kvm = must(open("/dev/kvm", O_RDWR), "/dev/kvm");
	m.vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	must(ioctl(m.vm, KVM_SET_TSS_ADDR, TSS_ADDR), "KVM_SET_TSS_ADDR");
	must(ioctl(m.vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	must(ioctl(m.vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
	make_memory(&m);
	write_info(&m);
	make_vcpu(&m, kvm, load_guest(&m));
	for (;;) {
		must(ioctl(m.vcpu, KVM_RUN, 0), "KVM_RUN");
		if (m.run->exit_reason != KVM_EXIT_IO) {
			printf("kvmbench: exit reason %u\n", m.run->exit_reason);
			finish("KVM_RUN");
		}
		if (port_io(m.run, &code))
			break;
	}
	printf("kvmbench: done, code %u\n", code);
	power_off();
	return 0;
}
