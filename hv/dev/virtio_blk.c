/* SPDX-License-Identifier: MIT */
/*
 * A disk of a VM as a virtio block device with one queue (virtio 1.2 section 5.2). Requests are carried
 * out one after another. One that is too long for one turn, or whose guest memory cannot be backed now,
 * keeps its place and is carried on by work(): nothing of it is done twice but the copy that failed.
 */
#include <tern/virtio_blk.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <tern/arch.h>
#include <tern/err.h>
#include <tern/frames.h>
#include <tern/lib.h>
#include <tern/log.h>
#include <tern/scrub.h>
#include <tern/vm.h>

#define SECTOR_SHIFT   9u
#define SECTOR         (1u << SECTOR_SHIFT)
#define CLASS_STORAGE  0x018000u /* PCI: mass storage, none of the named kinds */
#define TURN_BYTES     MiB(1)    /* moved while the bus lock is held once */
#define CLEAR_MAX      MiB(16)   /* in one discard or write zeroes request: 4,096 blocks */
#define SECTORS(bytes) ((u32)((bytes) >> SECTOR_SHIFT))
#define HEADER         ((u32)sizeof(struct virtio_blk_outhdr))

/* The request that is being carried out: first out bytes go to the disk, then in bytes to the guest,
 * then the status. */
struct request {
	bool begun; /* what follows is valid */
	u8 status;
	u32 type;          /* VIRTIO_BLK_T_* */
	u64 offset;        /* on the disk: of IN and OUT */
	u64 bytes;         /* of the disk that it is about, for the statistics */
	u32 out, out_done; /* bytes of data from the guest */
	u32 in, in_done;   /* bytes of the in part in front of the status */
};

struct virtio_blk {
	struct virtio_device v;
	struct vdisk disk;
	struct virtio_blk_config config; /* (c) but for the capacity of a removable disk */
	u8 *page;                        /* (c) a block on its way to the disk */
	u64 warned;                      /* TSC of the last line about memory, 0: none */
	struct request request;
	struct virtio_chain chain; /* of request; its queue is NULL: there is none */
};
_Static_assert(sizeof(struct virtio_blk) <= PAGE_SIZE, "one page");

static struct virtio_blk *blk_of(struct virtio_device *v)
{
	return container_of(v, struct virtio_blk, v);
}

/* --- what a request asks for --- */

static u8 status_of(struct virtio_blk *b, int rc)
{
	u64 now;

	if (rc == 0)
		return VIRTIO_BLK_S_OK;
	now = arch_tsc();
	if (rc == -TERN_ENOMEM && (b->warned == 0 || now - b->warned >= arch_tsc_hz())) {
		b->warned = now;
		log_warn("vm %s: disk %s: the node has no memory for what the guest writes: "
			 "the request fails",
			 b->v.vm->name, b->disk.name);
	}
	return VIRTIO_BLK_S_IOERR;
}

/* Where sectors lie on the disk, or -TERN_EINVAL: not whole, or not on it. */
static int place(const struct virtio_blk *b, u64 sector, u64 bytes, u64 *offset)
{
	if (bytes % SECTOR != 0 || sector > b->disk.size >> SECTOR_SHIFT ||
	    bytes > b->disk.size - (sector << SECTOR_SHIFT))
		return -TERN_EINVAL;
	*offset = sector << SECTOR_SHIFT;
	return 0;
}

static u8 check_move(struct virtio_blk *b, u64 sector, u32 bytes)
{
	b->request.bytes = bytes;
	return status_of(b, place(b, sector, bytes, &b->request.offset));
}

/* Carries out the segment of a discard or write zeroes request (virtio 1.2 section 5.2.6.2). */
static u8 clear(struct virtio_blk *b, const struct virtio_blk_discard_write_zeroes *s)
{
	bool discard = b->request.type == VIRTIO_BLK_T_DISCARD;
	u32 known = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	u64 bytes = (u64)s->num_sectors << SECTOR_SHIFT, offset;
	int rc;

	if ((s->flags & ~known) != 0)
		return VIRTIO_BLK_S_UNSUPP;
	rc = bytes > CLEAR_MAX ? -TERN_EINVAL : place(b, s->sector, bytes, &offset);
	if (rc == 0)
		rc = discard ? vdisk_discard(&b->disk, offset, bytes)
			     : vdisk_zero(&b->disk, offset, bytes);
	b->request.bytes = bytes;
	return status_of(b, rc);
}

/* The same from the chain, which has exactly one segment, as the configuration says. */
static int begin_clear(struct virtio_blk *b, u32 feature, u64 *budget)
{
	struct virtio_blk_discard_write_zeroes s;
	int rc;

	if (!virtio_has(&b->v, feature)) {
		b->request.status = VIRTIO_BLK_S_UNSUPP;
		return 0;
	}
	if (b->chain.out_len != HEADER + sizeof(s)) {
		b->request.status = VIRTIO_BLK_S_IOERR;
		return 0;
	}
	rc = virtio_chain_read(&b->chain, HEADER, &s, sizeof(s));
	if (rc != 0)
		return rc;
	b->request.status = clear(b, &s);
	*budget -= min_u64(*budget, b->request.bytes);
	return 0;
}

