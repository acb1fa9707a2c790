/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables, one parser each: MADT, FADT (with \_S5 from the DSDT), HPET, MCFG, SRAT. A table
 * comes here with a good checksum, yet nothing in it is trusted: lengths are checked and what makes
 * no sense is left out with a warning.
 */
#include <tern/acpi.h>
#include <tern/lib.h>

#include "acpi_regs.h"
#include "acpi_topology_regs.h"
#include "acpi_walk.h"

/*
 * The structure at *off of a MADT or SRAT; *off moves to the next. Returns false at the end, and,
 * with a warning, where a structure does not fit: what follows could be anything.
 */
static bool next_entry(struct acpi_walk *w, const char *sig, struct acpi_view table, u32 *off,
		       struct acpi_view *entry)
{
	struct acpi_entry e;
	u32 left = *off < table.len ? table.len - *off : 0;

	if (left == 0)
		return false;
	acpi_view_copy(table, *off, &e, sizeof(e));
	if (e.length < sizeof(e) || e.length > left) {
		acpi_warnf(
			w,
			"ACPI table %s: entry of type %u at offset %u has length %u, %u bytes are"
			" left; Tern ignores the rest of the table",
			sig, e.type, *off, e.length, left);
		return false;
	}
	entry->data = table.data + *off;
	entry->len = e.length;
	*off += e.length;
	return true;
}

/* Copies an entry whose type promises size bytes. */
static bool take_entry(struct acpi_walk *w, const char *sig, struct acpi_view entry, void *dst,
		       u32 size)
{
	acpi_view_copy(entry, 0, dst, size);
	if (entry.len >= size)
		return true;
	acpi_warnf(w, "ACPI table %s: entry of type %u has length %u, %u expected; Tern ignores it",
		   sig, entry.data[0], entry.len, size);
	return false;
}

/*
 * One CPU. Firmware lists empty sockets with the ID of another CPU, and some list a CPU both as
 * local APIC and as x2APIC: an APIC ID stays one CPU, and the entry that makes it usable wins.
 */
static void add_cpu(struct acpi_info *info, u32 apic_id, u32 uid, bool usable)
{
	struct acpi_cpu *cpu;

	for (u32 i = 0; i < info->cpu_count; i++) {
		cpu = &info->cpus[i];
		if (cpu->apic_id != apic_id)
			continue;
		if (usable && !cpu->usable) {
			cpu->usable = true;
			cpu->uid = uid;
		}
		return;
	}
	if (info->cpu_count == ACPI_CPUS_MAX) {
		info->cpus_dropped++;
		return;
	}
	cpu = &info->cpus[info->cpu_count++];
	cpu->apic_id = apic_id;
	cpu->uid = uid;
	cpu->usable = usable;
}

static void add_ioapic(struct acpi_walk *w, const struct acpi_madt_ioapic *e)
{
	struct acpi_info *info = w->info;
	struct acpi_ioapic *io;

	if (info->ioapic_count == ACPI_IOAPICS_MAX || e->addr == 0) {
		acpi_warnf(w, "ACPI table APIC: I/O APIC %u at %#x is not used: %s", e->id, e->addr,
			   e->addr == 0 ? "no address" : "too many of them");
		return;
	}
	io = &info->ioapics[info->ioapic_count++];
	io->base = e->addr;
	io->gsi_base = e->gsi_base;
	io->id = e->id;
}

static void add_override(struct acpi_walk *w, const struct acpi_madt_override *e)
{
	struct acpi_info *info = w->info;
	struct acpi_override *o;

	if (e->bus != 0 || e->source >= ACPI_ISA_IRQS ||
	    info->override_count == ACPI_OVERRIDES_MAX) {
		acpi_warnf(
			w,
			"ACPI table APIC: override of bus %u IRQ %u is not used: not an ISA IRQ, or"
			" too many of them",
			e->bus, e->source);
		return;
	}
	o = &info->overrides[info->override_count++];
	o->irq = e->source;
	o->gsi = e->gsi;
	o->active_low = ACPI_MPS_POLARITY(e->flags) == ACPI_MPS_ACTIVE_LOW;
	o->level = ACPI_MPS_TRIGGER(e->flags) == ACPI_MPS_LEVEL;
}

