/* SPDX-License-Identifier: MIT */
/* Shell commands about the machine beside CPUs and memory: pci, acpi, irq, timers. */
#include "commands.h"

#include <tern/acpi.h>
#include <tern/arch.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/irq.h>
#include <tern/lib.h>
#include <tern/pci.h>
#include <tern/pcpu.h>
#include <tern/timer.h>

#define TIMERS_SHOWN 64u

/* Reads a hexadecimal number up to the separator and steps over that. */
static bool hex_field(const char **s, char end, u32 max, u32 *out)
{
	const char *p = *s;
	u32 v = 0;

	for (; *p != '\0' && *p != end; p++) {
		u32 digit = str_digit(*p);

		if (digit > 15 || v * 16 + digit > max)
			return false;
		v = v * 16 + digit;
	}
	if (p == *s || *p != end)
		return false;
	*s = end != '\0' ? p + 1 : p;
	*out = v;
	return true;
}

/* "00:1f.2" or "0001:00:1f.2". */
static bool parse_address(const char *s, u32 *segment, u32 *bus, u32 *dev, u32 *fn)
{
	const char *colon = strchr(s, ':');

	*segment = 0;
	if (colon != NULL && strchr(colon + 1, ':') != NULL && !hex_field(&s, ':', 0xffff, segment))
		return false;
	return hex_field(&s, ':', 0xff, bus) && hex_field(&s, '.', 0x1f, dev) &&
	       hex_field(&s, '\0', 7, fn);
}

static void print_device(const struct pci_device *d)
{
	if (d->segment != 0)
		console_printf("%04x:", d->segment);
	console_printf("%02x:%02x.%x  %04x:%04x  %02x%02x  %s\n", d->bus, d->dev, d->fn, d->vendor,
		       d->device, d->class_code, d->subclass,
		       pci_class_name(d->class_code, d->subclass));
}

static void print_bars(const struct pci_device *d)
{
	char size[16];

	for (u32 i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *b = &d->bars[i];

		if (b->size == 0)
			continue;
		console_printf("  BAR %u: %s 0x%llx, %s%s%s%s\n", i, b->io ? "I/O port" : "memory",
			       (unsigned long long)b->base, fmt_size(size, sizeof(size), b->size),
			       b->is64 ? ", 64-bit" : "", b->prefetch ? ", prefetchable" : "",
			       b->base == 0 ? ", not set by firmware" : "");
	}
}

static void print_device_details(const struct pci_device *d)
{
	static const char pins[] = "-ABCD";

	print_device(d);
	console_printf("  subsystem %04x:%04x, revision %02x, programming interface %02x\n",
		       d->sub_vendor, d->sub_device, d->revision, d->prog_if);
	print_bars(d);
	if (d->irq_pin != 0 && d->irq_pin < sizeof(pins) - 1)
		console_printf("  INT%c, line %u by firmware\n", pins[d->irq_pin], d->irq_line);
	if (d->msi_cap != 0)
		console_printf("  MSI, %u vectors\n", d->msi_vectors);
	if (d->msix_cap != 0)
		console_printf("  MSI-X, %u vectors\n", d->msix_vectors);
	if (d->pcie_cap != 0)
		console_printf("  PCI Express\n");
	if (d->pm_cap != 0)
		console_printf("  power management\n");
}

int cmd_pci(int argc, char **argv)
{
	u32 segment = 0, bus = 0, dev = 0, fn = 0, count = pci_device_count();

	if (argc > 2 || (argc == 2 && !parse_address(argv[1], &segment, &bus, &dev, &fn)))
		return -TERN_EINVAL;
	for (u32 i = 0; i < count; i++) {
		const struct pci_device *d = pci_device_get(i);

		if (argc == 1) {
			print_device(d);
		} else if (d->segment == segment && d->bus == bus && d->dev == dev && d->fn == fn) {
			print_device_details(d);
			return 0;
		}
	}
	if (argc == 2) {
		console_printf("there is no PCI device %s; 'pci' lists all\n", argv[1]);
		return 0;
	}
	console_printf("%u devices by %s\n", count, pci_access_name());
	if (pci_devices_dropped() != 0)
		console_printf("%u more are not used: Tern knows at most %u\n",
			       pci_devices_dropped(), PCI_DEVICES_MAX);
	return 0;
}

static void print_madt(const struct acpi_info *a)
{
	u32 usable = 0;

	if (!a->madt) {
		console_printf("MADT: none: one CPU, no I/O APIC\n");
		return;
	}
	for (u32 i = 0; i < a->cpu_count; i++)
		usable += a->cpus[i].usable;
	console_printf("MADT: %u CPUs, %u usable, local APIC at 0x%llx, 8259 %s\n", a->cpu_count,
		       usable, (unsigned long long)a->lapic_base,
		       a->has_8259 ? "present" : "absent");
	if (a->cpus_dropped != 0)
		console_printf("  %u more CPUs than Tern can list\n", a->cpus_dropped);
	for (u32 i = 0; i < a->ioapic_count; i++)
		console_printf("  I/O APIC %u at 0x%llx, interrupts from %u\n", a->ioapics[i].id,
			       (unsigned long long)a->ioapics[i].base, a->ioapics[i].gsi_base);
	for (u32 i = 0; i < a->override_count; i++)
		console_printf("  IRQ %u is interrupt %u, %s, active %s\n", a->overrides[i].irq,
			       a->overrides[i].gsi, a->overrides[i].level ? "level" : "edge",
			       a->overrides[i].active_low ? "low" : "high");
}

