/* SPDX-License-Identifier: MIT */
/* Memory and string basics and the formatter (hv/lib). No locks; any context. */
#ifndef TERN_LIB_H
#define TERN_LIB_H

#include <stdarg.h>
#include <tern/types.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

/* Copies at most size - 1 bytes and always ends with NUL (size > 0). Returns strlen(src): a result
 * >= size means that the copy was cut. */
size_t str_copy(char *dst, const char *src, size_t size);

/* True when s begins with prefix. */
bool str_starts(const char *s, const char *prefix);

/* The value of a hexadecimal digit, or 255 when c is none. */
u32 str_digit(char c);

/* Reads an unsigned number, decimal or 0x hexadecimal, that fills the whole string.
 * Returns 0, or -TERN_EINVAL, or -TERN_ERANGE. *out is untouched on error. */
MUST_CHECK int str_to_u64(const char *s, u64 *out);

/* Reads a size such as "64", "4KiB", "512MiB", "2GiB", "1TiB" (bytes). Errors as str_to_u64. */
MUST_CHECK int str_to_size(const char *s, u64 *out);

/*
 * printf into a buffer: %d %i %u %x %X %c %s %p %%, flags '-' '0' '+' '#', width, precision (for %s
 * and numbers, '*' too), lengths hh h l ll z j t. Always ends with NUL when size > 0. Returns the
 * length the full text has, as snprintf(3).
 */
int fmt_str(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);
int fmt_vstr(char *buf, size_t size, const char *fmt, va_list ap) PRINTF(3, 0);

/* Writes a size in the largest binary unit that keeps it readable, such as "512 MiB", "1.5 GiB",
 * "16 TiB", "0 B"; one decimal at most, rounded down. Returns buf. size >= 16. */
char *fmt_size(char *buf, size_t size, u64 bytes);

/* CRC-32 (IEEE 802.3, reflected, initial and final xor all ones), of n bytes. */
u32 crc32(const void *data, size_t n);

#endif
