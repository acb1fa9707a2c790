/* SPDX-License-Identifier: MIT */
/* links: hv/lib/toml.c hv/lib/str.c hv/lib/fmt.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <tern/err.h>
#include <tern/toml.h>

/* What the parser said, one line an event: "3:7 table.key = value". */
static char seen[16384];
static size_t seen_len;

static void say(const char *fmt, ...) PRINTF(1, 2);

static void say(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(seen + seen_len, sizeof(seen) - seen_len, fmt, ap);
	va_end(ap);
	assert_in_range(n, 0, sizeof(seen) - seen_len - 1);
	seen_len += (size_t)n;
}

static int record(const char *table, const char *key, const struct toml_value *v,
		  struct toml_error *err, UNUSED void *arg)
{
	const char *s = v->str;

	if (key == NULL) {
		say("%u:%u [%s]\n", v->line, v->col, table);
		return 0;
	}
	if (strcmp(key, "refuse") == 0)
		return toml_fail(err, v->line, v->key_col, "refused");
	say("%u:%u:%u %s.%s = ", v->line, v->key_col, v->col, table, key);
	switch (v->type) {
	case TOML_STRING:
		say("\"%s\"\n", s);
		break;
	case TOML_INT:
		say("%lld\n", (long long)v->num);
		break;
	case TOML_BOOL:
		say("%s\n", v->num == 1 ? "true" : v->num == 0 ? "false" : "neither");
		break;
	case TOML_ARRAY:
		say("[");
		for (u32 i = 0; i < v->count; i++, s += strlen(s) + 1)
			say("\"%s\",", s);
		say("]\n");
		break;
	}
	return 0;
}

/* Parses a copy that ends where the sanitizer watches, with no NUL behind it. */
static int parse(const char *text, size_t len, struct toml_error *err)
{
	char *copy = malloc(len > 0 ? len : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, text, len);
	memset(err, 0, sizeof(*err));
	seen_len = 0;
	seen[0] = '\0';
	rc = toml_parse(copy, len, record, NULL, err);
	free(copy);
	return rc;
}

static void good(const char *text, const char *want)
{
	struct toml_error err;
	int rc = parse(text, strlen(text), &err);

	if (rc != 0)
		fail_msg("%u:%u: %s, in\n%s", err.line, err.col, err.text, text);
	assert_string_equal(seen, want);
}

static void bad_n(const char *text, size_t len, u32 line, u32 col, const char *want)
{
	struct toml_error err;

	if (parse(text, len, &err) != -TERN_EINVAL)
		fail_msg("accepted:\n%s", text);
	if (err.line != line || err.col != col || strcmp(err.text, want) != 0)
		fail_msg("%u:%u: %s, not %u:%u: %s, in\n%s", err.line, err.col, err.text, line, col,
			 want, text);
}

static void bad(const char *text, u32 line, u32 col, const char *want)
{
	bad_n(text, strlen(text), line, col, want);
}

static void test_layout(UNUSED void **state)
{
	good("", "");
	good("\n\n  \t\n# only a comment", "");
	good("a = 1", "1:1:5 .a = 1\n");
	good("a=1#x\n", "1:1:3 .a = 1\n");
	good("  a\t=\t1  # x\n", "1:3:7 .a = 1\n");
	good("# \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6 \t\na = 1\n", "2:1:5 .a = 1\n");
	good("a = 1\r\n\r\n# c\r\n[t]\r\nb = 2\r\n", "1:1:5 .a = 1\n4:2 [t]\n5:1:5 t.b = 2\n");
	good("[console]\nport = 0x3f8\n[ vm . web-1 ] # x\nA_b-9 = true\n[vm]\nx = false",
	     "1:2 [console]\n2:1:8 console.port = 1016\n3:3 [vm.web-1]\n"
	     "4:1:9 vm.web-1.A_b-9 = true\n5:2 [vm]\n6:1:5 vm.x = false\n");
	good("1 = 2\n[3]\n4 = 5", "1:1:5 .1 = 2\n2:2 [3]\n3:1:5 3.4 = 5\n");
}

