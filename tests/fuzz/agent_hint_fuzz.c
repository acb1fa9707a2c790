/* SPDX-License-Identifier: MIT */
/* links: guest-tools/agent/hint.c guest-tools/agent/predict_hint.c */
/* Packets of hints of any user, one after the other: the table stays within its bounds, and so does what it says. */
#include <stdlib.h>
#include <string.h>

#include <guest-tools/agent/hint.h>
#include <guest-tools/hint/hint_proto.h>

#define RECORD 20u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool cond)
{
	if (!cond)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct hint_state s;
	struct conf c = {.user_hints = true, .hint_max = 1ull << 30};
	struct observation o = {.now_ms = 1000, .advertised = 4ull << 30};

	s.count = 0;
	for (; size >= RECORD; data += RECORD, size -= RECORD) {
		struct hint_peer peer = {.pid = data[0], .uid = data[1] % 3};
		size_t n = data[2] == 0 ? data[3] % 17 : sizeof(struct hint_request);

		o.now_ms += (u64)data[2] * 100;
		o.used = (u64)data[3] << 24;
		if (hint_apply(&s, data + 4, n, &peer, &c, &o) == 0)
			require(n == sizeof(struct hint_request) && peer.pid > 0);
		require(s.count <= HINTS_MAX);
		for (u32 i = 0; i < s.count; i++) {
			require(s.h[i].bytes > 0 && s.h[i].bytes <= o.advertised);
			require(s.h[i].base >= s.h[i].used);
			require(s.h[i].base <= (HINTS_MAX + 2) * o.advertised);
			require(s.h[i].until_ms <= o.now_ms + HINT_SECONDS_MAX * 1000ull);
			for (u32 j = 0; j < i; j++)
				require(s.h[i].pid != s.h[j].pid);
		}
		predict_hint.observe(&s, &o);
		require(predict_hint.predict(&s, &o, 1000) >= o.used);
	}
	return 0;
}
