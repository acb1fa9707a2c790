/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for Tern in the rig's own tests: a 32-bit Multiboot 1 and 2 image that prints its
 * command line and modules and then a prompt on COM1 and port 0xe9, and obeys a few commands.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

enum {
	COM1 = 0x3f8,
	LCR = 3,
	LCR_8N1 = 3,
	LSR = 5,
	LSR_DR = 1,
	LSR_THRE = 0x20,
	NO_PORT = 0xff,
	DEBUG_PORT = 0xe9,
	RESET_PORT = 0xcf9
};
enum { QEMU_PM1A = 0x604, BOCHS_PM1A = 0xb004, PM1_SLP_EN = 0x2000 };
enum { MB1_EAX = 0x2badb002, MB1_CMDLINE = 1 << 2, MB1_MODS = 1 << 3 };
enum { MB2_END = 0, MB2_CMDLINE = 1, MB2_MODULE = 3 };

asm(".section .head, \"ax\"\n"
    "	.balign 8\n"
    "	.long 0x1badb002, 0x3, -(0x1badb002 + 0x3)\n"
    "	.balign 8\n"
    "1:	.long 0xe85250d6, 0, 2f - 1b, -(0xe85250d6 + 2f - 1b)\n"
    "	.long 0, 8\n" /* the end tag */
    "2:\n"
    "	.globl _start\n"
    "_start:\n"
    "	mov $stack_top, %esp\n"
    "	push %ebx\n"
    "	push %eax\n"
    "	call fake_main\n"
    ".bss\n"
    "	.skip 16384\n"
    "stack_top:\n"
    ".text\n");

static inline void out8(u16 port, u8 v)
{
	asm volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out16(u16 port, u16 v)
{
	asm volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline u8 in8(u16 port)
{
	u8 v;

	asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static void put(char c)
{
	/* No port at all reads as 0xff: nothing is waited for. */
	while (!(in8(COM1 + LSR) & LSR_THRE))
		;
	out8(COM1, (u8)c);
	out8(DEBUG_PORT, (u8)c);
}

static void say(const char *s)
{
	while (*s)
		put(*s++);
}

static void say_module(const char *name, const char *data, u32 len)
{
	say("module ");
	say(name);
	say(": ");
	for (u32 i = 0; i < len && i < 64 && data[i] != '\n'; i++)
		put(data[i]);
	say("\r\n");
}

static void show_multiboot1(const u32 *info)
{
	if (info[0] & MB1_CMDLINE) {
		say("cmdline ");
		say((const char *)info[4]);
		say("\r\n");
	}
	if (info[0] & MB1_MODS) {
		const u32 *mod = (const u32 *)info[6];

		for (u32 i = 0; i < info[5]; i++, mod += 4)
			say_module((const char *)mod[2], (const char *)mod[0], mod[1] - mod[0]);
	}
}

static void show_multiboot2(const u8 *info)
{
	const u32 *tag = (const u32 *)(info + 8);

	for (; tag[0] != MB2_END; tag = (const u32 *)((u32)tag + ((tag[1] + 7) & ~7u))) {
		if (tag[0] == MB2_CMDLINE) {
			say("cmdline ");
			say((const char *)&tag[2]);
			say("\r\n");
		} else if (tag[0] == MB2_MODULE) {
			say_module((const char *)&tag[4], (const char *)tag[2], tag[3] - tag[2]);
		}
	}
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void read_line(char *line, u32 size)
{
	u32 n = 0;

	for (;;) {
		char c;

		while (!(in8(COM1 + LSR) & LSR_DR) || in8(COM1 + LSR) == NO_PORT)
			;
		c = (char)in8(COM1);
		if (c == '\r')
			break;
		if (n + 1 < size)
			line[n++] = c;
		put(c);
	}
	line[n] = 0;
	say("\r\n");
}

void fake_main(u32 eax, const void *info);
void fake_main(u32 eax, const void *info)
{
	char line[128];

	/* After a reset Bochs's UART has five data bits; GRUB sets it up, iPXE does not. */
	out8(COM1 + LCR, LCR_8N1);
	say("fake kernel\r\n");
	if (eax == MB1_EAX)
		show_multiboot1(info);
	else
		show_multiboot2(info);
	for (;;) {
		say("tern> ");
		read_line(line, sizeof(line));
		if (same(line, "hang")) {
			for (;;)
				asm volatile("cli; hlt");
		} else if (same(line, "reboot")) {
			out8(RESET_PORT, 0x06);
		} else if (same(line, "poweroff")) {
			out16(QEMU_PM1A, PM1_SLP_EN);
			out16(BOCHS_PM1A, PM1_SLP_EN);
		} else {
			say("did ");
			say(line);
			say("\r\n");
		}
	}
}
