/* SPDX-License-Identifier: MIT */
/*
 * ACPI root tables: finds and checks the RSDP, walks the XSDT or RSDT, checks every table it names,
 * and hands the good ones to the parsers of acpi_tables.c. Pure: memory comes from a map function.
 */
#include <tern/acpi.h>
#include <tern/lib.h>

#include "acpi_regs.h"
#include "acpi_walk.h"

#define REMEDY "Firmware bug: update the firmware"

void acpi_warnf(struct acpi_walk *w, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	fmt_vstr(text, sizeof(text), fmt, ap);
	va_end(ap);
	w->warn(text, w->arg);
}

bool acpi_checksum_ok(const void *data, size_t len)
{
	const u8 *p = data;
	u32 sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += p[i];
	return (sum & 0xff) == 0;
}

void acpi_view_copy(struct acpi_view v, size_t off, void *dst, size_t size)
{
	size_t have = off < v.len ? v.len - off : 0;

	memset(dst, 0, size);
	memcpy(dst, v.data + (off < v.len ? off : 0), have < size ? have : size);
}

/* No table lies at 0 (real-mode vectors), nor past what the processor can address. */
static const void *map_range(acpi_map_fn *map, void *arg, u64 pa, u64 len)
{
	if (pa == 0 || pa >= ACPI_PHYS_MAX || len > ACPI_PHYS_MAX - pa)
		return NULL;
	return map(pa, len, arg);
}

/*
 * The ACPI 1.0 part of the RSDP (ACPI 6.5, 5.2.5.3), copied to *out; all zero when it is bad.
 * Returns NULL, or what is wrong.
 */
static const char *rsdp_read_v1(acpi_map_fn *map, void *arg, u64 pa, struct acpi_rsdp_regs *out)
{
	const void *p = map_range(map, arg, pa, ACPI_RSDP_V1_LEN);

	memset(out, 0, sizeof(*out));
	if (p == NULL)
		return "past the end of memory";
	if (memcmp(p, ACPI_RSDP_SIG, sizeof(out->sig)) != 0)
		return "no RSDP signature";
	if (!acpi_checksum_ok(p, ACPI_RSDP_V1_LEN))
		return "wrong checksum";
	memcpy(out, p, ACPI_RSDP_V1_LEN);
	return NULL;
}

/* The rest, which revision 2 and later have and which has a checksum over the whole. The XSDT
 * address is 0 when it is bad. Returns NULL, or what is wrong. */
static const char *rsdp_read_v2(acpi_map_fn *map, void *arg, u64 pa, struct acpi_rsdp_regs *out)
{
	struct acpi_rsdp_regs whole;
	const void *p = map_range(map, arg, pa, sizeof(whole));

	if (p == NULL)
		return "extended part past the end of memory";
	memcpy(&whole, p, sizeof(whole));
	if (whole.length < sizeof(whole) || whole.length > ACPI_RSDP_LEN_MAX)
		return "wrong extended length";
	p = map_range(map, arg, pa, whole.length);
	if (p == NULL)
		return "extended part past the end of memory";
	if (!acpi_checksum_ok(p, whole.length))
		return "wrong extended checksum";
	*out = whole;
	return NULL;
}

static u64 rsdp_search(acpi_map_fn *map, void *arg, u64 base, u64 len)
{
	const u8 *area = map_range(map, arg, base, len);

	for (u64 off = 0; area != NULL && off + ACPI_RSDP_V1_LEN <= len; off += ACPI_RSDP_ALIGN) {
		if (memcmp(area + off, ACPI_RSDP_SIG, sizeof(ACPI_RSDP_SIG) - 1) == 0 &&
		    acpi_checksum_ok(area + off, ACPI_RSDP_V1_LEN))
			return base + off;
	}
	return 0;
}

u64 acpi_find_rsdp(acpi_map_fn *map, void *arg)
{
	u16 segment = 0;
	const void *p = map_range(map, arg, ACPI_EBDA_POINTER, sizeof(segment));
	u64 ebda, rsdp = 0;

	if (p != NULL)
		memcpy(&segment, p, sizeof(segment));
	ebda = (u64)segment << 4;
	if (ebda > ACPI_EBDA_POINTER && ebda + ACPI_EBDA_SEARCH <= ACPI_EBDA_END)
		rsdp = rsdp_search(map, arg, ebda, ACPI_EBDA_SEARCH);
	if (rsdp == 0)
		rsdp = rsdp_search(map, arg, ACPI_BIOS_BASE, ACPI_BIOS_LEN);
	return rsdp;
}

