/* SPDX-License-Identifier: MIT */
/* links: drivers/pci.c drivers/pci_access.c drivers/pci_names.c hv/lock.c tests/fake/fake_host.c tests/fake/fake_pci.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <tern/arch.h>
#include <tern/frames.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_pci.h>

#define ECAM_BASE MiB(256)

static u64 page_pa;

/* Pages for the tables of pci_access.c, from the start of fake memory. */
void *frames_alloc_page(void)
{
	page_pa += PAGE_SIZE;
	return page_pa <= MiB(1) ? phys_to_virt(hpa(page_pa)) : NULL;
}

static int begin(UNUSED void **state)
{
	fake_reset();
	fake_pci_reset();
	page_pa = 0;
	return 0;
}

static void scan(void)
{
	pci_scan(&fake_pci_ops);
}

static void add_plain(u8 bus, u8 dev, u8 fn)
{
	fake_pci_add(bus, dev, fn, 0x1234, (u16)(bus << 8 | dev << 3 | fn), 0x0200);
}

static bool have(u8 bus, u8 dev, u8 fn)
{
	return pci_find(0x1234, (u16)(bus << 8 | dev << 3 | fn), 0) != NULL;
}

static void mcfg(u64 base, u16 segment, u8 first, u8 last)
{
	fake_acpi.mcfg[fake_acpi.mcfg_count++] = (struct acpi_mcfg){base, segment, first, last};
}

/* --- the walk --- */

static void test_empty(UNUSED void **state)
{
	scan();
	assert_int_equal(pci_device_count(), 0);
	assert_int_equal(fake_pci_reads, 32);
	assert_null(pci_find(0x1234, 0, 0));
	assert_string_equal(pci_access_name(), "fake");
}

static void test_fields(UNUSED void **state)
{
	struct fake_fn *f = fake_pci_add(0, 3, 0, 0x8086, 0x100e, 0x0200);
	const struct pci_device *d;

	f->cfg[PCI_REVISION_ID] = 3;
	f->cfg[PCI_CLASS_PROG] = 7;
	fake_put16(f, PCI_SUBSYSTEM_VENDOR_ID, 0x1af4);
	fake_put16(f, PCI_SUBSYSTEM_ID, 0x1100);
	f->cfg[PCI_INTERRUPT_LINE] = 11;
	f->cfg[PCI_INTERRUPT_PIN] = 1;
	scan();
	assert_int_equal(pci_device_count(), 1);
	d = pci_device_get(0);
	assert_int_equal(d->vendor, 0x8086);
	assert_int_equal(d->device, 0x100e);
	assert_int_equal(d->revision, 3);
	assert_int_equal(d->prog_if, 7);
	assert_int_equal(d->class_code, 2);
	assert_int_equal(d->subclass, 0);
	assert_int_equal(d->sub_vendor, 0x1af4);
	assert_int_equal(d->sub_device, 0x1100);
	assert_int_equal(d->irq_line, 11);
	assert_int_equal(d->irq_pin, 1);
	assert_int_equal(d->dev, 3);
	FAKE_EXPECT_PANIC(pci_device_get(1));
}

static void test_functions(UNUSED void **state)
{
	struct fake_fn *f = fake_pci_add(0, 1, 0, 0x1234, 8, 0x0200);

	add_plain(0, 1, 5); /* not reached: function 0 says that it is alone */
	add_plain(0, 2, 1); /* not reached: no function 0 */
	scan();
	assert_int_equal(pci_device_count(), 1);
	f->cfg[PCI_HEADER_TYPE] = 0x80;
	scan();
	assert_int_equal(pci_device_count(), 2);
	assert_true(have(0, 1, 5));
	assert_int_equal(pci_device_get(0)->header_type, 0);
}

static void test_find_nth(UNUSED void **state)
{
	for (u8 dev = 0; dev < 3; dev++)
		fake_pci_add(0, dev, 0, 0x8086, 0x100e, 0x0200);
	scan();
	assert_int_equal(pci_find(0x8086, 0x100e, 2)->dev, 2);
	assert_null(pci_find(0x8086, 0x100e, 3));
}

