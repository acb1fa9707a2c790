/* SPDX-License-Identifier: MIT */
/*
 * Checks and repairs what a loader handed over. The memory map is rebuilt by a sweep over the
 * addresses: at each boundary the strongest claim wins, so order and overlaps do not matter.
 */
#include <tern/boot_info.h>

#include <tern/err.h>
#include <tern/lib.h>

/* One past the highest physical address that x86-64 can have (SDM vol. 3A 4.1.4). */
#define PA_LIMIT (1ull << 52)

static const struct boot_info *checked;

/* The map under construction; too large for a boot stack. Used by the boot CPU alone. */
static struct boot_mem map[BOOT_MEM_MAX];

struct warner {
	boot_warn_fn *fn;
	void *arg;
};

static void PRINTF(2, 3) warn(const struct warner *w, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	fmt_vstr(text, sizeof(text), fmt, ap);
	va_end(ap);
	w->fn(text, w->arg);
}

const struct boot_info *boot_info_get(void)
{
	ASSERT(checked);
	return checked;
}

void boot_info_set(const struct boot_info *bi)
{
	ASSERT(!checked && bi);
	checked = bi;
}

/*
 * Brings one entry into [0, PA_LIMIT), on page boundaries; false when nothing is left of it. RAM
 * shrinks and all else grows, so that a page is RAM only when all of it is.
 */
static bool clean_entry(struct boot_mem *e, const struct warner *w)
{
	u64 end = e->base + e->len;

	if (e->type < BOOT_MEM_RAM || e->type > BOOT_MEM_BAD)
		e->type = BOOT_MEM_RESERVED;
	if (e->len == 0 || e->base >= PA_LIMIT)
		return false;
	if (end < e->base) {
		warn(w, "memory map: entry at 0x%llx, 0x%llx bytes long, wraps around; %s",
		     (unsigned long long)e->base, (unsigned long long)e->len,
		     e->type == BOOT_MEM_RAM ? "not used" : "all above it is reserved");
		if (e->type == BOOT_MEM_RAM)
			return false;
		end = PA_LIMIT;
	}
	end = min_u64(end, PA_LIMIT);
	if (e->type == BOOT_MEM_RAM) {
		e->base = align_up(e->base, PAGE_SIZE);
		end = align_down(end, PAGE_SIZE);
	} else {
		e->base = align_down(e->base, PAGE_SIZE);
		end = align_up(end, PAGE_SIZE);
	}
	e->len = end > e->base ? end - e->base : 0;
	e->pad = 0;
	return e->len > 0;
}

static void map_remove(u32 *count, u32 i)
{
	(*count)--;
	memmove(&map[i], &map[i + 1], (*count - i) * sizeof(map[0]));
}

/*
 * Appends a range that lies above all others. When the map is full the smallest RAM range gives way
 * (*count when that is the new one): a reservation is lost only when there is no RAM to be taken
 * for. Returns the number of ranges lost.
 */
static u32 map_append(u32 *count, const struct boot_mem *m)
{
	u32 victim = *count;

	if (*count > 0 && map[*count - 1].type == m->type &&
	    map[*count - 1].base + map[*count - 1].len == m->base) {
		map[*count - 1].len += m->len;
		return 0;
	}
	if (*count < BOOT_MEM_MAX) {
		map[(*count)++] = *m;
		return 0;
	}
	for (u32 i = 0; i < *count; i++) {
		const struct boot_mem *least = victim < *count ? &map[victim] : m;

		if (map[i].type == BOOT_MEM_RAM &&
		    (least->type != BOOT_MEM_RAM || map[i].len < least->len))
			victim = i;
	}
	if (victim < *count) {
		map_remove(count, victim);
		map[(*count)++] = *m;
	}
	return 1;
}

/*
 * Rebuilds the map from its entries. From each boundary to the next the highest type that covers it
 * wins. Quadratic, which for the some tens of entries that there are beats sorting their ends.
 */
