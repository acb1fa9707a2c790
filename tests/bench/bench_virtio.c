/* SPDX-License-Identifier: MIT */
/*
 * What a request to a virtio disk and a frame from one virtio network card to another cost: a bare guest that runs
 * under Tern and, the same bits, under QEMU with KVM. It prints "bench NAME N": N is the average number of TSC
 * ticks of one request, from before it is posted until it has been seen used, the driver's own instructions included.
 * Where the TSC counts instructions these are instructions. The guest polls, with interrupts suppressed, but where the
 * name says "irq".
 */
#include "cpu.h"
#include "guest.h"
#include "pci.h"
#include "virtio.h"

#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>

#define ROUNDS       1024u /* requests of a figure; a multiple of BATCH */
#define BATCH        16u
#define QUEUE_SIZE   64u
#define BLOCK        4096u
#define SECTOR       512u
#define BLOCKS       64u /* of the disk: written before they are read */
#define FRAME_MAX    1514u
#define FRAME_SMALL  64u
#define ETH_ADDR     6u
#define ETH_TYPE     12u
#define HEADER       sizeof(struct virtio_net_hdr_v1)
#define FIGURES_MAX  16u
#define VECTOR       0x40u
#define MSI_ADDRESS  0xfee00000u
#define PIC1_DATA    0x21u
#define PIC2_DATA    0xa1u
#define BASE_X2APIC  0x400u
#define X2APIC_EOI   0x80bu
#define X2APIC_SVR   0x80fu
#define SVR_ON       0x1ffu /* spurious interrupts come at the last vector */
#define CPUID_X2APIC (1u << 21)

const char guest_name[] = "bench_virtio";

static u8 rings[5][GUEST_PAGE] __attribute__((aligned(GUEST_PAGE)));
_Static_assert(VIRTQ_BYTES(QUEUE_SIZE) <= GUEST_PAGE, "a page each");

/* Printed at the end: while the hypervisor prints what was said before it has other things to do. */
static struct {
	const char *name;
	u32 value;
} figures[FIGURES_MAX];
static u32 figure_count;

static void note(const char *name, u64 ticks)
{
	figures[figure_count].name = name;
	figures[figure_count++].value = (u32)((ticks + ROUNDS / 2) / ROUNDS);
}

/* --- interrupts --- */

static volatile u32 interrupts;

static bool take_interrupt(struct trap_frame *frame)
{
	if (frame->vector != VECTOR)
		return false;
	interrupts++;
	wrmsr(X2APIC_EOI, 0);
	return true;
}

static bool interrupts_init(void)
{
	if (!(cpuid(1, 0).c & CPUID_X2APIC))
		return false;
	outb(PIC1_DATA, 0xff);
	outb(PIC2_DATA, 0xff);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_X2APIC);
	wrmsr(X2APIC_SVR, SVR_ON);
	trap_hook = take_interrupt;
	return true;
}

