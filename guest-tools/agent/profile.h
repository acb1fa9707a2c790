/* SPDX-License-Identifier: MIT */
/*
 * Profiles: how much memory a workload used in earlier runs, by its age. One file, at most PROFILES_MAX
 * of them; the one that was not seen for the longest time makes room. The text of the file is believed only
 * when its check sum holds and every record makes sense.
 */
#ifndef PROFILE_H
#define PROFILE_H

#include <guest-tools/agent/predict.h>

#define PROFILES_MAX      256u
#define PROFILE_AGES      16u           /* ages below 1 s, 2 s, 4 s, ... and all above 4.5 h */
#define PROFILE_MIN_BYTES (16ull << 20) /* a run that never used as much is not worth one */
#define PROFILE_VERSION   1u
#define PROFILE_FILE_MAX  (PROFILES_MAX * 128u + 16u)

/* As it lies in the file, little-endian. */
struct profile {
	char name[RUN_NAME_MAX]; /* NUL-ended printable ASCII, zero after it; empty: unused */
	u32 kind;                /* enum run_kind */
	u32 runs;                /* that it was learned from, > 0 */
	u64 seen;                /* seconds since 1970, when a run of it last ended */
	u32 hit;                 /* permille: how well it foretold the peaks of its runs */
	u32 pad[3];
	u32 kib[PROFILE_AGES]; /* the most a run used at this age; 0: none was so old */
};

_Static_assert(sizeof(struct profile) == 128, "file format");

struct profiles {
	struct profile p[PROFILES_MAX];
	u32 generation; /* grows when a profile is learned: places may have changed */
	bool changed;   /* since it was loaded or stored */
};

/* Which of the PROFILE_AGES an age is in. */
u32 profile_age(u64 age_ms);

/* The profile of a workload, or NULL. */
struct profile *profile_find(struct profiles *s, enum run_kind kind, const char *name);

/* What a run is going to use at most between two ages, in bytes, from earlier runs; 0: not known. */
u64 profile_peak(const struct profile *p, u64 from_ms, u64 to_ms);

/* A run has ended: kib[] as in struct profile, 0 where it was not looked at. foretold is the peak that was
 * predicted when it began, 0 for none. */
void profile_learn(struct profiles *s, enum run_kind kind, const char *name,
		   const u32 kib[PROFILE_AGES], u64 foretold, u64 wall_s);

/* The store as text of a file, at most PROFILE_FILE_MAX bytes, and back. profile_decode() returns 0, or
 * -EINVAL with *s empty. */
size_t profile_encode(const struct profiles *s, u8 *text);
int profile_decode(struct profiles *s, const u8 *text, size_t bytes);

/* profile_load() returns 0, also when there is no file yet, or a negative errno: -EINVAL when the file
 * is not one of ours, with *s empty. profile_store() writes beside the old file and renames, so that
 * whatever happens one of them is there. */
int profile_load(struct profiles *s, const char *path);
int profile_store(struct profiles *s, const char *path);

#endif
