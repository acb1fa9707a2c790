/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c */
/* links: tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c tests/fake/fake_driver.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <linux/pci_regs.h>

#include <tern/err.h>
#include <tern/vpci.h>
#include <tests/fake/fake_driver.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

struct probe {
	struct vpci_function f;
	u32 bar, width, reads, writes, resets, destroys, works;
	u64 offset, value;
	bool work_done;
};

static struct vm vm;
static struct probe probes[VPCI_SLOTS];

static struct probe *probe_of(struct vpci_function *f)
{
	return container_of(f, struct probe, f);
}

static u64 probe_read(struct vpci_function *f, u32 bar, u64 offset, u32 width)
{
	struct probe *p = probe_of(f);

	assert_true(lock_held(&vm.bus.lock));
	assert_true(offset + width <= f->bars[bar].size);
	p->bar = bar;
	p->offset = offset;
	p->width = width;
	p->reads++;
	return 0x8877665544332211ull + f->slot;
}

static void probe_write(struct vpci_function *f, u32 bar, u64 offset, u32 width, u64 value)
{
	struct probe *p = probe_of(f);

	assert_true(offset + width <= f->bars[bar].size);
	p->bar = bar;
	p->offset = offset;
	p->width = width;
	p->value = value;
	p->writes++;
}

static void probe_reset(struct vpci_function *f)
{
	probe_of(f)->resets++;
}

static void probe_destroy(struct vpci_function *f)
{
	probe_of(f)->destroys++;
}

static bool probe_work(struct vpci_function *f)
{
	probe_of(f)->works++;
	return probe_of(f)->work_done;
}

static const struct vpci_ops probe_ops = {.name = "probe",
					  .read = probe_read,
					  .write = probe_write,
					  .reset = probe_reset,
					  .destroy = probe_destroy,
					  .work = probe_work};

/* BAR 0: memory with MSI-X, BAR 2: I/O, BAR 4: 64-bit memory. */
static struct probe *add(u32 i)
{
	struct probe *p = &probes[i];

