/* SPDX-License-Identifier: MIT */
#include "fake_nic.h"

#include <drivers/net/e1000_regs.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/irq.h>

#define BARS_AT GiB(33)

u32 fake_irqs, fake_irqs_left = UINT32_MAX;
static irq_fn *handler;
static void *handler_arg;

int irq_alloc(UNUSED const char *name, irq_fn *fn, void *arg)
{
	if (fake_irqs_left == 0)
		return -TERN_ENOSPC;
	fake_irqs_left--;
	handler = fn;
	handler_arg = arg;
	fake_irqs++;
	return 0x40;
}

void irq_free(int vector)
{
	if (vector != 0x40 || fake_irqs == 0)
		abort();
	fake_irqs--;
}

void irq_msi_message(u32 cpu_index, int vector, u64 *addr, u32 *data)
{
	*addr = 0xfee00000 | (u64)cpu_index << 12;
	*data = (u32)vector;
}

void fake_irq_raise(void)
{
	if (fake_irqs == 0)
		abort();
	handler(handler_arg);
}

static u32 *reg_at(const struct fake_nic *n, u32 reg)
{
	return (u32 *)((char *)phys_to_virt(hpa(n->base)) + reg);
}

u32 fake_nic_read(const struct fake_nic *n, u32 reg)
{
	return *reg_at(n, reg);
}

void fake_nic_write(struct fake_nic *n, u32 reg, u32 v)
{
	*reg_at(n, reg) = v;
}

/* What a reset leaves. The EEPROM holds the address. */
static void power_on(struct fake_nic *n)
{
	memset(reg_at(n, 0), 0, E1000_BAR_SIZE);
	if (!n->raw) {
		memcpy(reg_at(n, E1000_RAL), n->mac, NETDEV_MAC);
		fake_nic_write(n, E1000_RAH, fake_nic_read(n, E1000_RAH) | E1000_RAH_AV);
	}
	fake_nic_write(n, E1000_STATUS, E1000_STATUS_FD | E1000_STATUS_LU | 2u << 6);
	n->gathered = n->partial = 0;
}

void fake_nic_add(struct fake_nic *n, u8 slot, u16 device)
{
	static const u8 mac[] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x00};

	memset(n, 0, sizeof(*n));
	n->fn = fake_pci_add(0, slot, 0, E1000_VENDOR, device, 0x0200);
	n->base = BARS_AT + slot * E1000_BAR_SIZE;
	fake_pci_bar(n->fn, 0, (u32)n->base | 4, ~(E1000_BAR_SIZE - 1));
	fake_pci_bar(n->fn, 1, (u32)(n->base >> 32), ~0u);
	if (device == E1000_82574L)
		fake_pci_cap(n->fn, 0x40, PCI_CAP_ID_MSI, 0);
	memcpy(n->mac, mac, sizeof(mac));
	n->mac[5] = slot;
	power_on(n);
}

static void *ring(const struct fake_nic *n, u32 low)
{
	return phys_to_virt(hpa(fake_nic_read(n, low) | (u64)fake_nic_read(n, low + 4) << 32));
}

