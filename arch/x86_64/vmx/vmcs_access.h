/* SPDX-License-Identifier: MIT */
/*
 * VMREAD and VMWRITE of the current VMCS, one pair a width. A field that the CPU does not have is our
 * bug: the panic names field and caller.
 */
#ifndef VMCS_ACCESS_H
#define VMCS_ACCESS_H

#include <tern/op_count.h>

#include "vmcs.h"

NORETURN void vmcs_access_failed(bool write, u32 field);

static inline __attribute__((always_inline)) u64 vmcs_read(u64 field)
{
	u64 value;

	op_count(OP_VMREAD);
	/* CF: no current VMCS, ZF: no such field (SDM vol. 3C 31.2). */
	__asm__ goto volatile("vmread %1, %0\n\t"
			      "jbe %l[failed]"
			      : "=r"(value)
			      : "r"(field)
			      : "cc"
			      : failed);
	return value;
failed:
	vmcs_access_failed(false, (u32)field);
}

static inline __attribute__((always_inline)) void vmcs_write(u64 field, u64 value)
{
	op_count(OP_VMWRITE);
	__asm__ goto volatile("vmwrite %1, %0\n\t"
			      "jbe %l[failed]"
			      :
			      : "r"(field), "r"(value)
			      : "cc", "memory"
			      : failed);
	return;
failed:
	vmcs_access_failed(true, (u32)field);
}

static inline u16 vmread16(enum vmcs_u16 field)
{
	return (u16)vmcs_read(field);
}

static inline u32 vmread32(enum vmcs_u32 field)
{
	return (u32)vmcs_read(field);
}

static inline u64 vmread64(enum vmcs_u64 field)
{
	return vmcs_read(field);
}

static inline u64 vmread(enum vmcs_nat field)
{
	return vmcs_read(field);
}

static inline void vmwrite16(enum vmcs_u16 field, u16 value)
{
	vmcs_write(field, value);
}

static inline void vmwrite32(enum vmcs_u32 field, u32 value)
{
	vmcs_write(field, value);
}

static inline void vmwrite64(enum vmcs_u64 field, u64 value)
{
	vmcs_write(field, value);
}

static inline void vmwrite(enum vmcs_nat field, u64 value)
{
	vmcs_write(field, value);
}

#endif
