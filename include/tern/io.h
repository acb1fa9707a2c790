/* SPDX-License-Identifier: MIT */
/* Port and register access for drivers (arch/x86_64/io.c; tests/fake on the host). */
#ifndef TERN_IO_H
#define TERN_IO_H

#include <tern/types.h>

u8 io_in8(u16 port);
u16 io_in16(u16 port);
u32 io_in32(u16 port);
void io_out8(u16 port, u8 v);
void io_out16(u16 port, u16 v);
void io_out32(u16 port, u32 v);

static inline u32 mmio_read32(const volatile void *p)
{
	return *(const volatile u32 *)p;
}

static inline void mmio_write32(volatile void *p, u32 v)
{
	*(volatile u32 *)p = v;
}

static inline u64 mmio_read64(const volatile void *p)
{
	return *(const volatile u64 *)p;
}

static inline void mmio_write64(volatile void *p, u64 v)
{
	*(volatile u64 *)p = v;
}

static inline u16 mmio_read16(const volatile void *p)
{
	return *(const volatile u16 *)p;
}

static inline void mmio_write16(volatile void *p, u16 v)
{
	*(volatile u16 *)p = v;
}

static inline u8 mmio_read8(const volatile void *p)
{
	return *(const volatile u8 *)p;
}

static inline void mmio_write8(volatile void *p, u8 v)
{
	*(volatile u8 *)p = v;
}

#endif
