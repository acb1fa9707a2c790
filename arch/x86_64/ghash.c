/* SPDX-License-Identifier: MIT */
/*
 * GHASH. Blocks are byte-swapped, which makes the standard's reflected bits the CPU's carry-less product
 * but for a shift by one; the powers of H are stored with that shift made (multiplied by x modulo the
 * polynomial). Products of up to eight blocks are summed before one Montgomery reduction by 64 bits twice.
 */
#include <tern/ghash.h>

#include <tern/lib.h>

/* x^128 + x^7 + x^2 + x + 1 reflected: high and low half (NIST SP 800-38D section 6.3). */
#define POLY_HIGH 0xc200000000000000ull
#define POLY_LOW  1ull

static const u8 swap[GHASH_BLOCK] ALIGNED(16) = {15, 14, 13, 12, 11, 10, 9, 8,
						 7,  6,  5,  4,  3,  2,  1, 0};
static const u64 poly[2] ALIGNED(16) = {POLY_LOW, POLY_HIGH};

/* XMM0: y. XMM1, XMM2, XMM3: sums of low, high and middle products. XMM6: swap, XMM7: poly. */
#define BEGIN                        \
	"movdqu (%[y]), %%xmm0\n\t"  \
	"movdqa %[swap], %%xmm6\n\t" \
	"movdqa %[poly], %%xmm7\n\t" \
	"pshufb %%xmm6, %%xmm0\n\t"
#define CLEAR                     \
	"pxor %%xmm1, %%xmm1\n\t" \
	"pxor %%xmm2, %%xmm2\n\t" \
	"pxor %%xmm3, %%xmm3\n\t"
#define LOAD(n)                                 \
	"movdqu " #n "*16(%[data]), %%xmm4\n\t" \
	"pshufb %%xmm6, %%xmm4\n\t"
#define ADD_Y "pxor %%xmm0, %%xmm4\n\t"
/* The products of XMM4 and power number n after %[power]. */
#define MULTIPLY(n)                                            \
	"movdqa %%xmm4, %%xmm5\n\t"                            \
	"pclmulqdq $0x00, " #n "*16(%[power]), %%xmm5\n\t"     \
	"pxor %%xmm5, %%xmm1\n\t"                              \
	"movdqa %%xmm4, %%xmm5\n\t"                            \
	"pclmulqdq $0x11, " #n "*16(%[power]), %%xmm5\n\t"     \
	"pxor %%xmm5, %%xmm2\n\t"                              \
	"pshufd $0x4e, %%xmm4, %%xmm5\n\t"                     \
	"pxor %%xmm5, %%xmm4\n\t"                              \
	"pclmulqdq $0x00, 128+" #n "*16(%[power]), %%xmm4\n\t" \
	"pxor %%xmm4, %%xmm3\n\t"
#define REDUCE                                \
	"pxor %%xmm1, %%xmm3\n\t"             \
	"pxor %%xmm2, %%xmm3\n\t"             \
	"movdqa %%xmm7, %%xmm5\n\t"           \
	"pclmulqdq $0x01, %%xmm1, %%xmm5\n\t" \
	"pshufd $0x4e, %%xmm1, %%xmm1\n\t"    \
	"pxor %%xmm1, %%xmm3\n\t"             \
	"pxor %%xmm5, %%xmm3\n\t"             \
	"movdqa %%xmm7, %%xmm5\n\t"           \
	"pclmulqdq $0x01, %%xmm3, %%xmm5\n\t" \
	"pshufd $0x4e, %%xmm3, %%xmm0\n\t"    \
	"pxor %%xmm2, %%xmm0\n\t"             \
	"pxor %%xmm5, %%xmm0\n\t"
#define END                         \
	"pshufb %%xmm6, %%xmm0\n\t" \
	"movdqu %%xmm0, (%[y])\n\t"
#define USED "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"

_Static_assert(offsetof(struct ghash_key, folded) == 128,
	       "MULTIPLY knows where the folded powers are");