static void sweep(struct boot_info *bi)
{
	u32 count = 0;
	u64 next;

	for (u64 at = 0; at < PA_LIMIT; at = next) {
		struct boot_mem m = {.base = at};

		next = PA_LIMIT;
		for (u32 i = 0; i < bi->mem_count; i++) {
			const struct boot_mem *e = &bi->mem[i];

			if (e->base > at) {
				next = min_u64(next, e->base);
			} else if (e->base + e->len > at) {
				next = min_u64(next, e->base + e->len);
				m.type = e->type > m.type ? e->type : m.type;
			}
		}
		m.len = next - at;
		if (m.type != 0)
			bi->mem_dropped += map_append(&count, &m);
	}
	memcpy(bi->mem, map, count * sizeof(map[0]));
	bi->mem_count = count;
}

static void check_memory(struct boot_info *bi, const struct warner *w)
{
	u32 count = 0;

	for (u32 i = 0; i < bi->mem_count; i++) {
		struct boot_mem e = bi->mem[i];

		if (clean_entry(&e, w))
			bi->mem[count++] = e;
	}
	bi->mem_count = count;
	sweep(bi);
	if (bi->mem_dropped > 0)
		warn(w, "memory map: %u ranges more than the %u that fit; their RAM is not used",
		     bi->mem_dropped, BOOT_MEM_MAX);
}

/* The map is clean here: RAM that touches is one entry. */
static bool in_ram(const struct boot_info *bi, u64 base, u64 len)
{
	for (u32 i = 0; i < bi->mem_count; i++) {
		const struct boot_mem *e = &bi->mem[i];

		if (e->type == BOOT_MEM_RAM && base >= e->base && base - e->base < e->len &&
		    len <= e->len - (base - e->base))
			return true;
	}
	return false;
}

/* Whole pages count: a page with an end of one and the start of the other cannot be freed apart. */
static bool overlap(u64 base1, u64 len1, u64 base2, u64 len2)
{
	return len1 != 0 && len2 != 0 &&
	       align_down(base1, PAGE_SIZE) < align_up(base2 + len2, PAGE_SIZE) &&
	       align_down(base2, PAGE_SIZE) < align_up(base1 + len1, PAGE_SIZE);
}

/* Why a module cannot be used, given the kept ones before it; NULL when it can. */
static const char *module_fault(const struct boot_info *bi, u32 kept, const struct boot_module *m)
{
	if (m->len == 0)
		return NULL;
	if (!in_ram(bi, m->base, m->len))
		return "is not in RAM; dropped: the loader gave a wrong address or the file was cut";
	if (m->base % PAGE_SIZE != 0)
		return "does not begin on a page; dropped: the loader ignored the page alignment "
		       "that Tern's header asks for";
	if (overlap(m->base, m->len, bi->image_base, bi->image_len))
		return "overlaps Tern's own image; dropped: the loader put two things in one place";
	for (u32 i = 0; i < kept; i++)
		if (overlap(m->base, m->len, bi->modules[i].base, bi->modules[i].len))
			return "overlaps an earlier module; dropped: the loader put two things in "
			       "one place";
	return NULL;
}

static void check_modules(struct boot_info *bi, const struct warner *w)
{
	u32 kept = 0;

	for (u32 i = 0; i < bi->module_count; i++) {
		struct boot_module *m = &bi->modules[i];
		const char *fault;

		m->name[BOOT_NAME_MAX - 1] = '\0';
		m->args[BOOT_ARGS_MAX - 1] = '\0';
		if (strlen(m->args) == BOOT_ARGS_MAX - 1)
			warn(w, "module '%s': arguments fill all %u bytes there are and may be cut",
			     m->name, BOOT_ARGS_MAX - 1);
		fault = module_fault(bi, kept, m);
		if (fault) {
			warn(w, "module '%s' [0x%llx-0x%llx) %s", m->name,
			     (unsigned long long)m->base, (unsigned long long)(m->base + m->len),
			     fault);
			continue;
		}
		if (kept != i)
			bi->modules[kept] = *m;
		kept++;
	}
	bi->module_count = kept;
	if (bi->module_dropped > 0)
		warn(w, "%u boot modules more than the %u that fit; they are lost",
		     bi->module_dropped, BOOT_MODULES_MAX);
}

static bool fb_usable(const struct boot_info *bi)
{
	const struct boot_fb *fb = &bi->fb;
	u64 size = (u64)fb->pitch * fb->height;

	if (fb->width == 0 || fb->height == 0 || fb->pitch / 4 < fb->width || fb->pitch % 4 != 0)
		return false;
	if (fb->red_shift > 24 || fb->green_shift > 24 || fb->blue_shift > 24)
		return false;
	if (fb->base % 4 != 0 || fb->base >= PA_LIMIT || size > PA_LIMIT - fb->base)
		return false;
	for (u32 i = 0; i < bi->mem_count; i++)
		if (bi->mem[i].type == BOOT_MEM_RAM &&
		    overlap(fb->base, size, bi->mem[i].base, bi->mem[i].len))
			return false;
	return true;
}