static void madt_entry(struct acpi_walk *w, struct acpi_view v)
{
	static const char sig[] = "APIC";
	struct acpi_info *info = w->info;
	union {
		struct acpi_madt_lapic lapic;
		struct acpi_madt_x2apic x2apic;
		struct acpi_madt_ioapic ioapic;
		struct acpi_madt_override override;
		struct acpi_madt_lapic_addr addr;
	} e;

	switch (v.data[0]) {
	case ACPI_MADT_LAPIC:
		if (take_entry(w, sig, v, &e, sizeof(e.lapic)) &&
		    e.lapic.apic_id != ACPI_MADT_LAPIC_ID_NONE)
			add_cpu(info, e.lapic.apic_id, e.lapic.uid,
				(e.lapic.flags & ACPI_MADT_ENABLED) != 0);
		break;
	case ACPI_MADT_X2APIC:
		if (take_entry(w, sig, v, &e, sizeof(e.x2apic)) &&
		    e.x2apic.apic_id != ACPI_MADT_X2APIC_ID_NONE)
			add_cpu(info, e.x2apic.apic_id, e.x2apic.uid,
				(e.x2apic.flags & ACPI_MADT_ENABLED) != 0);
		break;
	case ACPI_MADT_IOAPIC:
		if (take_entry(w, sig, v, &e, sizeof(e.ioapic)))
			add_ioapic(w, &e.ioapic);
		break;
	case ACPI_MADT_OVERRIDE:
		if (take_entry(w, sig, v, &e, sizeof(e.override)))
			add_override(w, &e.override);
		break;
	case ACPI_MADT_LAPIC_ADDR:
		if (take_entry(w, sig, v, &e, sizeof(e.addr)) && e.addr.addr < ACPI_PHYS_MAX)
			info->lapic_base = e.addr.addr;
		break;
	default: /* NMI wiring, SAPIC and other processors' structures: not needed */
		break;
	}
}

void acpi_parse_madt(struct acpi_walk *w, struct acpi_view v)
{
	struct acpi_info *info = w->info;
	struct acpi_madt madt;
	struct acpi_view entry;
	u32 off = ACPI_MADT_FIXED;

	acpi_view_copy(v, 0, &madt, sizeof(madt));
	if (v.len < sizeof(madt)) {
		acpi_warnf(w, "ACPI table APIC: only %u bytes; Tern goes on without it", v.len);
		return;
	}
	info->madt = true;
	info->has_8259 = (madt.flags & ACPI_MADT_PCAT_COMPAT) != 0;
	if (madt.lapic_addr != 0)
		info->lapic_base = madt.lapic_addr;
	while (next_entry(w, "APIC", v, &off, &entry))
		madt_entry(w, entry);
	if (info->cpus_dropped != 0)
		acpi_warnf(w, "ACPI table APIC: %u CPUs beyond %u are not used", info->cpus_dropped,
			   ACPI_CPUS_MAX);
}

/* A register that Tern cannot reach, or that is not there, becomes ACPI_SPACE_NONE. */
static struct acpi_gas gas_read(const struct acpi_gas_regs *r)
{
	struct acpi_gas gas = {.width = r->bit_width, .addr = r->addr};

	if (r->addr == 0)
		return gas;
	if (r->space == ACPI_GAS_MEM && r->addr < ACPI_PHYS_MAX)
		gas.space = ACPI_SPACE_MEM;
	else if (r->space == ACPI_GAS_IO && r->addr <= ACPI_IO_MAX)
		gas.space = ACPI_SPACE_IO;
	else if (r->space == ACPI_GAS_PCI)
		gas.space = ACPI_SPACE_PCI;
	return gas;
}

/* The port of a PM register block: the X_ field wins when it names one (ACPI 6.5, table 5.9). */
static u32 pm_port(const struct acpi_gas_regs *x, u32 legacy)
{
	struct acpi_gas gas = gas_read(x);

	if (gas.space == ACPI_SPACE_IO)
		return (u32)gas.addr;
	return legacy <= ACPI_IO_MAX ? legacy : 0;
}

