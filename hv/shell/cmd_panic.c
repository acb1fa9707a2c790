/* SPDX-License-Identifier: MIT */
/* Shell command panic: the three ways our own bugs end a node, on request. */
#include "commands.h"

#include <tern/err.h>
#include <tern/lib.h>

static const char *const kinds[] = {"assert", "fault", "stack"};

#define UNMAPPED 0x10ul /* nothing is mapped at low addresses */

/* Each call takes a frame of 512 bytes that the compiler cannot do without. */
static u32 eat_stack(u32 depth)
{
	volatile u8 frame[512];

	frame[depth % sizeof(frame)] = (u8)depth;
	if (depth == UINT32_MAX)
		return 0;
	return eat_stack(depth + 1) + frame[depth % sizeof(frame)];
}

int cmd_panic(int argc, char **argv)
{
	volatile u64 address = UNMAPPED;

	if (argc != 2)
		return -TERN_EINVAL;
	if (strcmp(argv[1], "assert") == 0)
		panic("requested by the shell");
	if (strcmp(argv[1], "fault") == 0)
		*(volatile u32 *)address = 0;
	if (strcmp(argv[1], "stack") == 0)
		return (int)eat_stack(0);
	return -TERN_EINVAL;
}

const char *complete_panic(int arg, u32 i)
{
	return arg == 1 && i < ARRAY_SIZE(kinds) ? kinds[i] : NULL;
}
