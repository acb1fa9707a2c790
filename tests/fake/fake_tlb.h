/* SPDX-License-Identifier: MIT */
/*
 * What CPUs remember of guests (SDM vol. 3C 29.4.1): guest-physical mappings, tagged with the EPT root,
 * and combined ones, tagged with root and VPID. Nothing goes but by INVEPT, INVVPID and what the guest
 * itself invalidates, and nobody's entry is displaced. vmcs_invept() and vmcs_invvpid() work on it.
 */
#ifndef FAKE_TLB_H
#define FAKE_TLB_H

#include <tern/types.h>

#define FAKE_TLB_PHYSICAL UINT16_MAX /* in place of a VPID: a guest-physical mapping */

/* Instructions executed. */
extern u32 fake_invepts, fake_invvpids;
/* Called before an INVEPT is, unless it is NULL. */
extern void (*fake_invept_near)(void);

/* No CPU remembers anything. */
void fake_tlb_reset(void);
/* This CPU translates at: by what it remembers, else by what the tables say now, which it remembers. */
u64 fake_tlb_use(u64 root, u16 vpid, u64 at, u64 now);
/* The guest's INVLPG on this CPU. */
void fake_tlb_invlpg(u16 vpid, u64 at);
/* A VM entry or exit without VPIDs drops what is tagged 0. */
void fake_tlb_cross(void);
/* True when a CPU remembers value. */
bool fake_tlb_remembers(u32 cpu, u64 value);
/* A number that says what all remember. */
u64 fake_tlb_hash(void);

#endif