static void put_sum(struct fake_nic *n)
{
	u32 sum = 0;

	for (u32 i = n->tucss; i < n->frame_len; i++)
		sum += (i - n->tucss) % 2 == 0 ? (u32)n->frame[i] << 8 : n->frame[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	n->frame[n->tucso] = (u8)(~sum >> 8);
	n->frame[n->tucso + 1] = (u8)~sum;
}

static void send_one(struct fake_nic *n, struct e1000_tx_desc *d)
{
	u32 len = d->lower & 0xfffff;

	if ((d->lower & E1000_TXD_DEXT) == 0) {
		n->bad++;
		return;
	}
	if ((d->lower & E1000_TXD_DATA) == 0) {
		n->tucss = (u8)(d->addr >> E1000_TXC_TUCSS_SHIFT);
		n->tucso = (u8)(d->addr >> E1000_TXC_TUCSO_SHIFT);
		n->bad += n->gathered != 0 || (d->lower & E1000_TXD_RS) != 0;
		return;
	}
	if (n->gathered == 0)
		n->sum = (d->upper & E1000_TXP_TXSM) != 0;
	if (len == 0 || n->gathered + len > sizeof(n->frame)) {
		n->bad++;
		return;
	}
	memcpy(n->frame + n->gathered, phys_to_virt(hpa(d->addr)), len);
	n->gathered += len;
	if ((d->lower & E1000_TXD_EOP) == 0)
		return;
	n->bad += (d->lower & (E1000_TXD_IFCS | E1000_TXD_RS)) != (E1000_TXD_IFCS | E1000_TXD_RS);
	n->frame_len = n->gathered;
	n->gathered = 0;
	if (n->sum)
		put_sum(n);
	n->sent++;
	d->upper |= E1000_TXS_DD;
}

static void read_eeprom(struct fake_nic *n)
{
	u32 v = fake_nic_read(n, E1000_EERD), word = v >> E1000_EERD_ADDR_SHIFT & 0xff;

	if ((v & E1000_EERD_START) == 0 || word > 2)
		return;
	fake_nic_write(n, E1000_EERD,
		       E1000_EERD_DONE | (u32)n->mac[2 * word] << 16 |
			       (u32)n->mac[2 * word + 1] << 24);
}

void fake_nic_step(struct fake_nic *n)
{
	u32 count, head;

	if (n->gone)
		return;
	read_eeprom(n);
	if ((fake_nic_read(n, E1000_CTRL) & E1000_CTRL_RST) != 0 && !n->stuck) {
		n->resets++;
		power_on(n);
		return;
	}
	if ((fake_nic_read(n, E1000_TCTL) & E1000_TCTL_EN) == 0 || n->hangs)
		return;
	count = fake_nic_read(n, E1000_TDLEN) / (u32)sizeof(struct e1000_tx_desc);
	head = fake_nic_read(n, E1000_TDH);
	for (; head != fake_nic_read(n, E1000_TDT); head = (head + 1) % count)
		send_one(n, (struct e1000_tx_desc *)ring(n, E1000_TDBAL) + head);
	fake_nic_write(n, E1000_TDH, head);
}

static u32 buffer_size(const struct fake_nic *n)
{
	u32 bits = fake_nic_read(n, E1000_RCTL);

	if ((bits & E1000_RCTL_BSEX) == 0)
		abort();
	return 0x8000u >> (bits >> 16 & 3);
}

bool fake_nic_receive(struct fake_nic *n, const void *frame, u32 len, u32 errors)
{
	u32 size, count = fake_nic_read(n, E1000_RDLEN) / (u32)sizeof(struct e1000_rx_desc);
	u32 head = fake_nic_read(n, E1000_RDH), tail = fake_nic_read(n, E1000_RDT);

	if ((fake_nic_read(n, E1000_RCTL) & E1000_RCTL_EN) == 0)
		return false;
	size = buffer_size(n);
	if ((tail + count - head) % count < (len + size - 1) / size) {
		fake_nic_write(n, E1000_MPC, fake_nic_read(n, E1000_MPC) + 1);
		return false;
	}
	for (u32 at = 0; at < len; at += size) {
		struct e1000_rx_desc *d = (struct e1000_rx_desc *)ring(n, E1000_RDBAL) + head;
		u32 part = len - at < size ? len - at : size;

		memcpy(phys_to_virt(hpa(d->addr)), (const char *)frame + at, part);
		d->len = (u16)part;
		d->errors = (u8)errors;
		d->status = E1000_RXS_DD | (at + part == len ? E1000_RXS_EOP : 0);
		head = (head + 1) % count;
	}
	fake_nic_write(n, E1000_RDH, head);
	return true;
}

void fake_nic_vanish(struct fake_nic *n)
{
	n->gone = true;
	memset(reg_at(n, 0), 0xff, E1000_BAR_SIZE);
}
