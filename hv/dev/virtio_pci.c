/* SPDX-License-Identifier: MIT */
/*
 * Virtio 1.2 over PCI (section 4.1), without the legacy interface: one BAR has all structures, and another,
 * of ports, has the notification structure once more.
 */
#include <tern/virtio.h>

#include "virtio_internal.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include <stdarg.h>

#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/timer.h>
#include <tern/vm.h>

#define FEATURE(bit) (1ull << (bit))
#define TRANSPORT_FEATURES                                                \
	(FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_EVENT_IDX) | \
	 FEATURE(VIRTIO_RING_F_INDIRECT_DESC))
/* What a driver can set; it clears by reset alone. */
#define STATUS_WRITABLE                                                                     \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)
#define REVISION  1u
#define BREAK_MAX 96u

static struct virtio_pci *transport(struct vpci_function *f)
{
	return container_of(f, struct virtio_pci, pci);
}

static struct virtio_queue *selected(struct virtio_pci *p)
{
	return p->queue_select < p->v->ops->queue_count ? &p->queues[p->queue_select] : NULL;
}

bool virtio_has(const struct virtio_device *v, u32 feature)
{
	return (v->features & FEATURE(feature)) != 0;
}

bool virtio_running(const struct virtio_device *v)
{
	u32 bits = VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET;

	return (v->pci->status & bits) == VIRTIO_CONFIG_S_DRIVER_OK &&
	       vpci_bus_master(&v->pci->pci);
}

void virtio_request_work(struct virtio_device *v)
{
	vpci_request_work(&v->pci->pci);
}

void virtio_interrupt(struct virtio_pci *p, u8 isr, u32 vector)
{
	bool msix = vpci_msix_enabled(&p->pci);

	/* With MSI-X a queue has a vector of its own, and its bit stays clear. */
	if (!msix || isr == VIRTIO_ISR_CONFIG)
		p->isr |= isr;
	if (msix)
		vpci_msix_send(&p->pci, vector);
	else
		vpci_intx(&p->pci, true);
}

