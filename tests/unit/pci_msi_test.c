/* SPDX-License-Identifier: MIT */
/* links: drivers/pci.c drivers/pci_msi.c tests/fake/fake_host.c tests/fake/fake_pci.c */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_pci.h>

#include <drivers/pci_access.h>

#define BAR_BASE     0x10000000u
#define TABLE_OFFSET 0x2000u
#define CAP_MSI      0x50
#define CAP_MSIX     0x70
#define ADDR         0xfee01000ull

static struct fake_fn *f;

/* pci_init() is not used here. */
const struct pci_config_ops *pci_access_choose(void)
{
	return NULL;
}

static int begin(UNUSED void **state)
{
	fake_reset();
	fake_pci_reset();
	f = fake_pci_add(0, 3, 0, 0x1234, 1, 0x0200);
	fake_pci_bar(f, 2, BAR_BASE, 0xffffc000); /* 16 KiB */
	return 0;
}

static struct pci_device *scan(void)
{
	pci_scan(&fake_pci_ops);
	return pci_device_get(0);
}

static void add_msi(u16 flags)
{
	fake_pci_cap(f, CAP_MSI, PCI_CAP_ID_MSI, 0);
	fake_put16(f, CAP_MSI + PCI_MSI_FLAGS, flags);
	memset(f->cfg + CAP_MSI + 4, 0xee, 20);
}

static void add_msix(u32 vectors, u32 table)
{
	fake_pci_cap(f, CAP_MSIX, PCI_CAP_ID_MSIX, 0);
	f->cfg[PCI_CAPABILITY_LIST] = CAP_MSIX;
	fake_put16(f, CAP_MSIX + PCI_MSIX_FLAGS, (u16)(vectors - 1));
	fake_put32(f, CAP_MSIX + PCI_MSIX_TABLE, table);
}

static const u32 *entry(u32 index)
{
	return phys_to_virt(hpa(BAR_BASE + TABLE_OFFSET + index * PCI_MSIX_ENTRY_SIZE));
}

