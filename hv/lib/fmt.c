/* SPDX-License-Identifier: MIT */
/*
 * printf into a buffer. A conversion is parsed into a struct spec first and printed from it after;
 * text past the end of the buffer is counted and dropped.
 */
#include <tern/lib.h>

/* Widths and precisions saturate here: far more than a line, far less than an overflow. */
#define FIELD_MAX 100000

struct out {
	char *buf;
	size_t size;
	size_t len; /* of the full text; may exceed size */
};

struct args {
	va_list ap; /* in a struct, because a va_list parameter cannot be passed on by address */
};

struct spec {
	bool left, zero, plus, space, alt;
	int width;
	int prec; /* -1: none given */
	int size; /* bytes of the integer argument */
	char conv;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_text(struct out *o, const char *s, size_t n)
{
	while (n-- > 0)
		put(o, *s++);
}

static void put_fill(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static int parse_number(const char **f)
{
	int n = 0;

	for (; **f >= '0' && **f <= '9'; (*f)++) {
		if (n < FIELD_MAX)
			n = n * 10 + (**f - '0');
	}
	return n < FIELD_MAX ? n : FIELD_MAX;
}

static int parse_field(const char **f, struct args *args)
{
	int n;

	if (**f != '*')
		return parse_number(f);
	(*f)++;
	n = va_arg(args->ap, int);
	if (n > FIELD_MAX)
		return FIELD_MAX;
	return n < -FIELD_MAX ? -FIELD_MAX : n;
}

static void parse_flags(const char **f, struct spec *s)
{
	for (;; (*f)++) {
		switch (**f) {
		case '-':
			s->left = true;
			break;
		case '0':
			s->zero = true;
			break;
		case '+':
			s->plus = true;
			break;
		case ' ':
			s->space = true;
			break;
		case '#':
			s->alt = true;
			break;
		default:
			return;
		}
	}
}

/* The size of the integer that the length modifier names. */
static int parse_length(const char **f)
{
	char c = **f;

	switch (c) {
	case 'h':
	case 'l':
		(*f)++;
		if (**f != c)
			return c == 'h' ? sizeof(short) : sizeof(long);
		(*f)++;
		return c == 'h' ? sizeof(char) : sizeof(long long);
	case 'z':
	case 't':
	case 'j':
		(*f)++;
		return sizeof(long);
	default:
		return sizeof(int);
	}
}

/* Parses what follows a '%', up to and with the conversion letter (not past the final NUL). */
static struct spec parse_spec(const char **f, struct args *args)
{
	struct spec s = {.prec = -1};

	parse_flags(f, &s);
	s.width = parse_field(f, args);
	if (s.width < 0) {
		s.left = true;
		s.width = -s.width;
	}
	if (**f == '.') {
		(*f)++;
		s.prec = parse_field(f, args);
		if (s.prec < 0)
			s.prec = -1;
	}
	s.size = parse_length(f);
	s.conv = **f;
	if (s.conv != '\0')
		(*f)++;
	return s;
}

/* A field of text: the prefix (sign or 0x), zeros, the digits or the string, and the padding. */
static void put_field(struct out *o, const struct spec *s, const char *prefix, int zeros,
		      const char *text, size_t n)
{
	size_t prefix_len = strlen(prefix);
	size_t used = prefix_len + (size_t)zeros + n;
	int pad = used < (size_t)s->width ? s->width - (int)used : 0;

	if (!s->left)
		put_fill(o, ' ', pad);
	put_text(o, prefix, prefix_len);
	put_fill(o, '0', zeros);
	put_text(o, text, n);
	if (s->left)
		put_fill(o, ' ', pad);
}

static void put_number(struct out *o, const struct spec *s, const char *prefix, u64 v, u32 base)
{
	const char *digits = s->conv == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[20]; /* UINT64_MAX in decimal */
	size_t at = sizeof(text);
	int n, zeros;

	for (; v > 0; v /= base)
		text[--at] = digits[v % base];
	n = (int)(sizeof(text) - at);
	/* One digit at least, unless a precision of 0 says otherwise (C11 7.21.6.1). */
	zeros = (s->prec >= 0 ? s->prec : 1) - n;
	if (s->zero && !s->left && s->prec < 0 && s->width - n - (int)strlen(prefix) > zeros)
		zeros = s->width - n - (int)strlen(prefix);
	put_field(o, s, prefix, zeros > 0 ? zeros : 0, text + at, (size_t)n);
}

static void put_signed(struct out *o, const struct spec *s, struct args *args)
{
	s64 v = s->size == sizeof(long) ? va_arg(args->ap, long) : va_arg(args->ap, int);
	const char *prefix = s->plus ? "+" : s->space ? " " : "";

	if (s->size == sizeof(short))
		v = (short)v;
	else if (s->size == sizeof(char))
		v = (signed char)v;
	if (v < 0)
		put_number(o, s, "-", 0 - (u64)v, 10);
	else
		put_number(o, s, prefix, (u64)v, 10);
}

static void put_unsigned(struct out *o, const struct spec *s, struct args *args)
{
	u64 v = s->size == sizeof(long) ? va_arg(args->ap, unsigned long)
					: va_arg(args->ap, unsigned int);
	const char *prefix = "";

	if (s->size == sizeof(short))
		v = (unsigned short)v;
	else if (s->size == sizeof(char))
		v = (unsigned char)v;
	if (s->alt && v != 0 && s->conv != 'u')
		prefix = s->conv == 'X' ? "0X" : "0x";
	put_number(o, s, prefix, v, s->conv == 'u' ? 10 : 16);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	size_t n = 0;

	if (text == NULL)
		text = "(null)";
	/* With a precision the text need not end with NUL. */
	while ((s->prec < 0 || n < (size_t)s->prec) && text[n] != '\0')
		n++;
	put_field(o, s, "", 0, text, n);
}

/* Prints one conversion. Returns false when there is no such conversion. */
static bool put_spec(struct out *o, const struct spec *s, struct args *args)
{
	char c;

	switch (s->conv) {
	case 'd':
	case 'i':
		put_signed(o, s, args);
		return true;
	case 'u':
	case 'x':
	case 'X':
		put_unsigned(o, s, args);
		return true;
	case 'p':
		put_number(o, s, "0x", (uintptr_t)va_arg(args->ap, void *), 16);
		return true;
	case 'c':
		c = (char)va_arg(args->ap, int);
		put_field(o, s, "", 0, &c, 1);
		return true;
	case 's':
		put_string(o, s, va_arg(args->ap, const char *));
		return true;
	case '%':
		put(o, '%');
		return true;
	default:
		return false;
	}
}

int fmt_vstr(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = {.buf = buf, .size = size};
	struct args args;

	va_copy(args.ap, ap);
	while (*fmt != '\0') {
		const char *start = fmt++;
		struct spec s;

		if (*start != '%') {
			put(&o, *start);
			continue;
		}
		s = parse_spec(&fmt, &args);
		if (!put_spec(&o, &s, &args))
			put_text(&o, start, (size_t)(fmt - start));
	}
	va_end(args.ap);
	if (size > 0)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return o.len < (size_t)__INT_MAX__ ? (int)o.len : __INT_MAX__;
}

int fmt_str(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = fmt_vstr(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

char *fmt_size(char *buf, size_t size, u64 bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	u32 unit = 0;
	u64 whole, tenths;

	while (bytes >> (10 * unit) >= 1024)
		unit++;
	whole = bytes >> (10 * unit);
	/* Below 2^60, so ten times it still fits. */
	tenths = (bytes - (whole << (10 * unit))) * 10 >> (10 * unit);
	if (tenths != 0)
		fmt_str(buf, size, "%llu.%llu %s", (unsigned long long)whole,
			(unsigned long long)tenths, units[unit]);
	else
		fmt_str(buf, size, "%llu %s", (unsigned long long)whole, units[unit]);
	return buf;
}