static void test_integers(UNUSED void **state)
{
	good("a = 0\nb = +0\nc = -0\nd = +17\ne = -17\nf = 1_000_000",
	     "1:1:5 .a = 0\n2:1:5 .b = 0\n3:1:5 .c = 0\n4:1:5 .d = 17\n5:1:5 .e = -17\n"
	     "6:1:5 .f = 1000000\n");
	good("a = 0xDEAD_beef\nb = 0o755\nc = 0b1010\nd = 0x00ff",
	     "1:1:5 .a = 3735928559\n2:1:5 .b = 493\n3:1:5 .c = 10\n4:1:5 .d = 255\n");
	good("a = 9223372036854775807\nb = -9223372036854775808\nc = 0x7fffffffffffffff",
	     "1:1:5 .a = 9223372036854775807\n2:1:5 .b = -9223372036854775808\n"
	     "3:1:5 .c = 9223372036854775807\n");
}

static void test_integers_bad(UNUSED void **state)
{
	static const char range[] = "the number does not fit in 64 bits with a sign";
	static const char underscore[] = "an underscore must stand between two digits";

	bad("a = 9223372036854775808", 1, 5, range);
	bad("a = -9223372036854775809", 1, 5, range);
	bad("a = 0x8000000000000000", 1, 5, range);
	bad("a = 99999999999999999999999999", 1, 5, range);
	bad("a = 0123", 1, 5, "a decimal number must not begin with 0");
	bad("a = -00", 1, 5, "a decimal number must not begin with 0");
	bad("a = 1__0", 1, 6, underscore);
	bad("a = 1_", 1, 6, underscore);
	bad("a = 0x_1", 1, 7, underscore);
	bad("a = 0b1_2", 1, 8, underscore);
	bad("a = +_1", 1, 6, underscore);
	bad("a = 0x", 1, 7, "expected a hexadecimal digit, found the end of the file");
	bad("a = 0o8", 1, 7, "expected an octal digit, found '8'");
	bad("a = 0b2", 1, 7, "expected a binary digit, found '2'");
	bad("a = 0xfg", 1, 8, "expected the end of the line, found 'g'");
	bad("a = 0X1", 1, 6, "expected the end of the line, found 'X'");
	bad("a = +", 1, 6, "expected a digit, found the end of the file");
	bad("a = --1", 1, 6, "expected a digit, found '-'");
	bad("a = +0x1", 1, 5, "a sign before 0x, 0o or 0b is not allowed");
	bad("a = -0b1", 1, 5, "a sign before 0x, 0o or 0b is not allowed");
	bad("a = 2GiB", 1, 6, "expected the end of the line, found 'G'");
}

