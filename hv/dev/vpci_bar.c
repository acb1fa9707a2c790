/* SPDX-License-Identifier: MIT */
/*
 * The BARs of a VM's PCI functions. Two ranges of the bus cover all places where they can be; who is
 * where is looked up here, what was accessed last first. Where the guest has put one BAR over another
 * the lower slot wins, then the lower BAR.
 */
#include <tern/vpci.h>

#include "vpci_internal.h"

#include <linux/pci_regs.h>

#include <tern/err.h>
#include <tern/lib.h>

#define IO_SIZE_MIN  4u
#define IO_SIZE_MAX  256u
#define MEM_SIZE_MIN 16u

static bool is_io(const struct vpci_bar *b)
{
	return b->kind == VPCI_BAR_IO;
}

static u32 bar_reg(u32 bar)
{
	return PCI_BASE_ADDRESS_0 + bar * (u32)sizeof(u32);
}

int vpci_bars_check(const struct vpci_function *f)
{
	for (u32 i = 0; i < VPCI_BARS; i++) {
		const struct vpci_bar *b = &f->bars[i];
		u64 low = is_io(b) ? IO_SIZE_MIN : MEM_SIZE_MIN;
		u64 high = is_io(b) ? IO_SIZE_MAX : VPCI_WINDOW_END - VPCI_WINDOW_BASE;

		if (b->kind == VPCI_BAR_NONE)
			continue;
		if (b->size < low || b->size > high || (b->size & (b->size - 1)) != 0)
			return -TERN_EINVAL;
		if (b->kind == VPCI_BAR_MEM64 &&
		    (i + 1 == VPCI_BARS || f->bars[i + 1].kind != VPCI_BAR_NONE))
			return -TERN_EINVAL;
	}
	return 0;
}

/* The bits of the register that say what it is. */
static u32 type_bits(enum vpci_bar_kind kind)
{
	if (kind == VPCI_BAR_IO)
		return PCI_BASE_ADDRESS_SPACE_IO;
	return kind == VPCI_BAR_MEM64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : PCI_BASE_ADDRESS_MEM_TYPE_32;
}

static void put_writable(struct vpci_function *f, u32 reg, u32 mask)
{
	for (u32 i = 0; i < sizeof(mask); i++)
		f->writable[reg + i] = (u8)(mask >> (i * 8));
}

int vpci_bars_place(struct vpci *p, struct vpci_function *f)
{
	u64 mem = p->mem_next, io = p->io_next;

	for (u32 i = 0; i < VPCI_BARS; i++) {
		struct vpci_bar *b = &f->bars[i];
		u64 *next = is_io(b) ? &io : &mem;

		if (b->kind == VPCI_BAR_NONE)
			continue;
		b->base_created = align_up(*next, b->size);
		*next = b->base_created + b->size;
	}
	if (mem > VPCI_WINDOW_END || io > VPCI_IO_END)
		return -TERN_ENOSPC;
	p->mem_next = mem;
	p->io_next = (u32)io;
	for (u32 i = 0; i < VPCI_BARS; i++) {
		const struct vpci_bar *b = &f->bars[i];

		if (b->kind == VPCI_BAR_NONE)
			continue;
		/* Address bits below the size do not exist: all ones written read back as the size. */
		put_writable(f, bar_reg(i), ~((u32)b->size - 1));
		if (b->kind == VPCI_BAR_MEM64)
			put_writable(f, bar_reg(i + 1), UINT32_MAX);
	}
	return 0;
}

void vpci_bars_reset(struct vpci_function *f)
{
	for (u32 i = 0; i < VPCI_BARS; i++) {
		const struct vpci_bar *b = &f->bars[i];

		if (b->kind != VPCI_BAR_NONE)
			vpci_put32(f, bar_reg(i), (u32)b->base_created | type_bits(b->kind));
	}
}

static u64 bar_value(const struct vpci_function *f, u32 i)
{
	u64 low = vpci_get32(f, bar_reg(i)) & ~(u64)(f->bars[i].size - 1);

	return f->bars[i].kind == VPCI_BAR_MEM64 ? low | (u64)vpci_get32(f, bar_reg(i + 1)) << 32
						 : low;
}

