/* SPDX-License-Identifier: MIT */
/* The cgroups of the guest: found two levels below the root, slices within slices included. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <guest-tools/agent/cgroup.h>
#include <guest-tools/agent/text.h>

#define LIST_MS     10000u
#define FOLDERS_MAX 32u /* slices that wait to be looked into */

bool cgroup_number(const char *s, size_t n, u64 *v)
{
	struct text t = text_of(s, n), line;

	return text_line(&t, &line) && text_number(&line, v);
}

bool cgroup_stat(const char *s, size_t n, const char *row, u64 *v)
{
	struct text t = text_of(s, n), line, name;

	while (text_line(&t, &line)) {
		if (text_word(&line, &name) && text_is(name, row))
			return text_number(&line, v);
	}
	return false;
}

static bool ends(const char *name, const char *with)
{
	size_t n = strlen(name), m = strlen(with);

	return n > m && strcmp(name + n - m, with) == 0;
}

bool cgroup_is_unit(const char *name)
{
	return ends(name, ".service") || ends(name, ".scope") || strncmp(name, "docker-", 7) == 0 ||
	       strncmp(name, "lxc.payload.", 12) == 0;
}

void cgroup_open(struct units *units, const char *root)
{
	*units = (struct units){.root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	if (units->root_fd >= 0 &&
	    faccessat(units->root_fd, "cgroup.subtree_control", R_OK, 0) != 0) {
		close(units->root_fd);
		units->root_fd = -1;
	}
}

static size_t read_at(const struct units *units, const char *path, const char *file, char *text,
		      size_t size)
{
	char name[UNIT_PATH_MAX + 32];
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "%s/%s", path, file);
	fd = openat(units->root_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, size);
	close(fd);
	return n > 0 ? (size_t)n : 0;
}

/* When the folder was made, on the clock that now_ms is of. */
static u64 made_ms(const struct stat *st, u64 now_ms)
{
	struct timespec wall;
	s64 age;

	clock_gettime(CLOCK_REALTIME, &wall);
	age = (wall.tv_sec - st->st_mtim.tv_sec) * 1000 +
	      (wall.tv_nsec - st->st_mtim.tv_nsec) / 1000000;
	return age > 0 && (u64)age < now_ms ? now_ms - (u64)age : now_ms;
}

static void found(struct units *units, const char *path, u64 now_ms)
{
	struct unit *u;
	struct stat st;

	for (u32 i = 0; i < units->count; i++) {
		if (strcmp(units->u[i].path, path) == 0) {
			units->u[i].listed = true;
			return;
		}
	}
	if (units->count == UNITS_MAX || fstatat(units->root_fd, path, &st, 0) != 0) {
		units->lost++;
		return;
	}
	u = &units->u[units->count++];
	*u = (struct unit){.listed = true, .start_ms = made_ms(&st, now_ms)};
	snprintf(u->path, sizeof(u->path), "%s", path);
}

/* Looks into one folder; slices in it are added to those that wait. */
static void list_folder(struct units *units, char folders[FOLDERS_MAX][UNIT_PATH_MAX], u32 at,
			u32 *count, u64 now_ms)
{
	int fd = openat(units->root_fd, folders[at], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		char path[UNIT_PATH_MAX];
		const char *sep = folders[at][0] == '.' ? "" : "/";

		if (e->d_type != DT_DIR || e->d_name[0] == '.' ||
		    (size_t)snprintf(path, sizeof(path), "%s%s%s", *sep ? folders[at] : "", sep,
				     e->d_name) >= sizeof(path))
			continue;
		if (cgroup_is_unit(e->d_name))
			found(units, path, now_ms);
		else if (*count < FOLDERS_MAX)
			memcpy(folders[(*count)++], path, sizeof(path));
	}
	if (dir != NULL)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

static void list(struct units *units, u64 now_ms)
{
	char folders[FOLDERS_MAX][UNIT_PATH_MAX] = {"."};
	u32 count = 1;

	for (u32 i = 0; i < units->count; i++)
		units->u[i].listed = false;
	units->lost = 0;
	for (u32 at = 0; at < count; at++)
		list_folder(units, folders, at, &count, now_ms);
	for (u32 i = 0; i < units->count;) {
		if (units->u[i].listed)
			i++;
		else
			units->u[i] = units->u[--units->count];
	}
	units->listed_ms = now_ms;
}

void cgroup_scan(struct units *units, u64 now_ms)
{
	char text[64];

	if (units->root_fd < 0)
		return;
	if (units->count == 0 || now_ms - units->listed_ms >= LIST_MS)
		list(units, now_ms);
	for (u32 i = 0; i < units->count; i++) {
		size_t n = read_at(units, units->u[i].path, "memory.current", text, sizeof(text));

		if (!cgroup_number(text, n, &units->u[i].bytes))
			units->u[i].bytes = 0;
	}
}

u32 cgroup_runs(const struct units *units, struct run *runs, u32 count, u32 max)
{
	for (u32 i = 0; i < units->count && count < max; i++) {
		const struct unit *u = &units->u[i];
		const char *slash = strrchr(u->path, '/');
		struct run *r = &runs[count];

		if (u->bytes == 0)
			continue;
		*r = (struct run){.kind = RUN_UNIT, .start_ms = u->start_ms, .bytes = u->bytes};
		snprintf(r->name, sizeof(r->name), "%.31s", slash != NULL ? slash + 1 : u->path);
		for (char *p = r->name; *p != '\0'; p++)
			*p = *p > ' ' && *p <= '~' ? *p : '_';
		count++;
	}
	return count;
}

void cgroup_cold(struct units *units)
{
	char text[4096];

	for (u32 i = 0; i < units->count; i++) {
		size_t n = read_at(units, units->u[i].path, "memory.stat", text, sizeof(text));

		if (!cgroup_stat(text, n, "inactive_file", &units->u[i].cold))
			units->u[i].cold = 0;
	}
}

int cgroup_reclaim(const struct units *units, const struct unit *unit, u64 bytes)
{
	char name[UNIT_PATH_MAX + 32], text[32];
	int fd, n = snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes), rc = 0;

	snprintf(name, sizeof(name), "%s/memory.reclaim", unit->path);
	fd = openat(units->root_fd, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)n) < 0)
		rc = -errno;
	close(fd);
	return rc;
}
