/* SPDX-License-Identifier: MIT */
/* links: guest-tools/agent/conf.c guest-tools/hint/duration.c hv/lib/toml.c hv/lib/str.c hv/lib/fmt.c */
/* /etc/tern/agent.toml: what is taken is within its ranges, what is refused has a reason. */
#include <stdlib.h>
#include <string.h>

#include <guest-tools/agent/conf.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool cond)
{
	if (!cond)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct conf c;
	struct conf_error e;

	if (conf_parse(&c, (const char *)data, size, &e) != 0) {
		require(e.text[0] != '\0' && strlen(e.text) < sizeof(e.text));
		return 0;
	}
	require(c.interval_s > 0 && c.interval_s <= c.interval_max_s && c.interval_max_s <= 20);
	require(c.horizon_s > 0 && c.horizon_s <= 86400 && c.psi_limit <= 1000);
	require(c.hint_count <= CONF_HINTS_MAX);
	for (u32 i = 0; i < c.hint_count; i++) {
		require(c.hint[i].name[0] != '\0' && c.hint[i].name[RUN_NAME_MAX - 1] == '\0');
		require(c.hint[i].need > 0 && c.hint[i].seconds > 0);
	}
	return 0;
}