/* Reads the header and decides what there is to move. */
static int begin(struct virtio_blk *b, u64 *budget)
{
	struct request *r = &b->request;
	const struct virtio_chain *c = &b->chain;
	struct virtio_blk_outhdr h;
	int rc;

	if (c->out_len < HEADER || c->in_len == 0) {
		virtio_broken(&b->v, "a request of %u bytes out and %u in: no header or no status",
			      c->out_len, c->in_len);
		return -TERN_EIO;
	}
	rc = virtio_chain_read(c, 0, &h, HEADER);
	if (rc != 0)
		return rc;
	*r = (struct request){.type = h.type, .in = c->in_len - 1};
	switch (h.type) {
	case VIRTIO_BLK_T_IN:
		r->status = check_move(b, h.sector, r->in);
		break;
	case VIRTIO_BLK_T_OUT:
		r->status = b->disk.read_only ? VIRTIO_BLK_S_IOERR
					      : check_move(b, h.sector, c->out_len - HEADER);
		r->out = r->status == VIRTIO_BLK_S_OK ? c->out_len - HEADER : 0;
		break;
	case VIRTIO_BLK_T_FLUSH: /* memory has no cache that could lose anything */
	case VIRTIO_BLK_T_GET_ID:
		break;
	case VIRTIO_BLK_T_DISCARD:
		rc = begin_clear(b, VIRTIO_BLK_F_DISCARD, budget);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		rc = begin_clear(b, VIRTIO_BLK_F_WRITE_ZEROES, budget);
		break;
	default:
		r->status = VIRTIO_BLK_S_UNSUPP;
		break;
	}
	r->begun = rc == 0;
	return rc;
}

/* --- moving data; each returns 0 when it is done or *budget is --- */

/* Guest to disk, a block at a time, so that whole blocks arrive whole whatever the guest's buffers. */
static int move_out(struct virtio_blk *b, u64 *budget)
{
	struct request *r = &b->request;

	while (r->out_done<r->out && * budget> 0) {
		u64 at = r->offset + r->out_done;
		u32 n = (u32)min_u64(VDISK_BLOCK - at % VDISK_BLOCK, r->out - r->out_done);
		int rc = virtio_chain_read(&b->chain, HEADER + r->out_done, b->page, n);

		if (rc != 0)
			return rc;
		r->status = status_of(b, vdisk_write(&b->disk, at, b->page, n));
		r->out_done = r->status == VIRTIO_BLK_S_OK ? r->out_done + n : r->out;
		*budget -= min_u64(*budget, n);
	}
	return 0;
}

/* What comes next of the in part, at most a block of it; *n: how much. All of it is filled, because the
 * driver may rely on the status only if all in front of it counts as written (section 2.7.8.2). */
static const void *source(struct virtio_blk *b, u64 *n)
{
	struct request *r = &b->request;

	if (r->status == VIRTIO_BLK_S_OK && r->type == VIRTIO_BLK_T_IN)
		return vdisk_view(&b->disk, r->offset + r->in_done, n);
	if (r->status == VIRTIO_BLK_S_OK && r->type == VIRTIO_BLK_T_GET_ID &&
	    r->in_done < VIRTIO_BLK_ID_BYTES) {
		*n = VIRTIO_BLK_ID_BYTES - r->in_done;
		return b->disk.name + r->in_done;
	}
	*n = PAGE_SIZE;
	return memset(b->page, 0, PAGE_SIZE);
}

static int move_in(struct virtio_blk *b, u64 *budget)
{
	struct request *r = &b->request;

	while (r->in_done<r->in && * budget> 0) {
		u64 n;
		const void *src = source(b, &n);
		int rc;

		n = min_u64(n, r->in - r->in_done);
		rc = virtio_chain_write(&b->chain, r->in_done, src, (u32)n);
		if (rc != 0)
			return rc;
		r->in_done += (u32)n;
		*budget -= min_u64(*budget, n);
	}
	return 0;
}

static void count(struct virtio_blk *b)
{
	const struct request *r = &b->request;
	bool failed = r->status != VIRTIO_BLK_S_OK;

	switch (r->type) {
	case VIRTIO_BLK_T_IN:
		vdisk_count(&b->disk, VDISK_READ, r->bytes, failed);
		break;
	case VIRTIO_BLK_T_OUT:
		vdisk_count(&b->disk, VDISK_WRITE, r->bytes, failed);
		break;
	case VIRTIO_BLK_T_FLUSH:
		vdisk_count(&b->disk, VDISK_FLUSH, 0, failed);
		break;
	case VIRTIO_BLK_T_DISCARD:
		vdisk_count(&b->disk, VDISK_DISCARD, r->bytes, failed);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		vdisk_count(&b->disk, VDISK_ZERO, r->bytes, failed);
		break;
	default:
		break;
	}
}

/* --- turns --- */

/* Carries on with the request, or with the next one, as far as *budget goes. 1: there may be more to do;
 * 0: there is nothing; or what virtio_pop() and the copies return. */
