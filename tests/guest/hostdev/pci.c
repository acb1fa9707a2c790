/* SPDX-License-Identifier: MIT */
/*
 * Configuration space in all widths and at odd places, devices that are not there, BARs anywhere, MSI-X switched
 * while messages wait, and the BARs themselves meanwhile. The reset register, port CF9h, is left alone.
 */
#include "hostdev.h"

#include <linux/pci_regs.h>

#define ADDRESS    PCI_PORT_ADDRESS
#define DATA       PCI_PORT_DATA
#define BAR_SIZE   0x4000ul
#define SPACE      256u
#define QUEUE_SIZE 64u
#define RING       (MESS_RINGS + 0x30000ul)
#define AFRESH     4096u /* so often all is put back and a device set going */

struct slot {
	bool there;
	u32 config[SPACE / 4];
	u32 msix, vectors; /* the capability, 0: it has none */
	u64 table, common; /* offsets in BAR 0 */
};
static struct slot slots[PCI_SLOTS];
static struct virtio rng;
static struct virtq queue;
static bool rng_there;

static void look_at(u32 n)
{
	struct slot *s = &slots[n];
	u32 cap = 0;

	for (u32 i = 0; i < SPACE / 4; i++)
		s->config[i] = pci_read(n, i * 4, 4);
	s->there = (s->config[0] & 0xffff) != 0xffff;
	if (!s->there || !(s->config[PCI_COMMAND / 4] >> 16 & PCI_STATUS_CAP_LIST))
		return;
	s->msix = pci_capability(n, PCI_CAP_ID_MSIX, 0);
	if (s->msix != 0) {
		s->vectors = (pci_read(n, s->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
		s->table = pci_read(n, s->msix + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_OFFSET;
	}
	while ((cap = pci_capability(n, PCI_CAP_ID_VNDR, cap)) != 0) {
		if (pci_read(n, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) == VIRTIO_PCI_CAP_COMMON_CFG)
			s->common = pci_read(n, cap + VIRTIO_PCI_CAP_OFFSET, 4);
	}
}

/* BARs and command as they were, MSI-X off. */
static void put_back(u32 n)
{
	const struct slot *s = &slots[n];

	pci_write(n, PCI_COMMAND, 2, 0);
	for (u32 reg = PCI_BASE_ADDRESS_0; reg <= PCI_BASE_ADDRESS_5; reg += 4)
		pci_write(n, reg, 4, s->config[reg / 4]);
	if (s->msix != 0)
		pci_write(n, s->msix + PCI_MSIX_FLAGS, 2, 0);
	pci_write(n, PCI_COMMAND, 2, s->config[PCI_COMMAND / 4] & 0xffff);
}

/* Its message waits from the first answer on until all are unmasked. */
static void set_going(void)
{
	struct virtio_buffer b = {(void *)MESS_DATA, 64};
	volatile u32 *entry;

	for (u32 n = 0; n < PCI_SLOTS; n++) {
		if (slots[n].there)
			put_back(n);
	}
	rng_there = virtio_find(&rng, VIRTIO_ID_RNG, 0) && virtio_negotiate(&rng, 0) &&
		    virtq_setup(&queue, &rng, 0, QUEUE_SIZE, (void *)RING);
	if (!rng_there)
		return;
	entry = (volatile u32 *)((volatile u8 *)rng.common - slots[rng.slot].common +
				 slots[rng.slot].table);
	pci_write(rng.slot, slots[rng.slot].msix + PCI_MSIX_FLAGS, 2,
		  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	entry[0] = 0xfee00000u;
	entry[1] = 0;
	entry[2] = 0x41;
	entry[3] = 0;
	rng.common->queue_select = 0;
	rng.common->queue_msix_vector = 0;
	virtio_go(&rng);
	for (u32 i = 0; i < QUEUE_SIZE / 2; i++)
		virtq_post(&queue, &b, 0, 1);
	virtq_notify(&queue);
}

/* --- configuration space --- */

static u32 some_slot(void)
{
	return one_in(8) ? pick(PCI_SLOTS) : pick(8);
}

static void at_address(void)
{
	u32 address = one_in(16) ? (u32)rnd() : PCI_ENABLE | some_slot() << 11 | pick(SPACE);

	switch (pick(8)) {
	case 0:
		outb(ADDRESS, (u8)address);
		break;
	case 1:
		outw(ADDRESS + 2, (u16)address);
		break;
	case 2:
		(void)inl((u16)(ADDRESS + pick(8)));
		break;
	case 3:
		(void)inw((u16)(ADDRESS + pick(8)));
		break;
	default:
		outl(ADDRESS, address);
	}
}

static u32 bar_place(void)
{
	static const u32 places[] = {0,           0xffffffffu, 0xfee00000u, 0xfec00000u,
				     0xfebfc000u, BARS,        0x800000u};

	if (one_in(3))
		return places[pick(ARRAY_SIZE(places))];
	/* Over another one's, or near by. */
	if (one_in(2))
		return (u32)(BARS + pick(8) * BAR_SIZE);
	return (u32)rnd();
}

static void write_register(u32 n)
{
	const struct slot *s = &slots[n];

	switch (pick(6)) {
	case 0:
		pci_write(n, PCI_BASE_ADDRESS_0 + 4 * pick(6), 4, bar_place());
		break;
	case 1:
		pci_write(n, PCI_COMMAND, 2, one_in(2) ? (u32)rnd() : 0x407u);
		break;
	case 2:
		if (s->msix != 0)
			pci_write(n, s->msix + PCI_MSIX_FLAGS, 2,
				  pick(4) * PCI_MSIX_FLAGS_MASKALL | pick(SPACE));
		break;
	case 3:
		pci_write(n, pick(SPACE), 1, (u32)rnd());
		break;
	default:
		/* The window of odd accesses ends at CFFh, as does the mechanism. */
		outl(ADDRESS, PCI_ENABLE | n << 11 | pick(SPACE));
		if (one_in(2))
			outw((u16)(DATA + pick(4)), (u16)rnd());
		else
			outl((u16)(DATA + pick(4)), (u32)rnd());
	}
}

static void read_register(u32 n)
{
	outl(ADDRESS, (one_in(16) ? (u32)rnd() : PCI_ENABLE) | n << 11 | pick(SPACE));
	switch (pick(3)) {
	case 0:
		(void)inb((u16)(DATA + pick(4)));
		break;
	case 1:
		(void)inw((u16)(DATA + pick(4)));
		break;
	default:
		(void)inl((u16)(DATA + pick(4)));
	}
}

/* --- the BARs --- */

/* Where something is: the registers, the queues' doorbells, or anywhere. */
static u64 offset_in(const struct slot *s)
{
	static const u64 parts[] = {0, 0x400, 0x800, 0x1000, 0x3000};
	u64 part = one_in(4) ? s->table : parts[pick(ARRAY_SIZE(parts))];

	return one_in(8) ? pick((u32)BAR_SIZE) : (part + pick(0x80)) & ~(pick(2) * 3ull);
}

/* Messages that do not end us, queues that lie in the mess. All BARs have the same layout and size. */
static u64 harmless(const struct slot *s, u64 offset, u64 value)
{
	u64 reg = offset - s->common;

	if (offset - s->table + 8 < s->vectors * PCI_MSIX_ENTRY_SIZE + 8u)
		return (u64)msix_word((u32)(value >> 32)) << 32 | msix_word((u32)value);
	if (reg + 8 > VIRTIO_PCI_COMMON_Q_DESCLO && reg <= VIRTIO_PCI_COMMON_Q_USEDHI)
		return MESS_DATA << 32 | (data_at(GUEST_PAGE) & ~15ull);
	return value;
}

static void access_bar(u32 n)
{
	const struct slot *s = &slots[n];
	u32 base =
		one_in(2) ? s->config[PCI_BASE_ADDRESS_0 / 4] : pci_read(n, PCI_BASE_ADDRESS_0, 4);
	u64 offset = offset_in(s), at = (base & ~0xfull) + offset;
	/* Small numbers mean more: states, queues, features. */
	u64 value = harmless(s, offset & (BAR_SIZE - 1), rnd() >> (one_in(2) ? 0 : pick(64)));
	volatile u8 *p = (volatile u8 *)at;

	if (at < BARS || at >= BARS_END)
		return;
	switch (pick(8)) {
	case 0:
		(void)*p;
		break;
	case 1:
		(void)*(volatile u16 *)p;
		break;
	case 2:
		(void)*(volatile u32 *)p;
		break;
	case 3:
		(void)*(volatile u64 *)p;
		break;
	case 4:
		*p = (u8)value;
		break;
	case 5:
		*(volatile u16 *)p = (u16)value;
		break;
	case 6:
		*(volatile u32 *)p = (u32)value;
		break;
	default:
		*(volatile u64 *)p = value;
	}
}

/* --- */

static void operate(void)
{
	u32 n = some_slot();

	switch (pick(8)) {
	case 0:
		at_address();
		break;
	case 1:
		read_register(n);
		break;
	case 2:
	case 3:
		write_register(n);
		break;
	default:
		access_bar(n);
	}
}

/* Bits: slots that are not what they were, and virtio devices that do not answer a reset. */
static void check_all(void)
{
	u32 other = 0, silent = 0, there = 0;
	struct virtio_buffer b = {(void *)MESS_DATA, 64};

	set_going();
	for (u32 n = 0; n < PCI_SLOTS; n++) {
		const struct slot *s = &slots[n];

		there += s->there;
		other |= (u32)(pci_read(n, PCI_VENDOR_ID, 4) != s->config[0]) << n;
		other |= (u32)(s->there && pci_read(n, PCI_CLASS_REVISION, 4) !=
						   s->config[PCI_CLASS_REVISION / 4])
			 << n;
	}
	for (u32 id = VIRTIO_ID_NET; id <= VIRTIO_ID_BALLOON; id++) {
		struct virtio v;

		for (u32 nth = 0; virtio_find(&v, id, nth); nth++)
			silent |= (u32)(!virtio_reset(&v)) << v.slot;
	}
	print("hostdev: pci, %u slots\n", there);
	check("slots-are-there", there > 2);
	check_eq("slots-are-what-they-were", other, 0);
	check_eq("devices-answer-a-reset", silent, 0);
	if (!rng_there) {
		skip_check("entropy-comes", "there is no such device");
		return;
	}
	check("device-is-set-going",
	      virtio_negotiate(&rng, 0) && virtq_setup(&queue, &rng, 0, QUEUE_SIZE, (void *)RING));
	virtio_go(&rng);
	virtq_post(&queue, &b, 0, 1);
	virtq_notify(&queue);
	check("entropy-comes", virtq_wait(&queue, NULL) != VIRTQ_NONE);
}

void hostile_pci(u32 count)
{
	u32 told = 0;

	print("hostdev: pci\n");
	for (u32 n = 0; n < PCI_SLOTS; n++)
		look_at(n);
	take_interrupts();
	for (u32 done = 0; done < count; done++) {
		progress(&told, done);
		if (done % AFRESH == 0)
			set_going();
		operate();
	}
	print("hostdev: pci, %u operations, %u interrupts\n", count, interrupts);
	if (count >= INTERRUPTS_SURE)
		check("interrupts-come", interrupts > 0);
	check_all();
}
