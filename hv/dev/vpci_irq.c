/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a VM's PCI functions: INTA#, wired to eight lines as slot modulo 8, and MSI-X (PCI Local
 * Bus 3.0 sections 2.2.6 and 6.8.2).
 */
#include <tern/vpci.h>

#include "vpci_internal.h"

#include <linux/pci_regs.h>

#include <tern/err.h>
#include <tern/lib.h>
#include <tern/platform.h>
#include <tern/vlapic.h>
#include <tern/vm.h>

#define PBA_LEN sizeof(u64)

static u32 table_len(const struct vpci_function *f)
{
	return f->msix.vectors * PCI_MSIX_ENTRY_SIZE;
}

static u32 msix_flags(const struct vpci_function *f)
{
	return f->msix.vectors > 0 ? vpci_get16(f, f->msix.cap + PCI_MSIX_FLAGS) : 0;
}

bool vpci_msix_enabled(const struct vpci_function *f)
{
	return (msix_flags(f) & PCI_MSIX_FLAGS_ENABLE) != 0;
}

bool vpci_bus_master(const struct vpci_function *f)
{
	return (f->config[PCI_COMMAND] & PCI_COMMAND_MASTER) != 0;
}

/* --- INTx --- */

static bool drives_line(const struct vpci_function *f)
{
	return f->asserted && !vpci_msix_enabled(f) &&
	       (vpci_get16(f, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) == 0;
}

/* The line of f is what all functions that are wired to it say together. */
static void line_changed(struct vpci_function *f)
{
	struct vpci *p = vpci_of(f->vm);
	u32 line = f->slot % VPCI_INTX_LINES, bit = 1u << line;
	bool high = false;

	for (u32 i = line; i < VPCI_SLOTS; i += VPCI_INTX_LINES)
		high = high || (p->slots[i] != NULL && drives_line(p->slots[i]));
	if (high == ((p->lines & bit) != 0))
		return;
	p->lines ^= bit;
	platform_irq(f->vm, IRQ_PCI + line, high);
}

static void pin_changed(struct vpci_function *f)
{
	if (f->asserted && !vpci_msix_enabled(f))
		f->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		f->config[PCI_STATUS] &= (u8)~PCI_STATUS_INTERRUPT;
	line_changed(f);
}

void vpci_intx(struct vpci_function *f, bool asserted)
{
	if (f->asserted == asserted)
		return;
	f->asserted = asserted;
	pin_changed(f);
}

/* --- MSI-X --- */

int vpci_msix_check(const struct vpci_function *f)
{
	const struct vpci_msix *m = &f->msix;
	u64 size, table_end, pba_end;

	if (m->vectors == 0)
		return 0;
	if (m->vectors > VPCI_VECTORS_MAX || m->bar >= VPCI_BARS || m->table % sizeof(u64) != 0 ||
	    m->pba % sizeof(u64) != 0)
		return -TERN_EINVAL;
	size = f->bars[m->bar].kind == VPCI_BAR_NONE ? 0 : f->bars[m->bar].size;
	table_end = (u64)m->table + table_len(f);
	pba_end = (u64)m->pba + PBA_LEN;
	if (table_end > size || pba_end > size || (m->table < pba_end && m->pba < table_end))
		return -TERN_EINVAL;
	return 0;
}

int vpci_msix_add(struct vpci_function *f)
{
	struct vpci_msix *m = &f->msix;
	u8 cap[PCI_CAP_MSIX_SIZEOF] = {0};
	u32 table = m->table | m->bar, pba = m->pba | m->bar;
	int at;

	memcpy(cap + PCI_MSIX_TABLE, &table, sizeof(table));
	memcpy(cap + PCI_MSIX_PBA, &pba, sizeof(pba));
	at = vpci_add_capability(f, PCI_CAP_ID_MSIX, cap, sizeof(cap));
	if (at < 0)
		return at;
	m->cap = (u32)at;
	vpci_put16(f, m->cap + PCI_MSIX_FLAGS, m->vectors - 1);
	f->writable[m->cap + PCI_MSIX_FLAGS + 1] =
		(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	return 0;
}

void vpci_msix_reset(struct vpci_function *f)
{
	f->msix.pending = 0;
	for (u32 i = 0; i < f->msix.vectors; i++)
		f->msix.entries[i] =
			(struct vpci_msix_entry){.control = PCI_MSIX_ENTRY_CTRL_MASKBIT};
}

/* A pending message goes as soon as nothing holds it back. */
static void send_pending(struct vpci_function *f, u32 vector)
{
	struct vpci_msix *m = &f->msix;
	const struct vpci_msix_entry *e = &m->entries[vector];
	u32 flags = msix_flags(f);

	if ((m->pending >> vector & 1) == 0 || (flags & PCI_MSIX_FLAGS_ENABLE) == 0 ||
	    (flags & PCI_MSIX_FLAGS_MASKALL) != 0 ||
	    (e->control & PCI_MSIX_ENTRY_CTRL_MASKBIT) != 0 || !vpci_bus_master(f))
		return;
	m->pending &= ~(1ull << vector);
	vlapic_msi(f->vm, e->address, e->data);
}

void vpci_msix_send(struct vpci_function *f, u32 vector)
{
	if (vector >= f->msix.vectors || !vpci_msix_enabled(f))
		return;
	f->msix.pending |= 1ull << vector;
	send_pending(f, vector);
}

void vpci_irq_changed(struct vpci_function *f)
{
	for (u32 i = 0; i < f->msix.vectors; i++)
		send_pending(f, i);
	pin_changed(f);
}

bool vpci_msix_owns(const struct vpci_function *f, u32 bar, u64 offset)
{
	const struct vpci_msix *m = &f->msix;

	return m->vectors > 0 && bar == m->bar &&
	       (offset - m->table < table_len(f) || offset - m->pba < PBA_LEN);
}

u64 vpci_msix_read(const struct vpci_function *f, u64 offset, u32 width)
{
	const struct vpci_msix *m = &f->msix;
	bool pba = offset - m->pba < PBA_LEN;
	u64 at = offset - (pba ? m->pba : m->table), len = pba ? PBA_LEN : table_len(f);
	u64 value = 0;

	memcpy(&value, (pba ? (const u8 *)&m->pending : (const u8 *)m->entries) + at,
	       min_u64(width, len - at));
	return value;
}

/* Of the table, aligned 4 or 8 bytes; the effect of anything else is undefined, and is none. */
void vpci_msix_write(struct vpci_function *f, u64 offset, u32 width, u64 value)
{
	struct vpci_msix *m = &f->msix;
	u64 at = offset - m->table;
	struct vpci_msix_entry *e;

	if (at >= table_len(f) || (width != sizeof(u32) && width != sizeof(u64)) || at % width != 0)
		return;
	e = &m->entries[at / PCI_MSIX_ENTRY_SIZE];
	memcpy((u8 *)e + at % PCI_MSIX_ENTRY_SIZE, &value, width);
	e->control &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	send_pending(f, (u32)(at / PCI_MSIX_ENTRY_SIZE));
}
