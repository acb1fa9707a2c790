/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c hv/dev/virtio_pci.c hv/dev/virtio_queue.c hv/lib/fmt.c */
/* links: tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c tests/fake/fake_virtio.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <tern/err.h>
#include <tern/vpci.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>
#include <tests/fake/fake_virtio.h>

#define SLOT 1u

static struct vm vm;
static struct fake_driver drv;
static struct fake_virtio *const model = &fake_virtio;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(64);
	fake_guest_reset(&vm);
	assert_int_equal(vpci_create(&vm, &vm.bus), 0);
	assert_int_equal(fake_virtio_add(&vm), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(model->destroys, 1);
	assert_int_equal(fake_frames_used(), 0);
	return 0;
}

static void start(u64 features, bool msix)
{
	assert_true(fake_driver_start(&drv, &vm, SLOT, features, 16, msix));
}

static u32 common(u32 reg, u32 width)
{
	return fake_common_read(&drv, reg, width);
}

static void set(u32 reg, u32 width, u32 value)
{
	fake_common_write(&drv, reg, width, value);
}

static void test_identity(void **state)
{
	u32 seen = 0, at;

	(void)state;
	assert_int_equal(fake_pci_read(&vm, SLOT, 0, 4), (0x1040u + 42) << 16 | 0x1af4);
	assert_int_equal(fake_pci_read(&vm, SLOT, PCI_REVISION_ID, 1), 1);
	at = fake_pci_read(&vm, SLOT, PCI_CAPABILITY_LIST, 1);
	for (; at != 0; at = fake_pci_read(&vm, SLOT, at + 1, 1)) {
		if (fake_pci_read(&vm, SLOT, at, 1) == PCI_CAP_ID_VNDR)
			seen |= 1u << fake_pci_read(&vm, SLOT, at + 3, 1);
		else
			assert_int_equal(fake_pci_read(&vm, SLOT, at + 2, 2), 2);
	}
	assert_int_equal(seen, 0x3e);
}

static void test_features(void **state)
{
	(void)state;
	/* Not offered; without VERSION_1. */
	assert_false(fake_driver_start(&drv, &vm, SLOT, 1, 16, false));
	assert_int_equal(model->v.features, 0);
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	set(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	set(VIRTIO_PCI_COMMON_GF, 4, 1u << FAKE_FEATURE);
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0xb);
	assert_int_equal(fake_status(&drv), 3);
	/* DRIVER_OK without FEATURES_OK is none. */
	set(VIRTIO_PCI_COMMON_STATUS, 1, 7);
	assert_int_equal(fake_status(&drv), 3);
	set(VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	assert_int_equal(common(VIRTIO_PCI_COMMON_DF, 4), 1u << FAKE_FEATURE | 3u << 28);
	set(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	assert_int_equal(common(VIRTIO_PCI_COMMON_DF, 4), 1);
	set(VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	assert_int_equal(common(VIRTIO_PCI_COMMON_DF, 4), 0);
	start(1u << FAKE_FEATURE, false);
	assert_true(virtio_has(&model->v, FAKE_FEATURE));
	assert_false(virtio_has(&model->v, VIRTIO_RING_F_EVENT_IDX));
	assert_int_equal(fake_status(&drv), 0xf);
	assert_int_equal(model->starts, 1);
	/* Final now. */
	set(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	set(VIRTIO_PCI_COMMON_GF, 4, 0);
	assert_int_equal(common(VIRTIO_PCI_COMMON_GF, 4), 1u << FAKE_FEATURE);
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0xf);
	assert_int_equal(model->starts, 1);
}

static void test_queue_registers(void **state)
{
	(void)state;
	start(0, false);
	assert_int_equal(common(VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	set(VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_NOFF, 2), 1);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_DESCLO, 4), fake_desc_at(1));
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_AVAILLO, 4), fake_avail_at(1));
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_USEDLO, 4), fake_used_at(1));
	/* Enabled: nothing of it changes. */
	set(VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
	set(VIRTIO_PCI_COMMON_Q_DESCHI, 4, 8);
	set(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_DESCHI, 4), 0);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	/* Vectors: those that exist. */
	set(VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_MSIX, 2), 2);
	set(VIRTIO_PCI_COMMON_Q_MSIX, 2, 3);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
	set(VIRTIO_PCI_COMMON_MSIX, 2, 7);
	assert_int_equal(common(VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
	/* A queue that does not exist. */
	set(VIRTIO_PCI_COMMON_Q_SELECT, 2, 2);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	set(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	/* Other widths are none, 8 bytes are two registers of 4. */
	assert_int_equal(common(VIRTIO_PCI_COMMON_STATUS, 2), 0);
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	set(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	fake_mem_write(&vm, drv.bar + VIRTIO_PCI_COMMON_Q_USEDLO, 8, 0x1122334455667788ull);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_USEDHI, 4), 0x11223344);
	assert_int_equal(fake_mem_read(&vm, drv.bar + VIRTIO_PCI_COMMON_Q_USEDLO, 8),
			 0x1122334455667788ull);
	/* Sizes: powers of two, up to the largest; enabling needs FEATURES_OK. */
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_SIZE, 2), 1024);
	set(VIRTIO_PCI_COMMON_Q_SIZE, 2, 1);
	set(VIRTIO_PCI_COMMON_Q_SIZE, 2, 0);
	set(VIRTIO_PCI_COMMON_Q_SIZE, 2, 24);
	set(VIRTIO_PCI_COMMON_Q_SIZE, 2, 2048);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_SIZE, 2), 1);
	set(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
}

