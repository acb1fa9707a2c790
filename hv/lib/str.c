/* SPDX-License-Identifier: MIT */
/* Strings: bounded copies, numbers and sizes out of text, and the CRC that guards stored text. */
#include <tern/err.h>
#include <tern/lib.h>

size_t str_copy(char *dst, const char *src, size_t size)
{
	size_t len = strlen(src);
	size_t n = len < size ? len : size - 1;

	memcpy(dst, src, n);
	dst[n] = '\0';
	return len;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

u32 str_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (u32)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (u32)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (u32)(c - 'A' + 10);
	return 255;
}

/* Reads digits up to the first byte that is none; *end is set to it. At least one is expected. */
static int read_digits(const char *s, u32 base, u64 *out, const char **end)
{
	const char *start = s;
	bool over = false;
	u64 v = 0;

	for (u32 digit; (digit = str_digit(*s)) < base; s++) {
		if (__builtin_mul_overflow(v, (u64)base, &v) ||
		    __builtin_add_overflow(v, (u64)digit, &v))
			over = true;
	}
	if (s == start)
		return -TERN_EINVAL;
	*end = s;
	*out = v;
	return over ? -TERN_ERANGE : 0;
}

int str_to_u64(const char *s, u64 *out)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	const char *end = s;
	u64 v;
	int err = read_digits(hex ? s + 2 : s, hex ? 16 : 10, &v, &end);

	if (err == -TERN_EINVAL || *end != '\0')
		return -TERN_EINVAL;
	if (err == 0)
		*out = v;
	return err;
}

int str_to_size(const char *s, u64 *out)
{
	static const struct {
		const char *name;
		u32 shift;
	} units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
	const char *end = s;
	u64 v;
	int err = read_digits(s, 10, &v, &end);

	if (err == -TERN_EINVAL)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (err != 0 || v > UINT64_MAX >> units[i].shift)
			return -TERN_ERANGE;
		*out = v << units[i].shift;
		return 0;
	}
	return -TERN_EINVAL;
}

u32 crc32(const void *data, size_t n)
{
	/* The remainders of the 16 values of four bits, polynomial 0xedb88320 (reflected). */
	static const u32 table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const u8 *p = data;
	u32 crc = UINT32_MAX;

	for (; n > 0; p++, n--) {
		crc ^= *p;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