static void check_screen(struct boot_info *bi, const struct warner *w)
{
	bi->text_screen = bi->text_screen != 0;
	if (bi->fb.base != 0 && !fb_usable(bi)) {
		warn(w, "framebuffer at 0x%llx, %ux%u, pitch %u, cannot be right; no screen output",
		     (unsigned long long)bi->fb.base, bi->fb.width, bi->fb.height, bi->fb.pitch);
		bi->fb.base = 0;
	}
	if (bi->fb.base == 0)
		bi->fb = (struct boot_fb){0};
}

static void check_scalars(struct boot_info *bi, const struct warner *w)
{
	bi->loader_name[BOOT_NAME_MAX - 1] = '\0';
	bi->cmdline[BOOT_CMDLINE_MAX - 1] = '\0';
	if (strlen(bi->cmdline) == BOOT_CMDLINE_MAX - 1)
		warn(w, "the command line fills all %u bytes there are and may be cut",
		     BOOT_CMDLINE_MAX - 1);
	if (bi->rsdp >= PA_LIMIT) {
		warn(w, "ACPI RSDP at 0x%llx cannot be right; it will be searched for",
		     (unsigned long long)bi->rsdp);
		bi->rsdp = 0;
	}
	if (bi->efi_system_table >= PA_LIMIT) {
		warn(w, "EFI system table at 0x%llx cannot be right; not used",
		     (unsigned long long)bi->efi_system_table);
		bi->efi_system_table = 0;
	}
}

int boot_info_check(struct boot_info *bi, boot_warn_fn *fn, void *arg)
{
	const struct warner w = {fn, arg};

	if (bi->magic != BOOT_INFO_MAGIC || bi->version != BOOT_INFO_VERSION ||
	    bi->size != sizeof(*bi)) {
		warn(&w,
		     "boot information version %u, %u bytes, is not version %u, %u bytes: the "
		     "loader and tern.elf are not of one release",
		     bi->version, bi->size, BOOT_INFO_VERSION, (u32)sizeof(*bi));
		return -TERN_EINVAL;
	}
	if (bi->mem_count > BOOT_MEM_MAX || bi->module_count > BOOT_MODULES_MAX ||
	    bi->loader < BOOT_MULTIBOOT1 || bi->loader > BOOT_TERNBOOT) {
		warn(&w, "boot information is damaged: loader %u, %u memory ranges, %u modules",
		     bi->loader, bi->mem_count, bi->module_count);
		return -TERN_EINVAL;
	}
	check_scalars(bi, &w);
	check_memory(bi, &w);
	check_modules(bi, &w);
	check_screen(bi, &w);
	for (u32 i = 0; i < bi->mem_count; i++)
		if (bi->mem[i].type == BOOT_MEM_RAM)
			return 0;
	warn(&w, "the memory map has no RAM; try another boot path (docs/boot.md)");
	return -TERN_EINVAL;
}

const struct boot_module *boot_info_module(const struct boot_info *bi, const char *name)
{
	for (u32 i = 0; i < bi->module_count; i++)
		if (strcmp(bi->modules[i].name, name) == 0)
			return &bi->modules[i];
	return NULL;
}

bool boot_info_option(const char *cmdline, const char *key, char *value, size_t size)
{
	const size_t key_len = strlen(key);
	bool found = false;

	while (*cmdline != '\0') {
		const char *word = cmdline;
		size_t n;

		while (*cmdline != '\0' && *cmdline != ' ')
			cmdline++;
		n = (size_t)(cmdline - word);
		while (*cmdline == ' ')
			cmdline++;
		if (n < key_len || memcmp(word, key, key_len) != 0)
			continue;
		if (n > key_len && word[key_len] != '=')
			continue;
		word += n == key_len ? key_len : key_len + 1;
		n -= n == key_len ? key_len : key_len + 1;
		n = n < size ? n : size - 1;
		memcpy(value, word, n);
		value[n] = '\0';
		found = true;
	}
	return found;
}
