/* SPDX-License-Identifier: MIT */
/*
 * The configuration parser: one pass over the text, line by line, TOML 1.0 without what
 * docs/tern.toml.md leaves out. What was left out has an error of its own that names it.
 *
 * Nothing may be given twice, and nothing is allocated: each key and table leaves the hash of its
 * full path and its place in the text. A hash seen before is compared with the text at that place,
 * so the paths themselves need no memory. TOML_NAMES_MAX bounds the table and with it the time.
 */
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/toml.h>

#define END (-1) /* what peek() returns behind the last byte */

enum name_kind {
	NAME_KEY,
	NAME_TABLE,   /* has a header */
	NAME_IMPLIED, /* [a.b] implies the table a, which may still get a header */
	NAME_GONE,    /* was implied, has got its header since */
};

struct name {
	u32 hash;
	u32 off : 24; /* where the key or the header's path begins */
	u32 kind : 8;
};

#define NAME_OFF_MASK 0xffffffu
_Static_assert(TOML_TEXT_MAX <= NAME_OFF_MASK, "every place in the text fits struct name");

struct parser {
	const char *text;
	size_t len, pos;
	size_t line_start;
	u32 line;
	struct toml_error *err;
	char table[TOML_PATH_MAX]; /* path of the table we are in */
	char path[TOML_PATH_MAX];  /* path of the key or table that is being read */
	size_t path_len;
	char values[TOML_ARRAY_MAX]; /* the string or the strings of the value */
	size_t values_len;
	size_t item_start; /* of the string that is being read */
	u32 name_count;
	struct name names
		[TOML_NAMES_MAX]; /* in file order; a key belongs to the last table before it */
};