void vpci_bars_changed(struct vpci *p, struct vpci_function *f)
{
	u32 command = vpci_get16(f, PCI_COMMAND);

	for (u32 i = 0; i < VPCI_BARS; i++) {
		struct vpci_bar *b = &f->bars[i];
		u64 low = is_io(b) ? VPCI_IO_BASE : VPCI_WINDOW_BASE;
		u64 high = is_io(b) ? VPCI_IO_END : VPCI_WINDOW_END;
		u64 at;

		if (b->kind == VPCI_BAR_NONE)
			continue;
		at = bar_value(f, i);
		b->base = 0;
		if ((command & (is_io(b) ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) != 0 &&
		    at >= low && at <= high - b->size)
			b->base = at;
	}
	p->mem_hit.f = NULL;
	p->io_hit.f = NULL;
}

/*
 * Looks for addr, in order of precedence. What comes before the one that has it and does not have addr
 * itself cuts the range in which that answer is right.
 */
static __attribute__((noinline)) bool search(const struct vpci *p, bool io, u64 addr,
					     struct vpci_hit *hit)
{
	u64 low = 0, high = UINT64_MAX;

	for (u32 i = 0; i < VPCI_SLOTS * VPCI_BARS; i++) {
		struct vpci_function *f = p->slots[i / VPCI_BARS];
		const struct vpci_bar *b;

		if (f == NULL)
			continue;
		b = &f->bars[i % VPCI_BARS];
		if (b->kind == VPCI_BAR_NONE || is_io(b) != io || b->base == 0)
			continue;
		if (addr >= b->base && addr - b->base < b->size) {
			hit->f = f;
			hit->bar = i % VPCI_BARS;
			hit->base = max_u64(low, b->base);
			hit->end = min_u64(high, b->base + b->size);
			return true;
		}
		if (b->base > addr)
			high = min_u64(high, b->base);
		else
			low = max_u64(low, b->base + b->size);
	}
	return false;
}

static const struct vpci_hit *lookup(struct vpci *p, bool io, u64 addr)
{
	struct vpci_hit *hit = io ? &p->io_hit : &p->mem_hit;

	if (LIKELY(hit->f != NULL && addr >= hit->base && addr < hit->end))
		return hit;
	return search(p, io, addr, hit) ? hit : NULL;
}

/* width bytes, all of one BAR. */
static u64 read_one(struct vpci_function *f, u32 bar, u64 offset, u32 width)
{
	if (UNLIKELY(vpci_msix_owns(f, bar, offset)))
		return vpci_msix_read(f, offset, width);
	return f->ops->read(f, bar, offset, width);
}

static void write_one(struct vpci_function *f, u32 bar, u64 offset, u32 width, u64 value)
{
	if (UNLIKELY(vpci_msix_owns(f, bar, offset)))
		vpci_msix_write(f, offset, width, value);
	else
		f->ops->write(f, bar, offset, width, value);
}

static u64 space_read(struct vpci *p, bool io, u64 addr, u32 width)
{
	const struct vpci_hit *hit = lookup(p, io, addr);
	u64 value = 0;

	if (LIKELY(hit != NULL && hit->end - addr >= width))
		return read_one(hit->f, hit->bar, addr - hit->f->bars[hit->bar].base, width);
	/* Nobody's, or over the end of somebody's: byte by byte. */
	for (u32 i = 0; i < width; i++) {
		u64 byte = 0xff;

		hit = lookup(p, io, addr + i);
		if (hit != NULL)
			byte = read_one(hit->f, hit->bar, addr + i - hit->f->bars[hit->bar].base,
					1);
		value |= (byte & 0xff) << (i * 8);
	}
	return value;
}

static void space_write(struct vpci *p, bool io, u64 addr, u32 width, u64 value)
{
	const struct vpci_hit *hit = lookup(p, io, addr);

	if (LIKELY(hit != NULL && hit->end - addr >= width)) {
		write_one(hit->f, hit->bar, addr - hit->f->bars[hit->bar].base, width, value);
		return;
	}
	for (u32 i = 0; i < width; i++) {
		hit = lookup(p, io, addr + i);
		if (hit != NULL)
			write_one(hit->f, hit->bar, addr + i - hit->f->bars[hit->bar].base, 1,
				  value >> (i * 8) & 0xff);
	}
}

static u64 mem_read(struct device *d, u64 offset, u32 width)
{
	return space_read(container_of(d, struct vpci, mem), false, VPCI_WINDOW_BASE + offset,
			  width);
}

static void mem_write(struct device *d, u64 offset, u32 width, u64 value)
{
	space_write(container_of(d, struct vpci, mem), false, VPCI_WINDOW_BASE + offset, width,
		    value);
}

static u64 io_read(struct device *d, u64 offset, u32 width)
{
	return space_read(container_of(d, struct vpci, io), true, VPCI_IO_BASE + offset, width);
}

static void io_write(struct device *d, u64 offset, u32 width, u64 value)
{
	space_write(container_of(d, struct vpci, io), true, VPCI_IO_BASE + offset, width, value);
}

/* Both live and die with the device at the configuration ports. */
static void nothing(UNUSED struct device *d)
{
}

const struct dev_ops vpci_mem_ops = {
	.name = "PCI memory",
	.width_max = sizeof(u64),
	.read = mem_read,
	.write = mem_write,
	.reset = nothing,
	.destroy = nothing,
};

const struct dev_ops vpci_io_ops = {
	.name = "PCI ports",
	.width_max = sizeof(u32),
	.read = io_read,
	.write = io_write,
	.reset = nothing,
	.destroy = nothing,
};