static int carry_on(struct virtio_blk *b, u64 *budget)
{
	struct request *r = &b->request;
	int rc;

	if (b->chain.queue == NULL) {
		r->begun = false;
		rc = virtio_pop(virtio_queue(&b->v, 0), &b->chain);
		if (rc != 1) {
			b->chain.queue = NULL;
			return rc;
		}
	}
	rc = r->begun ? 0 : begin(b, budget);
	if (rc == 0)
		rc = move_out(b, budget);
	if (rc == 0)
		rc = move_in(b, budget);
	if (rc != 0)
		return rc;
	if (r->out_done < r->out || r->in_done < r->in)
		return 1;
	rc = virtio_chain_write(&b->chain, r->in, &r->status, sizeof(r->status));
	if (rc != 0)
		return rc;
	count(b);
	virtio_push(&b->chain, r->in + (u32)sizeof(r->status));
	return 1;
}

/* One turn. False: memory cannot be backed now. */
static bool turn(struct virtio_blk *b)
{
	u64 budget = TURN_BYTES;
	int rc = 1;

	for (u32 n = 0; n < VIRTIO_IN_FLIGHT_MAX && budget > 0 && rc == 1; n++)
		rc = carry_on(b, &budget);
	virtio_flush(virtio_queue(&b->v, 0));
	if (rc == 1)
		virtio_request_work(&b->v);
	return rc != -TERN_EAGAIN;
}

static void blk_notify(struct virtio_device *v, UNUSED u32 queue)
{
	if (!turn(blk_of(v)))
		virtio_request_work(v);
}

static bool blk_work(struct virtio_device *v)
{
	return turn(blk_of(v));
}

static void blk_reset(struct virtio_device *v)
{
	blk_of(v)->chain.queue = NULL;
}

static void blk_destroy(struct virtio_device *v)
{
	struct virtio_blk *b = blk_of(v);

	vdisk_destroy(&b->disk);
	/* It holds what the guest wrote. */
	scrub_put(virt_to_phys(b->page), 0);
	frames_free_page(b);
}

static const struct virtio_ops blk_ops = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.class_code = CLASS_STORAGE,
	.queue_count = 1,
	.queue_size_max = VIRTIO_QUEUE_SIZE,
	.config_size = offsetof(struct virtio_blk_config, max_secure_erase_sectors),
	.notify = blk_notify,
	.reset = blk_reset,
	.work = blk_work,
	.destroy = blk_destroy,
};

static u64 features(const struct vdisk *d)
{
	u64 f = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
		1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_FLUSH;

	return f |
	       (d->read_only ? 1ull << VIRTIO_BLK_F_RO
			     : 1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES);
}

static struct virtio_blk_config config_of(const struct vdisk *d)
{
	return (struct virtio_blk_config){
		.capacity = d->size >> SECTOR_SHIFT,
		.seg_max = VIRTIO_SEGMENTS_MAX - 2,
		.blk_size = SECTOR,
		.physical_block_exp = 3,
		.min_io_size = VDISK_BLOCK / SECTOR,
		.num_queues = 1,
		.max_discard_sectors = SECTORS(CLEAR_MAX),
		.max_discard_seg = 1,
		.discard_sector_alignment = VDISK_BLOCK / SECTOR,
		.max_write_zeroes_sectors = SECTORS(CLEAR_MAX),
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = 1,
	};
}
_Static_assert(SECTOR << 3 == VDISK_BLOCK, "physical_block_exp");

int virtio_blk_create(struct vm *vm, const struct vdisk_config *c, struct virtio_device **out)
{
	struct virtio_blk *b = frames_alloc_page();
	int rc = -TERN_ENOMEM;

	if (b == NULL)
		return rc;
	b->page = frames_alloc_page();
	if (b->page == NULL)
		goto no_page;
	rc = vdisk_create(&b->disk, c);
	if (rc != 0)
		goto failed;
	b->config = config_of(&b->disk);
	b->v = (struct virtio_device){
		.ops = &blk_ops, .vm = vm, .offered = features(&b->disk), .config = &b->config};
	rc = virtio_add(&b->v);
	if (rc != 0)
		goto failed;
	*out = &b->v;
	return 0;

failed:
	frames_free_page(b->page);
no_page:
	frames_free_page(b);
	return rc;
}

int virtio_blk_insert(struct virtio_device *v, const void *image, u64 len)
{
	struct virtio_blk *b = blk_of(v);
	lock_token token = lock_take(&v->vm->bus.lock);
	int rc = vdisk_insert(&b->disk, image, len);

	if (rc == 0) {
		/* A read that is under way was checked against the medium before. */
		if (b->chain.queue != NULL && b->request.begun &&
		    b->request.type == VIRTIO_BLK_T_IN)
			b->request.status = VIRTIO_BLK_S_IOERR;
		b->config.capacity = b->disk.size >> SECTOR_SHIFT;
		virtio_config_changed(v);
	}
	lock_release(&v->vm->bus.lock, token);
	return rc;
}

const struct vdisk *virtio_blk_disk(const struct virtio_device *v)
{
	return &blk_of((struct virtio_device *)v)->disk;
}