static void test_bridges(UNUSED void **state)
{
	fake_pci_bridge(0, 1, 0, 1, 3);
	fake_pci_bridge(1, 0, 0, 2, 2);
	fake_pci_bridge(1, 1, 0, 3, 3);
	fake_pci_bridge(0, 2, 0, 0, 0); /* switched off */
	add_plain(2, 0, 0);
	add_plain(3, 31, 0);
	add_plain(4, 0, 0); /* nobody leads here */
	scan();
	assert_int_equal(pci_device_count(), 6);
	assert_true(have(2, 0, 0) && have(3, 31, 0));
	assert_string_equal(fake_log(), "");
	assert_int_equal(fake_pci_reads < 1000, true);
}

static void test_bridge_loops(UNUSED void **state)
{
	fake_pci_bridge(0, 1, 0, 0, 255); /* off */
	fake_pci_bridge(0, 2, 0, 1, 255);
	fake_pci_bridge(0, 3, 0, 1, 1);   /* the same bus again */
	fake_pci_bridge(1, 0, 0, 1, 255); /* itself */
	fake_pci_bridge(1, 1, 0, 2, 1);   /* empty range */
	fake_pci_bridge(1, 2, 0, 3, 3);
	fake_pci_bridge(3, 0, 0, 1, 3); /* back up */
	add_plain(3, 1, 0);
	scan();
	assert_int_equal(pci_device_count(), 8);
	assert_true(have(3, 1, 0));
	assert_non_null(strstr(fake_log(), "0000:00:03.0: bridge to buses 1-1 makes no sense"));
	assert_non_null(strstr(fake_log(), "0000:01:00.0: bridge to buses 1-255"));
	assert_non_null(strstr(fake_log(), "0000:01:01.0: bridge to buses 2-1"));
	assert_non_null(strstr(fake_log(), "0000:03:00.0: bridge to buses 1-3"));
}

static void test_host_bridge_functions(UNUSED void **state)
{
	fake_pci_add(0, 0, 0, 0x8086, 0x1237, 0x0600)->cfg[PCI_HEADER_TYPE] = 0x80;
	fake_pci_add(0, 0, 2, 0x8086, 0x1237, 0x0600);
	fake_pci_add(0, 0, 3, 0x8086, 0x1237, 0x0880);
	add_plain(2, 5, 0);
	add_plain(3, 5, 0);
	scan();
	assert_true(have(2, 5, 0));
	assert_false(have(3, 5, 0));
}

/* Chipsets whose host bridge has functions 1-7 of the same class, and a bridge to bus 1. */
static void test_host_bridge_functions_are_no_roots(UNUSED void **state)
{
	fake_pci_add(0, 0, 0, 0x1106, 0x0336, 0x0600)->cfg[PCI_HEADER_TYPE] = 0x80;
	fake_pci_add(0, 0, 1, 0x1106, 0x1336, 0x0600);
	fake_pci_bridge(0, 1, 0, 1, 1);
	add_plain(1, 0, 0);
	scan();
	assert_int_equal(pci_device_count(), 4);
	assert_string_equal(fake_log(), "");
}

static void test_segments_and_peer_roots(UNUSED void **state)
{
	mcfg(ECAM_BASE, 0, 0, 127);
	mcfg(GiB(1), 5, 64, 80);
	add_plain(0, 0, 0);
	add_plain(0x40, 0, 0); /* a second root */
	fake_pci_bridge(0x40, 1, 0, 0x41, 0x42);
	add_plain(0x41, 0, 0);
	add_plain(0x50, 3, 0); /* no device 0: not seen */
	add_plain(200, 0, 0);  /* outside of the MCFG */
	fake_pci_add(64, 0, 0, 0x4321, 1, 0x0200)->segment = 5;
	fake_pci_add(80, 0, 0, 0x4321, 2, 0x0200)->segment = 5;
	fake_pci_add(81, 0, 0, 0x4321, 3, 0x0200)->segment = 5;
	scan();
	assert_true(have(0, 0, 0) && have(0x40, 0, 0) && have(0x41, 0, 0));
	assert_false(have(0x50, 3, 0) || have(200, 0, 0));
	assert_int_equal(pci_find(0x4321, 1, 0)->segment, 5);
	assert_non_null(pci_find(0x4321, 2, 0));
	assert_null(pci_find(0x4321, 3, 0));
}

