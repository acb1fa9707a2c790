/* SPDX-License-Identifier: MIT */
/* links: arch/x86_64/guest/insn.c */
/* Any bytes are one well-formed instruction or refused. The first byte is the mode. */
#include <stdlib.h>
#include <string.h>

#include <tern/err.h>
#include <tern/virt.h>

#include "arch/x86_64/guest/insn.h"

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

static bool width_ok(u32 width, enum insn_mode mode)
{
	return width == 1 || width == 2 || width == 4 || (width == 8 && mode == INSN_64);
}

static void well_formed(const struct insn *in, enum insn_mode mode)
{
	u32 registers = mode == INSN_64 ? 16 : 8;

	REQUIRE(in->mode == mode && in->op < INSN_OP_COUNT);
	REQUIRE(in->len >= 1 && in->len <= INSN_LEN_MAX);
	REQUIRE(width_ok(in->width, mode) && width_ok(in->reg_width, mode));
	REQUIRE(width_ok(in->addr_width, mode) && in->addr_width > 1);
	REQUIRE(mode != INSN_64 || in->addr_width > 2);
	REQUIRE(in->width == in->reg_width ||
		(in->src == INSN_SRC_MEM && in->width < in->reg_width));
	REQUIRE(in->reg < registers && (!in->reg_high || (in->reg < 4 && in->reg_width == 1)));
	REQUIRE(in->index == INSN_REG_NONE || in->index < registers);
	REQUIRE(in->index != REG_RSP);
	REQUIRE(in->base == INSN_REG_NONE || in->base < registers ||
		(in->base == INSN_REG_RIP && mode == INSN_64 && in->index == INSN_REG_NONE));
	REQUIRE(in->scale == 1 || in->scale == 2 || in->scale == 4 || in->scale == 8);
	REQUIRE(in->segment <= SEG_GS);
	REQUIRE(mode != INSN_64 || in->segment != SEG_CS);
	REQUIRE(in->src == INSN_SRC_IMM || in->imm == 0);
	REQUIRE(!in->lock || in->src != INSN_SRC_MEM);
	REQUIRE(!in->rep || !in->repne);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	enum insn_mode mode;
	struct insn in, again;
	u8 *copy;
	int rc;

	if (len == 0)
		return 0;
	mode = (enum insn_mode)(data[0] % 3);
	data++;
	len--;
	memset(&in, 0xa5, sizeof(in));
	memcpy(&again, &in, sizeof(in));
	rc = insn_decode(data, len, mode, &in);
	REQUIRE(rc == 0 || rc == -TERN_EINVAL || (rc == -TERN_E2BIG && len < INSN_LEN_MAX));
	if (rc != 0) {
		REQUIRE(memcmp(&in, &again, sizeof(in)) == 0);
		return 0;
	}
	REQUIRE(in.len <= len);
	well_formed(&in, mode);

	/* Its own bytes decide alone (a copy, so that reading behind them is seen), and all of them. */
	copy = malloc(in.len);
	REQUIRE(copy != NULL);
	memcpy(copy, data, in.len);
	REQUIRE(insn_decode(copy, in.len, mode, &again) == 0);
	REQUIRE(again.len == in.len && again.op == in.op && again.disp == in.disp);
	REQUIRE(again.imm == in.imm && again.base == in.base && again.index == in.index);
	for (size_t n = 0; n < in.len; n++)
		REQUIRE(insn_decode(copy, n, mode, &again) == -TERN_E2BIG);
	free(copy);
	return 0;
}
