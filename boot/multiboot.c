/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 and Multiboot 2 information to struct boot_info. A loader is not trusted: each length
 * is held against the structure that contains it, walks are bounded, and a damaged part is left out.
 */
#include <tern/multiboot.h>

#include <boot/efi/boot_fill.h>
#include <boot/efi/efi_mem.h>
#include <boot/multiboot_regs.h>
#include <tern/err.h>
#include <tern/lib.h>

/* No loader comes near these; they bound the time that a damaged length can cost. */
#define TABLE_BYTES_MAX  KiB(256)
#define MB2_BYTES_MAX    MiB(1)
#define MODULES_SEEN_MAX 1024u
#define STRING_MAX       (BOOT_NAME_MAX + BOOT_ARGS_MAX + 512u)

struct source {
	multiboot_read_fn *read;
	void *arg;
};

static bool source_read(const struct source *s, u64 pa, void *dst, size_t len)
{
	return s->read(pa, dst, len, s->arg);
}

/*
 * Reads a string that ends at a NUL, at max bytes or at the end of what can be read. A byte at a
 * time: a string may end just before memory does.
 */
static void source_string(const struct source *s, u64 pa, u64 max, char *dst, size_t size)
{
	size_t n = 0;

	while (n < size - 1 && n < max && source_read(s, pa + n, &dst[n], 1) && dst[n] != '\0')
		n++;
	dst[n] = '\0';
}

static u32 mem_type(u32 type)
{
	switch (type) {
	case MB_MEM_RAM:
		return BOOT_MEM_RAM;
	case MB_MEM_ACPI_RECLAIM:
		return BOOT_MEM_ACPI_RECLAIM;
	case MB_MEM_ACPI_NVS:
		return BOOT_MEM_ACPI_NVS;
	case MB_MEM_BAD:
		return BOOT_MEM_BAD;
	default:
		return BOOT_MEM_RESERVED;
	}
}

/* The old way to tell memory: two numbers. Better than nothing where no map is given. */
static void add_basic_memory(struct boot_info *bi, u32 lower_kib, u32 upper_kib)
{
	boot_fill_mem(bi, 0, KiB(lower_kib), BOOT_MEM_RAM);
	boot_fill_mem(bi, MiB(1), KiB(upper_kib), BOOT_MEM_RAM);
}

/* iPXE puts the URI of the image in front of its command line, GRUB does not. */
static void strip_image_path(char *cmdline)
{
	char *end = cmdline;
	bool path = false;

	while (*end != '\0' && *end != ' ' && *end != '=')
		path |= *end++ == '/';
	if (!path)
		return;
	while (*end != '\0' && *end != ' ')
		end++;
	while (*end == ' ')
		end++;
	memmove(cmdline, end, strlen(end) + 1);
}

static void add_module(struct boot_info *bi, u32 start, u32 end, const char *string)
{
	struct boot_module *m;

	if (bi->module_count == BOOT_MODULES_MAX) {
		bi->module_dropped++;
		return;
	}
	m = &bi->modules[bi->module_count];
	boot_fill_name(m, string);
	if (m->name[0] == '\0')
		fmt_str(m->name, sizeof(m->name), "module%u", bi->module_count);
	m->base = start;
	/* end < start makes a length that boot_info_check() refuses with the module's name. */
	m->len = (u64)end - start;
	bi->module_count++;
}

static void set_framebuffer(struct boot_info *bi, const struct mb_framebuffer *fb,
			    const struct mb_fb_rgb *rgb)
{
	bi->text_screen = fb->type == MB_FB_EGA_TEXT;
	if (fb->type != MB_FB_RGB || fb->bpp != 32)
		return;
	if (rgb->red_size != 8 || rgb->green_size != 8 || rgb->blue_size != 8)
		return;
	bi->fb = (struct boot_fb){
		.base = fb->base,
		.pitch = fb->pitch,
		.width = fb->width,
		.height = fb->height,
		.red_shift = rgb->red_shift,
		.green_shift = rgb->green_shift,
		.blue_shift = rgb->blue_shift,
	};
}

