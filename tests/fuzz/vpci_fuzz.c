/* SPDX-License-Identifier: MIT */
/* links: hv/dev/bus.c hv/dev/dev.c hv/lock.c hv/dev/vpci.c hv/dev/vpci_bar.c hv/dev/vpci_irq.c */
/* links: tests/fake/fake_frames.c tests/fake/fake_host.c tests/fake/fake_guest.c */
/*
 * A hostile guest at configuration ports and BARs of three functions. Each access that reaches a function
 * must lie in its BAR, decoded, and must not be in a lower slot's.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include <tern/vpci.h>
#include <tests/fake/fake_frames.h>
#include <tests/fake/fake_guest.h>
#include <tests/fake/fake_host.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)
#define FUNCTIONS 3u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct vm vm;
static struct vpci_function functions[FUNCTIONS];

static void check(struct vpci_function *f, u32 bar, u64 offset, u32 width)
{
	u64 base = f->bars[bar].base, low = f->bars[bar].kind == VPCI_BAR_IO ? 0xc000 : 0xc0000000;

	REQUIRE(offset < f->bars[bar].size && width <= f->bars[bar].size - offset);
	REQUIRE(base >= low && base + f->bars[bar].size <= VPCI_WINDOW_END);
	REQUIRE(width == 1 || width == 2 || width == 4 || width == 8);
	for (struct vpci_function *o = functions; o < f; o++) {
		for (u32 i = 0; i < VPCI_BARS; i++) {
			const struct vpci_bar *b = &o->bars[i];

			if (b->kind == VPCI_BAR_NONE || b->base == 0 ||
			    (b->kind == VPCI_BAR_IO) != (f->bars[bar].kind == VPCI_BAR_IO))
				continue;
			REQUIRE(base + offset + width <= b->base ||
				base + offset >= b->base + b->size);
		}
	}
}

static u64 fuzz_read(struct vpci_function *f, u32 bar, u64 offset, u32 width)
{
	check(f, bar, offset, width);
	return offset;
}

static void fuzz_write(struct vpci_function *f, u32 bar, u64 offset, u32 width, u64 value)
{
	check(f, bar, offset, width);
	if (value % 3 == 0)
		vpci_intx(f, value % 2);
	else if (value % 3 == 1)
		vpci_msix_send(f, (u32)value);
}

static void fuzz_destroy(struct vpci_function *f)
{
	(void)f;
}

static const struct vpci_ops ops = {
	.name = "fuzz", .read = fuzz_read, .write = fuzz_write, .destroy = fuzz_destroy};

static void create(void)
{
	fake_reset();
	fake_frames_reset(16);
	fake_guest_reset(&vm);
	REQUIRE(vpci_create(&vm, &vm.bus) == 0);
	for (u32 i = 0; i < FUNCTIONS; i++) {
		struct vpci_function *f = &functions[i];

		f->ops = &ops;
		f->vm = &vm;
		f->intx = i != 1;
		f->bars[0] = (struct vpci_bar){.kind = VPCI_BAR_MEM32, .size = 0x1000u << i};
		f->bars[1] = (struct vpci_bar){.kind = VPCI_BAR_IO, .size = 4u << i};
		f->bars[2] = (struct vpci_bar){.kind = VPCI_BAR_MEM64, .size = 16u << i};
		f->msix = (struct vpci_msix){.vectors = i * 8, .table = 0x800, .pba = 0x7f8};
		REQUIRE(vpci_add(f) == 0);
	}
}

/* One access takes eight bytes: where, how, what. */
static void access(const u8 *d)
{
	u32 width = 1u << (d[0] & 3), value;
	enum dev_space space = DEV_PORT;
	u64 at;

	memcpy(&value, d + 4, sizeof(value));
	if (d[0] & 0x80) {
		space = DEV_MEM;
		at = functions[d[1] % FUNCTIONS].bars[d[1] & 0x80 ? 2 : 0].base + d[2] * 16u +
		     d[3] % 32u - 8;
	} else {
		/* Configuration: register d[2] of slot d[1]; or a port. */
		width = width > 4 ? 4 : width;
		at = d[0] & 0x40 ? 0xc000u + d[1] : 0xcf8u + (d[1] >> 5);
		if ((d[0] & 0x60) == 0) {
			bus_write(&vm.bus, DEV_PORT, 0xcf8, 4,
				  0x80000000u | (d[1] % 5u) << 11 | (d[2] & 0xfcu), NULL);
			at = 0xcfcu + (d[2] & 3u);
		}
	}
	if (d[0] & 0x10)
		bus_write(&vm.bus, space, at, width, value, NULL);
	else
		bus_read(&vm.bus, space, at, width, NULL);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (vm.platform.pci == NULL)
		create();
	bus_reset(&vm.bus);
	for (u32 i = 0; i < IRQ_LINES; i++)
		REQUIRE(!fake_lines[i]);
	for (size_t i = 0; i + 8 <= size && i < 4096; i += 8)
		access(data + i);
	/* The lines say what the functions say. */
	for (u32 i = 0; i < FUNCTIONS; i++) {
		const struct vpci_function *f = &functions[i];
		bool off = (f->config[PCI_COMMAND + 1] & PCI_COMMAND_INTX_DISABLE >> 8) != 0;

		REQUIRE(fake_lines[IRQ_PCI + f->slot] ==
			(f->asserted && !off && !vpci_msix_enabled(f)));
	}
	return 0;
}
