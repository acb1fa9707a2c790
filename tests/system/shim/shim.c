/* SPDX-License-Identifier: MIT */
/* The shim's loader: takes what GRUB gave, loads the module "image" and enters it. See shim.h. */
#include "shim.h"

#define COM1            0x3f8u
#define COM_LSR         5u
#define COM_LSR_THRE    0x20u
#define MB2_EAX         0x36d76289u
#define MB2_CMDLINE     1u
#define MB2_LOADER_NAME 2u
#define PT_LOAD         1u
#define MB2_MODULE      3u
#define MB2_MMAP        6u
#define INFO_BYTES      16384u
#define IMAGE_BYTES     0x400000u
#define IMAGE_NAME      "image"

struct elf32_header {
	u8 ident[16];
	u16 type, machine;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf32_segment {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

static u8 info[INFO_BYTES] __attribute__((aligned(4096)));
static const char *cmdline = "";

/* Copies of what GRUB gave: it lies where tern.elf is going to be. */
static u8 given[INFO_BYTES] __attribute__((aligned(8)));
static u8 image[IMAGE_BYTES] __attribute__((aligned(4096)));
static u8 store[MODULES_MAX][MODULE_BYTES] __attribute__((aligned(4096)));
static struct shim_module modules[MODULES_MAX];
static const struct mb_mmap *map;
static u32 image_size, module_count, map_count;

static void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n) : : "memory");
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

void shim_say(const char *text)
{
	for (; *text; text++) {
		while (!(inb(COM1 + COM_LSR) & COM_LSR_THRE))
			;
		outb(COM1, (u8)*text);
	}
}

void shim_fail(const char *text)
{
	shim_say("shim: ");
	shim_say(text);
	shim_say("\r\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* Is it one of the words of the command line? */
bool shim_word(const char *word)
{
	size_t n = strlen(word);

	for (const char *p = cmdline; *p; p++) {
		bool begins = p == cmdline || p[-1] == ' ';

		if (begins && strlen(p) >= n && memcmp(p, word, n) == 0 &&
		    (p[n] == ' ' || p[n] == '\0'))
			return true;
	}
	return false;
}

u8 *shim_tag(struct mb2_out *out, u32 type, u32 size)
{
	u32 head[2] = {type, size + (u32)sizeof(head)};
	u8 *content = out->next + sizeof(head);

	if (size > (u32)(out->end - out->next) - 32)
		shim_fail("too many tags");
	memcpy(out->next, head, sizeof(head));
	out->next += (sizeof(head) + size + 7) & ~7u; /* tags begin at multiples of 8 */
	return content;
}

/* Loads the ELF32 file and returns its entry point. */
static u32 load(const u8 *file, u32 size)
{
	const struct elf32_header *h = (const void *)file;
	u32 loaded = 0;

	if (size < sizeof(*h) || memcmp(h->ident, "\177ELF\1\1", 6) != 0)
		shim_fail("the image is not a little-endian ELF32 file");
	for (u32 i = 0; i < h->phnum; i++) {
		const struct elf32_segment *s = (const void *)(file + h->phoff + i * h->phentsize);

		if (s->type != PT_LOAD)
			continue;
		memcpy((void *)(uintptr_t)s->paddr, file + s->offset, s->filesz);
		memset((u8 *)(uintptr_t)s->paddr + s->filesz, 0, s->memsz - s->filesz);
		loaded++;
	}
	if (!loaded)
		shim_fail("the image has nothing to load");
	return h->entry;
}

static void add_text(struct mb2_out *out, u32 type, const char *text)
{
	u32 n = (u32)strlen(text) + 1;

	memcpy(shim_tag(out, type, n), text, n);
}

/* The end tag, and the total that the information begins with. */
static void finish(struct mb2_out *out)
{
	u32 total;

	shim_tag(out, 0, 0);
	total = (u32)(out->next - out->start);
	if (shim_word("tags=short"))
		total -= 64;
	memcpy(out->start, &total, sizeof(total));
}

static void take_module(const u8 *tag)
{
	const char *string = (const char *)tag + 16;
	size_t n = strlen(string) + 1;
	u32 range[2], size;
	const u8 *data;

	memcpy(range, tag + 8, sizeof(range));
	data = (const u8 *)(uintptr_t)range[0];
	size = range[1] - range[0];
	if (memcmp(string, IMAGE_NAME, n) == 0) {
		if (size > sizeof(image))
			shim_fail("tern.elf is too long");
		memcpy(image, data, size);
		image_size = size;
		return;
	}
	if (module_count == MODULES_MAX || size > MODULE_BYTES || n > sizeof(modules[0].string))
		shim_fail("too many modules, or one that is too long");
	memcpy(store[module_count], data, size);
	memcpy(modules[module_count].string, string, n);
	modules[module_count].data = store[module_count];
	modules[module_count++].size = size;
}

/* Copies everything of use out of the information at pa: Multiboot 2, 3.6. */
static void take(const void *pa)
{
	u32 total, head[2];

	memcpy(&total, pa, sizeof(total));
	if (total > sizeof(given))
		shim_fail("GRUB gave more than fits");
	memcpy(given, pa, total);
	for (const u8 *tag = given + 8; tag < given + total; tag += (head[1] + 7) & ~7u) {
		memcpy(head, tag, sizeof(head));
		if (head[0] == MB2_CMDLINE) {
			cmdline = (const char *)tag + 8;
		} else if (head[0] == MB2_MODULE) {
			take_module(tag);
		} else if (head[0] == MB2_MMAP) {
			map = (const void *)(tag + 16);
			map_count = (head[1] - 16) / (u32)sizeof(*map);
		}
	}
	if (!image_size || !map)
		shim_fail("no module \"image\" or no memory map");
}

__attribute__((noreturn)) void shim_main(const void *pa);

void shim_main(const void *pa)
{
	struct mb2_out out = {info, info + 8, info + sizeof(info)};
	u32 entry;

	take(pa);
	shim_say("shim: ");
	shim_say(cmdline);
	shim_say("\r\n");
	entry = load(image, image_size);
	add_text(&out, MB2_CMDLINE, "from=shim");
	add_text(&out, MB2_LOADER_NAME, "shim");
	if (!shim_word("map=none"))
		lies_map(&out, map, map_count);
	lies_modules(&out, modules, module_count);
	lies_acpi(&out);
	lies_tags(&out);
	finish(&out);
	shim_enter(entry, MB2_EAX, (u32)(uintptr_t)info);
}
