/* SPDX-License-Identifier: MIT */
/*
 * Memory and string basics under their libc names, because compilers emit calls to them. Long runs
 * use REP MOVSQ and REP STOSQ (SDM vol. 1 7.3.9.3, fast-string operation), short ones two moves that
 * may overlap. Nothing here may be compiled into a call of itself: HIDE() keeps the loops from
 * being recognised as the functions that they are.
 */
#include <tern/lib.h>

/* Any eight, four or two bytes, wherever they lie and whatever they are. */
struct PACKED __attribute__((may_alias)) any64 {
	u64 v;
};
struct PACKED __attribute__((may_alias)) any32 {
	u32 v;
};
struct PACKED __attribute__((may_alias)) any16 {
	u16 v;
};

#define HIDE() __asm__ volatile("" : : : "memory")

static inline u64 load64(const u8 *p)
{
	return ((const struct any64 *)(const void *)p)->v;
}

static inline u32 load32(const u8 *p)
{
	return ((const struct any32 *)(const void *)p)->v;
}

static inline u16 load16(const u8 *p)
{
	return ((const struct any16 *)(const void *)p)->v;
}

static inline void store64(u8 *p, u64 v)
{
	((struct any64 *)(void *)p)->v = v;
}

static inline void store32(u8 *p, u32 v)
{
	((struct any32 *)(void *)p)->v = v;
}

static inline void store16(u8 *p, u16 v)
{
	((struct any16 *)(void *)p)->v = v;
}

/* At most 16 bytes. All loads come before the first store, so the two may overlap in any way. */
static inline void copy_short(u8 *d, const u8 *s, size_t n)
{
	if (n >= 8) {
		u64 head = load64(s), tail = load64(s + n - 8);

		store64(d, head);
		store64(d + n - 8, tail);
	} else if (n >= 4) {
		u32 head = load32(s), tail = load32(s + n - 4);

		store32(d, head);
		store32(d + n - 4, tail);
	} else if (n >= 2) {
		u16 head = load16(s), tail = load16(s + n - 2);

		store16(d, head);
		store16(d + n - 2, tail);
	} else if (n == 1) {
		*d = *s;
	}
}

/*
 * More than 16 bytes, lowest address first: right also when d < s and they overlap, because no
 * store reaches what is still to be loaded. The tail is the exception, so it is loaded first.
 */
static inline void copy_up(u8 *d, const u8 *s, size_t n)
{
	u8 *end = d + n;
	u64 tail = load64(s + n - 8);
	size_t words = n / 8;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
	store64(end - 8, tail);
}

/*
 * More than 16 bytes, highest address first, for d > s. Not by STD and REP: that is slow, and an
 * exception in between would run its handler with the direction flag set.
 */
static inline void copy_down(u8 *d, const u8 *s, size_t n)
{
	u64 head = load64(s);

	while (n >= 8) {
		n -= 8;
		store64(d + n, load64(s + n));
		HIDE();
	}
	store64(d, head);
}

void *memcpy(void *dst, const void *src, size_t n)
{
	if (n <= 16)
		copy_short(dst, src, n);
	else
		copy_up(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	if (n <= 16)
		copy_short(dst, src, n);
	else if ((uintptr_t)dst - (uintptr_t)src >= n)
		copy_up(dst, src, n);
	else
		copy_down(dst, src, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	u8 *d = dst;
	u64 v = (u8)c * 0x0101010101010101ull;

	if (n > 16) {
		size_t words = n / 8;
		u8 *p = d;

		__asm__ volatile("rep stosq" : "+D"(p), "+c"(words) : "a"(v) : "memory");
		store64(d + n - 8, v);
	} else if (n >= 8) {
		store64(d, v);
		store64(d + n - 8, v);
	} else if (n >= 4) {
		store32(d, (u32)v);
		store32(d + n - 4, (u32)v);
	} else if (n >= 2) {
		store16(d, (u16)v);
		store16(d + n - 2, (u16)v);
	} else if (n == 1) {
		*d = (u8)v;
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	while (n >= 8 && load64(x) == load64(y)) {
		x += 8;
		y += 8;
		n -= 8;
		HIDE();
	}
	for (; n > 0; x++, y++, n--) {
		if (*x != *y)
			return *x < *y ? -1 : 1;
		HIDE();
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0') {
		n++;
		HIDE();
	}
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
		HIDE();
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; a++, b++, n--) {
		if (*a != *b || *a == '\0')
			return (u8)*a - (u8)*b;
		HIDE();
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++) {
		if (*s == '\0')
			return NULL;
		HIDE();
	}
	return (char *)(uintptr_t)s;
}
