/* SPDX-License-Identifier: MIT */
/*
 * The contents of a VM's disk (hv/dev/vdisk.c): an image that any number of disks share and nobody
 * changes, under a copy of the blocks that this VM has written. docs/disks.md.
 *
 * A disk has no lock: whoever calls holds the bus lock of its VM, on any CPU, or is the only one
 * that knows the disk. Offsets and lengths are bytes of any alignment.
 */
#ifndef TERN_VDISK_H
#define TERN_VDISK_H

#include <tern/types.h>

#define VDISK_BLOCK    4096u        /* what is copied at once: one frame */
#define VDISK_SIZE_MAX (1ull << 48) /* bytes */
#define VDISK_NAME_MAX 21u          /* the 20 bytes that a guest can read, and NUL */

struct vdisk_config {
	const char *name;  /* what the guest sees as serial number; cut after 20 bytes */
	const void *image; /* NULL: none, all zeroes; stays where it is as long as the disk lives */
	u64 image_len;     /* bytes of any number; what lies beyond size does not show */
	u64 size;          /* bytes, a multiple of 512; 0: the image's length, rounded up */
	bool read_only;
	bool removable; /* read-only, with another image now and then: vdisk_insert() */
};

enum vdisk_op { VDISK_READ, VDISK_WRITE, VDISK_DISCARD, VDISK_ZERO, VDISK_FLUSH, VDISK_OPS };

struct vdisk_stats {
	u64 count[VDISK_OPS]; /* requests that were done */
	u64 bytes[VDISK_OPS]; /* in them */
	u64 errors;           /* requests of any kind that were not */
	u64 blocks;           /* frames that hold what the VM wrote */
	u64 tables;           /* frames that say where they are */
	u64 zeroes;           /* blocks of the image that read as zero, which need no frame */
};

struct vdisk {
	char name[VDISK_NAME_MAX]; /* (c) */
	bool read_only, removable; /* (c) */
	u64 root;                  /* a slot, as hv/dev/vdisk.c says */
	/* (c) unless it is removable: */
	u32 height; /* tables above a block */
	u64 size;   /* 0: there is no medium */
	const u8 *image;
	u64 image_len; /* bytes that show */
	struct vdisk_stats stats;
};

/* Needs no memory. -TERN_EINVAL: the size is 0, no multiple of 512, or above VDISK_SIZE_MAX. A removable disk may have
 * none. */
MUST_CHECK int vdisk_create(struct vdisk *d, const struct vdisk_config *c);
/* Of a removable disk: the medium is that image from now on, or, with len 0, none. -TERN_EINVAL: the disk is not
 * removable, or the image is too long. */
MUST_CHECK int vdisk_insert(struct vdisk *d, const void *image, u64 len);
/* Gives all frames back, those with the guest's data to the scrubber. */
void vdisk_destroy(struct vdisk *d);

/*
 * Where the byte at offset < size lies in memory; *len: so many bytes from there on, at most to the
 * end of its block. Valid until the disk is changed.
 */
const void *vdisk_view(const struct vdisk *d, u64 offset, u64 *len);
/* -TERN_EINVAL: not within the disk. */
MUST_CHECK int vdisk_read(const struct vdisk *d, u64 offset, void *buf, u64 len);
/*
 * What changes the disk: -TERN_EINVAL, -TERN_EPERM: it is read-only, -TERN_ENOMEM: the node has no
 * frame; every block is then as it was or as it should be, those before the one that failed as they
 * should be. Blocks that become zero as a whole give their frame back. The time is proportional to len.
 */
MUST_CHECK int vdisk_write(struct vdisk *d, u64 offset, const void *buf, u64 len);
MUST_CHECK int vdisk_zero(struct vdisk *d, u64 offset, u64 len);
/* Zeroes the whole blocks in it and leaves the rest. */
MUST_CHECK int vdisk_discard(struct vdisk *d, u64 offset, u64 len);

/* Counts a request of the guest with all its pieces: bytes done, or that it failed. */
void vdisk_count(struct vdisk *d, enum vdisk_op op, u64 bytes, bool failed);

#endif