	p->f = (struct vpci_function){.ops = &probe_ops,
				      .vm = &vm,
				      .vendor = 0x1af4,
				      .device = 0x1234,
				      .sub_vendor = 0x1111,
				      .sub_device = 0x2222,
				      .class_code = 0x010802,
				      .revision = 3,
				      .intx = true};
	p->f.bars[0] = (struct vpci_bar){.kind = VPCI_BAR_MEM32, .size = 0x2000};
	p->f.bars[2] = (struct vpci_bar){.kind = VPCI_BAR_IO, .size = 32};
	p->f.bars[4] = (struct vpci_bar){.kind = VPCI_BAR_MEM64, .size = MiB(1)};
	p->f.msix = (struct vpci_msix){.vectors = 3, .bar = 0, .table = 0x1000, .pba = 0x1800};
	p->work_done = true;
	assert_int_equal(vpci_add(&p->f), 0);
	return p;
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_frames_reset(64);
	fake_guest_reset(&vm);
	memset(probes, 0, sizeof(probes));
	assert_int_equal(vpci_create(&vm, &vm.bus), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bus_destroy(&vm.bus);
	assert_int_equal(fake_frames_used(), 0);
	for (u32 i = 0; i < VPCI_SLOTS; i++)
		assert_int_equal(probes[i].destroys, probes[i].f.slot != 0);
	return 0;
}

static u64 port(u32 at, u32 width)
{
	return bus_read(&vm.bus, DEV_PORT, at, width, NULL);
}

static void test_host_bridge(void **state)
{
	(void)state;
	assert_int_equal(fake_pci_read(&vm, 0, 0, 4), 0x12378086);
	assert_int_equal(fake_pci_read(&vm, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	assert_int_equal(fake_pci_read(&vm, 0, PCI_HEADER_TYPE, 1), 0);
	for (u32 slot = 1; slot < 32; slot++)
		assert_int_equal(fake_pci_read(&vm, slot, 0, 4), UINT32_MAX);
	/* Another bus, another function, not enabled. */
	bus_write(&vm.bus, DEV_PORT, 0xcf8, 4, 0x80010000u, NULL);
	assert_int_equal(port(0xcfc, 4), UINT32_MAX);
	bus_write(&vm.bus, DEV_PORT, 0xcf8, 4, 0x80000100u, NULL);
	assert_int_equal(port(0xcfc, 4), UINT32_MAX);
	bus_write(&vm.bus, DEV_PORT, 0xcf8, 4, 0, NULL);
	assert_int_equal(port(0xcfc, 4), UINT32_MAX);
}

static void test_ports(void **state)
{
	(void)state;
	bus_write(&vm.bus, DEV_PORT, 0xcf8, 4, 0xffffffffu, NULL);
	assert_int_equal(port(0xcf8, 4), 0x80fffffcu);
	/* Only whole dwords reach the address register: Linux's probe writes a byte to CFBh. */
	bus_write(&vm.bus, DEV_PORT, 0xcfb, 1, 1, NULL);
	bus_write(&vm.bus, DEV_PORT, 0xcf8, 1, 1, NULL);
	bus_write(&vm.bus, DEV_PORT, 0xcf8, 2, 1, NULL);
	assert_int_equal(port(0xcf8, 4), 0x80fffffcu);
	assert_int_equal(port(0xcf8, 1), 0xff);
	/* All widths and offsets of the data window. */
	bus_write(&vm.bus, DEV_PORT, 0xcf8, 4, 0x80000000u, NULL);
	assert_int_equal(port(0xcfc, 1), 0x86);
	assert_int_equal(port(0xcfd, 1), 0x80);
	assert_int_equal(port(0xcfd, 2), 0x3780);
	assert_int_equal(port(0xcfe, 2), 0x1237);
	assert_int_equal(port(0xcff, 1), 0x12);
	assert_int_equal(port(0xcff, 2), 0xff12);
	assert_int_equal(fake_vm_resets, 0);
}

static void test_reset_register(void **state)
{
	(void)state;
	bus_write(&vm.bus, DEV_PORT, 0xcf9, 1, 2, NULL);
	assert_int_equal(port(0xcf9, 1), 2);
	assert_int_equal(fake_vm_resets, 0);
	bus_write(&vm.bus, DEV_PORT, 0xcf9, 1, 6, NULL);
	assert_int_equal(fake_vm_resets, 1);
	bus_write(&vm.bus, DEV_PORT, 0xcf9, 1, 6, NULL);
	assert_int_equal(fake_vm_resets, 1);
	bus_reset(&vm.bus);
	bus_write(&vm.bus, DEV_PORT, 0xcf9, 1, 6, NULL);
	assert_int_equal(fake_vm_resets, 2);
}

static void test_config(void **state)
{
	struct probe *p = add(1);
	u32 cap;

	(void)state;
	assert_int_equal(p->f.slot, 1);
	assert_int_equal(fake_pci_read(&vm, 1, 0, 4), 0x12341af4);
	assert_int_equal(fake_pci_read(&vm, 1, 8, 4), 0x01080203);
	assert_int_equal(fake_pci_read(&vm, 1, 0x2c, 4), 0x22221111);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_INTERRUPT_LINE, 1), 17);
	/* What is constant stays. */
	fake_pci_write(&vm, 1, 0, 4, 0);
	fake_pci_write(&vm, 1, PCI_STATUS, 2, 0xffff);
	assert_int_equal(fake_pci_read(&vm, 1, 0, 4), 0x12341af4);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	fake_pci_write(&vm, 1, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_COMMAND, 2), 0x0407);
	fake_pci_write(&vm, 1, PCI_INTERRUPT_LINE, 1, 11);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_INTERRUPT_LINE, 1), 11);
	cap = fake_pci_read(&vm, 1, PCI_CAPABILITY_LIST, 1);
	assert_int_equal(fake_pci_read(&vm, 1, cap, 4), 0x00020011);
	assert_int_equal(fake_pci_read(&vm, 1, cap + 4, 4), 0x1000);
	assert_int_equal(fake_pci_read(&vm, 1, cap + 8, 4), 0x1800);
	fake_pci_write(&vm, 1, cap, 4, UINT32_MAX);
	assert_int_equal(fake_pci_read(&vm, 1, cap, 4), 0xc0020011);
	bus_reset(&vm.bus);
	assert_int_equal(p->resets, 1);
	assert_int_equal(fake_pci_read(&vm, 1, cap, 4), 0x00020011);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_COMMAND, 2), 3);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_INTERRUPT_LINE, 1), 17);
}

