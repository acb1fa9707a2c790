/* SPDX-License-Identifier: MIT */
/* Shell commands about memory: mem, mmap, frames. */
#include "commands.h"

#include <tern/boot_info.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/mem.h>
#include <tern/scrub.h>
#include <tern/vm.h>

static void print_row(const char *name, u64 bytes)
{
	char size[16];

	console_printf("  %-34s %14llu KiB  %s\n", name, (unsigned long long)(bytes >> 10),
		       fmt_size(size, sizeof(size), bytes));
}

/* Says whether the rows above a sum add up to it: a difference is a bug of Tern's, or of a map. */
static void print_sum(const char *name, u64 sum, u64 parts)
{
	print_row(name, sum);
	if (sum != parts)
		console_printf("  DOES NOT ADD UP: the rows above make %llu bytes, this one %llu\n",
			       (unsigned long long)parts, (unsigned long long)sum);
}

/* What the VMs have of the allocated frames; a frame that waits for its scrubbing is nobody's. */
static void print_allocated(u64 bytes)
{
	u64 backed = 0, tables = 0, scrub = scrub_backlog() << PAGE_SHIFT;
	struct vm *vm;
	char text[VM_NAME_MAX + 16];

	for (u32 i = 0; (vm = vm_get(i)) != NULL; i++) {
		struct gmem_stats st;

		gmem_get_stats(&vm->mem, &st);
		fmt_str(text, sizeof(text), "VM %s, memory", vm->name);
		print_row(text, st.backed);
		fmt_str(text, sizeof(text), "VM %s, page tables", vm->name);
		print_row(text, st.tables);
		backed += st.backed;
		tables += st.tables;
	}
	print_row("of dead VMs, not scrubbed yet", scrub);
	print_row("hypervisor", bytes - backed - tables - scrub);
	if (backed + tables + scrub > bytes)
		console_printf("  DOES NOT ADD UP: VMs have more than is allocated\n");
}

int cmd_mem(int argc, UNUSED char **argv)
{
	struct frames_stats f;
	struct mem_stats m;
	u64 used, free;

	if (argc != 1)
		return -TERN_EINVAL;
	mem_get_stats(&m);
	frames_get_stats(&f);
	free = f.free + f.cached + f.zeroed;
	used = f.total > free ? f.total - free : 0;
	console_printf("RAM in the loader's map:\n");
	print_row("firmware (first 1 MiB, ACPI)", m.firmware);
	print_row("hypervisor image", m.image);
	print_row("hypervisor, taken at boot", m.early);
	print_row("hypervisor, frame table", m.table);
	print_row("boot modules", m.modules);
	print_row("kept for the log", m.holes);
	print_row("unusable, in too many pieces", m.lost);
	print_row("frame allocator", m.given);
	print_sum("= total", m.total,
		  m.firmware + m.image + m.early + m.table + m.modules + m.holes + m.lost +
			  m.given);
	console_printf("Frame allocator:\n");
	print_row("free", f.free << PAGE_SHIFT);
	print_row("cached by CPUs, free too", f.cached << PAGE_SHIFT);
	print_row("zeroed, free too", f.zeroed << PAGE_SHIFT);
	print_allocated(used << PAGE_SHIFT);
	print_sum("= total", m.given, (free + used) << PAGE_SHIFT);
	console_printf("Not RAM, kept by firmware: %llu KiB\n",
		       (unsigned long long)(m.reserved >> 10));
	return 0;
}

static const char *type_name(u32 type)
{
	static const char *const names[] = {
		[BOOT_MEM_RAM] = "RAM",
		[BOOT_MEM_ACPI_RECLAIM] = "RAM with ACPI tables",
		[BOOT_MEM_RESERVED] = "reserved",
		[BOOT_MEM_ACPI_NVS] = "ACPI non-volatile",
		[BOOT_MEM_MMIO] = "device registers",
		[BOOT_MEM_BAD] = "bad memory",
	};

	return type < ARRAY_SIZE(names) && names[type] != NULL ? names[type] : "unknown";
}

static void print_range(u64 base, u64 len, const char *name)
{
	char size[16];

	if (len == 0)
		console_printf("  0x%012llx  empty  %s\n", (unsigned long long)base, name);
	else
		console_printf("  0x%012llx-0x%012llx %10s  %s\n", (unsigned long long)base,
			       (unsigned long long)(base + len - 1),
			       fmt_size(size, sizeof(size), len), name);
}

int cmd_mmap(int argc, UNUSED char **argv)
{
	const struct boot_info *bi = boot_info_get();

	if (argc != 1)
		return -TERN_EINVAL;
	console_printf("memory map of %s, checked:\n", bi->loader_name);
	for (u32 i = 0; i < bi->mem_count; i++)
		print_range(bi->mem[i].base, bi->mem[i].len, type_name(bi->mem[i].type));
	if (bi->mem_dropped != 0)
		console_printf("  %u entries did not fit\n", bi->mem_dropped);
	console_printf("in use from the start:\n");
	print_range(bi->image_base, bi->image_len, "hypervisor image");
	for (u32 i = 0; i < bi->module_count; i++)
		print_range(bi->modules[i].base, bi->modules[i].len, bi->modules[i].name);
	if (bi->module_dropped != 0)
		console_printf("  %u modules were left out\n", bi->module_dropped);
	return 0;
}

int cmd_frames(int argc, UNUSED char **argv)
{
	struct frames_stats f;
	char size[16];

	if (argc != 1)
		return -TERN_EINVAL;
	frames_get_stats(&f);
	console_printf("order  block      free blocks\n");
	for (u32 order = 0; order <= FRAME_ORDER_MAX; order++)
		console_printf("%5u  %-9s  %llu\n", order,
			       fmt_size(size, sizeof(size), PAGE_SIZE << order),
			       (unsigned long long)f.free_blocks[order]);
	console_printf("4 KiB frames: %llu in all, %llu in free blocks, %llu cached by CPUs, "
		       "%llu zeroed\n",
		       (unsigned long long)f.total, (unsigned long long)f.free,
		       (unsigned long long)f.cached, (unsigned long long)f.zeroed);
	console_printf("zeroed on request: %llu from the pool, %llu zeroed then\n",
		       (unsigned long long)f.zero_hits, (unsigned long long)f.zero_misses);
	console_printf("refused for want of memory: %llu\n", (unsigned long long)f.failed);
	console_printf("metadata: %zu bytes a frame\n", sizeof(struct frame));
	return 0;
}