static bool intx_off(void)
{
	return (fake_get16(f, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) != 0;
}

static void test_none(UNUSED void **state)
{
	struct pci_device *d = scan();

	assert_int_equal(pci_msi_set(d, ADDR, 0x40), -TERN_ENODEV);
	assert_int_equal(pci_msix_set(d, 0, ADDR, 0x40), -TERN_ENODEV);
	assert_false(intx_off());
	pci_msi_off(d);
}

static void test_msi_32(UNUSED void **state)
{
	struct pci_device *d;

	add_msi(3 << 1 | PCI_MSI_FLAGS_QSIZE);
	d = scan();
	assert_int_equal(d->msi_vectors, 8);
	assert_int_equal(pci_msi_set(d, 1ull << 32 | ADDR, 0x40), -TERN_EINVAL);
	assert_int_equal(pci_msi_set(d, ADDR, 0x10000), -TERN_EINVAL);
	assert_false(intx_off());
	assert_int_equal(pci_msi_set(d, ADDR, 0x4142), 0);
	assert_int_equal(fake_get32(f, CAP_MSI + PCI_MSI_ADDRESS_LO), ADDR);
	assert_int_equal(fake_get16(f, CAP_MSI + PCI_MSI_DATA_32), 0x4142);
	assert_int_equal(fake_get16(f, CAP_MSI + PCI_MSI_DATA_32 + 2), 0xeeee);
	assert_int_equal(fake_get32(f, CAP_MSI + PCI_MSI_MASK_32), 0xeeeeeeee);
	/* One vector, on. */
	assert_int_equal(fake_get16(f, CAP_MSI + PCI_MSI_FLAGS), 3 << 1 | PCI_MSI_FLAGS_ENABLE);
	assert_true(intx_off());
	pci_msi_off(d);
	assert_int_equal(fake_get16(f, CAP_MSI + PCI_MSI_FLAGS), 3 << 1);
	assert_false(intx_off());
}

static void test_msi_64_with_mask(UNUSED void **state)
{
	struct pci_device *d;

	add_msi(PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	d = scan();
	assert_int_equal(pci_msi_set(d, 5ull << 32 | ADDR, 0x41), 0);
	assert_int_equal(fake_get32(f, CAP_MSI + PCI_MSI_ADDRESS_LO), ADDR);
	assert_int_equal(fake_get32(f, CAP_MSI + PCI_MSI_ADDRESS_HI), 5);
	assert_int_equal(fake_get16(f, CAP_MSI + PCI_MSI_DATA_64), 0x41);
	assert_int_equal(fake_get32(f, CAP_MSI + PCI_MSI_MASK_64), 0);
	assert_int_equal(fake_get32(f, CAP_MSI + PCI_MSI_PENDING_64), 0xeeeeeeee);
}

static void test_msi_32_with_mask(UNUSED void **state)
{
	add_msi(PCI_MSI_FLAGS_MASKBIT);
	assert_int_equal(pci_msi_set(scan(), ADDR, 0x41), 0);
	assert_int_equal(fake_get32(f, CAP_MSI + PCI_MSI_MASK_32), 0);
	assert_int_equal(fake_get32(f, CAP_MSI + PCI_MSI_PENDING_32), 0xeeeeeeee);
}

static void test_msix(UNUSED void **state)
{
	struct pci_device *d;

	add_msix(3, TABLE_OFFSET | 2);
	d = scan();
	assert_int_equal(d->msix_vectors, 3);
	assert_int_equal(pci_msix_set(d, 3, ADDR, 0x40), -TERN_EINVAL);
	assert_null(d->msix_table_map);
	assert_int_equal(pci_msix_set(d, 1, 7ull << 32 | ADDR, 0x41), 0);
	assert_ptr_equal(d->msix_table_map, entry(0));
	assert_int_equal(entry(1)[0], ADDR);
	assert_int_equal(entry(1)[1], 7);
	assert_int_equal(entry(1)[2], 0x41);
	assert_int_equal(entry(1)[3], 0);
	assert_int_equal(entry(0)[3], 1);
	assert_int_equal(entry(2)[3], 1);
	assert_int_equal(entry(3)[3], 0); /* not part of the table */
	assert_int_equal(fake_get16(f, CAP_MSIX + PCI_MSIX_FLAGS), 2 | PCI_MSIX_FLAGS_ENABLE);
	assert_true(intx_off());
	assert_true((fake_get16(f, PCI_COMMAND) & PCI_COMMAND_MEMORY) != 0);
	/* A second vector leaves the first alone. */
	assert_int_equal(pci_msix_set(d, 2, ADDR, 0x42), 0);
	assert_int_equal(entry(1)[3], 0);
	assert_int_equal(entry(2)[3], 0);
	assert_int_equal(entry(0)[3], 1);
	pci_msi_off(d);
	assert_int_equal(fake_get16(f, CAP_MSIX + PCI_MSIX_FLAGS), 2);
	/* On again: all of them masked but the one. */
	assert_int_equal(pci_msix_set(d, 0, ADDR, 0x43), 0);
	assert_int_equal(entry(1)[3], 1);
	assert_int_equal(entry(0)[3], 0);
}

/* Network boot firmware leaves the device with MSI-X on and vectors that go nowhere. */
static void test_msix_left_on_by_firmware(UNUSED void **state)
{
	struct pci_device *d;
	u32 *table;

	add_msix(2, TABLE_OFFSET | 2);
	fake_put16(f, CAP_MSIX + PCI_MSIX_FLAGS, 1 | PCI_MSIX_FLAGS_ENABLE);
	d = scan();
	table = phys_to_virt(hpa(BAR_BASE + TABLE_OFFSET));
	table[4] = 0xfee0dead;
	assert_int_equal(pci_msix_set(d, 0, ADDR, 0x40), 0);
	assert_int_equal(entry(1)[3], 1);
}

static void test_msix_table_outside(UNUSED void **state)
{
	static const u32 bad[] = {
		0x4000 | 2,            /* past the end of the BAR */
		0x3ff8 | 2,            /* its end past it */
		0xfffffff8 | 2,        /* far away */
		0 | 0,                 /* no BAR there */
		0 | 6,          0 | 7, /* no such BAR */
	};

	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(NULL);
		add_msix(1, bad[i]);
		assert_int_equal(pci_msix_set(scan(), 0, ADDR, 0x40), -TERN_ENOMEM);
		assert_non_null(strstr(fake_log(), "00:03.0: MSI-X table at BAR"));
		assert_false(intx_off());
	}
}

static void test_msi_and_msix_exclude_each_other(UNUSED void **state)
{
	struct pci_device *d;

	add_msi(0);
	add_msix(1, TABLE_OFFSET | 2);
	f->cfg[CAP_MSIX + 1] = CAP_MSI;
	d = scan();
	assert_int_equal(d->msi_cap, CAP_MSI);
	assert_int_equal(pci_msix_set(d, 0, ADDR, 0x40), 0);
	assert_int_equal(pci_msi_set(d, ADDR, 0x41), 0);
	assert_int_equal(fake_get16(f, CAP_MSIX + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE, 0);
	assert_int_equal(pci_msix_set(d, 0, ADDR, 0x40), 0);
	assert_int_equal(fake_get16(f, CAP_MSI + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_ENABLE, 0);
	assert_true((fake_get16(f, CAP_MSIX + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE) != 0);
}

#define T(t) cmocka_unit_test_setup(t, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_none),
		T(test_msi_32),
		T(test_msi_64_with_mask),
		T(test_msi_32_with_mask),
		T(test_msix),
		T(test_msix_left_on_by_firmware),
		T(test_msix_table_outside),
		T(test_msi_and_msix_exclude_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
