/* SPDX-License-Identifier: MIT */
/* Output on COM1, the checks, and the memory functions that the compiler calls. */
#include <stdarg.h>

#include "cpu.h"
#include "guest.h"

#define UART_LCR      3u
#define UART_LCR_8N1  3u
#define UART_LSR      5u
#define UART_LSR_THRE 0x20u

u32 checks_done, checks_failed;

void print_init(void)
{
	outb(PORT_COM1 + UART_LCR, UART_LCR_8N1); /* after a reset it has five bits a character */
}

static void put(char c)
{
	if (c == '\n')
		put('\r');
	while (!(inb(PORT_COM1 + UART_LSR) & UART_LSR_THRE))
		cpu_pause();
	outb(PORT_COM1, (u8)c);
}

/* Decimal is for what fits 32 bits: the 32-bit guests have no library for more. */
static void put_number(u64 value, u32 base, bool negative, u32 width, char pad)
{
	char digits[24];
	u32 n = 0;

	do {
		u32 digit = base == 16 ? (u32)value & 15 : (u32)value % 10;

		digits[n++] = "0123456789abcdef"[digit];
		value = base == 16 ? value >> 4 : (u32)value / 10;
	} while (value);
	if (negative)
		digits[n++] = '-';
	while (n < width && n < sizeof(digits))
		digits[n++] = pad;
	while (n)
		put(digits[--n]);
}

static void put_argument(char kind, u32 longs, u32 width, char pad, va_list *args)
{
	u64 value;

	switch (kind) {
	case 's': {
		const char *s = va_arg(*args, const char *);

		while (*s)
			put(*s++);
		return;
	}
	case 'c':
		put((char)va_arg(*args, int));
		return;
	case 'd': {
		int d = va_arg(*args, int);

		put_number(d < 0 ? 0u - (u32)d : (u32)d, 10, d < 0, width, pad);
		return;
	}
	default:
		value = longs > 1 ? va_arg(*args, unsigned long long)
			: longs   ? va_arg(*args, unsigned long)
				  : va_arg(*args, unsigned);
		put_number(value, kind == 'x' ? 16 : 10, false, width, pad);
	}
}

void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	for (; *fmt; fmt++) {
		u32 width = 0, longs = 0;
		char pad = ' ';

		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		if (*++fmt == '0')
			pad = *fmt++;
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (u32)(*fmt - '0');
		for (; *fmt == 'l'; fmt++)
			longs++;
		put_argument(*fmt, longs, width, pad, &args);
	}
	va_end(args);
}

void check_eq(const char *name, u64 got, u64 want)
{
	checks_done++;
	if (got == want) {
		print("ok %s\n", name);
		return;
	}
	checks_failed++;
	print("FAIL %s: got 0x%llx, want 0x%llx\n", name, (unsigned long long)got,
	      (unsigned long long)want);
}

void check_strict(const char *name, u64 got, u64 want)
{
	if (on_tcg)
		skip_check(name, "TCG is known to fail");
	else
		check_eq(name, got, want);
}

void check(const char *name, bool good)
{
	check_eq(name, good, true);
}

void skip_check(const char *name, const char *why)
{
	print("skip %s: %s\n", name, why);
}

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n)::"memory");
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

	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

size_t str_length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool str_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

u64 random_next(u64 *state)
{
	u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}
