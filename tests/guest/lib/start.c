/* SPDX-License-Identifier: MIT */
/* From start.S to guest_main(): what the loader said, where we run, and the way out. */
#include "cpu.h"
#include "guest.h"

#define MULTIBOOT_LOADER_MAGIC 0x2badb002u
#define MULTIBOOT_INFO_CMDLINE (1u << 2)
#define MULTIBOOT_INFO_MMAP    (1u << 6)
#define MULTIBOOT_RAM          1u
#define CPUID_HYPERVISOR       0x40000000u
#define CPUID_1_ECX_HYPERVISOR (1u << 31)

/* Multiboot 1 specification 3.3, as far as we read it. */
struct multiboot_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr;
};

struct multiboot_mmap {
	u32 size; /* of what follows */
	u64 base, len;
	u32 type;
} __attribute__((packed));

bool on_tern, on_kvm, on_tcg, on_amd;
char guest_cmdline[256];
struct ram_range ram_ranges[RAM_RANGES_MAX];
u32 ram_range_count;

void guest_start(u32 magic, const struct multiboot_info *info);

/* What the loader left may lie anywhere: it is copied before a guest uses memory as it likes. */
static void read_info(const struct multiboot_info *info)
{
	u32 at = info->mmap_addr, end = at + info->mmap_length;

	if (info->flags & MULTIBOOT_INFO_CMDLINE) {
		const char *text = (const char *)(uintptr_t)info->cmdline;

		for (u32 i = 0; i + 1 < sizeof(guest_cmdline) && text[i]; i++)
			guest_cmdline[i] = text[i];
	}
	if (!(info->flags & MULTIBOOT_INFO_MMAP))
		return;
	while (at < end && ram_range_count < RAM_RANGES_MAX) {
		const struct multiboot_mmap *m = (const struct multiboot_mmap *)(uintptr_t)at;

		if (m->type == MULTIBOOT_RAM)
			ram_ranges[ram_range_count++] = (struct ram_range){m->base, m->len};
		at += m->size + (u32)sizeof(m->size);
	}
}

static bool signature_is(struct cpuid_regs r, const char *want)
{
	u32 text[3] = {r.b, r.c, r.d};

	return memcmp(text, want, sizeof(text)) == 0;
}

static void find_hypervisor(void)
{
	struct cpuid_regs vendor = cpuid(0, 0);
	u32 amd[3] = {vendor.b, vendor.d, vendor.c};

	on_amd = memcmp(amd, "AuthenticAMD", sizeof(amd)) == 0;
	if (!(cpuid(1, 0).c & CPUID_1_ECX_HYPERVISOR))
		return;
	on_tern = signature_is(cpuid(CPUID_HYPERVISOR, 0), "TernTernTern");
	on_tcg = signature_is(cpuid(CPUID_HYPERVISOR, 0), "TCGTCGTCGTCG");
	on_kvm = signature_is(cpuid(CPUID_HYPERVISOR, 0), "KVMKVMKVM\0\0\0");
}

/* The text after a word that stands at a word's beginning, or NULL. */
static const char *find_word(const char *word)
{
	size_t n = str_length(word);

	for (const char *at = guest_cmdline; *at; at++) {
		if ((at == guest_cmdline || at[-1] == ' ') && memcmp(at, word, n) == 0)
			return at + n;
	}
	return NULL;
}

bool cmdline_has(const char *word)
{
	const char *after = find_word(word);

	return after && (*after == ' ' || *after == '\0');
}

u32 cmdline_number(const char *word, u32 otherwise)
{
	const char *at = find_word(word);
	u32 value = 0;

	if (!at || *at != '=')
		return otherwise;
	for (at++; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (u32)(*at - '0');
	return value;
}

void guest_exit(u32 code)
{
	outl(PORT_EXIT, code);
	/* Nobody listens at that port: this machine is not ours to end. */
	for (;;)
		__asm__ volatile("cli; hlt");
}

void guest_finish(void)
{
	if (checks_failed)
		print("fail %s: %u of %u checks\n", guest_name, checks_failed, checks_done);
	else
		print("pass %s: %u checks\n", guest_name, checks_done);
	guest_exit(checks_failed > 255 ? 255 : checks_failed);
}

void guest_start(u32 magic, const struct multiboot_info *info)
{
	if (magic == MULTIBOOT_LOADER_MAGIC)
		read_info(info);
	print_init();
	traps_init();
	find_hypervisor();
	print("guest %s%s\n", guest_name, on_tern ? " on Tern" : on_kvm ? " on KVM" : "");
	check_eq("multiboot-magic", magic, MULTIBOOT_LOADER_MAGIC);
	guest_main();
	guest_finish();
}