/* Eight blocks a turn, count > 0 turns. */
static void run_eights(const struct ghash_key *key, u8 *y, const u8 *data, size_t count)
{
	__asm__ volatile(BEGIN "1:\n\t" CLEAR LOAD(0) ADD_Y MULTIPLY(0) LOAD(1) MULTIPLY(1) LOAD(2)
				 MULTIPLY(2) LOAD(3) MULTIPLY(3) LOAD(4) MULTIPLY(4) LOAD(5)
					 MULTIPLY(5) LOAD(6) MULTIPLY(6) LOAD(7) MULTIPLY(7) REDUCE
			 "addq $128, %[data]\n\t"
			 "decq %[count]\n\t"
			 "jnz 1b\n\t" END
			 : [data] "+r"(data), [count] "+r"(count)
			 : [y] "r"(y), [power] "r"(key), [swap] "m"(swap), [poly] "m"(poly)
			 : USED);
}

/* One to seven blocks; the first is multiplied by the power of that number. */
static void run_few(const struct ghash_key *key, u8 *y, const u8 *data, size_t count)
{
	const u8 *power = key->power[GHASH_POWERS - count];

	__asm__ volatile(BEGIN CLEAR LOAD(0) ADD_Y
			 "jmp 2f\n\t"
			 "1:\n\t" LOAD(0) "2:\n\t" MULTIPLY(0) "addq $16, %[data]\n\t"
							       "addq $16, %[power]\n\t"
							       "decq %[count]\n\t"
							       "jnz 1b\n\t" REDUCE END
			 : [data] "+r"(data), [count] "+r"(count), [power] "+r"(power)
			 : [y] "r"(y), [swap] "m"(swap), [poly] "m"(poly)
			 : USED);
}

static u64 load_be64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static void set_power(struct ghash_key *key, u32 n, u64 high, u64 low)
{
	u64 fold[2] = {high ^ low, high ^ low}, value[2] = {low, high};

	memcpy(key->power[n], value, sizeof(value));
	memcpy(key->folded[n], fold, sizeof(fold));
}

void ghash_init(struct ghash_key *key, const u8 h[GHASH_BLOCK])
{
	u64 high = load_be64(h), low = load_be64(h + 8);
	u64 carry = 0 - (high >> 63); /* no branch on key bits */
	u64 shifted_high = (high << 1 | low >> 63) ^ (carry & POLY_HIGH);
	u64 shifted_low = low << 1 ^ (carry & POLY_LOW);
	u8 block[GHASH_BLOCK], y[GHASH_BLOCK];

	set_power(key, GHASH_POWERS - 1, shifted_high, shifted_low);
	for (u32 n = GHASH_POWERS - 1; n > 0; n--) {
		/* The shifted power, as a block, times H. */
		u64 last[2], value[2];

		memcpy(last, key->power[n], sizeof(last));
		value[0] = __builtin_bswap64(last[1]);
		value[1] = __builtin_bswap64(last[0]);
		memcpy(block, value, sizeof(block));
		memset(y, 0, sizeof(y));
		run_few(key, y, block, 1);
		set_power(key, n - 1, load_be64(y), load_be64(y + 8));
	}
}

void ghash_run(const struct ghash_key *key, u8 y[GHASH_BLOCK], const u8 *data, size_t len)
{
	size_t eights = len / (8 * GHASH_BLOCK), few;
	u8 last[GHASH_BLOCK] = {0};

	if (eights > 0)
		run_eights(key, y, data, eights);
	data += eights * 8 * GHASH_BLOCK;
	len -= eights * 8 * GHASH_BLOCK;
	few = len / GHASH_BLOCK;
	if (few > 0)
		run_few(key, y, data, few);
	if (len % GHASH_BLOCK != 0) {
		memcpy(last, data + few * GHASH_BLOCK, len % GHASH_BLOCK);
		run_few(key, y, last, 1);
	}
}