/* AML that is left to read. */
struct aml {
	const u8 *p;
	size_t left;
};

static bool aml_byte(struct aml *a, u8 *out)
{
	if (a->left == 0)
		return false;
	*out = *a->p++;
	a->left--;
	return true;
}

/* PkgLength (20.2.4) counts itself; cuts *a to what the package holds. */
static bool aml_package(struct aml *a)
{
	size_t avail = a->left;
	u8 lead = 0, b;
	u32 len, follow;

	if (!aml_byte(a, &lead))
		return false;
	follow = AML_PKG_FOLLOW(lead);
	len = follow == 0 ? AML_PKG_SHORT(lead) : AML_PKG_NIBBLE(lead);
	for (u32 i = 0; i < follow; i++) {
		if (!aml_byte(a, &b))
			return false;
		len |= (u32)b << (AML_PKG_NIBBLE_BITS + 8 * i);
	}
	if (len > avail || len < 1 + follow)
		return false;
	a->left = len - (1 + follow);
	return true;
}

/* An integer constant (20.2.3) up to a DWord. */
static bool aml_integer(struct aml *a, u32 *out)
{
	u32 bytes;
	u8 op = 0, b;

	if (!aml_byte(a, &op))
		return false;
	*out = 0;
	switch (op) {
	case AML_ZERO_OP:
		return true;
	case AML_ONE_OP:
		*out = 1;
		return true;
	case AML_BYTE_PREFIX:
		bytes = sizeof(u8);
		break;
	case AML_WORD_PREFIX:
		bytes = sizeof(u16);
		break;
	case AML_DWORD_PREFIX:
		bytes = sizeof(u32);
		break;
	default:
		return false;
	}
	for (u32 i = 0; i < bytes; i++) {
		if (!aml_byte(a, &b))
			return false;
		*out |= (u32)b << (8 * i);
	}
	return true;
}

/* Package () { SLP_TYPa, SLP_TYPb, ... } after the name (7.4.2). */
static bool s5_package(struct aml a, struct acpi_info *info)
{
	u8 op, count;
	u32 type_a, type_b;

	if (!aml_byte(&a, &op) || op != AML_PACKAGE_OP || !aml_package(&a) ||
	    !aml_byte(&a, &count) || count == 0 || !aml_integer(&a, &type_a))
		return false;
	if (count == 1) { /* one integer for both, as ACPICA reads it too */
		type_b = (type_a >> 8) & 0xff;
		type_a &= 0xff;
	} else if (!aml_integer(&a, &type_b)) {
		return false;
	}
	if (type_a > ACPI_SLP_TYP_MAX || type_b > ACPI_SLP_TYP_MAX)
		return false;
	info->s5_type_a = (u8)type_a;
	info->s5_type_b = (u8)type_b;
	return true;
}

/*
 * Looks for Name (_S5, Package ...) byte by byte: Tern has no AML interpreter, and this object is a
 * constant in all firmware. The name may have a root prefix.
 */
static bool find_s5(struct acpi_view dsdt, struct acpi_info *info)
{
	static const char name[] = {'_', 'S', '5', '_'};

	for (size_t off = sizeof(struct acpi_header) + 1; off + sizeof(name) <= dsdt.len; off++) {
		const u8 *p = dsdt.data + off;
		struct aml rest = {p + sizeof(name), dsdt.len - off - sizeof(name)};

		if (p[0] != '_' || memcmp(p, name, sizeof(name)) != 0)
			continue;
		if (p[-1] != AML_NAME_OP &&
		    (p[-1] != AML_ROOT_PREFIX || off < sizeof(struct acpi_header) + 2 ||
		     p[-2] != AML_NAME_OP))
			continue;
		if (s5_package(rest, info))
			return true;
	}
	return false;
}

static void fadt_power_off(struct acpi_walk *w, const struct acpi_fadt *f)
{
	struct acpi_info *info = w->info;
	struct acpi_view dsdt = acpi_load(w, f->x_dsdt != 0 ? f->x_dsdt : f->dsdt, "DSDT");

	if (dsdt.data == NULL)
		return;
	info->s5 = find_s5(dsdt, info);
	if (!info->s5)
		acpi_warnf(w,
			   "ACPI table DSDT: no \\_S5 package of constants; this machine cannot be"
			   " switched off by software");
}