static void set_sig(struct acpi_table *t, const char *sig)
{
	for (u32 i = 0; i < ACPI_SIG_LEN; i++)
		t->sig[i] = sig[i] >= ' ' && sig[i] <= '~' ? sig[i] : '?';
	t->sig[ACPI_SIG_LEN] = '\0';
}

/* What the operator loses with a table. */
static const char *loss(const char *sig)
{
	static const struct {
		char sig[ACPI_SIG_LEN + 1];
		const char *what;
	} losses[] = {
		{"APIC", "the list of CPUs and I/O APICs"},
		{"FACP", "ACPI reset and power-off"},
		{"DSDT", "ACPI power-off"},
		{"HPET", "the HPET"},
		{"MCFG", "memory-mapped PCI configuration"},
		{"SRAT", "the list of NUMA nodes"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(losses); i++) {
		if (strcmp(losses[i].sig, sig) == 0)
			return losses[i].what;
	}
	return "it";
}

/* Maps and checks one table, fills *t but for base. Returns its data, or NULL with t->why. */
static const u8 *table_map(struct acpi_walk *w, u64 pa, const char *want, struct acpi_table *t)
{
	const void *p = map_range(w->map, w->arg, pa, sizeof(struct acpi_header));
	struct acpi_header h;
	const char *why = NULL;

	set_sig(t, want != NULL ? want : "????");
	if (p == NULL) {
		str_copy(t->why, "past the end of memory", sizeof(t->why));
		return NULL;
	}
	memcpy(&h, p, sizeof(h));
	set_sig(t, h.sig);
	t->len = h.length;
	if (want != NULL && memcmp(h.sig, want, ACPI_SIG_LEN) != 0) {
		fmt_str(t->why, sizeof(t->why), "wrong signature, %s expected", want);
		return NULL;
	}
	if (h.length < sizeof(h)) {
		why = "length shorter than the header";
	} else if (h.length > ACPI_TABLE_LEN_MAX) {
		why = "length above 16 MiB";
	} else {
		p = map_range(w->map, w->arg, pa, h.length);
		if (p == NULL)
			why = "past the end of memory";
		else if (!acpi_checksum_ok(p, h.length))
			why = "wrong checksum";
	}
	if (why != NULL) {
		str_copy(t->why, why, sizeof(t->why));
		return NULL;
	}
	return p;
}

struct acpi_view acpi_load(struct acpi_walk *w, u64 pa, const char *want)
{
	struct acpi_info *info = w->info;
	struct acpi_view v = {NULL, 0};
	struct acpi_table *t;

	for (u32 i = 0; i < info->table_count; i++) {
		t = &info->tables[i];
		if (t->base == pa && (want == NULL || memcmp(t->sig, want, ACPI_SIG_LEN) == 0)) {
			v.data = w->data[i];
			v.len = v.data != NULL ? t->len : 0;
			return v;
		}
	}
	if (info->table_count == ACPI_TABLES_MAX) {
		acpi_warnf(w, "ACPI table at %#llx: more than %u tables, not used",
			   (unsigned long long)pa, ACPI_TABLES_MAX);
		return v;
	}
	t = &info->tables[info->table_count];
	t->base = pa;
	v.data = table_map(w, pa, want, t);
	t->ok = v.data != NULL;
	if (t->ok) {
		v.len = t->len;
	} else {
		info->tables_bad++;
		acpi_warnf(w,
			   "ACPI table %s at %#llx, length %u: %s. " REMEDY
			   "; Tern goes on without %s",
			   t->sig, (unsigned long long)pa, t->len, t->why,
			   loss(want != NULL ? want : t->sig));
	}
	w->data[info->table_count++] = v.data;
	return v;
}

/* Lists every table that the XSDT (entry: 8 bytes) or RSDT (4 bytes) names. */
static void walk_root(struct acpi_walk *w, struct acpi_view root, size_t entry)
{
	for (size_t off = sizeof(struct acpi_header); off + entry <= root.len; off += entry) {
		u64 pa = 0;

		memcpy(&pa, root.data + off, entry);
		if (w->info->table_count == ACPI_TABLES_MAX) {
			acpi_warnf(w, "ACPI: more than %u tables, the others are not used",
				   ACPI_TABLES_MAX);
			return;
		}
		if (pa != 0) /* firmware leaves holes for tables that it did not need */
			acpi_load(w, pa, NULL);
	}
}

/* The first good table of that signature. Others of that name are warned about. */
static struct acpi_view find_table(struct acpi_walk *w, const char *sig)
{
	struct acpi_view v = {NULL, 0};
	u64 base = 0;

	for (u32 i = 0; i < w->info->table_count; i++) {
		const struct acpi_table *t = &w->info->tables[i];

		if (!t->ok || strcmp(t->sig, sig) != 0)
			continue;
		if (v.data == NULL) {
			v.data = w->data[i];
			v.len = t->len;
			base = t->base;
		} else {
			acpi_warnf(w,
				   "ACPI table %s at %#llx: there is one already at %#llx. " REMEDY
				   "; Tern uses the first",
				   sig, (unsigned long long)t->base, (unsigned long long)base);
		}
	}
	return v;
}

/* The XSDT when it is there and good, else the RSDT. */
static bool load_tables(struct acpi_walk *w, const struct acpi_rsdp_regs *rsdp)
{
	struct acpi_view root = {NULL, 0};
	size_t entry = sizeof(u64);

	if (rsdp->revision >= 2 && rsdp->xsdt != 0)
		root = acpi_load(w, rsdp->xsdt, "XSDT");
	if (root.data == NULL && rsdp->rsdt != 0) {
		entry = sizeof(u32);
		root = acpi_load(w, rsdp->rsdt, "RSDT");
	}
	if (root.data == NULL)
		return false;
	walk_root(w, root, entry);
	return true;
}

/* A machine without ACPI: one node, interrupt controllers where PCs always had them. */
static void set_defaults(struct acpi_info *info)
{
	memset(info, 0, sizeof(*info));
	info->has_8259 = true;
	info->lapic_base = ACPI_LAPIC_DEFAULT;
	info->node_count = 1;
}

void acpi_parse(u64 rsdp, acpi_map_fn *map, void *arg, acpi_warn_fn *warn, struct acpi_info *info)
{
	static const struct {
		char sig[ACPI_SIG_LEN + 1];
		void (*parse)(struct acpi_walk *w, struct acpi_view v);
	} parsers[] = {
		{"APIC", acpi_parse_madt}, /* first: acpi_parse_srat() fills its CPUs */
		{"SRAT", acpi_parse_srat}, {"FACP", acpi_parse_fadt},
		{"HPET", acpi_parse_hpet}, {"MCFG", acpi_parse_mcfg},
	};
	struct acpi_walk w = {.map = map, .arg = arg, .warn = warn, .info = info};
	struct acpi_rsdp_regs regs;
	const char *why;

	set_defaults(info);
	if (rsdp == 0)
		return;
	why = rsdp_read_v1(map, arg, rsdp, &regs);
	if (why != NULL) {
		acpi_warnf(&w, "ACPI RSDP at %#llx: %s. " REMEDY "; Tern goes on without ACPI",
			   (unsigned long long)rsdp, why);
		return;
	}
	if (regs.revision >= 2)
		why = rsdp_read_v2(map, arg, rsdp, &regs);
	if (why != NULL)
		acpi_warnf(&w, "ACPI RSDP at %#llx: %s. " REMEDY "; Tern goes on with the RSDT",
			   (unsigned long long)rsdp, why);
	info->rsdp = rsdp;
	info->revision = regs.revision;
	if (!load_tables(&w, &regs)) {
		acpi_warnf(&w, "ACPI: neither XSDT nor RSDT is usable. " REMEDY
			       "; Tern goes on without ACPI");
		return;
	}
	for (u32 i = 0; i < ARRAY_SIZE(parsers); i++) {
		struct acpi_view v = find_table(&w, parsers[i].sig);

		if (v.data != NULL)
			parsers[i].parse(&w, v);
	}
}