/* The device's first MSI-X vector becomes VECTOR, and that of queue 0. */
static void connect_interrupt(const struct virtio *v)
{
	u32 cap = pci_capability(v->slot, PCI_CAP_ID_MSIX, 0);
	u32 place = pci_read(v->slot, cap + PCI_MSIX_TABLE, 4);
	u32 bar = PCI_BASE_ADDRESS_0 + 4 * (place & PCI_MSIX_TABLE_BIR);
	volatile u32 *entry = (volatile u32 *)(uintptr_t)((pci_read(v->slot, bar, 4) & ~0xfu) +
							  (place & PCI_MSIX_TABLE_OFFSET));

	pci_write(v->slot, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	entry[PCI_MSIX_ENTRY_LOWER_ADDR / 4] = MSI_ADDRESS;
	entry[PCI_MSIX_ENTRY_UPPER_ADDR / 4] = 0;
	entry[PCI_MSIX_ENTRY_DATA / 4] = VECTOR;
	entry[PCI_MSIX_ENTRY_VECTOR_CTRL / 4] = 0;
	v->common->queue_select = 0;
	v->common->queue_msix_vector = 0;
	check_eq("msix-vector", v->common->queue_msix_vector, 0);
}

static void sleep_until(u32 count)
{
	while (interrupts == count) {
		__asm__ volatile("cli");
		if (interrupts == count)
			__asm__ volatile("sti; hlt");
	}
	__asm__ volatile("sti");
}

/* --- the disk --- */

static struct {
	struct virtio_blk_outhdr head;
	u8 status;
} requests[BATCH];
static u8 blocks[BATCH][BLOCK] __attribute__((aligned(BLOCK)));
static u32 bad_requests, next_block;

static void post_request(struct virtq *q, u32 i, u32 type, u32 bytes)
{
	struct virtio_buffer b[3] = {{&requests[i].head, sizeof(requests[i].head)},
				     {blocks[i], bytes},
				     {&requests[i].status, sizeof(requests[i].status)}};

	requests[i].head.type = type;
	requests[i].head.sector = (u64)next_block * (BLOCK / SECTOR);
	requests[i].status = 0xff;
	next_block = (next_block + 1) % BLOCKS;
	if (bytes == 0) {
		b[1] = b[2];
		virtq_post(q, b, 1, 1);
	} else if (type == VIRTIO_BLK_T_OUT) {
		virtq_post(q, b, 2, 1);
	} else {
		virtq_post(q, b, 1, 2);
	}
}

static u64 time_requests(struct virtq *q, u32 type, u32 bytes, u32 batch, bool sleep)
{
	u64 start = rdtsc();

	for (u32 n = 0; n < ROUNDS; n += batch) {
		u32 before = interrupts;

		for (u32 i = 0; i < batch; i++)
			post_request(q, i, type, bytes);
		virtq_notify(q);
		if (sleep)
			sleep_until(before);
		for (u32 i = 0; i < batch; i++)
			bad_requests += virtq_wait(q, NULL) == VIRTQ_NONE ||
					requests[i].status != VIRTIO_BLK_S_OK;
	}
	return rdtsc() - start;
}

static void measure_disk(void)
{
	static const struct {
		const char *name;
		u32 type, bytes, batch;
		bool sleep;
	} kinds[] = {{"blk_write_4k", VIRTIO_BLK_T_OUT, BLOCK, 1, false},
		     {"blk_read_512", VIRTIO_BLK_T_IN, SECTOR, 1, false},
		     {"blk_read_4k", VIRTIO_BLK_T_IN, BLOCK, 1, false},
		     {"blk_read_4k_batch", VIRTIO_BLK_T_IN, BLOCK, BATCH, false},
		     {"blk_flush", VIRTIO_BLK_T_FLUSH, 0, 1, false},
		     {"blk_read_4k_irq", VIRTIO_BLK_T_IN, BLOCK, 1, true}};
	bool can_sleep = interrupts_init();
	struct virtio v;
	struct virtq q;

	if (!virtio_find(&v, VIRTIO_ID_BLOCK, 0) ||
	    !virtio_negotiate(&v, 1ull << VIRTIO_BLK_F_FLUSH) ||
	    !virtq_setup(&q, &v, 0, QUEUE_SIZE, rings[0])) {
		check("disk", false);
		return;
	}
	if (can_sleep)
		connect_interrupt(&v);
	memset(blocks, 0x5a, sizeof(blocks)); /* blocks of zeroes would be a case of their own */
	virtio_go(&v);
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		u64 ticks = 0;

		if (kinds[i].sleep && !can_sleep)
			continue;
		q.avail->flags = kinds[i].sleep ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
		/* The first time warms up. */
		for (u32 pass = 0; pass < 2; pass++)
			ticks = time_requests(&q, kinds[i].type, kinds[i].bytes, kinds[i].batch,
					      kinds[i].sleep);
		note(kinds[i].name, ticks);
	}
	__asm__ volatile("cli");
	check_eq("disk-requests", bad_requests, 0);
	check("disk-reset", virtio_reset(&v));
}

/* --- the network --- */

struct card {
	struct virtio v;
	struct virtq rx, tx;
};

