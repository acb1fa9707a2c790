/* SPDX-License-Identifier: MIT */
/* Fixed-width types: all that an ABI structure may be made of. */
#ifndef ABI_TYPES_H
#define ABI_TYPES_H

#ifdef __KERNEL__ /* a module of Linux, which has them */
#include <linux/stddef.h>
#include <linux/types.h>
#else
#ifdef __KERNEL__ /* Linux has them already, and no header of C's */
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
#endif
#endif

#endif