static void print_fadt(const struct acpi_info *a)
{
	static const char *const spaces[] = {"", "memory", "I/O port", "PCI configuration"};

	if (!a->fadt) {
		console_printf("FADT: none: no PM timer, no power-off\n");
		return;
	}
	if (a->pm_timer_port != 0)
		console_printf("PM timer: I/O port 0x%x, %u bits\n", a->pm_timer_port,
			       a->pm_timer_32bit ? 32 : 24);
	else
		console_printf("PM timer: none\n");
	if (a->reset_reg.space != ACPI_SPACE_NONE && a->reset_reg.space < ARRAY_SIZE(spaces))
		console_printf("reset: write 0x%x to %s 0x%llx\n", a->reset_value,
			       spaces[a->reset_reg.space], (unsigned long long)a->reset_reg.addr);
	else
		console_printf("reset: no register\n");
	if (a->s5)
		console_printf("power-off: S5 types %u and %u, PM1 control 0x%x and 0x%x\n",
			       a->s5_type_a, a->s5_type_b, a->pm1a_cnt, a->pm1b_cnt);
	else
		console_printf("power-off: no \\_S5 in the DSDT\n");
}

int cmd_acpi(int argc, UNUSED char **argv)
{
	const struct acpi_info *a = acpi_get();

	if (argc != 1)
		return -TERN_EINVAL;
	if (a->rsdp == 0) {
		console_printf("no ACPI: the firmware has no RSDP\n");
		return 0;
	}
	console_printf("RSDP at 0x%llx, revision %u, %u tables, %u bad\n",
		       (unsigned long long)a->rsdp, a->revision, a->table_count, a->tables_bad);
	for (u32 i = 0; i < a->table_count; i++) {
		const struct acpi_table *t = &a->tables[i];

		console_printf("  %-4s 0x%012llx %8u bytes%s%s\n", t->sig,
			       (unsigned long long)t->base, t->len,
			       t->ok ? "" : "  BAD: ", t->ok ? "" : t->why);
	}
	print_madt(a);
	print_fadt(a);
	if (a->hpet_base != 0)
		console_printf("HPET: 0x%llx\n", (unsigned long long)a->hpet_base);
	else
		console_printf("HPET: none\n");
	for (u32 i = 0; i < a->mcfg_count; i++)
		console_printf("MCFG: segment %u, buses %u-%u at 0x%llx\n", a->mcfg[i].segment,
			       a->mcfg[i].bus_first, a->mcfg[i].bus_last,
			       (unsigned long long)a->mcfg[i].base);
	console_printf("NUMA: %u node%s\n", a->node_count, a->node_count == 1 ? "" : "s");
	for (u32 i = 0; i < a->srat_mem_count; i++)
		console_printf("  node %u: 0x%012llx-0x%012llx\n", a->srat_mem[i].node,
			       (unsigned long long)a->srat_mem[i].base,
			       (unsigned long long)(a->srat_mem[i].base + a->srat_mem[i].len - 1));
	return 0;
}

int cmd_irq(int argc, UNUSED char **argv)
{
	struct irq_view v;

	if (argc != 1)
		return -TERN_EINVAL;
	console_printf("vector      count  name\n");
	for (u32 i = 0; irq_view_get(i, &v); i++)
		console_printf("  0x%02x %10llu  %s\n", (u32)v.vector, (unsigned long long)v.count,
			       v.name);
	console_printf("  none %10llu  spurious\n", (unsigned long long)irq_spurious_count());
	return 0;
}

int cmd_timers(int argc, UNUSED char **argv)
{
	static struct timer_view views[TIMERS_SHOWN]; /* the shell has one user */

	if (argc != 1)
		return -TERN_EINVAL;
	for (u32 i = 0; i < pcpu_count(); i++) {
		const struct pcpu *pc = pcpu_get(i);
		u32 n;

		if (__atomic_load_n(&pc->online, __ATOMIC_ACQUIRE) == 0)
			continue;
		n = timer_list(pc, views, TIMERS_SHOWN);
		console_printf("CPU %u: %u timer%s\n", i, n, n == 1 ? "" : "s");
		for (u32 k = 0; k < n && k < TIMERS_SHOWN; k++) {
			u64 now = arch_tsc(), at = views[k].deadline;

			console_printf(
				"  %-16s in %llu us\n", views[k].name,
				(unsigned long long)timer_tsc_to_us(at > now ? at - now : 0));
		}
		if (n > TIMERS_SHOWN)
			console_printf("  and %u later ones\n", n - TIMERS_SHOWN);
	}
	return 0;
}
