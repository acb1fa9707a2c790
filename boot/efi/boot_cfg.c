/* SPDX-License-Identifier: MIT */
/* The [boot] table of boot.cfg or tern.toml, and the load options of UEFI 2.10, section 9.1. */
#include <boot/efi/boot_cfg.h>

#include <tern/err.h>
#include <tern/lib.h>

#define LOADER_NAME "ternboot"

static int read_modules(const struct toml_value *v, struct boot_cfg *cfg, struct toml_error *err)
{
	const char *end = v->str;

	if (v->type != TOML_ARRAY)
		return toml_fail(err, v->line, v->col,
				 "expected an array of strings, such as [\"vmlinuz quiet\"]");
	for (u32 i = 0; i < v->count; i++) {
		if (*end == '\0' || *end == ' ')
			return toml_fail(err, v->line, v->col,
					 "module %u: expected a file name, found none", i + 1);
		end += strlen(end) + 1;
	}
	if ((size_t)(end - v->str) > sizeof(cfg->modules))
		return toml_fail(err, v->line, v->col, "expected at most %zu bytes of modules",
				 sizeof(cfg->modules));
	memcpy(cfg->modules, v->str, (size_t)(end - v->str));
	cfg->module_count = v->count;
	return 0;
}

static int read_cmdline(const struct toml_value *v, struct boot_cfg *cfg, struct toml_error *err)
{
	if (v->type != TOML_STRING)
		return toml_fail(err, v->line, v->col, "expected a string, such as \"log=debug\"");
	if (str_copy(cfg->cmdline, v->str, sizeof(cfg->cmdline)) >= sizeof(cfg->cmdline))
		return toml_fail(err, v->line, v->col, "expected at most %zu bytes",
				 sizeof(cfg->cmdline) - 1);
	return 0;
}

static int event(const char *table, const char *key, const struct toml_value *v,
		 struct toml_error *err, void *arg)
{
	struct boot_cfg *cfg = arg;

	if (strcmp(table, "boot") != 0)
		return 0;
	cfg->given = true;
	if (!key)
		return 0;
	if (strcmp(key, "modules") == 0)
		return read_modules(v, cfg, err);
	if (strcmp(key, "cmdline") == 0)
		return read_cmdline(v, cfg, err);
	return toml_fail(err, v->line, v->key_col,
			 "expected 'modules' or 'cmdline' in [boot], found '%s'", key);
}

int boot_cfg_parse(const char *text, size_t len, struct boot_cfg *cfg, struct toml_error *err)
{
	int rc;

	memset(cfg, 0, sizeof(*cfg));
	rc = toml_parse(text, len, event, cfg, err);
	if (rc != 0)
		memset(cfg, 0, sizeof(*cfg));
	return rc;
}

static char lower(u16 c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* True when the first word, of n letters, is ternboot or something that ends in ".efi". */
static bool is_loader_name(const u16 *word, size_t n)
{
	static const char suffix[] = ".efi", name[] = LOADER_NAME;
	size_t base = n, same = 0;

	while (same < 4 && n >= 4 && lower(word[n - 4 + same]) == suffix[same])
		same++;
	if (same == 4)
		return true;
	while (base > 0 && word[base - 1] != '\\' && word[base - 1] != '/' && word[base - 1] != ':')
		base--;
	if (n - base != sizeof(name) - 1)
		return false;
	for (same = 0; base + same < n && lower(word[base + same]) == name[same];)
		same++;
	return base + same == n;
}

bool boot_cfg_options(char *cmdline, size_t size, const u16 *options, size_t count)
{
	const size_t old = strlen(cmdline);
	size_t len = 0, word = 0, n = old;

	while (len < count && options[len] != 0) {
		if (options[len] < ' ' || options[len] > '~')
			return false;
		len++;
	}
	while (word < len && options[word] != ' ')
		word++;
	if (is_loader_name(options, word)) {
		options += word;
		len -= word;
	}
	while (len > 0 && *options == ' ') {
		options++;
		len--;
	}
	if (len == 0)
		return true;
	if (old + (old > 0) + len >= size)
		return false;
	if (old > 0)
		cmdline[n++] = ' ';
	for (size_t i = 0; i < len; i++)
		cmdline[n++] = (char)options[i];
	cmdline[n] = '\0';
	return true;
}