void virtio_config_changed(struct virtio_device *v)
{
	v->pci->generation++;
	if ((v->pci->status & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
		virtio_interrupt(v->pci, VIRTIO_ISR_CONFIG, v->pci->config_vector);
}

void virtio_broken(struct virtio_device *v, const char *fmt, ...)
{
	struct virtio_pci *p = v->pci;
	char text[BREAK_MAX];
	va_list ap;

	if ((p->status & VIRTIO_CONFIG_S_NEEDS_RESET) != 0)
		return;
	/* A driver that resets its device and breaks it again shall not fill the log. */
	if (timer_once_a_second(&p->break_noted, arch_tsc())) {
		va_start(ap, fmt);
		fmt_vstr(text, sizeof(text), fmt, ap);
		va_end(ap);
		log_warn("[vm %s] %s in slot %u needs a reset: %s", v->vm->name, v->ops->name,
			 p->pci.slot, text);
	}
	p->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	for (u32 i = 0; i < v->ops->queue_count; i++)
		virtio_queue_kill(&p->queues[i]);
	virtio_config_changed(v);
}

static void reset(struct virtio_pci *p)
{
	p->status = 0;
	p->isr = 0;
	p->config_vector = VPCI_NO_VECTOR;
	p->queue_select = 0;
	p->device_feature_select = p->driver_feature_select = 0;
	p->driver_features = 0;
	p->v->features = 0;
	for (u32 i = 0; i < p->v->ops->queue_count; i++)
		virtio_queue_reset(&p->queues[i]);
	vpci_intx(&p->pci, false);
	p->v->ops->reset(p->v);
}

/* --- common configuration, section 4.1.4.3 --- */

static void accept_features(struct virtio_pci *p)
{
	u64 f = p->driver_features;

	/* The driver reads back that the bit is not set. */
	if ((f & ~p->v->offered) != 0 || (f & FEATURE(VIRTIO_F_VERSION_1)) == 0)
		return;
	p->v->features = f;
	p->status |= VIRTIO_CONFIG_S_FEATURES_OK;
}

static void write_status(struct virtio_pci *p, u8 value)
{
	u8 set = value & STATUS_WRITABLE & (u8)~p->status;

	if (value == 0) {
		reset(p);
		return;
	}
	p->status |= set & (u8) ~(VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	if ((set & VIRTIO_CONFIG_S_FEATURES_OK) != 0)
		accept_features(p);
	if ((set & VIRTIO_CONFIG_S_DRIVER_OK) == 0 ||
	    (p->status & VIRTIO_CONFIG_S_FEATURES_OK) == 0)
		return;
	p->status |= VIRTIO_CONFIG_S_DRIVER_OK;
	if (p->v->ops->start != NULL)
		p->v->ops->start(p->v);
}

static void write_driver_features(struct virtio_pci *p, u32 value)
{
	u32 shift = p->driver_feature_select * 32;

	if (p->driver_feature_select > 1 || (p->status & VIRTIO_CONFIG_S_FEATURES_OK) != 0)
		return;
	p->driver_features = (p->driver_features & ~((u64)UINT32_MAX << shift)) | (u64)value
											  << shift;
}

static u16 known_vector(const struct virtio_pci *p, u32 vector)
{
	return (u16)(vector < p->pci.msix.vectors ? vector : VPCI_NO_VECTOR);
}

static void enable(struct virtio_pci *p, struct virtio_queue *q)
{
	if ((p->status & VIRTIO_CONFIG_S_FEATURES_OK) == 0)
		return;
	if (!virtio_queue_enable(q))
		virtio_broken(p->v, "queue %u is not aligned", p->queue_select);
}

static u64 half(u64 old, u32 value, bool high)
{
	return high ? (old & UINT32_MAX) | (u64)value << 32 : (old & ~(u64)UINT32_MAX) | value;
}

/* Of the selected queue. Once it is enabled, only its vector changes. */
static void write_queue(struct virtio_pci *p, u32 reg, u32 value)
{
	struct virtio_queue *q = selected(p);

	if (q == NULL)
		return;
	if (reg == VIRTIO_PCI_COMMON_Q_MSIX)
		q->vector = known_vector(p, value);
	if (q->enabled)
		return;
	switch (reg) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (value != 0 && value <= p->v->ops->queue_size_max && (value & (value - 1)) == 0)
			q->size = (u16)value;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		if (value == 1)
			enable(p, q);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		q->desc.v = half(q->desc.v, value, reg == VIRTIO_PCI_COMMON_Q_DESCHI);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		q->avail.v = half(q->avail.v, value, reg == VIRTIO_PCI_COMMON_Q_AVAILHI);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		q->used.v = half(q->used.v, value, reg == VIRTIO_PCI_COMMON_Q_USEDHI);
		break;
	default:
		break;
	}
}

/* How wide a register is, as drivers must access it (section 4.1.3.1); 0: there is none. */
static u32 reg_width(u32 reg)
{
	if (reg == VIRTIO_PCI_COMMON_STATUS || reg == VIRTIO_PCI_COMMON_CFGGENERATION)
		return sizeof(u8);
	if (reg < VIRTIO_PCI_COMMON_MSIX ||
	    (reg >= VIRTIO_PCI_COMMON_Q_DESCLO && reg <= VIRTIO_PCI_COMMON_Q_USEDHI))
		return reg % sizeof(u32) == 0 ? sizeof(u32) : 0;
	return reg < VIRTIO_PCI_COMMON_Q_DESCLO && reg % sizeof(u16) == 0 ? sizeof(u16) : 0;
}

static void write_common(struct virtio_pci *p, u32 reg, u32 width, u32 value)
{
	if (reg_width(reg) != width)
		return;
	switch (reg) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		p->device_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		p->driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		write_driver_features(p, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		p->config_vector = known_vector(p, value);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		write_status(p, (u8)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		p->queue_select = (u16)value;
		break;
	default:
		write_queue(p, reg, value);
		break;
	}
}

static u32 half_of(u64 value, bool high)
{
	return (u32)(high ? value >> 32 : value);
}

static u32 read_queue(struct virtio_pci *p, u32 reg)
{
	const struct virtio_queue *q = selected(p);

	if (q == NULL) /* size 0: there is no such queue */
		return reg == VIRTIO_PCI_COMMON_Q_MSIX ? VPCI_NO_VECTOR : 0;
	switch (reg) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return q->size;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return q->vector;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return q->enabled;
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return p->queue_select;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		return half_of(q->desc.v, reg == VIRTIO_PCI_COMMON_Q_DESCHI);
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		return half_of(q->avail.v, reg == VIRTIO_PCI_COMMON_Q_AVAILHI);
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return half_of(q->used.v, reg == VIRTIO_PCI_COMMON_Q_USEDHI);
	default:
		return 0;
	}
}

static u32 read_common(struct virtio_pci *p, u32 reg, u32 width)
{
	u32 select;

	if (reg_width(reg) != width)
		return 0;
	switch (reg) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return p->device_feature_select;
	case VIRTIO_PCI_COMMON_DF:
		select = p->device_feature_select;
		return select > 1 ? 0 : half_of(p->v->offered, select == 1);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return p->driver_feature_select;
	case VIRTIO_PCI_COMMON_GF:
		select = p->driver_feature_select;
		return select > 1 ? 0 : half_of(p->driver_features, select == 1);
	case VIRTIO_PCI_COMMON_MSIX:
		return p->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return p->v->ops->queue_count;
	case VIRTIO_PCI_COMMON_STATUS:
		return p->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return p->generation;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return p->queue_select;
	default:
		return read_queue(p, reg);
	}
}

/* --- the BAR --- */

static u32 read_isr(struct virtio_pci *p)
{
	u32 isr = p->isr;

	p->isr = 0;
	vpci_intx(&p->pci, false);
	return isr;
}

static u32 read_config(const struct virtio_pci *p, u32 offset, u32 width)
{
	u32 size = p->v->ops->config_size, value = 0;

	if (offset < size)
		memcpy(&value, (const u8 *)p->v->config + offset, min_u64(width, size - offset));
	return value;
}

static void notify(struct virtio_pci *p, u32 queue)
{
	if (queue < p->v->ops->queue_count && p->queues[queue].enabled && virtio_running(p->v))
		p->v->ops->notify(p->v, queue);
}

/* width: 1, 2 or 4. */
static u32 read_piece(struct virtio_pci *p, u32 offset, u32 width)
{
	if (offset < VIRTIO_COMMON_LEN)
		return read_common(p, offset, width);
	if (offset == VIRTIO_ISR)
		return read_isr(p);
	if (offset - VIRTIO_CONFIG < VIRTIO_CONFIG_MAX)
		return read_config(p, offset - VIRTIO_CONFIG, width);
	return 0;
}

static void write_piece(struct virtio_pci *p, u32 offset, u32 width, u32 value)
{
	u32 config = offset - VIRTIO_CONFIG;

	if (offset < VIRTIO_COMMON_LEN)
		write_common(p, offset, width, value);
	else if (offset >= VIRTIO_NOTIFY && offset % VIRTIO_NOTIFY_MUL == 0)
		notify(p, (offset - VIRTIO_NOTIFY) / VIRTIO_NOTIFY_MUL);
	else if (p->v->ops->config_write != NULL && config < p->v->ops->config_size &&
		 width <= p->v->ops->config_size - config)
		p->v->ops->config_write(p->v, config, width, value);
}

/* A register of 8 bytes is two of 4 (section 4.1.3.1). */
static u64 bar_read(struct vpci_function *f, u32 bar, u64 offset, u32 width)
{
	struct virtio_pci *p = transport(f);
	u64 low;

	if (bar != 0)
		return 0;
	if (width <= sizeof(u32))
		return read_piece(p, (u32)offset, width);
	low = read_piece(p, (u32)offset, sizeof(u32));
	return low | (u64)read_piece(p, (u32)offset + (u32)sizeof(u32), sizeof(u32)) << 32;
}

static void bar_write(struct vpci_function *f, u32 bar, u64 offset, u32 width, u64 value)
{
	struct virtio_pci *p = transport(f);

	if (LIKELY(bar == VIRTIO_PORT_BAR)) {
		if (offset % VIRTIO_NOTIFY_MUL == 0)
			notify(p, (u32)offset / VIRTIO_NOTIFY_MUL);
		return;
	}
	if (width <= sizeof(u32)) {
		write_piece(p, (u32)offset, width, (u32)value);
		return;
	}
	write_piece(p, (u32)offset, sizeof(u32), (u32)value);
	write_piece(p, (u32)offset + (u32)sizeof(u32), sizeof(u32), (u32)(value >> 32));
}

/* --- access to the BAR through configuration space, section 4.1.4.9 --- */

/* True when [reg, reg + width) touches the data register and the others of the capability name an
 * access that is possible. */
static bool access_wanted(const struct virtio_pci *p, u32 reg, u32 width, u32 *offset, u32 *len)
{
	const u8 *cap = &p->pci.config[p->access_cap];
	u32 data = p->access_cap + (u32)offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);

	if (reg >= data + sizeof(u32) || reg + width <= data || cap[VIRTIO_PCI_CAP_BAR] != 0)
		return false;
	memcpy(offset, cap + VIRTIO_PCI_CAP_OFFSET, sizeof(*offset));
	memcpy(len, cap + VIRTIO_PCI_CAP_LENGTH, sizeof(*len));
	return (*len == 1 || *len == 2 || *len == 4) && *offset % *len == 0 &&
	       *offset < VIRTIO_MSIX_TABLE;
}

