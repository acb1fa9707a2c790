/* SPDX-License-Identifier: MIT */
/* The host's address space; numbers only, for C and assembly. docs/architecture.md draws it. */
#ifndef TERN_LAYOUT_H
#define TERN_LAYOUT_H

/* Offsets are multiples of 512 GiB, the size of one entry of the top table. */
#define LAYOUT_PML4_DIRECT 256 /* 0xffff800000000000: all RAM */
#define LAYOUT_DIRECT      0xffff800000000000
#define LAYOUT_DIRECT_SIZE 0x0000400000000000 /* 64 TiB */
#define LAYOUT_VMAP        0xffffc00000000000 /* device registers and firmware tables */
#define LAYOUT_VMAP_SIZE   0x0000008000000000 /* 512 GiB */
#define LAYOUT_STACKS      0xffffd00000000000 /* stacks, each with a hole below it */
#define LAYOUT_FRAMES      0xffffe00000000000 /* struct frame[], by frame number */
#define LAYOUT_IMAGE       0xffffffff80000000 /* plus the physical address it is linked for */
#define LAYOUT_IMAGE_START 0xffffffff80200000 /* boot/image.ld: image_start */

/* EAX when ternboot.efi joins the Multiboot path: "INFO". */
#define LAYOUT_MAGIC_TERNBOOT 0x4f464e49

/* Log of this and the previous boot: fixed, so that the next boot finds it again. */
#define LAYOUT_LOG_PHYS 0x3000000
#define LAYOUT_LOG_SIZE 0x10000

#endif
