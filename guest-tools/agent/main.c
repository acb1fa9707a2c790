/* SPDX-License-Identifier: MIT */
/* tern-agent: options, and what they start. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

extern const char tern_version[];

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "V", options, NULL)) != -1) {
		if (c != 'V')
			return 2;
		printf("tern-agent %s\n", tern_version);
		return 0;
	}
	return 0;
}