static void test_bars(void **state)
{
	struct probe *p = add(1);
	u32 base = fake_pci_read(&vm, 1, PCI_BASE_ADDRESS_0, 4);
	u32 io = fake_pci_read(&vm, 1, PCI_BASE_ADDRESS_2, 4);

	(void)state;
	assert_int_equal(base, 0xc0000000);
	assert_int_equal(io, 0xc001);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_BASE_ADDRESS_4, 4), 0xc0100004);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_BASE_ADDRESS_5, 4), 0);
	/* Sizing. */
	for (u32 r = PCI_BASE_ADDRESS_0; r <= PCI_BASE_ADDRESS_5; r += 4)
		fake_pci_write(&vm, 1, r, 4, UINT32_MAX);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_BASE_ADDRESS_0, 4), 0xffffe000);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_BASE_ADDRESS_1, 4), 0);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_BASE_ADDRESS_2, 4), 0xffffffe1);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_BASE_ADDRESS_4, 4), 0xfff00004);
	assert_int_equal(fake_pci_read(&vm, 1, PCI_BASE_ADDRESS_5, 4), UINT32_MAX);
	assert_int_equal(fake_mem_read(&vm, 0xc0000000, 4), UINT32_MAX);
	assert_int_equal(p->reads, 0);
	/* Moved by bytes, to another place, to one outside the window. */
	fake_pci_write(&vm, 1, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	fake_pci_write(&vm, 1, PCI_BASE_ADDRESS_0 + 1, 1, 0x40);
	assert_int_equal(fake_mem_read(&vm, 0xd0004010, 8), 0x8877665544332212ull);
	assert_int_equal(p->offset, 0x10);
	assert_int_equal(p->width, 8);
	fake_pci_write(&vm, 1, PCI_BASE_ADDRESS_0, 4, 0xfec00000);
	assert_int_equal(fake_mem_read(&vm, 0xd0004010, 8), UINT64_MAX);
	fake_pci_write(&vm, 1, PCI_BASE_ADDRESS_2, 4, 0xd000);
	assert_int_equal(port(0xd008, 4), 0x44332212);
	assert_int_equal(p->bar, 2);
	assert_int_equal(p->offset, 8);
	/* 64 bits: the upper half must be zero to be inside. */
	fake_pci_write(&vm, 1, PCI_BASE_ADDRESS_4, 4, 0xe0000000);
	assert_int_equal(fake_mem_read(&vm, 0xe0000000, 1), 0xff);
	fake_pci_write(&vm, 1, PCI_BASE_ADDRESS_5, 4, 0);
	assert_int_equal(fake_mem_read(&vm, 0xe0000000, 1), 0x12);
	assert_int_equal(p->bar, 4);
	/* Decoding off. */
	fake_pci_write(&vm, 1, PCI_COMMAND, 2, 0);
	assert_int_equal(fake_mem_read(&vm, 0xe0000000, 1), 0xff);
	assert_int_equal(port(0xd008, 4), UINT32_MAX);
	bus_reset(&vm.bus);
	assert_int_equal(fake_mem_read(&vm, base, 1), 0x12);
	fake_mem_write(&vm, base + 0xffc, 4, 7);
	assert_int_equal(p->value, 7);
}

static void place(u32 slot, u32 reg, u32 at)
{
	fake_pci_write(&vm, slot, reg, 4, at);
}

