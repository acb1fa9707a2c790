/* SPDX-License-Identifier: MIT */
/* What a guest's paging structures and page faults look like beyond hpt.h, and flags of RFLAGS. */
#ifndef WALK_REGS_H
#define WALK_REGS_H

#include "arch/x86_64/hpt.h"
#include "msr_regs.h"

#define PTE_U (1ul << 2)

/* CR3 and addresses in entries (SDM vol. 3A tables 4-3, 4-7, 4-12). */
#define CR3_ADDR_PAE  0xffffffe0ul
#define PTE_ADDR32    0xfffff000ul
#define PTE_ADDR_4M   0xffc00000ul
#define PTE_4M_HIGH   0x001fe000ul /* bits 39:32 of a 4 MiB page's address */
#define PTE_4M_SHIFT  19
#define PSE36_BITS    40u
#define PTE_RSVD_PAE  (0x7fful << 52) /* 62:52, which 4-level paging ignores */
#define PAGE_4M_SHIFT 22

/* Error code of #PF (SDM vol. 3A 4.7). */
#define PF_P    (1u << 0)
#define PF_W    (1u << 1)
#define PF_U    (1u << 2)
#define PF_RSVD (1u << 3)
#define PF_I    (1u << 4)

/* SDM vol. 1 3.4.3 */
#define RFLAGS_CF (1ul << 0)
#define RFLAGS_PF (1ul << 2)
#define RFLAGS_AF (1ul << 4)
#define RFLAGS_ZF (1ul << 6)
#define RFLAGS_SF (1ul << 7)
#define RFLAGS_TF (1ul << 8)
#define RFLAGS_DF (1ul << 10)
#define RFLAGS_OF (1ul << 11)
#define RFLAGS_VM (1ul << 17)
#define RFLAGS_AC (1ul << 18)

/* Access rights as struct vcpu_seg has them (SDM vol. 3C table 25-2). */
#define SEG_ATTR_WRITE_READ  (1u << 1) /* data: writable; code: readable */
#define SEG_ATTR_EXPAND_DOWN (1u << 2) /* data */
#define SEG_ATTR_CODE        (1u << 3)
#define SEG_ATTR_DPL_SHIFT   5
#define SEG_ATTR_LONG        (1u << 13)
#define SEG_ATTR_DB          (1u << 14)
#define SEG_ATTR_UNUSABLE    (1u << 16)

#endif