static struct card sender, receiver;
static u8 frames[BATCH][2048] __attribute__((aligned(2048)));
static u8 buffers[QUEUE_SIZE][2048] __attribute__((aligned(2048)));
static u32 bad_frames, next_buffer, taken;

static bool card_init(struct card *c, u32 nth, void *rx, void *tx)
{
	return virtio_find(&c->v, VIRTIO_ID_NET, nth) &&
	       virtio_negotiate(&c->v, 1ull << VIRTIO_NET_F_MAC) &&
	       virtq_setup(&c->rx, &c->v, 0, QUEUE_SIZE, rx) &&
	       virtq_setup(&c->tx, &c->v, 1, QUEUE_SIZE, tx);
}

static void give_buffers(u32 count)
{
	for (u32 i = 0; i < count; i++) {
		struct virtio_buffer b = {buffers[next_buffer], sizeof(buffers[0])};

		virtq_post(&receiver.rx, &b, 0, 1);
		next_buffer = (next_buffer + 1) % QUEUE_SIZE;
	}
	if (!(receiver.rx.used->flags & VRING_USED_F_NO_NOTIFY))
		virtq_notify(&receiver.rx);
}

/* Each frame to the other card; this one gets new buffers when it has used a batch. */
static u64 time_frames(u32 bytes, u32 batch)
{
	u64 start = rdtsc();

	for (u32 n = 0; n < ROUNDS; n += batch) {
		for (u32 i = 0; i < batch; i++) {
			struct virtio_buffer b = {frames[i], (u32)HEADER + bytes};

			virtq_post(&sender.tx, &b, 1, 0);
		}
		virtq_notify(&sender.tx);
		for (u32 i = 0; i < batch; i++) {
			u32 len = 0;

			bad_frames += virtq_wait(&sender.tx, NULL) == VIRTQ_NONE;
			bad_frames += virtq_wait(&receiver.rx, &len) == VIRTQ_NONE ||
				      len != HEADER + bytes;
		}
		taken += batch;
		if (taken >= BATCH) {
			give_buffers(taken);
			taken = 0;
		}
	}
	return rdtsc() - start;
}

static void fill_frames(void)
{
	for (u32 i = 0; i < BATCH; i++) {
		u8 *frame = frames[i] + HEADER;

		for (u32 k = 0; k < ETH_ADDR; k++) {
			frame[k] = receiver.v.config[k];
			frame[ETH_ADDR + k] = sender.v.config[k];
		}
		/* An EtherType for experiments: IEEE Std 802, 88b5. */
		frame[ETH_TYPE] = 0x88;
		frame[ETH_TYPE + 1] = 0xb5;
	}
}

static void measure_network(void)
{
	static const struct {
		const char *name;
		u32 bytes, batch;
	} kinds[] = {{"net_send_64", FRAME_SMALL, 1},
		     {"net_send_64_batch", FRAME_SMALL, BATCH},
		     {"net_send_1514", FRAME_MAX, 1},
		     {"net_send_1514_batch", FRAME_MAX, BATCH}};

	if (!card_init(&sender, 0, rings[1], rings[2]) ||
	    !card_init(&receiver, 1, rings[3], rings[4])) {
		check("cards", false);
		return;
	}
	fill_frames();
	sender.tx.avail->flags = sender.rx.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	receiver.rx.avail->flags = receiver.tx.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	virtio_go(&sender.v);
	virtio_go(&receiver.v);
	give_buffers(QUEUE_SIZE);
	for (u32 i = 0; i < ARRAY_SIZE(kinds) && bad_frames == 0; i++) {
		u64 ticks = 0;

		for (u32 pass = 0; pass < 2; pass++)
			ticks = time_frames(kinds[i].bytes, kinds[i].batch);
		note(kinds[i].name, ticks);
	}
	check_eq("frames", bad_frames, 0);
	check("cards-reset", virtio_reset(&sender.v) && virtio_reset(&receiver.v));
}

void guest_main(void)
{
	measure_disk();
	measure_network();
	for (u32 i = 0; i < figure_count; i++)
		print("bench %s %u\n", figures[i].name, figures[i].value);
}
