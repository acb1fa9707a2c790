/* SPDX-License-Identifier: MIT */
/* Base types, attributes and the few macros every file uses. */
#ifndef TERN_TYPES_H
#define TERN_TYPES_H

#include <abi/types.h>

#define MUST_CHECK   __attribute__((warn_unused_result))
#define NORETURN     __attribute__((noreturn))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define PACKED       __attribute__((packed))
#define ALIGNED(n)   __attribute__((aligned(n)))
#define UNUSED       __attribute__((unused))
#define READ_MOSTLY  __attribute__((section(".data.read_mostly")))
#define LIKELY(x)    __builtin_expect(!!(x), 1)
#define UNLIKELY(x)  __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define KiB(n) ((u64)(n) << 10)
#define MiB(n) ((u64)(n) << 20)
#define GiB(n) ((u64)(n) << 30)

#define PAGE_SHIFT    12
#define PAGE_SIZE     (1ull << PAGE_SHIFT)
#define PAGE_2M_SHIFT 21
#define PAGE_2M_SIZE  (1ull << PAGE_2M_SHIFT)
#define PAGE_1G_SHIFT 30
#define PAGE_1G_SIZE  (1ull << PAGE_1G_SHIFT)

#define CPUS_MAX  256u /* pCPUs Tern is designed for */
#define NODES_MAX 16u  /* NUMA nodes */

static inline u64 align_down(u64 v, u64 a)
{
	return v & ~(a - 1);
}

/* Wraps to 0 when v is within a of 2^64: callers check first or use values below 2^52. */
static inline u64 align_up(u64 v, u64 a)
{
	return (v + a - 1) & ~(a - 1);
}

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

#endif