static void mb1_mmap(const struct source *s, u32 addr, u32 length, struct boot_info *bi)
{
	u64 end = addr + min_u64(length, TABLE_BYTES_MAX);
	u64 pa = addr;

	while (end - pa >= sizeof(struct mb1_mmap)) {
		struct mb1_mmap e;
		u64 step;

		if (!source_read(s, pa, &e, sizeof(e)))
			return;
		step = (u64)e.size + sizeof(e.size);
		if (step < sizeof(e))
			return;
		boot_fill_mem(bi, e.base, e.len, mem_type(e.type));
		if (step > end - pa)
			return;
		pa += step;
	}
}

static void mb1_modules(const struct source *s, u32 addr, u32 count, struct boot_info *bi)
{
	char string[STRING_MAX];

	for (u32 i = 0; i < count && i < MODULES_SEEN_MAX; i++) {
		struct mb1_mod m;

		if (!source_read(s, addr + (u64)i * sizeof(m), &m, sizeof(m)))
			return;
		string[0] = '\0';
		if (m.string != 0)
			source_string(s, m.string, sizeof(string), string, sizeof(string));
		add_module(bi, m.start, m.end, string);
	}
}

int multiboot1_parse(u64 pa, multiboot_read_fn *read, void *arg, struct boot_info *bi)
{
	const struct source s = {read, arg};
	struct mb1_framebuffer fb;
	struct mb1_info info;

	boot_fill_init(bi, BOOT_MULTIBOOT1);
	if (pa > UINT32_MAX || !source_read(&s, pa, &info, sizeof(info)))
		return -TERN_EINVAL;

	if (info.flags & MB1_MMAP)
		mb1_mmap(&s, info.mmap_addr, info.mmap_length, bi);
	if (bi->mem_count == 0 && info.flags & MB1_MEMORY)
		add_basic_memory(bi, info.mem_lower, info.mem_upper);
	if (info.flags & MB1_CMDLINE) {
		source_string(&s, info.cmdline, BOOT_CMDLINE_MAX, bi->cmdline, sizeof(bi->cmdline));
		strip_image_path(bi->cmdline);
	}
	if (info.flags & MB1_LOADER_NAME)
		source_string(&s, info.loader_name, BOOT_NAME_MAX, bi->loader_name,
			      sizeof(bi->loader_name));
	if (info.flags & MB1_MODS)
		mb1_modules(&s, info.mods_addr, info.mods_count, bi);

	/* Loaders that know no framebuffers leave a BIOS in text mode. */
	bi->text_screen = 1;
	if (info.flags & MB1_FRAMEBUFFER && source_read(&s, pa + sizeof(info), &fb, sizeof(fb)))
		set_framebuffer(bi, &fb.fb, &fb.rgb);
	return bi->mem_count > 0 ? 0 : -TERN_EINVAL;
}

/* What is used only when nothing better came, for after the last tag. */
struct mb2_late {
	u64 efi_mmap_pa;
	u32 efi_mmap_len;
	struct mb2_memory memory;
	bool framebuffer;
};

/* The head of a table of entries; returns 0 when it cannot be walked, else the size of an entry. */
static u32 mb2_table(const struct source *s, u64 pa, u32 len, size_t least)
{
	struct mb2_table t;

	if (len < sizeof(t) || !source_read(s, pa, &t, sizeof(t)) || t.entry_size < least)
		return 0;
	return t.entry_size;
}

static void mb2_mmap(const struct source *s, u64 pa, u32 len, struct boot_info *bi)
{
	u32 step = mb2_table(s, pa, len, sizeof(struct mb2_mmap));
	u64 end = pa + min_u64(len, TABLE_BYTES_MAX);

	for (pa += sizeof(struct mb2_table); step != 0 && pa < end && end - pa >= step;
	     pa += step) {
		struct mb2_mmap e;

		if (!source_read(s, pa, &e, sizeof(e)))
			return;
		boot_fill_mem(bi, e.base, e.len, mem_type(e.type));
	}
}

static void mb2_efi_mmap(const struct source *s, u64 pa, u32 len, struct boot_info *bi)
{
	u32 step = mb2_table(s, pa, len, sizeof(struct efi_mem));
	u64 end = pa + min_u64(len, TABLE_BYTES_MAX);

	for (pa += sizeof(struct mb2_table); step != 0 && pa < end && end - pa >= step;
	     pa += step) {
		struct efi_mem d;

		if (!source_read(s, pa, &d, sizeof(d)))
			return;
		if (d.pages < EFI_MEM_PAGES_MAX)
			boot_fill_mem(bi, d.base, d.pages << EFI_MEM_PAGE_SHIFT, efi_mem_type(&d));
	}
}