static void config_reading(struct vpci_function *f, u32 reg, u32 width)
{
	struct virtio_pci *p = transport(f);
	u32 offset, len, value;

	if (!access_wanted(p, reg, width, &offset, &len))
		return;
	value = read_piece(p, offset, len);
	memcpy(&f->config[p->access_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data)],
	       &value, len);
}

/* The guest lets the device use memory again: what it was told meanwhile was not looked at. */
static void look_again(struct virtio_pci *p)
{
	if (!virtio_running(p->v))
		return;
	virtio_request_work(p->v);
	for (u32 i = 0; i < p->v->ops->queue_count; i++)
		notify(p, i);
}

static void config_written(struct vpci_function *f, u32 reg, u32 width)
{
	struct virtio_pci *p = transport(f);
	u32 offset, len, value = 0;

	if (reg < PCI_COMMAND + sizeof(u16) && PCI_COMMAND < reg + width)
		look_again(p);
	if (!access_wanted(p, reg, width, &offset, &len))
		return;
	memcpy(&value,
	       &f->config[p->access_cap + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data)], len);
	write_piece(p, offset, len, value);
}

/* --- life --- */

static void pci_reset(struct vpci_function *f)
{
	struct virtio_pci *p = transport(f);

	p->generation = 0;
	reset(p);
}