void acpi_parse_fadt(struct acpi_walk *w, struct acpi_view v)
{
	struct acpi_info *info = w->info;
	struct acpi_fadt f;

	acpi_view_copy(v, 0, &f, sizeof(f)); /* fields of later revisions read as 0: absent */
	if (v.len < ACPI_FADT_V1_LEN) {
		acpi_warnf(w,
			   "ACPI table FACP: only %u bytes, %u expected; Tern goes on without it",
			   v.len, ACPI_FADT_V1_LEN);
		return;
	}
	info->fadt = true;
	if ((f.flags & ACPI_FADT_RESET_REG_SUP) != 0 &&
	    v.len > offsetof(struct acpi_fadt, reset_value)) {
		info->reset_reg = gas_read(&f.reset_reg);
		info->reset_value = f.reset_value;
	}
	/* A hardware-reduced machine has none of the fixed registers (4.1). */
	if ((f.flags & ACPI_FADT_HW_REDUCED) == 0) {
		if (f.pm_tmr_len == ACPI_PM_TIMER_BYTES)
			info->pm_timer_port = pm_port(&f.x_pm_tmr, f.pm_tmr);
		info->pm_timer_32bit = (f.flags & ACPI_FADT_TMR_VAL_EXT) != 0;
		info->pm1a_cnt = pm_port(&f.x_pm1a_cnt, f.pm1a_cnt);
		info->pm1b_cnt = pm_port(&f.x_pm1b_cnt, f.pm1b_cnt);
		info->smi_cmd = f.smi_cmd <= ACPI_IO_MAX ? f.smi_cmd : 0;
		info->acpi_enable = f.acpi_enable;
	}
	fadt_power_off(w, &f);
}

void acpi_parse_hpet(struct acpi_walk *w, struct acpi_view v)
{
	struct acpi_hpet hpet;
	struct acpi_gas gas;

	acpi_view_copy(v, 0, &hpet, sizeof(hpet));
	gas = gas_read(&hpet.base);
	if (v.len < sizeof(hpet) || gas.space != ACPI_SPACE_MEM || gas.addr % sizeof(u64) != 0) {
		acpi_warnf(w,
			   "ACPI table HPET: no usable address (space %u, %#llx); Tern goes on"
			   " without the HPET",
			   hpet.base.space, (unsigned long long)hpet.base.addr);
		return;
	}
	w->info->hpet_base = gas.addr;
}

/* The window [bus_first, bus_last] must be in reach and aligned as buses are. */
static bool mcfg_sane(const struct acpi_mcfg_entry *e)
{
	u64 bus_bytes = 1ull << ACPI_MCFG_BUS_SHIFT;

	return e->base != 0 && e->base % bus_bytes == 0 && e->bus_first <= e->bus_last &&
	       e->base < ACPI_PHYS_MAX && (e->bus_last + 1) * bus_bytes <= ACPI_PHYS_MAX - e->base;
}

void acpi_parse_mcfg(struct acpi_walk *w, struct acpi_view v)
{
	struct acpi_info *info = w->info;
	struct acpi_mcfg_entry e;

	for (size_t off = ACPI_MCFG_FIXED; off + sizeof(e) <= v.len; off += sizeof(e)) {
		struct acpi_mcfg *m = &info->mcfg[info->mcfg_count];

		acpi_view_copy(v, off, &e, sizeof(e));
		if (!mcfg_sane(&e) || info->mcfg_count == ACPI_MCFG_MAX) {
			acpi_warnf(
				w,
				"ACPI table MCFG: segment %u, buses %u-%u at %#llx is not used: %s",
				e.segment, e.bus_first, e.bus_last, (unsigned long long)e.base,
				mcfg_sane(&e) ? "too many of them" : "makes no sense");
			continue;
		}
		m->base = e.base;
		m->segment = e.segment;
		m->bus_first = e.bus_first;
		m->bus_last = e.bus_last;
		info->mcfg_count++;
	}
}