static void test_too_many(UNUSED void **state)
{
	fake_pci_add(0, 31, 0, 1, 1, 0x0200);
	for (u8 dev = 0; dev < 31; dev++) {
		fake_pci_add(0, dev, 0, 0x1234, 1, 0x0200)->cfg[PCI_HEADER_TYPE] = 0x80;
		for (u8 fn = 1; fn < 8; fn++)
			fake_pci_add(0, dev, fn, 0x1234, 1, 0x0200);
	}
	fake_pci_add(0, 31, 1, 1, 1, 0x0604);
	fake_pci_bridge(0, 31, 2, 1, 1);
	scan();
	assert_int_equal(pci_device_count(), 249);
	assert_int_equal(pci_devices_dropped(), 0);
	fake_pci_reset();
	for (u8 dev = 0; dev < 32; dev++) {
		fake_pci_add(0, dev, 0, 0x1234, 1, 0x0200)->cfg[PCI_HEADER_TYPE] = 0x80;
		for (u8 fn = 1; fn < 7; fn++)
			fake_pci_add(0, dev, fn, 0x1234, 1, 0x0200);
		fake_pci_bridge(0, dev, 7, (u8)(dev + 1), (u8)(dev + 1));
		add_plain((u8)(dev + 1), 0, 0);
	}
	scan();
	assert_int_equal(pci_device_count(), PCI_DEVICES_MAX);
	assert_int_equal(pci_devices_dropped(), 32);
	assert_non_null(strstr(fake_log(), "32 devices beyond 256"));
}

static void test_all_ones(UNUSED void **state)
{
	struct fake_fn *f = fake_pci_add(0, 4, 0, 0x1234, 0x20, 0);

	/* A device that died between two reads. */
	memset(f->cfg + 4, 0xff, sizeof(f->cfg) - 4);
	scan();
	assert_int_equal(pci_device_count(), 1);
	assert_int_equal(pci_device_get(0)->irq_pin, 0);
	assert_int_equal(pci_device_get(0)->bars[0].size, 0);
	assert_int_equal(pci_device_get(0)->msi_cap, 0);
	/* The same with a header type that makes sense. */
	f->cfg[PCI_HEADER_TYPE] = 0;
	for (u32 i = 0; i < PCI_BARS; i++)
		f->bar_mask[i] = 0;
	scan();
	for (u32 i = 0; i < PCI_BARS; i++)
		assert_int_equal(pci_device_get(0)->bars[i].size, 0);
	assert_int_equal(pci_device_get(0)->msix_cap, 0);
}

/* --- BARs --- */