static void pci_destroy(struct vpci_function *f)
{
	struct virtio_pci *p = transport(f);
	struct virtio_device *v = p->v;

	v->ops->destroy(v);
	frame_put(virt_to_phys(p));
}

static bool pci_work(struct vpci_function *f)
{
	struct virtio_pci *p = transport(f);
	bool done = true;

	if (!virtio_running(p->v))
		return true;
	for (u32 i = 0; i < p->v->ops->queue_count; i++) {
		virtio_flush(&p->queues[i]);
		done = done && p->queues[i].pushed_count == 0;
	}
	if (p->v->ops->work != NULL && virtio_running(p->v) && !p->v->ops->work(p->v))
		done = false;
	return done;
}

static const struct vpci_ops pci_ops = {
	.name = "virtio",
	.read = bar_read,
	.write = bar_write,
	.config_reading = config_reading,
	.config_written = config_written,
	.reset = pci_reset,
	.destroy = pci_destroy,
	.work = pci_work,
};

static int add_cap(struct virtio_pci *p, u8 type, u8 bar, u32 offset, u32 len, u32 size)
{
	struct virtio_pci_notify_cap cap = {.cap = {.cap_len = (u8)size,
						    .cfg_type = type,
						    .bar = bar,
						    .offset = offset,
						    .length = len},
					    .notify_off_multiplier = VIRTIO_NOTIFY_MUL};

	if (type == VIRTIO_PCI_CAP_PCI_CFG)
		cap.notify_off_multiplier = 0; /* its data register */
	return vpci_add_capability(&p->pci, PCI_CAP_ID_VNDR, &cap, size);
}

