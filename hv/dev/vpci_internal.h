/* SPDX-License-Identifier: MIT */
/* What the files of the PCI bus share: vpci.c, vpci_bar.c and vpci_irq.c. */
#ifndef HV_DEV_VPCI_INTERNAL_H
#define HV_DEV_VPCI_INTERNAL_H

#include <tern/vpci.h>

/* Ports from CF8h: an address register, in which only whole dwords mean anything, the reset control
 * register that PCs have in the middle of it, and a window of four bytes. */
#define VPCI_PORTS        0xcf8u
#define VPCI_PORTS_LEN    8u
#define VPCI_RESET        1u /* offset */
#define VPCI_DATA         4u /* offset */
#define VPCI_ADDR_ENABLE  0x80000000u
#define VPCI_ADDR_MASK    0x80fffffcu /* bits that exist */
#define VPCI_ADDR_BUS(a)  ((a) >> 16 & 0xffu)
#define VPCI_ADDR_SLOT(a) ((a) >> 11 & 0x1fu)
#define VPCI_ADDR_FN(a)   ((a) >> 8 & 7u)
#define VPCI_ADDR_REG(a)  ((a)&0xfcu)
#define VPCI_RESET_SYS    0x02u /* hard reset */
#define VPCI_RESET_CPU    0x04u /* 0 to 1: reset now; Intel ICH9 data sheet 13.7.5 */
#define VPCI_CLASS_HOST   0x060000u
#define VPCI_HOST_VENDOR  0x8086u
#define VPCI_HOST_DEVICE  0x1237u /* 82441FX */
#define VPCI_HOST_REV     2u
#define VPCI_INTX_LINES   8u /* IRQ_PCI and the lines above it */
#define VPCI_CAPS_START   0x40u

/* Where a space of addresses was accessed last: [base, end) is f's BAR number bar all along, whatever
 * else the guest has put there. f NULL: nothing known. */
struct vpci_hit {
	struct vpci_function *f;
	u32 bar;
	u64 base, end;
};

/* One page. The bus sees three devices, for three ranges; ports is the one that lives and dies. */
struct vpci {
	struct device ports, mem, io;
	u32 address;
	u8 reset_control;
	u32 lines; /* bits: INTx lines that are asserted */
	struct vpci_hit mem_hit, io_hit;
	u64 mem_next; /* where the next BAR is put */
	u32 io_next;
	struct vpci_function *slots[VPCI_SLOTS];
	struct vpci_function host;
};
_Static_assert(sizeof(struct vpci) <= PAGE_SIZE, "one page");

struct vpci *vpci_of(const struct vm *vm);

static inline u32 vpci_get16(const struct vpci_function *f, u32 reg)
{
	return f->config[reg] | (u32)f->config[reg + 1] << 8;
}

static inline void vpci_put16(struct vpci_function *f, u32 reg, u32 value)
{
	f->config[reg] = (u8)value;
	f->config[reg + 1] = (u8)(value >> 8);
}

static inline u32 vpci_get32(const struct vpci_function *f, u32 reg)
{
	return vpci_get16(f, reg) | vpci_get16(f, reg + 2) << 16;
}

static inline void vpci_put32(struct vpci_function *f, u32 reg, u32 value)
{
	vpci_put16(f, reg, value);
	vpci_put16(f, reg + 2, value >> 16);
}

/* --- vpci_bar.c --- */
extern const struct dev_ops vpci_mem_ops, vpci_io_ops;
/* Checks the model's BARs. -TERN_EINVAL. */
MUST_CHECK int vpci_bars_check(const struct vpci_function *f);
/* Gives them places. -TERN_ENOSPC: nothing has changed. */
MUST_CHECK int vpci_bars_place(struct vpci *p, struct vpci_function *f);
/* The registers get the places of the creation again. */
void vpci_bars_reset(struct vpci_function *f);
/* BAR registers or the command register have been written. */
void vpci_bars_changed(struct vpci *p, struct vpci_function *f);

/* --- vpci_irq.c --- */
MUST_CHECK int vpci_msix_check(const struct vpci_function *f);
MUST_CHECK int vpci_msix_add(struct vpci_function *f);
void vpci_msix_reset(struct vpci_function *f);
/* True when offset of that BAR is in the MSI-X table or the PBA. */
bool vpci_msix_owns(const struct vpci_function *f, u32 bar, u64 offset);
u64 vpci_msix_read(const struct vpci_function *f, u64 offset, u32 width);
void vpci_msix_write(struct vpci_function *f, u64 offset, u32 width, u64 value);
/* Command register or message control have been written: lines and messages follow. */
void vpci_irq_changed(struct vpci_function *f);

#endif
