/* SPDX-License-Identifier: MIT */
/* links: guest-tools/agent/profile.c hv/lib/str.c */
/* A file of profiles that somebody else wrote: what is taken can be used, and comes back as it was. */
#include <stdlib.h>
#include <string.h>

#include <guest-tools/agent/profile.h>
#include <tern/lib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void use(struct profiles *s, const u8 *text, size_t size)
{
	static u8 again[PROFILE_FILE_MAX];
	u32 kib[PROFILE_AGES] = {UINT32_MAX, 1};

	if (profile_encode(s, again) != size || memcmp(again, text, size) != 0)
		abort();
	for (u32 i = 0; i < PROFILES_MAX; i++) {
		if (s->p[i].name[0] != '\0' && profile_peak(&s->p[i], 0, UINT64_MAX) == 0)
			abort();
	}
	profile_learn(s, RUN_EXE, "new", kib, 1, 1);
	if (profile_find(s, RUN_EXE, "new") == NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct profiles s;
	static u8 text[8192];

	if (profile_decode(&s, data, size) == 0)
		use(&s, data, size);
	/* Once more with the head made right, so that the records are reached. */
	if (size < 16 || size > sizeof(text))
		return 0;
	memcpy(text, data, size);
	memcpy(text, "TernProf\1\0", 10);
	text[10] = (u8)((size - 16) / 128);
	text[11] = 0;
	size = 16 + (size - 16) / 128 * 128;
	*(u32 *)(void *)(text + 12) = crc32(text + 16, size - 16);
	if (profile_decode(&s, text, size) == 0)
		use(&s, text, size);
	return 0;
}