/* Proximity domains seen so far; the index is the node. */
struct domains {
	u32 id[NODES_MAX];
	u32 count;
	bool full;
};

/* Numbers domains in order of appearance; those that do not fit become part of node 0. */
static u32 domain_node(struct acpi_walk *w, struct domains *d, u32 domain)
{
	for (u32 i = 0; i < d->count; i++) {
		if (d->id[i] == domain)
			return i;
	}
	if (d->count == NODES_MAX) {
		if (!d->full)
			acpi_warnf(
				w,
				"ACPI table SRAT: more than %u NUMA nodes; Tern counts the others"
				" as node 0",
				NODES_MAX);
		d->full = true;
		return 0;
	}
	d->id[d->count] = domain;
	return d->count++;
}

static void set_cpu_node(struct acpi_info *info, u32 apic_id, u32 node)
{
	for (u32 i = 0; i < info->cpu_count; i++) {
		if (info->cpus[i].apic_id == apic_id)
			info->cpus[i].node = node;
	}
}

static void add_srat_mem(struct acpi_walk *w, const struct acpi_srat_memory *e, u32 node)
{
	struct acpi_info *info = w->info;
	struct acpi_srat_mem *m;

	if (e->len == 0)
		return;
	if (e->base >= ACPI_PHYS_MAX || e->len > ACPI_PHYS_MAX - e->base ||
	    info->srat_mem_count == ACPI_SRAT_MEM_MAX) {
		acpi_warnf(w,
			   "ACPI table SRAT: memory at %#llx, length %#llx is not used: outside of"
			   " physical memory, or too many of them",
			   (unsigned long long)e->base, (unsigned long long)e->len);
		return;
	}
	m = &info->srat_mem[info->srat_mem_count++];
	m->base = e->base;
	m->len = e->len;
	m->node = node;
}

static void srat_entry(struct acpi_walk *w, struct domains *d, u8 revision, struct acpi_view v)
{
	static const char sig[] = "SRAT";
	u32 mask = revision <= ACPI_SRAT_REV_DOMAIN8 ? 0xffu : ~0u;
	union {
		struct acpi_srat_lapic lapic;
		struct acpi_srat_memory mem;
		struct acpi_srat_x2apic x2apic;
	} e;
	u32 domain;

	switch (v.data[0]) {
	case ACPI_SRAT_LAPIC:
		if (!take_entry(w, sig, v, &e, sizeof(e.lapic)) ||
		    (e.lapic.flags & ACPI_SRAT_ENABLED) == 0)
			break;
		domain = e.lapic.domain_lo | (u32)e.lapic.domain_hi[0] << 8 |
			 (u32)e.lapic.domain_hi[1] << 16 | (u32)e.lapic.domain_hi[2] << 24;
		set_cpu_node(w->info, e.lapic.apic_id, domain_node(w, d, domain & mask));
		break;
	case ACPI_SRAT_MEM:
		if (take_entry(w, sig, v, &e, sizeof(e.mem)) &&
		    (e.mem.flags & ACPI_SRAT_ENABLED) != 0)
			add_srat_mem(w, &e.mem, domain_node(w, d, e.mem.domain & mask));
		break;
	case ACPI_SRAT_X2APIC:
		if (take_entry(w, sig, v, &e, sizeof(e.x2apic)) &&
		    (e.x2apic.flags & ACPI_SRAT_ENABLED) != 0)
			set_cpu_node(w->info, e.x2apic.apic_id, domain_node(w, d, e.x2apic.domain));
		break;
	default: /* other processors, generic initiators */
		break;
	}
}

void acpi_parse_srat(struct acpi_walk *w, struct acpi_view v)
{
	struct domains domains = {.count = 0};
	struct acpi_header h;
	struct acpi_view entry;
	u32 off = ACPI_SRAT_FIXED;

	acpi_view_copy(v, 0, &h, sizeof(h));
	while (next_entry(w, "SRAT", v, &off, &entry))
		srat_entry(w, &domains, h.revision, entry);
	if (domains.count != 0)
		w->info->node_count = domains.count;
}
