/* SPDX-License-Identifier: MIT */
/* What is kept of earlier runs of a workload, in memory and on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <guest-tools/agent/profile.h>
#include <tern/lib.h>

#define MAGIC "TernProf"

struct file_head {
	char magic[8];
	u16 version;
	u16 count;
	u32 crc; /* of the records */
};

_Static_assert(sizeof(struct file_head) == 16, "file format");
_Static_assert(PROFILE_FILE_MAX == sizeof(struct file_head) + PROFILES_MAX * sizeof(struct profile),
	       "file format");

u32 profile_age(u64 age_ms)
{
	u32 n = 0;

	for (u64 s = age_ms / 1000; s > 0 && n < PROFILE_AGES - 1; s >>= 1)
		n++;
	return n;
}

struct profile *profile_find(struct profiles *s, enum run_kind kind, const char *name)
{
	for (u32 i = 0; i < PROFILES_MAX; i++) {
		if (s->p[i].name[0] != '\0' && s->p[i].kind == kind &&
		    strncmp(s->p[i].name, name, RUN_NAME_MAX) == 0)
			return &s->p[i];
	}
	return NULL;
}

u64 profile_peak(const struct profile *p, u64 from_ms, u64 to_ms)
{
	u32 kib = 0;

	for (u32 i = profile_age(from_ms); i <= profile_age(to_ms); i++) {
		if (p->kib[i] > kib)
			kib = p->kib[i];
	}
	return (u64)kib << 10;
}

/* A free place, or that of the profile that was not seen for the longest time. */
static struct profile *profile_place(struct profiles *s)
{
	struct profile *oldest = &s->p[0];

	for (u32 i = 0; i < PROFILES_MAX; i++) {
		if (s->p[i].name[0] == '\0')
			return &s->p[i];
		if (s->p[i].seen < oldest->seen)
			oldest = &s->p[i];
	}
	return oldest;
}

static u32 peak_kib(const u32 kib[PROFILE_AGES])
{
	u32 peak = 0;

	for (u32 i = 0; i < PROFILE_AGES; i++)
		peak = kib[i] > peak ? kib[i] : peak;
	return peak;
}

/* How well a peak was foretold, permille: the smaller of the two by the greater. */
static u32 likeness(u64 a, u64 b)
{
	u64 low = a < b ? a : b, high = a < b ? b : a;

	return high > 0 ? (u32)(low * 1000 / high) : 0;
}

void profile_learn(struct profiles *s, enum run_kind kind, const char *name,
		   const u32 kib[PROFILE_AGES], u64 foretold, u64 wall_s)
{
	u32 peak = peak_kib(kib);
	struct profile *p = profile_find(s, kind, name);

	if ((p == NULL && (u64)peak << 10 < PROFILE_MIN_BYTES) || peak == 0 || name[0] == '\0')
		return;
	if (p == NULL) {
		p = profile_place(s);
		*p = (struct profile){.kind = kind, .hit = 700};
		str_copy(p->name, name, sizeof(p->name));
	}
	if (foretold > 0)
		p->hit = (p->hit * 3 + likeness(foretold, (u64)peak << 10)) / 4;
	for (u32 i = 0; i < PROFILE_AGES; i++) {
		u32 old = p->kib[i];

		/* More is believed at once, less by and by; an age nobody saw stays as it was. */
		if (kib[i] > old)
			p->kib[i] = kib[i];
		else if (kib[i] > 0)
			p->kib[i] = old - (old - kib[i]) / 4;
	}
	if (p->runs < UINT32_MAX)
		p->runs++;
	p->seen = wall_s;
	s->generation++;
	s->changed = true;
}

size_t profile_encode(const struct profiles *s, u8 *text)
{
	struct file_head head = {.version = PROFILE_VERSION};
	size_t n = sizeof(head);

	for (u32 i = 0; i < PROFILES_MAX; i++) {
		if (s->p[i].name[0] == '\0')
			continue;
		memcpy(text + n, &s->p[i], sizeof(s->p[i]));
		n += sizeof(s->p[i]);
		head.count++;
	}
	memcpy(head.magic, MAGIC, sizeof(head.magic));
	head.crc = crc32(text + sizeof(head), n - sizeof(head));
	memcpy(text, &head, sizeof(head));
	return n;
}

static bool name_good(const char name[RUN_NAME_MAX])
{
	size_t n = strnlen(name, RUN_NAME_MAX);

	if (n == 0 || n == RUN_NAME_MAX)
		return false;
	for (size_t i = 0; i < RUN_NAME_MAX; i++) {
		if (i < n ? name[i] <= ' ' || name[i] > '~' : name[i] != '\0')
			return false;
	}
	return true;
}

static bool profile_good(const struct profile *p)
{
	return name_good(p->name) && (p->kind == RUN_EXE || p->kind == RUN_UNIT) && p->runs > 0 &&
	       p->hit <= 1000 && p->pad[0] == 0 && p->pad[1] == 0 && p->pad[2] == 0 &&
	       peak_kib(p->kib) > 0;
}

int profile_decode(struct profiles *s, const u8 *text, size_t bytes)
{
	struct file_head head;

	memset(s, 0, sizeof(*s));
	if (bytes < sizeof(head))
		return -EINVAL;
	memcpy(&head, text, sizeof(head));
	if (memcmp(head.magic, MAGIC, sizeof(head.magic)) != 0 || head.version != PROFILE_VERSION ||
	    head.count > PROFILES_MAX ||
	    bytes != sizeof(head) + head.count * sizeof(struct profile) ||
	    head.crc != crc32(text + sizeof(head), bytes - sizeof(head)))
		return -EINVAL;
	for (u32 i = 0; i < head.count; i++) {
		struct profile p;

		memcpy(&p, text + sizeof(head) + i * sizeof(p), sizeof(p));
		if (!profile_good(&p) || profile_find(s, (enum run_kind)p.kind, p.name) != NULL) {
			memset(s, 0, sizeof(*s));
			return -EINVAL;
		}
		s->p[i] = p;
	}
	return 0;
}

int profile_load(struct profiles *s, const char *path)
{
	u8 text[PROFILE_FILE_MAX + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t n = 0;
	ssize_t got;

	memset(s, 0, sizeof(*s));
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	do {
		got = read(fd, text + n, sizeof(text) - n);
		n += got > 0 ? (size_t)got : 0;
	} while (got > 0 && n < sizeof(text));
	close(fd);
	return got < 0 ? -EIO : profile_decode(s, text, n);
}

int profile_store(struct profiles *s, const char *path)
{
	u8 text[PROFILE_FILE_MAX];
	size_t n = profile_encode(s, text);
	char beside[256];
	int fd, rc = 0;

	if ((size_t)snprintf(beside, sizeof(beside), "%s.new", path) >= sizeof(beside))
		return -ENAMETOOLONG;
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, n) != (ssize_t)n || fsync(fd) != 0)
		rc = errno != 0 ? -errno : -EIO;
	close(fd);
	if (rc == 0 && rename(beside, path) != 0)
		rc = -errno;
	if (rc != 0)
		unlink(beside);
	else
		s->changed = false;
	return rc;
}