/* The lower slot wins where two overlap; what was accessed last does not change that. */
static void test_overlap(void **state)
{
	struct probe *low = add(1), *high = add(2);

	(void)state;
	place(1, PCI_BASE_ADDRESS_0, 0xd0002000);
	place(2, PCI_BASE_ADDRESS_4, 0xd0000000);
	fake_mem_read(&vm, 0xd0000000, 4);
	assert_int_equal(high->reads, 1);
	fake_mem_read(&vm, 0xd0002000, 4);
	assert_int_equal(high->reads, 1);
	assert_int_equal(low->reads, 1);
	assert_int_equal(low->offset, 0);
	fake_mem_read(&vm, 0xd0004000, 4);
	assert_int_equal(high->reads, 2);
	assert_int_equal(high->offset, 0x4000);
	fake_mem_read(&vm, 0xd0001ffc, 4);
	assert_int_equal(high->reads, 3);
	/* Over the border: a byte at a time, each to whom it belongs. */
	fake_mem_write(&vm, 0xd0001ffe, 4, 0x04030201);
	assert_int_equal(high->writes, 2);
	assert_int_equal(high->value, 2);
	assert_int_equal(low->writes, 2);
	assert_int_equal(low->value, 4);
	assert_int_equal(low->offset, 1);
	/* Over the end of the window. */
	place(1, PCI_BASE_ADDRESS_0, 0xfebfe000);
	assert_int_equal(fake_mem_read(&vm, 0xfebffffe, 4), 0xffff1212);
}