static void test_notify(void **state)
{
	(void)state;
	start(0, false);
	fake_kick(&drv, 0);
	fake_kick(&drv, 1);
	fake_kick(&drv, 1);
	fake_kick(&drv, 2);
	fake_kick(&drv, 900);
	assert_int_equal(model->notified[0], 1);
	assert_int_equal(model->notified[1], 2);
	/* Without the bus, nothing; afterwards it looks. */
	fake_pci_write(&vm, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	fake_kick(&drv, 0);
	assert_int_equal(model->notified[0], 1);
	fake_pci_write(&vm, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(model->notified[0], 2);
	assert_int_equal(model->notified[1], 3);
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0x80);
	fake_kick(&drv, 0);
	assert_int_equal(model->notified[0], 2);
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	fake_kick(&drv, 0);
	assert_int_equal(model->notified[0], 2);
}

static void port_kick(u32 offset, u32 width)
{
	bus_write(&vm.bus, DEV_PORT, drv.doorbell + offset, width, 0, NULL);
}

/* The queue is told by the port alone, as by the address in memory. */
static void test_notify_by_port(void **state)
{
	(void)state;
	start(0, false);
	fake_pci_write(&vm, SLOT, PCI_COMMAND, 2,
		       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_IO);
	memset(model->notified, 0, sizeof(model->notified));
	assert_in_range(drv.doorbell, VPCI_IO_BASE, VPCI_IO_END - 32);
	port_kick(0, 2);
	port_kick(4, 2);
	port_kick(4, 4);
	port_kick(2, 2);
	port_kick(28, 2);
	assert_int_equal(model->notified[0], 1);
	assert_int_equal(model->notified[1], 2);
	assert_int_equal(bus_read(&vm.bus, DEV_PORT, drv.doorbell, 4, NULL), 0);
	fake_pci_write(&vm, SLOT, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	memset(model->notified, 0, sizeof(model->notified));
	port_kick(0, 2);
	assert_int_equal(model->notified[0], 0);
}

static void test_config(void **state)
{
	u8 generation;

	(void)state;
	start(0, false);
	memcpy(model->config, "abcdefgh", 8);
	assert_int_equal(fake_config_read(&drv, 0, 4), 0x64636261);
	assert_int_equal(fake_config_read(&drv, 6, 2), 0x6867);
	assert_int_equal(fake_config_read(&drv, 6, 4), 0x6867);
	assert_int_equal(fake_config_read(&drv, 8, 4), 0);
	fake_config_write(&drv, 1, 1, 'X');
	fake_config_write(&drv, 4, 4, 0x34333231);
	fake_config_write(&drv, 6, 4, 0);
	fake_config_write(&drv, 8, 4, 0);
	assert_memory_equal(model->config, "aXcd1234", 8);
	/* A change: generation, interrupt by the pin, cleared by the read. */
	generation = (u8)common(VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	virtio_config_changed(&model->v);
	assert_int_equal(common(VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation + 1);
	assert_true(fake_lines[17]);
	assert_int_equal(fake_isr(&drv), 2);
	assert_false(fake_lines[17]);
	assert_int_equal(fake_isr(&drv), 0);
	/* Before DRIVER_OK nobody is interrupted. */
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	virtio_config_changed(&model->v);
	assert_false(fake_lines[17]);
}

static void test_config_msix(void **state)
{
	(void)state;
	start(0, true);
	virtio_config_changed(&model->v);
	assert_int_equal(fake_msi_count, 1);
	assert_int_equal(fake_msi_data, FAKE_CONFIG_DATA);
	assert_int_equal(fake_msi_address, FAKE_MSI_ADDRESS);
	assert_false(fake_lines[17]);
	assert_int_equal(fake_isr(&drv), 2);
	set(VIRTIO_PCI_COMMON_MSIX, 2, 0xffff);
	virtio_config_changed(&model->v);
	assert_int_equal(fake_msi_count, 1);
}

static void test_broken(void **state)
{
	(void)state;
	start(0, true);
	virtio_broken(&model->v, "request %u", 7u);
	virtio_broken(&model->v, "request %u", 8u);
	assert_int_equal(fake_status(&drv), 0x4f);
	assert_int_equal(fake_msi_data, FAKE_CONFIG_DATA);
	assert_string_equal(fake_log(),
			    "[vm web] virtio-fake in slot 1 needs a reset: request 7\n");
	fake_kick(&drv, 0);
	assert_int_equal(model->notified[0], 0);
	/* Not to be cleared but by reset. */
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0x0f);
	assert_int_equal(fake_status(&drv), 0x4f);
	start(0, true);
	fake_kick(&drv, 0);
	assert_int_equal(model->notified[0], 1);
	assert_int_equal(model->resets, 2);
}

/* Found by the guest "hostdev". */
static void test_broken_again_and_again_is_one_line_a_second(void **state)
{
	(void)state;
	for (u32 i = 0; i < 100; i++) {
		start(0, true);
		virtio_broken(&model->v, "request %u", i);
		fake_tsc += fake_tsc_hz / 40;
	}
	assert_string_equal(fake_log(),
			    "[vm web] virtio-fake in slot 1 needs a reset: request 0\n"
			    "[vm web] virtio-fake in slot 1 needs a reset: request 40\n"
			    "[vm web] virtio-fake in slot 1 needs a reset: request 80\n");
}

static void test_misaligned(void **state)
{
	(void)state;
	start(0, false);
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	set(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	set(VIRTIO_PCI_COMMON_GF, 4, 1);
	set(VIRTIO_PCI_COMMON_STATUS, 1, 0xb);
	set(VIRTIO_PCI_COMMON_Q_DESCLO, 4, 8);
	set(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(fake_status(&drv), 0x4b);
}

/* Through configuration space, as firmware without memory mapping does. */
static void test_access_capability(void **state)
{
	u32 at;

	(void)state;
	start(0, false);
	at = fake_pci_read(&vm, SLOT, PCI_CAPABILITY_LIST, 1);
	while (fake_pci_read(&vm, SLOT, at, 1) != PCI_CAP_ID_VNDR ||
	       fake_pci_read(&vm, SLOT, at + 3, 1) != VIRTIO_PCI_CAP_PCI_CFG)
		at = fake_pci_read(&vm, SLOT, at + 1, 1);
	fake_pci_write(&vm, SLOT, at + VIRTIO_PCI_CAP_BAR, 1, 0);
	fake_pci_write(&vm, SLOT, at + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_NUMQ);
	fake_pci_write(&vm, SLOT, at + VIRTIO_PCI_CAP_LENGTH, 4, 2);
	assert_int_equal(fake_pci_read(&vm, SLOT, at + 16, 2), 2);
	fake_pci_write(&vm, SLOT, at + VIRTIO_PCI_CAP_OFFSET, 4, 0x1004);
	fake_pci_write(&vm, SLOT, at + 16, 2, 1);
	assert_int_equal(model->notified[1], 1);
	/* Reading it does not write. Bad ones do nothing. */
	fake_pci_read(&vm, SLOT, at + 16, 4);
	fake_pci_write(&vm, SLOT, at + VIRTIO_PCI_CAP_LENGTH, 4, 3);
	fake_pci_write(&vm, SLOT, at + 16, 4, 1);
	fake_pci_write(&vm, SLOT, at + VIRTIO_PCI_CAP_LENGTH, 4, 4);
	fake_pci_write(&vm, SLOT, at + VIRTIO_PCI_CAP_OFFSET, 4, 0x1006);
	fake_pci_write(&vm, SLOT, at + 16, 4, 1);
	fake_pci_write(&vm, SLOT, at + VIRTIO_PCI_CAP_OFFSET, 4, 0x1004);
	fake_pci_write(&vm, SLOT, at + VIRTIO_PCI_CAP_BAR, 1, 1);
	fake_pci_write(&vm, SLOT, at + 16, 4, 1);
	assert_int_equal(model->notified[1], 1);
	assert_int_equal(fake_pci_read(&vm, SLOT, at + VIRTIO_PCI_CAP_LENGTH, 4), 4);
}

static void test_work(void **state)
{
	(void)state;
	virtio_request_work(&model->v);
	dev_work(&vm);
	assert_int_equal(model->works, 0);
	start(0, false);
	model->work_done = false;
	virtio_request_work(&model->v);
	dev_work(&vm);
	assert_int_equal(model->works, 1);
	assert_int_equal(vm.work, 1);
	model->work_done = true;
	dev_work(&vm);
	assert_int_equal(vm.work, 0);
}

static void test_reset(void **state)
{
	(void)state;
	start(0, false);
	virtio_config_changed(&model->v);
	assert_true(fake_lines[17]);
	bus_reset(&vm.bus);
	assert_false(fake_lines[17]);
	assert_int_equal(model->resets, 2);
	assert_int_equal(model->v.features, 0);
	assert_int_equal(fake_status(&drv), 0);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(common(VIRTIO_PCI_COMMON_Q_SIZE, 2), 1024);
	start(0, false);
}

static void test_no_memory(void **state)
{
	struct fake_virtio other = fake_virtio;

	(void)state;
	fake_frames_left = 0;
	assert_int_equal(virtio_add(&other.v), -TERN_ENOMEM);
	assert_null(vpci_get(&vm, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_features, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notify, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notify_by_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_again_and_again_is_one_line_a_second,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_misaligned, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access_capability, setup, teardown),
		cmocka_unit_test_setup_teardown(test_work, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