static void test_strings(UNUSED void **state)
{
	good("a = \"\"\nb = ''\nc = \"x # y\" # z\nd = 'C:\\n\"'",
	     "1:1:5 .a = \"\"\n2:1:5 .b = \"\"\n3:1:5 .c = \"x # y\"\n4:1:5 .d = \"C:\\n\"\"\n");
	good("a = \"\\b\\t\\n\\f\\r\\\"\\\\\"", "1:1:5 .a = \"\b\t\n\f\r\"\\\"\n");
	good("a = \"\\u0041\\u00e9\\u20AC\\U0001F426\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
	     "1:1:5 .a = \"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80"
	     "\xef\xbf\xbf\"\n");
	good("a = \"\\U0010ffff\\ud7ff\\ue000\"",
	     "1:1:5 .a = \"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"\n");
	good("a = \"tab\there \xc3\xa9\"\nb = '\xf4\x8f\xbf\xbf'",
	     "1:1:5 .a = \"tab\there \xc3\xa9\"\n2:1:5 .b = \"\xf4\x8f\xbf\xbf\"\n");
}

static void test_strings_bad(UNUSED void **state)
{
	static const char escape[] =
		"expected one of b t n f r u U \" \\ after the backslash, found ";
	char want[160];

	bad("a = \"x", 1, 7, "expected a closing '\"', found the end of the file");
	bad("a = \"x\n", 1, 7, "expected a closing '\"', found the end of the line");
	bad("a = 'x\r\n'", 1, 7, "expected a closing \"'\", found the end of the line");
	bad("a = \"x\\\"", 1, 9, "expected a closing '\"', found the end of the file");
	snprintf(want, sizeof(want), "%s'q'", escape);
	bad("a = \"x\\q\"", 1, 8, want);
	snprintf(want, sizeof(want), "%sthe end of the line", escape);
	bad("a = \"x\\\n\"", 1, 8, want);
	snprintf(want, sizeof(want), "%sthe end of the file", escape);
	bad("a = \"x\\", 1, 8, want);
	snprintf(want, sizeof(want), "%scontrol character 0x00", escape);
	bad_n("a = \"\\\0\"", 8, 1, 7, want);
	bad("a = \"\\u12g4\"", 1, 10, "expected a hexadecimal digit, found 'g'");
	bad("a = \"\\u12", 1, 10, "expected a hexadecimal digit, found the end of the file");
	bad("a = \"\\U0011000", 1, 15, "expected a hexadecimal digit, found the end of the file");
	bad("a = \"xy\\ud800\"", 1, 8, "U+D800 is not a Unicode character");
	bad("a = \"\\udfff\"", 1, 6, "U+DFFF is not a Unicode character");
	bad("a = \"\\U00110000\"", 1, 6, "U+110000 is not a Unicode character");
	bad("a = \"\\u0000\"", 1, 6, "U+0000 must not stand in a string here");
	bad("a = \"x\x01\"", 1, 7, "expected text, found control character 0x01");
	bad("a = 'x\x7f'", 1, 7, "expected text, found control character 0x7f");
	bad("a = 'x\ry'", 1, 7, "expected text, found control character 0x0d");
	bad_n("a = '\0'", 7, 1, 6, "expected text, found control character 0x00");
	bad("a = \"x\" y", 1, 9, "expected the end of the line, found 'y'");
}

/* Each kind of ill-formed sequence of the Unicode standard, chapter 3, in comments and strings. */
static void test_utf8_bad(UNUSED void **state)
{
	static const char *const rows[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc3",
		"\xc3x",
		"\xe0\x9f\xbf",
		"\xe2\x82",
		"\xe2\x28\xa1",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x8f\xbf\xbf",
		"\xf0\x9f\x90",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xf8\x90\x80\x80",
		"\xfe",
		"\xff",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* In a comment and in a string, each at the end of the file and before more. */
		for (int k = 0; k < 4; k++) {
			char text[32], want[80];

			snprintf(text, sizeof(text), k < 2 ? "# %s%s" : "s='%s%s", rows[i],
				 k == 1   ? "\n"
				 : k == 3 ? "'"
					  : "");
			snprintf(want, sizeof(want), "expected text, found byte 0x%02x (not UTF-8)",
				 (u8)rows[i][0]);
			bad(text, 1, k < 2 ? 3 : 4, want);
		}
	}
	bad("\xff\xfe", 1, 1,
	    "expected a key, a [table] or a # comment, found byte 0xff (not UTF-8)");
	bad("\xc3\xa9 = 1", 1, 1, "expected a key, a [table] or a # comment, found U+00E9");
	bad("\xef\xbb\xbf# x", 1, 1, "the file begins with a byte order mark; save it without");
	bad("# a\x01", 1, 4, "expected text, found control character 0x01");
	bad("# a\rb", 1, 4, "expected text, found control character 0x0d");
}

static void test_arrays(UNUSED void **state)
{
	good("a = []\nb = [ \"x\" ]\nc = ['x','y',]\nd = [\"\", \"\"]",
	     "1:1:5 .a = []\n2:1:5 .b = [\"x\",]\n3:1:5 .c = [\"x\",\"y\",]\n"
	     "4:1:5 .d = [\"\",\"\",]\n");
	good("a = [ # one\n  \"x\", # two\r\n\n  'y' # three\n  , ] # four\nb = 1",
	     "1:1:5 .a = [\"x\",\"y\",]\n6:1:5 .b = 1\n");
	good("a = [\n]\n", "1:1:5 .a = []\n");
}

static void test_arrays_bad(UNUSED void **state)
{
	static const char item[] =
		"expected a string in quotes (arrays hold nothing else here) or ']', found ";
	char want[160];

	snprintf(want, sizeof(want), "%s'1'", item);
	bad("a = [1]", 1, 6, want);
	snprintf(want, sizeof(want), "%s'['", item);
	bad("a = [[\"x\"]]", 1, 6, want);
	snprintf(want, sizeof(want), "%s','", item);
	bad("a = [,]", 1, 6, want);
	bad("a = ['x',\n,]", 2, 1, want);
	snprintf(want, sizeof(want), "%sthe end of the file", item);
	bad("a = [", 1, 6, want);
	bad("a = ['x',\n", 2, 1, want);
	bad("a = ['x' 'y']", 1, 10, "expected ',' or ']', found '''");
	bad("a = ['x'\n", 2, 1, "expected ',' or ']', found the end of the file");
	bad("a = ['x'\n# \x02\n]", 2, 3, "expected text, found control character 0x02");
	bad("a = ['x\n']", 1, 8, "expected a closing \"'\", found the end of the line");
	bad("a = ['x'] y", 1, 11, "expected the end of the line, found 'y'");
}

static void test_structure_bad(UNUSED void **state)
{
	static const char start[] = "expected a key, a [table] or a # comment, found ";
	static const char value[] =
		"expected a value (string, integer, true, false or array of strings), found ";
	char want[160];

	snprintf(want, sizeof(want), "%s'='", start);
	bad("\n  = 1", 2, 3, want);
	snprintf(want, sizeof(want), "%s']'", start);
	bad("]", 1, 1, want);
	snprintf(want, sizeof(want), "%scontrol character 0x0d", start);
	bad("\r", 1, 1, want);
	snprintf(want, sizeof(want), "%scontrol character 0x00", start);
	bad_n("a = 1\n\0", 7, 2, 1, want);
	bad("key", 1, 4, "expected '=' after the key, found the end of the file");
	bad("key\n", 1, 4, "expected '=' after the key, found the end of the line");
	bad("key value", 1, 5, "expected '=' after the key, found 'v'");
	bad("key: 1", 1, 4, "expected '=' after the key, found ':'");
	snprintf(want, sizeof(want), "%sthe end of the line", value);
	bad("a =\n1", 1, 4, want);
	snprintf(want, sizeof(want), "%sthe end of the file", value);
	bad("a = ", 1, 5, want);
	snprintf(want, sizeof(want), "%s'#'", value);
	bad("a = # x", 1, 5, want);
	bad("a = 1 2", 1, 7, "expected the end of the line, found '2'");
	bad("a = 1 b = 2", 1, 7, "expected the end of the line, found 'b'");
	bad("a = 1\rb = 2", 1, 6, "expected the end of the line, found control character 0x0d");
	bad("a = debug", 1, 5,
	    "expected a value, found the word debug; text needs quotes: \"debug\"");
	bad("a = True", 1, 5, "expected a value, found the word True; text needs quotes: \"True\"");
	bad("a = truefalse", 1, 5,
	    "expected a value, found the word truefalse; text needs quotes: \"truefalse\"");
	bad("[]", 1, 2, "expected the name of a table, found ']'");
	bad("[ \n", 1, 3, "expected the name of a table, found the end of the line");
	bad("[a.]", 1, 4, "expected the name of a table, found ']'");
	bad("[.a]", 1, 2, "expected the name of a table, found '.'");
	bad("[a", 1, 3, "expected '.' or ']', found the end of the file");
	bad("[a b]", 1, 4, "expected '.' or ']', found 'b'");
	bad("[a] b = 1", 1, 5, "expected the end of the line, found 'b'");
	bad("[a]]", 1, 4, "expected the end of the line, found ']'");
}

static void test_not_in_the_subset(UNUSED void **state)
{
	static const char floats[] = "floats are not supported here; use an integer";
	static const char dates[] = "dates and times are not supported here; use a string";
	static const char multi[] =
		"multi-line strings are not supported here; write \\n in a \"string\"";
	static const char quoted[] =
		"quoted keys are not supported here; use letters, digits, '_' and '-' only";
	static const char dotted[] = "dotted keys are not supported here; use a [table] header";

	bad("a = 1.5", 1, 6, floats);
	bad("a = 1e6", 1, 6, floats);
	bad("a = -1E6", 1, 7, floats);
	bad("a = inf", 1, 5, floats);
	bad("a = nan", 1, 5, floats);
	bad("a = +inf", 1, 6, floats);
	bad("a = -nan", 1, 6, floats);
	bad("a = 1979-05-27", 1, 9, dates);
	bad("a = 07:32:00", 1, 7, dates);
	bad("a = { b = 1 }", 1, 5, "inline tables are not supported here; use a [table] header");
	bad("[[vm]]", 1, 2,
	    "[[arrays of tables]] are not supported here; give each table a name of its own");
	bad("a = \"\"\"\nx\"\"\"", 1, 5, multi);
	bad("a = '''x'''", 1, 5, multi);
	bad("a = [\n'''x''']", 2, 1, multi);
	bad("a.b = 1", 1, 2, dotted);
	bad("a . b = 1", 1, 3, dotted);
	bad("a = 1\na.b = 1", 2, 2, dotted);
	bad("\"a\" = 1", 1, 1, quoted);
	bad("'a' = 1", 1, 1, quoted);
	bad("[\"a\"]", 1, 2, quoted);
	bad("[a.'b']", 1, 4, quoted);
}

static void test_twice(UNUSED void **state)
{
	bad("a = 1\n\n  a = 2", 3, 3, "given twice, first on line 1: a");
	bad("[t]\na = 1\n[u]\na = 1\n[t.a]", 5, 2, "given twice, first on line 2: t.a");
	bad("[t]\r\n[u]\r\n[ t ]", 3, 3, "given twice, first on line 1: t");
	bad("[a . b]\n[a.b]", 2, 2, "given twice, first on line 1: a.b");
	bad("[t.a]\n[t]\na = 1", 3, 1, "given twice, first on line 1: t.a");
	bad("[t.a.b]\n[t]\na = 1", 3, 1, "given twice, first on line 1: t.a");
	bad("t = 1\n[t]", 2, 2, "given twice, first on line 1: t");
	bad("t = 1\n[t.a]", 2, 2, "given twice, first on line 1: t");
	bad("[a.b]\n[a]\n[c]\n[a]", 4, 2, "given twice, first on line 2: a");
	bad("[a.b]\n[a]\nx = 1\n[a.b.c]\nx = 1\n[a.d]\nx = 1\nx = 2", 8, 1,
	    "given twice, first on line 7: a.d.x");
	good("[a.b.c]\n[a]\n[a.b]\n[a.b.d]\n[ab]\nc = 1\n",
	     "1:2 [a.b.c]\n2:2 [a]\n3:2 [a.b]\n4:2 [a.b.d]\n5:2 [ab]\n6:1:5 ab.c = 1\n");
}

/* FNV-1a of 32 bits gives both names one hash: neither may pass for the other. */
static void test_hash_collision(UNUSED void **state)
{
	good("costarring = 1\nliquid = 2\n", "1:1:14 .costarring = 1\n2:1:10 .liquid = 2\n");
	good("[costarring]\n[liquid]\n", "1:2 [costarring]\n2:2 [liquid]\n");
	good("[liquid.x]\n[costarring]\n", "1:2 [liquid.x]\n2:2 [costarring]\n");
	bad("costarring = 1\nliquid = 2\nliquid = 3", 3, 1, "given twice, first on line 2: liquid");
}

static void test_limits(UNUSED void **state)
{
	char text[8192], name[200], want[160];
	size_t n;

	/* Names: 127 bytes with the table. */
	memset(name, 'k', sizeof(name));
	snprintf(text, sizeof(text), "[t]\n%.125s = 1", name);
	snprintf(want, sizeof(want), "1:2 [t]\n2:1:129 t.%.125s = 1\n", name);
	good(text, want);
	snprintf(text, sizeof(text), "[t]\n%.126s = 1", name);
	bad(text, 2, 126, "the name, with its tables, is longer than 127 bytes");
	snprintf(text, sizeof(text), "[%.127s]\na = 1", name);
	bad(text, 2, 1, "the name, with its tables, is longer than 127 bytes");
	snprintf(text, sizeof(text), "[%.126s.a]\n", name);
	bad(text, 1, 129, "the name, with its tables, is longer than 127 bytes");
	snprintf(text, sizeof(text), "[%.127s.a]\n", name);
	bad(text, 1, 129, "the name, with its tables, is longer than 127 bytes");

	/* Strings: 1023 bytes. */
	n = (size_t)snprintf(text, sizeof(text), "a = \"%1023d\"", 7);
	parse(text, n, &(struct toml_error){0});
	assert_int_equal(seen_len, strlen("1:1:5 .a = \"\"\n") + 1023);
	n = (size_t)snprintf(text, sizeof(text), "a = \"%1024d\"", 7);
	bad(text, 1, 6 + 1023, "the string is longer than 1023 bytes");
	n = (size_t)snprintf(text, sizeof(text), "a = \"%1022d\\u00e9\"", 7);
	bad(text, 1, 6 + 1022 + 6, "the string is longer than 1023 bytes");

	/* Arrays: 32 strings, 2048 bytes with their NULs. */
	for (int items = 32; items <= 33; items++) {
		n = (size_t)snprintf(text, sizeof(text), "a = [");
		for (int i = 0; i < items; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "'',");
		snprintf(text + n, sizeof(text) - n, "]");
		if (items == 32)
			assert_int_equal(parse(text, strlen(text), &(struct toml_error){0}), 0);
		else
			bad(text, 1, 6 + 32 * 3, "more than 32 strings in one array");
	}
	snprintf(text, sizeof(text), "a = ['%1023d','%1023d']", 1, 2);
	assert_int_equal(parse(text, strlen(text), &(struct toml_error){0}), 0);
	snprintf(text, sizeof(text), "a = ['%1023d','%1023d','']", 1, 2);
	bad(text, 1, 6 + 2 * 1026 + 1,
	    "the strings of the array are longer than 2048 bytes in all");
	snprintf(text, sizeof(text), "a = ['%1023d','%1022d','x']", 1, 2);
	bad(text, 1, 6 + 1026 + 1025 + 2,
	    "the strings of the array are longer than 2048 bytes in all");
}

static void test_names_limit(UNUSED void **state)
{
	char text[8192];
	size_t n = 0;

	for (int i = 0; i < 512; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "k%d=1\n", i);
	assert_int_equal(parse(text, n, &(struct toml_error){0}), 0);
	snprintf(text + n, sizeof(text) - n, "k7=1\n");
	bad(text, 513, 1, "given twice, first on line 8: k7");
	snprintf(text + n, sizeof(text) - n, "[k.l]\n");
	bad(text, 513, 2, "more than 512 keys and tables in one file");
}

/* The refusals of an event stop the parser; what came before was told. */
static void test_events_stop(UNUSED void **state)
{
	bad("a = 1\n[t]\n  refuse = 2\nb = 3", 3, 3, "refused");
	assert_string_equal(seen, "1:1:5 .a = 1\n2:2 [t]\n");
	bad("a = 1\nb = 2 x\n", 2, 7, "expected the end of the line, found 'x'");
	assert_string_equal(seen, "1:1:5 .a = 1\n");
}

/* 10,000 lines of anything, and as large as a file may be, are answered at once. */
static void test_large(UNUSED void **state)
{
	size_t max = TOML_TEXT_MAX, n = 0;
	char *text = malloc(max + 2);
	clock_t start = clock();

	assert_non_null(text);
	memset(text, '#', max + 1);
	assert_int_equal(parse(text, max, &(struct toml_error){0}), 0);
	text[max + 1] = '\0';
	bad(text, 1, 1, "the file is longer than 1048576 bytes");
	for (int i = 0; i < 10000; i++)
		n += (size_t)snprintf(text + n, max - n, "%%$ garbage \xff %d\n", i);
	bad(text, 1, 1, "expected a key, a [table] or a # comment, found '%'");
	n = 0;
	for (int i = 0; i < 10000; i++)
		n += (size_t)snprintf(text + n, max - n, "[t%d]\nkey = 'value'\n", i);
	bad(text, 513, 2, "more than 512 keys and tables in one file");
	memset(text, '[', max);
	bad_n(text, max, 1, 2,
	      "[[arrays of tables]] are not supported here; give each table a name of its own");
	memset(text, '\n', max);
	memcpy(text + max - 6, "a=1\na\"", 6);
	bad_n(text, max, TOML_TEXT_MAX - 4, 2, "expected '=' after the key, found '\"'");
	assert_in_range(clock() - start, 0, 5 * CLOCKS_PER_SEC);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),        cmocka_unit_test(test_integers),
		cmocka_unit_test(test_integers_bad),  cmocka_unit_test(test_strings),
		cmocka_unit_test(test_strings_bad),   cmocka_unit_test(test_utf8_bad),
		cmocka_unit_test(test_arrays),        cmocka_unit_test(test_arrays_bad),
		cmocka_unit_test(test_structure_bad), cmocka_unit_test(test_not_in_the_subset),
		cmocka_unit_test(test_twice),         cmocka_unit_test(test_hash_collision),
		cmocka_unit_test(test_limits),        cmocka_unit_test(test_names_limit),
		cmocka_unit_test(test_events_stop),   cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
