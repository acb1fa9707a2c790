/* SPDX-License-Identifier: MIT */
/*
 * In place of tern/io.h, for tests whose device acts at once on every access: included first (flags: -include
 * tests/fake/fake_mmio.h), so that drivers call these. What is not the device's is memory.
 */
#ifndef TERN_IO_H
#define TERN_IO_H

#include <tern/types.h>

u8 io_in8(u16 port);
u16 io_in16(u16 port);
u32 io_in32(u16 port);
void io_out8(u16 port, u8 v);
void io_out16(u16 port, u16 v);
void io_out32(u16 port, u32 v);

u8 mmio_read8(const volatile void *p);
u16 mmio_read16(const volatile void *p);
u32 mmio_read32(const volatile void *p);
u64 mmio_read64(const volatile void *p);
void mmio_write8(volatile void *p, u8 v);
void mmio_write16(volatile void *p, u16 v);
void mmio_write32(volatile void *p, u32 v);
void mmio_write64(volatile void *p, u64 v);

#endif