static void test_bars(UNUSED void **state)
{
	struct fake_fn *f = fake_pci_add(0, 3, 0, 0x1234, 1, 0x0200);
	const struct pci_bar *b;
	u8 before[sizeof(f->cfg)];

	fake_put16(f, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fake_pci_bar(f, 0, 0xfeb80000, 0xfffe0000); /* 128 KiB */
	fake_pci_bar(f, 1, 0xc001, 0xffc0);         /* 64 ports, 16-bit decoder */
	fake_pci_bar(f, 2, 0x8000000c, 0x00000000); /* 64-bit, prefetchable, 8 GiB */
	fake_pci_bar(f, 3, 0x00000024, 0xfffffffe);
	fake_pci_bar(f, 4, 0xe0000004, 0xffffc000); /* 64-bit, 16 KiB */
	fake_pci_bar(f, 5, 0x00000001, 0xffffffff);
	fake_put32(f, PCI_BASE_ADDRESS_2, 0xc);
	memcpy(before, f->cfg, sizeof(before));
	scan();
	assert_memory_equal(before, f->cfg, sizeof(before));
	assert_false(f->sized_while_decoding);
	b = pci_device_get(0)->bars;
	assert_int_equal(b[0].base, 0xfeb80000);
	assert_int_equal(b[0].size, KiB(128));
	assert_false(b[0].io || b[0].is64 || b[0].prefetch);
	assert_int_equal(b[1].base, 0xc000);
	assert_int_equal(b[1].size, 64);
	assert_true(b[1].io);
	assert_int_equal(b[2].base, 0x2400000000);
	assert_int_equal(b[2].size, GiB(8));
	assert_true(b[2].is64 && b[2].prefetch);
	assert_int_equal(b[3].size, 0);
	assert_int_equal(b[4].base, 0x1e0000000);
	assert_int_equal(b[4].size, KiB(16));
	assert_true(b[4].is64 && !b[4].prefetch);
	assert_int_equal(b[5].size, 0);
}

static void test_bars_32bit_io_and_unset(UNUSED void **state)
{
	struct fake_fn *f = fake_pci_add(0, 3, 0, 0x1234, 1, 0x0200);
	const struct pci_bar *b;

	fake_pci_bar(f, 0, 0x00000001, 0xffffff00);
	fake_pci_bar(f, 1, 0x00000000, 0xfffff000);
	fake_pci_bar(f, 2, 0xfffff004, 0xfffff000); /* beyond what x86 addresses */
	fake_pci_bar(f, 3, 0xfff00000, 0xffffffff);
	fake_pci_bar(f, 5, 0xe0000004, 0xfffff000); /* 64-bit without an upper half */
	scan();
	b = pci_device_get(0)->bars;
	assert_int_equal(b[0].size, 256);
	assert_int_equal(b[0].base, 0);
	assert_int_equal(b[1].size, 4096);
	assert_int_equal(b[1].base, 0);
	assert_int_equal(b[2].size, 4096);
	assert_int_equal(b[2].base, 0);
	assert_int_equal(b[5].size, 0);
	assert_non_null(strstr(fake_log(), "BAR 5 has no upper half"));
	assert_null(pci_map_bar(pci_device_get(0), 0));
	assert_null(pci_map_bar(pci_device_get(0), 1));
	assert_null(pci_map_bar(pci_device_get(0), 4));
}

static void test_bars_of_bridges(UNUSED void **state)
{
	struct fake_fn *host = fake_pci_add(0, 0, 0, 0x8086, 0x1237, 0x0600);
	struct fake_fn *f = fake_pci_bridge(0, 1, 0, 1, 1);
	u8 before[sizeof(f->cfg)];

	fake_put16(host, PCI_COMMAND, PCI_COMMAND_MEMORY);
	fake_pci_bar(host, 0, 0xe0000000, 0xff000000);
	fake_pci_bar(f, 1, 0xfebf0000, 0xffff0000);
	memcpy(before, f->cfg, sizeof(before));
	scan();
	assert_memory_equal(before, f->cfg, sizeof(before));
	assert_int_equal(pci_device_get(0)->bars[0].size, 0);
	assert_false(host->sized_while_decoding);
	assert_int_equal(pci_device_get(1)->bars[1].size, KiB(64));
	assert_int_equal(pci_device_get(1)->bars[2].size, 0);
}

static void test_enable_and_map(UNUSED void **state)
{
	struct fake_fn *f = fake_pci_add(0, 3, 0, 0x1234, 1, 0x0200);
	struct fake_fn *br = fake_pci_bridge(0, 4, 0, 0, 0);
	struct pci_device *d;

	fake_put16(f, PCI_COMMAND, PCI_COMMAND_PARITY);
	fake_put16(f, PCI_STATUS, 0xf000);
	fake_pci_bar(f, 0, 0x10000000, 0xffff0000);
	fake_pci_bar(f, 1, 0x1, 0xffffff00); /* ports that firmware did not set */
	scan();
	d = pci_device_get(0);
	pci_enable(d, true);
	assert_int_equal(fake_get16(f, PCI_COMMAND),
			 PCI_COMMAND_PARITY | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_ptr_equal(pci_map_bar(d, 0), phys_to_virt(hpa(0x10000000)));
	pci_enable(d, false);
	assert_int_equal(fake_get16(f, PCI_COMMAND), PCI_COMMAND_PARITY);
	assert_int_equal(fake_get16(f, PCI_STATUS), 0xf000);
	pci_enable(pci_device_get(1), true);
	assert_int_equal(fake_get16(br, PCI_COMMAND),
			 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	FAKE_EXPECT_PANIC(assert_null(pci_map_bar(d, 6)));
}

/* --- capabilities --- */

static void test_capabilities(UNUSED void **state)
{
	struct fake_fn *f = fake_pci_add(0, 3, 0, 0x1234, 1, 0x0200);
	const struct pci_device *d;

	fake_pci_cap(f, 0x40, PCI_CAP_ID_PM, 0x51); /* low bits of a pointer are reserved */
	fake_pci_cap(f, 0x50, PCI_CAP_ID_MSI, 0x60);
	fake_put16(f, 0x52, 3 << 1);
	fake_pci_cap(f, 0x60, PCI_CAP_ID_MSIX, 0x70);
	fake_put16(f, 0x62, 0x87ff);
	fake_pci_cap(f, 0x70, PCI_CAP_ID_EXP, 0x80);
	fake_pci_cap(f, 0x80, PCI_CAP_ID_MSI, 0);
	scan();
	d = pci_device_get(0);
	assert_int_equal(d->pm_cap, 0x40);
	assert_int_equal(d->msi_cap, 0x50);
	assert_int_equal(d->msi_vectors, 8);
	assert_int_equal(d->msix_cap, 0x60);
	assert_int_equal(d->msix_vectors, 2048);
	assert_int_equal(d->pcie_cap, 0x70);
	fake_put16(f, PCI_STATUS, 0); /* no list: the pointer means nothing */
	scan();
	assert_int_equal(pci_device_get(0)->pm_cap, 0);
}

static void test_capability_loops(UNUSED void **state)
{
	struct fake_fn *f = fake_pci_add(0, 3, 0, 0x1234, 1, 0x0200);

	fake_pci_cap(f, 0x40, PCI_CAP_ID_PM, 0x50);
	fake_pci_cap(f, 0x50, PCI_CAP_ID_EXP, 0x40);
	scan();
	assert_int_equal(pci_device_get(0)->pcie_cap, 0x50);
	assert_true(fake_pci_reads < 150);
	f->cfg[0x51] = 0x10; /* into the header */
	fake_pci_reads = 0;
	scan();
	assert_true(fake_pci_reads < 100);
	f->cfg[0x51] = 0xfc; /* the last dword, all ones */
	memset(f->cfg + 0xfc, 0xff, 4);
	scan();
	assert_int_equal(pci_device_get(0)->pm_cap, 0x40);
	fake_pci_cap(f, 0x50, PCI_CAP_ID_MSI, 0);
	fake_put16(f, 0x52, 7 << 1); /* a reserved number of vectors */
	scan();
	assert_int_equal(pci_device_get(0)->msi_cap, 0);
}

/* --- access --- */

static void test_cf8(UNUSED void **state)
{
	struct fake_fn *f = fake_pci_add(0, 3, 0, 0x1234, 1, 0x0200);

	pci_init();
	assert_string_equal(pci_access_name(), "CF8");
	assert_int_equal(pci_device_count(), 1);
	for (u32 i = 0; i < 4; i++)
		pci_write(pci_device_get(0), (u16)(0x40 + i), 1, 0x11 * (i + 1));
	assert_int_equal(fake_get32(f, 0x40), 0x44332211);
	assert_int_equal(pci_read(pci_device_get(0), 0x42, 2), 0x4433);
	assert_int_equal(pci_read(pci_device_get(0), 0x43, 1), 0x44);
	pci_write(pci_device_get(0), 0x42, 2, 0x5566);
	pci_write(pci_device_get(0), 0x44, 4, 0x12345678);
	assert_int_equal(pci_read(pci_device_get(0), 0x40, 4), 0x55662211);
	assert_int_equal(fake_get32(f, 0x44), 0x12345678);
	assert_int_equal(pci_read(pci_device_get(0), 0x100, 4), 0xffffffff);
	pci_write(pci_device_get(0), 0x140, 4, 0);
	assert_int_equal(pci_read(pci_device_get(0), 0x40, 4), 0x55662211);
}

static void test_no_pci(UNUSED void **state)
{
	fake_cf8_present = false;
	pci_init();
	assert_non_null(strstr(fake_log(), "neither an MCFG table nor ports CF8/CFC"));
}

/* The device of segment 0 in memory as ECAM shows it. */
static u8 *ecam_device(u64 base, u8 bus, u8 dev, u16 vendor, u16 class)
{
	u8 *cfg = phys_to_virt(hpa(base + ((u64)bus << 20 | (u64)dev << 15)));
	const u8 *end_of_bus = phys_to_virt(hpa(base + ((u64)bus << 20 | 31u << 15)));

	if (*end_of_bus == 0) /* an empty bus reads as all ones */
		memset(phys_to_virt(hpa(base + ((u64)bus << 20))), 0xff, MiB(1));
	memset(cfg, 0, PCI_CFG_SPACE_EXP_SIZE);
	memcpy(cfg, &vendor, 2);
	memcpy(cfg + PCI_CLASS_DEVICE, &class, 2);
	return cfg;
}

static void test_ecam(UNUSED void **state)
{
	u8 *cfg = ecam_device(ECAM_BASE, 0, 2, 0x1234, 0x0200);

	mcfg(ECAM_BASE, 0, 0, 255);
	fake_cf8_present = false;
	/* Without CF8 all buses are looked at by ECAM: none of them may be zero. */
	for (u32 bus = 1; bus < 256; bus++)
		memset(phys_to_virt(hpa(ECAM_BASE + ((u64)bus << 20))), 0xff, 4);
	pci_init();
	assert_string_equal(pci_access_name(), "ECAM");
	assert_int_equal(pci_device_count(), 1);
	pci_write(pci_device_get(0), 0x100, 4, 0xcafe);
	pci_write(pci_device_get(0), 0x106, 2, 0x7788);
	pci_write(pci_device_get(0), 0x109, 1, 0x99);
	assert_int_equal(cfg[0x100], 0xfe);
	assert_int_equal(cfg[0x107], 0x77);
	assert_int_equal(cfg[0x109], 0x99);
	assert_int_equal(pci_read(pci_device_get(0), 0x100, 4), 0xcafe);
	assert_int_equal(pci_read(pci_device_get(0), 0x106, 2), 0x7788);
	assert_int_equal(pci_read(pci_device_get(0), 0x109, 1), 0x99);
}

/* Buses where CF8 shows nothing are not mapped: only the memory of bus 0 is right here. */
static void test_ecam_maps_used_buses_only(UNUSED void **state)
{
	ecam_device(ECAM_BASE, 0, 2, 0x1234, 0x0200);
	fake_pci_add(0, 2, 0, 0x1234, 0, 0x0200);
	mcfg(ECAM_BASE, 0, 0, 255);
	*(u16 *)phys_to_virt(hpa(ECAM_BASE + MiB(7))) = 0x6666;
	pci_init();
	assert_string_equal(pci_access_name(), "ECAM");
	assert_int_equal(pci_device_count(), 1);
}

static void test_ecam_lies(UNUSED void **state)
{
	add_plain(0, 0, 0);
	mcfg(ECAM_BASE, 0, 0, 255); /* reads as zero */
	pci_init();
	assert_string_equal(pci_access_name(), "CF8");
	assert_non_null(strstr(fake_log(), "ECAM at 0x10000000, which the ACPI table MCFG names"));
	assert_int_equal(pci_device_count(), 1);
}

static void test_ecam_cannot_be_mapped(UNUSED void **state)
{
	mcfg(FAKE_MEM, 3, 0, 0);
	fake_cf8_present = false;
	pci_init();
	assert_string_equal(pci_access_name(), "ECAM");
	assert_int_equal(pci_device_count(), 0);
	assert_non_null(strstr(fake_log(), "no address space for the configuration of segment 3"));
}

static void test_class_names(UNUSED void **state)
{
	assert_string_equal(pci_class_name(2, 0), "Ethernet controller");
	assert_string_equal(pci_class_name(2, 0x55), "Network controller");
	assert_string_equal(pci_class_name(3, 0), "VGA compatible controller");
	assert_string_equal(pci_class_name(6, 0), "Host bridge");
	assert_string_equal(pci_class_name(0xff, 0), "Unknown device");
	for (u32 i = 0; i < 0x10000; i++)
		assert_non_null(pci_class_name((u8)(i >> 8), (u8)i));
}

#define T(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_empty),
		T(test_fields),
		T(test_functions),
		T(test_find_nth),
		T(test_bridges),
		T(test_bridge_loops),
		T(test_host_bridge_functions),
		T(test_host_bridge_functions_are_no_roots),
		T(test_segments_and_peer_roots),
		T(test_too_many),
		T(test_all_ones),
		T(test_bars),
		T(test_bars_32bit_io_and_unset),
		T(test_bars_of_bridges),
		T(test_enable_and_map),
		T(test_capabilities),
		T(test_capability_loops),
		T(test_cf8),
		T(test_no_pci),
		T(test_ecam),
		T(test_ecam_maps_used_buses_only),
		T(test_ecam_lies),
		T(test_ecam_cannot_be_mapped),
		T(test_class_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