/* There is room for all: vpci_add() has added only one of twelve bytes. */
static void add_caps(struct virtio_pci *p)
{
	u32 size = sizeof(struct virtio_pci_cap), queues = p->v->ops->queue_count;
	int at;

	ASSERT(add_cap(p, VIRTIO_PCI_CAP_COMMON_CFG, 0, VIRTIO_COMMON, VIRTIO_COMMON_LEN, size) >
	       0);
	ASSERT(add_cap(p, VIRTIO_PCI_CAP_ISR_CFG, 0, VIRTIO_ISR, VIRTIO_ISR_LEN, size) > 0);
	if (p->v->ops->config_size > 0)
		ASSERT(add_cap(p, VIRTIO_PCI_CAP_DEVICE_CFG, 0, VIRTIO_CONFIG,
			       p->v->ops->config_size, size) > 0);
	/* A driver takes the first that it can use, and a port is the cheaper doorbell: the exit says what was
	 * written, where that to memory has an instruction that must be fetched and decoded. */
	size = sizeof(struct virtio_pci_notify_cap);
	ASSERT(add_cap(p, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_PORT_BAR, 0, queues * VIRTIO_NOTIFY_MUL,
		       size) > 0);
	ASSERT(add_cap(p, VIRTIO_PCI_CAP_NOTIFY_CFG, 0, VIRTIO_NOTIFY, queues * VIRTIO_NOTIFY_MUL,
		       size) > 0);
	at = add_cap(p, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0, sizeof(struct virtio_pci_cfg_cap));
	ASSERT(at > 0);
	p->access_cap = (u32)at;
	p->pci.writable[at + VIRTIO_PCI_CAP_BAR] = 0xff;
	memset(&p->pci.writable[at + VIRTIO_PCI_CAP_OFFSET], 0xff,
	       sizeof(struct virtio_pci_cfg_cap) - VIRTIO_PCI_CAP_OFFSET);
}

static void describe(struct virtio_pci *p)
{
	const struct virtio_ops *ops = p->v->ops;
	struct vpci_function *f = &p->pci;

	f->ops = &pci_ops;
	f->vm = p->v->vm;
	f->vendor = f->sub_vendor = VIRTIO_PCI_VENDOR;
	f->device = f->sub_device = (u16)(VIRTIO_PCI_DEVICE + ops->id);
	f->class_code = ops->class_code;
	f->revision = REVISION;
	f->intx = true;
	f->bars[0] = (struct vpci_bar){.kind = VPCI_BAR_MEM32, .size = VIRTIO_BAR_SIZE};
	f->bars[VIRTIO_PORT_BAR] = (struct vpci_bar){.kind = VPCI_BAR_IO,
						     .size = VIRTIO_QUEUES_MAX * VIRTIO_NOTIFY_MUL};
	f->msix.vectors = ops->queue_count + 1;
	f->msix.table = VIRTIO_MSIX_TABLE;
	f->msix.pba = VIRTIO_MSIX_PBA;
}

static struct virtio_pci *state_alloc(void)
{
	hpa_t block;

	return frames_alloc(VIRTIO_PCI_ORDER, FRAME_ZERO, FRAME_NODE_ANY, &block) == 0
		       ? phys_to_virt(block)
		       : NULL;
}

int virtio_add(struct virtio_device *v)
{
	struct virtio_pci *p = state_alloc();
	int rc;

	if (p == NULL)
		return -TERN_ENOMEM;
	ASSERT(v->ops->queue_count > 0 && v->ops->queue_count <= VIRTIO_QUEUES_MAX &&
	       v->ops->queue_size_max > 0 && v->ops->queue_size_max <= VIRTIO_QUEUE_MAX &&
	       v->ops->config_size <= VIRTIO_CONFIG_MAX);
	p->v = v;
	v->pci = p;
	v->offered |= TRANSPORT_FEATURES;
	v->features = 0;
	p->config_vector = VPCI_NO_VECTOR;
	for (u32 i = 0; i < v->ops->queue_count; i++) {
		p->queues[i].v = v;
		virtio_queue_reset(&p->queues[i]);
	}
	describe(p);
	rc = vpci_add(&p->pci);
	if (rc == 0) {
		add_caps(p);
	} else {
		v->pci = NULL;
		frame_put(virt_to_phys(p));
	}
	return rc;
}
