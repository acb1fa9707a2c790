/* SPDX-License-Identifier: MIT */
/* Times as people write them: a number and one letter. */
#include <errno.h>
#include <string.h>

#include <guest-tools/hint/duration.h>

int duration_parse(const char *text, u32 *seconds)
{
	static const char names[] = "smhd";
	static const u32 units[] = {1, 60, 3600, 86400};
	const char *p = text, *unit;
	u64 v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (u64)(*p - '0');
		if (v > UINT32_MAX)
			return -ERANGE;
	}
	if (p == text)
		return -EINVAL;
	if (*p != '\0') {
		unit = strchr(names, *p);
		if (unit == NULL || p[1] != '\0')
			return -EINVAL;
		v *= units[unit - names];
	}
	if (v == 0 || v > UINT32_MAX)
		return -ERANGE;
	*seconds = (u32)v;
	return 0;
}