int toml_fail(struct toml_error *err, u32 line, u32 col, const char *fmt, ...)
{
	va_list ap;

	err->line = line;
	err->col = col;
	va_start(ap, fmt);
	fmt_vstr(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -TERN_EINVAL;
}

static int peek_at(const struct parser *p, size_t n)
{
	return n < p->len - p->pos ? (u8)p->text[p->pos + n] : END;
}

static int peek(const struct parser *p)
{
	return peek_at(p, 0);
}

static u32 column(const struct parser *p)
{
	return (u32)(p->pos - p->line_start) + 1;
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_bare(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
	       c == '-';
}

/* Bytes of the line end at this place: LF, CR LF, or 0 when there is none. */
static size_t newline_len(const struct parser *p)
{
	if (peek(p) == '\n')
		return 1;
	return peek(p) == '\r' && peek_at(p, 1) == '\n' ? 2 : 0;
}

static void skip_newline(struct parser *p)
{
	p->pos += newline_len(p);
	p->line_start = p->pos;
	p->line++;
}

/* The well-formed UTF-8 sequence of two to four bytes at this place (Unicode 15, table 3-7):
 * returns its length and the character, or 0. */
static size_t utf8_len(const struct parser *p, u32 *ch)
{
	static const u32 smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	u32 first = (u32)peek(p);
	size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	u32 v = first & (0x7fu >> n);

	if (first < 0xc2 || first > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		int c = peek_at(p, i);

		if (c == END || (c & 0xc0) != 0x80)
			return 0;
		v = v << 6 | ((u32)c & 0x3f);
	}
	if (v < smallest[n] || (v >= 0xd800 && v < 0xe000) || v > 0x10ffff)
		return 0;
	*ch = v;
	return n;
}

/* Fails at this place: says what was expected and what is there instead. */
static int unexpected(struct parser *p, const char *expected)
{
	char found[40];
	int c = peek(p);
	u32 ch;

	if (c == END)
		str_copy(found, "the end of the file", sizeof(found));
	else if (newline_len(p) > 0)
		str_copy(found, "the end of the line", sizeof(found));
	else if (c < ' ' || c == 0x7f)
		fmt_str(found, sizeof(found), "control character 0x%02x", c);
	else if (c < 0x7f)
		fmt_str(found, sizeof(found), "'%c'", c);
	else if (utf8_len(p, &ch) > 0)
		fmt_str(found, sizeof(found), "U+%04X", ch);
	else
		fmt_str(found, sizeof(found), "byte 0x%02x (not UTF-8)", c);
	return toml_fail(p->err, p->line, column(p), "expected %s, found %s", expected, found);
}

/* Fails at this place: it is TOML, but not of our subset. */
static int unsupported(struct parser *p, const char *what, const char *remedy)
{
	return toml_fail(p->err, p->line, column(p), "%s are not supported here; %s", what, remedy);
}

static void skip_blank(struct parser *p)
{
	while (peek(p) == ' ' || peek(p) == '\t')
		p->pos++;
}

/* Length of the character at this place of a comment or string; 0, after failing, if none may
 * stand there. */
static size_t text_char(struct parser *p)
{
	int c = peek(p);
	size_t n = 0;
	u32 ch;

	if (c == '\t' || (c >= ' ' && c < 0x7f))
		n = 1;
	else if (c >= 0x80)
		n = utf8_len(p, &ch);
	if (n == 0)
		unexpected(p, "text");
	return n;
}

/* The rest of a line that must hold nothing but a comment. */
static int end_line(struct parser *p)
{
	skip_blank(p);
	if (peek(p) == '#') {
		while (peek(p) != END && newline_len(p) == 0) {
			size_t n = text_char(p);

			if (n == 0)
				return -TERN_EINVAL;
			p->pos += n;
		}
	}
	if (peek(p) == END)
		return 0;
	if (newline_len(p) == 0)
		return unexpected(p, "the end of the line");
	skip_newline(p);
	return 0;
}

/* --- names --- */

/* FNV-1a. */
static u32 hash_path(const char *path)
{
	u32 hash = 2166136261;

	for (; *path != '\0'; path++)
		hash = (hash ^ (u8)*path) * 16777619;
	return hash;
}

/* Copies the path that stands in the text at off, which was parsed once, so it fits. */
static size_t copy_path(const struct parser *p, size_t off, bool dots, char *to)
{
	size_t n = 0;

	for (; off < p->len; off++) {
		char c = p->text[off];

		if (is_bare(c) || (dots && c == '.'))
			to[n++] = c;
		else if (!dots || (c != ' ' && c != '\t'))
			break;
	}
	to[n] = '\0';
	return n;
}

static bool name_is(const struct parser *p, u32 index, const char *path)
{
	const struct name *name = &p->names[index];
	char have[TOML_PATH_MAX];
	size_t n = 0;

	if (name->kind != NAME_KEY) {
		copy_path(p, name->off, true, have);
		n = strlen(path);
		return str_starts(have, path) &&
		       have[n] == (name->kind == NAME_IMPLIED ? '.' : '\0');
	}
	while (index > 0 && p->names[index].kind != NAME_TABLE)
		index--;
	if (p->names[index].kind == NAME_TABLE) {
		n = copy_path(p, p->names[index].off, true, have);
		have[n++] = '.';
	}
	copy_path(p, name->off, false, have + n);
	return strcmp(have, path) == 0;
}

static struct name *name_find(struct parser *p, u32 hash, const char *path)
{
	for (u32 i = 0; i < p->name_count; i++) {
		struct name *name = &p->names[i];

		if (name->hash == hash && name->kind != NAME_GONE && name_is(p, i, path))
			return name;
	}
	return NULL;
}

static u32 line_of(const struct parser *p, size_t off)
{
	u32 line = 1;

	for (size_t i = 0; i < off; i++)
		line += p->text[i] == '\n';
	return line;
}

/* Enters p->path, which stands in this line at off. */
static int name_add(struct parser *p, enum name_kind kind, size_t off)
{
	u32 hash = hash_path(p->path);
	u32 col = (u32)(off - p->line_start) + 1;
	struct name *old = name_find(p, hash, p->path);

	if (old != NULL && old->kind != NAME_KEY && kind == NAME_IMPLIED)
		return 0;
	if (old != NULL && !(old->kind == NAME_IMPLIED && kind == NAME_TABLE))
		return toml_fail(p->err, p->line, col, "given twice, first on line %u: %s",
				 line_of(p, old->off), p->path);
	if (p->name_count == TOML_NAMES_MAX)
		return toml_fail(p->err, p->line, col, "more than %u keys and tables in one file",
				 TOML_NAMES_MAX);
	/* The header's own entry must come last, where its keys look for it. */
	if (old != NULL)
		old->kind = NAME_GONE;
	p->names[p->name_count++] = (struct name){
		.hash = hash,
		.off = (u32)off & NAME_OFF_MASK,
		.kind = kind & 0xffu,
	};
	return 0;
}

/* Enters the table p->path and those that it implies. */
static int name_add_table(struct parser *p, size_t off)
{
	for (size_t i = 0; i < p->path_len; i++) {
		int rc;

		if (p->path[i] != '.')
			continue;
		p->path[i] = '\0';
		rc = name_add(p, NAME_IMPLIED, off);
		p->path[i] = '.';
		if (rc != 0)
			return rc;
	}
	return name_add(p, NAME_TABLE, off);
}

static int path_put(struct parser *p, char c)
{
	if (p->path_len == TOML_PATH_MAX - 1)
		return toml_fail(p->err, p->line, column(p),
				 "the name, with its tables, is longer than %u bytes",
				 TOML_PATH_MAX - 1);
	p->path[p->path_len++] = c;
	p->path[p->path_len] = '\0';
	return 0;
}

/* Reads a bare key and appends it to p->path. */
static int path_read(struct parser *p, const char *expected)
{
	if (peek(p) == '"' || peek(p) == '\'')
		return unsupported(p, "quoted keys", "use letters, digits, '_' and '-' only");
	if (!is_bare(peek(p)))
		return unexpected(p, expected);
	for (; is_bare(peek(p)); p->pos++) {
		if (path_put(p, (char)peek(p)) != 0)
			return -TERN_EINVAL;
	}
	return 0;
}

/* --- values --- */

/* Appends a byte, or the final NUL, to the string that is being read. */
static int value_put(struct parser *p, char c)
{
	if (c != '\0' && p->values_len - p->item_start == TOML_STR_MAX - 1)
		return toml_fail(p->err, p->line, column(p), "the string is longer than %u bytes",
				 TOML_STR_MAX - 1);
	if (p->values_len == TOML_ARRAY_MAX)
		return toml_fail(p->err, p->line, column(p),
				 "the strings of the array are longer than %u bytes in all",
				 TOML_ARRAY_MAX);
	p->values[p->values_len++] = c;
	return 0;
}

/* Appends a character as UTF-8. */
static int value_put_char(struct parser *p, u32 ch)
{
	u32 more = ch < 0x80 ? 0 : ch < 0x800 ? 1 : ch < 0x10000 ? 2 : 3;
	static const u8 lead[] = {0, 0xc0, 0xe0, 0xf0};
	int rc = value_put(p, (char)(lead[more] | ch >> (6 * more)));

	while (rc == 0 && more-- > 0)
		rc = value_put(p, (char)(0x80 | (ch >> (6 * more) & 0x3f)));
	return rc;
}

/* Reads the digits of \u or \U; the place is the first digit. */
static int read_unicode(struct parser *p, u32 digits)
{
	size_t escape = p->pos - 2;
	u32 ch = 0;

	for (; digits > 0; digits--, p->pos++) {
		u32 v = str_digit((char)peek(p));

		if (v > 15)
			return unexpected(p, "a hexadecimal digit");
		ch = ch << 4 | v;
	}
	if (ch == 0 || ch > 0x10ffff || (ch >= 0xd800 && ch < 0xe000))
		return toml_fail(p->err, p->line, (u32)(escape - p->line_start) + 1,
				 ch == 0 ? "U+%04X must not stand in a string here"
					 : "U+%04X is not a Unicode character",
				 ch);
	return value_put_char(p, ch);
}

/* The place is the backslash. */
static int read_escape(struct parser *p)
{
	static const char names[] = "btnfr\"\\", codes[] = "\b\t\n\f\r\"\\";
	const char *at;
	int c;

	p->pos++;
	c = peek(p);
	if (c == 'u' || c == 'U') {
		p->pos++;
		return read_unicode(p, c == 'u' ? 4 : 8);
	}
	at = c > 0 ? strchr(names, c) : NULL;
	if (at == NULL)
		return unexpected(p, "one of b t n f r u U \" \\ after the backslash");
	p->pos++;
	return value_put(p, codes[at - names]);
}

/* Reads a string; the place is its first quote. Its text goes to p->values. */
static int read_string(struct parser *p)
{
	int quote = peek(p);

	if (peek_at(p, 1) == quote && peek_at(p, 2) == quote)
		return unsupported(p, "multi-line strings", "write \\n in a \"string\"");
	p->item_start = p->values_len;
	p->pos++;
	while (peek(p) != quote) {
		size_t n;

		if (peek(p) == '\\' && quote == '"') {
			if (read_escape(p) != 0)
				return -TERN_EINVAL;
			continue;
		}
		if (peek(p) == END || newline_len(p) > 0)
			return unexpected(p, quote == '"' ? "a closing '\"'" : "a closing \"'\"");
		n = text_char(p);
		if (n == 0)
			return -TERN_EINVAL;
		for (; n > 0; n--, p->pos++) {
			if (value_put(p, (char)peek(p)) != 0)
				return -TERN_EINVAL;
		}
	}
	if (value_put(p, '\0') != 0)
		return -TERN_EINVAL;
	p->pos++;
	return 0;
}

/* Blanks, comments and line ends inside an array. */
static int skip_lines(struct parser *p)
{
	for (;;) {
		skip_blank(p);
		if (peek(p) != '#' && newline_len(p) == 0)
			return 0;
		if (end_line(p) != 0)
			return -TERN_EINVAL;
	}
}

/* The place is the '['. */
static int read_array(struct parser *p, struct toml_value *v)
{
	p->pos++;
	for (;;) {
		if (skip_lines(p) != 0)
			return -TERN_EINVAL;
		if (peek(p) == ']')
			break;
		if (peek(p) != '"' && peek(p) != '\'')
			return unexpected(
				p, "a string in quotes (arrays hold nothing else here) or ']'");
		if (v->count == TOML_ITEMS_MAX)
			return toml_fail(p->err, p->line, column(p),
					 "more than %u strings in one array", TOML_ITEMS_MAX);
		if (read_string(p) != 0 || skip_lines(p) != 0)
			return -TERN_EINVAL;
		v->count++;
		if (peek(p) == ']')
			break;
		if (peek(p) != ',')
			return unexpected(p, "',' or ']'");
		p->pos++;
	}
	p->pos++;
	return 0;
}

/* Reads digits, with an underscore between any two. *count is how many. */
static int read_digits(struct parser *p, u32 base, u64 *out, u32 *count, bool *over)
{
	*out = 0;
	*over = false;
	for (*count = 0;; p->pos++) {
		u32 digit = str_digit((char)peek(p));

		if (peek(p) == '_') {
			if (*count == 0 || str_digit((char)peek_at(p, 1)) >= base)
				return toml_fail(p->err, p->line, column(p),
						 "an underscore must stand between two digits");
			continue;
		}
		if (digit >= base)
			return 0;
		if (__builtin_mul_overflow(*out, (u64)base, out) ||
		    __builtin_add_overflow(*out, (u64)digit, out))
			*over = true;
		(*count)++;
	}
}

/* After 0x, 0o or 0b, or 0 when the number here is decimal. */
static u32 number_base(const struct parser *p)
{
	if (peek(p) != '0')
		return 0;
	switch (peek_at(p, 1)) {
	case 'x':
		return 16;
	case 'o':
		return 8;
	case 'b':
		return 2;
	default:
		return 0;
	}
}

static int read_number(struct parser *p, struct toml_value *v)
{
	bool sign = peek(p) == '+' || peek(p) == '-', minus = peek(p) == '-', over;
	u32 base, count;
	size_t digits;
	u64 limit = minus ? (u64)INT64_MAX + 1 : INT64_MAX, n;

	p->pos += sign;
	base = number_base(p);
	if (sign && base != 0)
		return toml_fail(p->err, p->line, v->col,
				 "a sign before 0x, 0o or 0b is not allowed");
	if (sign && (peek(p) == 'i' || peek(p) == 'n'))
		return unsupported(p, "floats", "use an integer");
	p->pos += base != 0 ? 2 : 0;
	digits = p->pos;
	if (read_digits(p, base != 0 ? base : 10, &n, &count, &over) != 0)
		return -TERN_EINVAL;
	if (count == 0)
		return unexpected(p, base == 16  ? "a hexadecimal digit"
				     : base == 8 ? "an octal digit"
				     : base == 2 ? "a binary digit"
						 : "a digit");
	if (base == 0 && (peek(p) == '.' || peek(p) == 'e' || peek(p) == 'E'))
		return unsupported(p, "floats", "use an integer");
	if (base == 0 && (peek(p) == '-' || peek(p) == ':'))
		return unsupported(p, "dates and times", "use a string");
	if (base == 0 && count > 1 && p->text[digits] == '0')
		return toml_fail(p->err, p->line, v->col, "a decimal number must not begin with 0");
	if (over || n > limit)
		return toml_fail(p->err, p->line, v->col,
				 "the number does not fit in 64 bits with a sign");
	v->num = minus ? (s64)(0 - n) : (s64)n;
	return 0;
}

/* true and false; everything else that begins with a letter is a mistake. */
static int read_word(struct parser *p, struct toml_value *v)
{
	const char *s = p->text + p->pos;
	size_t n = 0;

	while (is_bare(peek_at(p, n)))
		n++;
	if (n == 3 && (memcmp(s, "inf", n) == 0 || memcmp(s, "nan", n) == 0))
		return unsupported(p, "floats", "use an integer");
	v->num = n == 4 && memcmp(s, "true", n) == 0;
	if (v->num == 0 && (n != 5 || memcmp(s, "false", n) != 0))
		return toml_fail(
			p->err, p->line, column(p),
			"expected a value, found the word %.*s; text needs quotes: \"%.*s\"",
			n < 32 ? (int)n : 32, s, n < 32 ? (int)n : 32, s);
	p->pos += n;
	return 0;
}

static int read_value(struct parser *p, struct toml_value *v)
{
	int c = peek(p);

	v->line = p->line;
	v->col = column(p);
	v->str = p->values;
	p->values_len = 0;
	p->values[0] = '\0';
	if (c == '"' || c == '\'') {
		v->type = TOML_STRING;
		return read_string(p);
	}
	if (c == '[') {
		v->type = TOML_ARRAY;
		return read_array(p, v);
	}
	if (is_digit(c) || c == '+' || c == '-') {
		v->type = TOML_INT;
		return read_number(p, v);
	}
	if (is_bare(c)) {
		v->type = TOML_BOOL;
		return read_word(p, v);
	}
	if (c == '{')
		return unsupported(p, "inline tables", "use a [table] header");
	return unexpected(p, "a value (string, integer, true, false or array of strings)");
}

/* --- lines --- */

/* [a.b]; the place is the '['. */
static int read_header(struct parser *p, struct toml_value *v)
{
	size_t off;

	p->pos++;
	if (peek(p) == '[')
		return unsupported(p, "[[arrays of tables]]", "give each table a name of its own");
	skip_blank(p);
	off = p->pos;
	v->line = p->line;
	v->col = v->key_col = column(p);
	p->path_len = 0;
	while (path_read(p, "the name of a table") == 0) {
		skip_blank(p);
		if (peek(p) == ']') {
			p->pos++;
			if (name_add_table(p, off) != 0)
				return -TERN_EINVAL;
			str_copy(p->table, p->path, sizeof(p->table));
			return end_line(p);
		}
		if (peek(p) != '.')
			return unexpected(p, "'.' or ']'");
		if (path_put(p, '.') != 0)
			return -TERN_EINVAL;
		p->pos++;
		skip_blank(p);
	}
	return -TERN_EINVAL;
}

/* key = value. *key is set to the bare key, a part of p->path. */
static int read_key(struct parser *p, const char **key, struct toml_value *v)
{
	size_t off = p->pos;

	v->key_col = column(p);
	p->path_len = str_copy(p->path, p->table, sizeof(p->path));
	if (p->path_len > 0 && path_put(p, '.') != 0)
		return -TERN_EINVAL;
	*key = p->path + p->path_len;
	if (path_read(p, "a key, a [table] or a # comment") != 0)
		return -TERN_EINVAL;
	skip_blank(p);
	if (peek(p) == '.')
		return unsupported(p, "dotted keys", "use a [table] header");
	if (peek(p) != '=')
		return unexpected(p, "'=' after the key");
	if (name_add(p, NAME_KEY, off) != 0)
		return -TERN_EINVAL;
	p->pos++;
	skip_blank(p);
	if (read_value(p, v) != 0)
		return -TERN_EINVAL;
	return end_line(p);
}

int toml_parse(const char *text, size_t len, toml_event_fn *event, void *arg,
	       struct toml_error *err)
{
	struct parser p = {.text = text, .len = len, .line = 1, .err = err};

	if (len > TOML_TEXT_MAX)
		return toml_fail(err, 1, 1, "the file is longer than %u bytes", TOML_TEXT_MAX);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return toml_fail(err, 1, 1,
				 "the file begins with a byte order mark; save it without");
	while (p.pos < p.len) {
		struct toml_value v = {0};
		const char *key = NULL;
		int rc;

		skip_blank(&p);
		if (peek(&p) == '#' || peek(&p) == END || newline_len(&p) > 0) {
			if (end_line(&p) != 0)
				return -TERN_EINVAL;
			continue;
		}
		rc = peek(&p) == '[' ? read_header(&p, &v) : read_key(&p, &key, &v);
		if (rc == 0)
			rc = event(p.table, key, &v, err, arg);
		if (rc != 0)
			return rc;
	}
	return 0;
}