static void test_intx(void **state)
{
	struct probe *p[17];

	(void)state;
	for (u32 i = 1; i <= 16; i++)
		p[i] = add(i);
	vpci_intx(&p[3]->f, true);
	assert_true(fake_lines[19]);
	assert_int_equal(fake_pci_read(&vm, 3, PCI_STATUS, 2), 0x18);
	vpci_intx(&p[11]->f, true);
	assert_int_equal(fake_line_changes, 1);
	vpci_intx(&p[3]->f, false);
	assert_true(fake_lines[19]);
	fake_pci_write(&vm, 11, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	assert_false(fake_lines[19]);
	assert_int_equal(fake_pci_read(&vm, 11, PCI_STATUS, 2), 0x18);
	fake_pci_write(&vm, 11, PCI_COMMAND, 2, 0);
	assert_true(fake_lines[19]);
	vpci_intx(&p[8]->f, true);
	assert_true(fake_lines[16]);
	/* MSI-X takes the pin away. */
	fake_pci_write(&vm, 8, p[8]->f.msix.cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_false(fake_lines[16]);
	assert_int_equal(fake_pci_read(&vm, 8, PCI_STATUS, 2), 0x10);
	bus_reset(&vm.bus);
	for (u32 i = 0; i < IRQ_LINES; i++)
		assert_false(fake_lines[i]);
}

static void test_msix(void **state)
{
	struct probe *p = add(1);
	u32 flags = p->f.msix.cap + PCI_MSIX_FLAGS;
	u64 table = 0xc0001000, pba = 0xc0001800;

	(void)state;
	assert_int_equal(fake_mem_read(&vm, table + 12, 4), 1);
	fake_mem_write(&vm, table + 16, 4, 0xfee01000);
	fake_mem_write(&vm, table + 20, 4, 0);
	fake_mem_write(&vm, table + 24, 8, 0xfffffffe00004041);
	assert_int_equal(fake_mem_read(&vm, table + 24, 8), 0x4041);
	/* What is not aligned, or is the PBA, is not written. */
	fake_mem_write(&vm, table + 18, 4, 7);
	fake_mem_write(&vm, table + 16, 2, 7);
	fake_mem_write(&vm, pba, 8, 7);
	assert_int_equal(fake_mem_read(&vm, table + 16, 8), 0xfee01000);
	assert_int_equal(p->writes, 0);
	fake_pci_write(&vm, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vpci_msix_send(&p->f, 1);
	assert_int_equal(fake_mem_read(&vm, pba, 8), 0);
	fake_pci_write(&vm, 1, flags, 2, PCI_MSIX_FLAGS_ENABLE);
	vpci_msix_send(&p->f, 1);
	assert_int_equal(fake_msi_count, 1);
	assert_int_equal(fake_msi_address, 0xfee01000);
	assert_int_equal(fake_msi_data, 0x4041);
	vpci_msix_send(&p->f, 3);
	vpci_msix_send(&p->f, VPCI_NO_VECTOR);
	assert_int_equal(fake_msi_count, 1);
	/* Masked: pending, sent once when unmasked. */
	fake_mem_write(&vm, table + 28, 4, 1);
	vpci_msix_send(&p->f, 1);
	vpci_msix_send(&p->f, 1);
	assert_int_equal(fake_msi_count, 1);
	assert_int_equal(fake_mem_read(&vm, pba, 8), 2);
	assert_int_equal(fake_mem_read(&vm, pba, 1), 2);
	fake_mem_write(&vm, table + 28, 4, 0);
	assert_int_equal(fake_msi_count, 2);
	assert_int_equal(fake_mem_read(&vm, pba, 8), 0);
	/* The function mask, and a bus master that is off, hold back too. */
	fake_pci_write(&vm, 1, flags, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	vpci_msix_send(&p->f, 1);
	assert_int_equal(fake_msi_count, 2);
	fake_pci_write(&vm, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	fake_pci_write(&vm, 1, flags, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(fake_msi_count, 2);
	fake_pci_write(&vm, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(fake_msi_count, 3);
}

static void test_work(void **state)
{
	struct probe *a = add(1), *b = add(2);

	(void)state;
	vpci_request_work(&b->f);
	assert_int_equal(fake_vm_kicks, 1);
	b->work_done = false;
	dev_work(&vm);
	assert_int_equal(a->works, 0);
	assert_int_equal(b->works, 1);
	assert_int_equal(vm.work, 1);
	b->work_done = true;
	dev_work(&vm);
	assert_int_equal(b->works, 2);
	assert_int_equal(vm.work, 0);
	dev_work(&vm);
	assert_int_equal(b->works, 2);
}

static void test_limits(void **state)
{
	struct probe spare = {.f = {.ops = &probe_ops, .vm = &vm}};

	(void)state;
	spare.f.bars[5] = (struct vpci_bar){.kind = VPCI_BAR_MEM64, .size = 4096};
	assert_int_equal(vpci_add(&spare.f), -TERN_EINVAL);
	spare.f.bars[5] = (struct vpci_bar){.kind = VPCI_BAR_MEM32, .size = 4097};
	assert_int_equal(vpci_add(&spare.f), -TERN_EINVAL);
	spare.f.bars[5] = (struct vpci_bar){.kind = VPCI_BAR_IO, .size = 512};
	assert_int_equal(vpci_add(&spare.f), -TERN_EINVAL);
	spare.f.bars[5] = (struct vpci_bar){.kind = VPCI_BAR_MEM32, .size = GiB(1)};
	assert_int_equal(vpci_add(&spare.f), -TERN_EINVAL);
	spare.f.bars[5] = (struct vpci_bar){.kind = VPCI_BAR_MEM32, .size = MiB(512)};
	spare.f.bars[4] = spare.f.bars[5];
	assert_int_equal(vpci_add(&spare.f), -TERN_ENOSPC);
	spare.f.bars[4] = spare.f.bars[5] = (struct vpci_bar){0};
	spare.f.msix = (struct vpci_msix){.vectors = 1, .bar = 0, .pba = 16};
	assert_int_equal(vpci_add(&spare.f), -TERN_EINVAL);
	spare.f.bars[0] = (struct vpci_bar){.kind = VPCI_BAR_MEM32, .size = 32};
	spare.f.msix.pba = 8;
	assert_int_equal(vpci_add(&spare.f), -TERN_EINVAL);
	spare.f.msix.vectors = 17;
	assert_int_equal(vpci_add(&spare.f), -TERN_EINVAL);
	spare.f.msix.vectors = 0;
	for (u32 i = 1; i < VPCI_SLOTS; i++)
		assert_int_equal(add(i)->f.slot, i);
	assert_int_equal(vpci_add(&spare.f), -TERN_ENOSPC);
	assert_ptr_equal(vpci_get(&vm, 31), &probes[31].f);
	assert_null(vpci_get(&vm, 32));
	assert_int_equal(vpci_add_capability(&probes[1].f, 9, probes, 200), -TERN_ENOSPC);
}

static void test_no_memory(void **state)
{
	struct vm other;

	(void)state;
	fake_frames_left = 0;
	memset(&other, 0, sizeof(other));
	bus_init(&other.bus);
	assert_int_equal(vpci_create(&other, &other.bus), -TERN_ENOMEM);
	fake_frames_left = UINT32_MAX;
	/* Somebody has the ports. */
	assert_int_equal(bus_add(&other.bus, DEV_PORT, 0xcf9, 1, vm.platform.pci), 0);
	assert_int_equal(vpci_create(&other, &other.bus), -TERN_EEXIST);
	assert_null(other.platform.pci);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_host_bridge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_register, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bars, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_work, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