static void mb2_module(const struct source *s, u64 pa, u32 len, struct boot_info *bi)
{
	char string[STRING_MAX];
	struct mb2_module m;

	if (len < sizeof(m) || !source_read(s, pa, &m, sizeof(m)))
		return;
	source_string(s, pa + sizeof(m), len - sizeof(m), string, sizeof(string));
	add_module(bi, m.start, m.end, string);
}

static void mb2_framebuffer(const struct source *s, u64 pa, u32 len, struct boot_info *bi)
{
	struct mb2_framebuffer fb = {0};
	size_t n = min_u64(len, sizeof(fb));

	/* The text form has no colour fields. */
	if (n >= sizeof(fb.fb) && source_read(s, pa, &fb, n))
		set_framebuffer(bi, &fb.fb, &fb.rgb);
}

/* One tag; its body of len bytes lies at pa. */
static void mb2_tag(const struct source *s, u32 type, u64 pa, u32 len, struct boot_info *bi,
		    struct mb2_late *late)
{
	u64 efi;

	switch (type) {
	case MB2_TAG_CMDLINE:
		source_string(s, pa, len, bi->cmdline, sizeof(bi->cmdline));
		strip_image_path(bi->cmdline);
		break;
	case MB2_TAG_LOADER_NAME:
		source_string(s, pa, len, bi->loader_name, sizeof(bi->loader_name));
		break;
	case MB2_TAG_MODULE:
		mb2_module(s, pa, len, bi);
		break;
	case MB2_TAG_MEMORY:
		if (len >= sizeof(late->memory) &&
		    !source_read(s, pa, &late->memory, sizeof(late->memory)))
			late->memory = (struct mb2_memory){0};
		break;
	case MB2_TAG_MMAP:
		mb2_mmap(s, pa, len, bi);
		break;
	case MB2_TAG_FRAMEBUFFER:
		mb2_framebuffer(s, pa, len, bi);
		late->framebuffer = true;
		break;
	case MB2_TAG_EFI64:
		if (len >= sizeof(efi) && source_read(s, pa, &efi, sizeof(efi)))
			bi->efi_system_table = efi;
		break;
	case MB2_TAG_RSDP_OLD:
		if (len >= RSDP_OLD_LEN && bi->rsdp == 0)
			bi->rsdp = pa;
		break;
	case MB2_TAG_RSDP_NEW:
		if (len >= RSDP_NEW_LEN)
			bi->rsdp = pa;
		break;
	case MB2_TAG_EFI_MMAP:
		late->efi_mmap_pa = pa;
		late->efi_mmap_len = len;
		break;
	default:
		/* Among them MB2_TAG_LOAD_BASE: boot/start.S knows better where it runs. */
		break;
	}
}

int multiboot2_parse(u64 pa, multiboot_read_fn *read, void *arg, struct boot_info *bi)
{
	const struct source s = {read, arg};
	struct mb2_late late = {0};
	struct mb2_info info;
	u64 end;

	boot_fill_init(bi, BOOT_MULTIBOOT2);
	if (pa > UINT32_MAX || pa % MB2_TAG_ALIGN != 0 || !source_read(&s, pa, &info, sizeof(info)))
		return -TERN_EINVAL;
	end = pa + min_u64(info.total_size, MB2_BYTES_MAX);
	pa += sizeof(info);
	while (pa < end && end - pa >= sizeof(struct mb2_tag)) {
		struct mb2_tag tag;

		if (!source_read(&s, pa, &tag, sizeof(tag)))
			break;
		if (tag.type == MB2_TAG_END || tag.size < sizeof(tag) || tag.size > end - pa)
			break;
		mb2_tag(&s, tag.type, pa + sizeof(tag), tag.size - (u32)sizeof(tag), bi, &late);
		pa += align_up(tag.size, MB2_TAG_ALIGN);
	}

	if (bi->mem_count == 0 && late.efi_mmap_len > 0)
		mb2_efi_mmap(&s, late.efi_mmap_pa, late.efi_mmap_len, bi);
	if (bi->mem_count == 0)
		add_basic_memory(bi, late.memory.lower, late.memory.upper);
	if (!late.framebuffer)
		bi->text_screen = bi->efi_system_table == 0;
	return bi->mem_count > 0 ? 0 : -TERN_EINVAL;
}
