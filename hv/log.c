/* SPDX-License-Identifier: MIT */
/*
 * The log: a ring of whole lines in memory, and every console as a sink. Until log_init_ring() the
 * ring is a small static one. Afterwards it lies in memory that a warm reset leaves alone, behind a
 * header that the next boot checks field by field, since after power-on it reads random bits.
 */
#include "guard.h"

#include <tern/arch.h>
#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>

#define EARLY_SIZE     8192u
#define RING_MAGIC     0x474f4c4eu /* "NLOG" */
#define RING_VERSION   1u
#define RING_BOOTS_MAX 1000000u /* more boots than memory survives: the header is garbage */

/* One cache line: it reaches memory as a whole, also when a reset comes without log_flush(). */
struct ring_header {
	u32 magic;
	u32 version;
	u32 size;       /* bytes of text after the header */
	u32 boot_count; /* boots in a row that found a valid header, from 1 */
	u32 head;       /* offset where the next line goes */
	u32 tail;       /* offset of the oldest line; equal to head: empty */
	u32 lost;       /* lines overwritten, sticks at its maximum */
	u32 crc;        /* CRC-32 of the fields before */
	u8 pad[32];
};
_Static_assert(sizeof(struct ring_header) == 64, "one cache line");

/* l: all below */
static struct guard guard = {.lock = SPINLOCK_INIT(RANK_LOG, "log")};
static struct ring_header early_header;
static char early_text[EARLY_SIZE];

/*
 * The ring in use. Positions count bytes since boot and never wrap: position p lies at offset
 * p % size. Only these are trusted; the header in memory is a copy for the next boot.
 */
static struct ring_header *header = &early_header;
static char *ring_text = early_text;
static u32 ring_size = EARLY_SIZE;
static u64 ring_head, ring_tail;
static u64 overwritten;
static u64 refused; /* (a) */
static u32 boot_count = 1;
static const char *previous; /* (c) once set: lines, each ended by '\n' */
static size_t previous_len;
static enum log_level console_level = LOG_INFO; /* (a) */

static const char level_letters[] = "EW D";

static u32 header_crc(const struct ring_header *h)
{
	return crc32(h, offsetof(struct ring_header, crc));
}

static void header_update(void)
{
	struct ring_header *h = header;

	h->magic = RING_MAGIC;
	h->version = RING_VERSION;
	h->size = ring_size;
	h->boot_count = boot_count;
	h->head = (u32)(ring_head % ring_size);
	h->tail = (u32)(ring_tail % ring_size);
	h->lost = overwritten < UINT32_MAX ? (u32)overwritten : UINT32_MAX;
	h->crc = header_crc(h);
}

static char ring_at(u64 pos)
{
	return ring_text[pos % ring_size];
}

/* Stores text and a newline; drops as many of the oldest lines as that needs. Log lock held. */
static void ring_add(const char *text, size_t n)
{
	/* One byte stays free, so that head == tail means empty in the header. */
	while (ring_head - ring_tail + n + 1 > ring_size - 1) {
		while (ring_tail != ring_head && ring_at(ring_tail) != '\n')
			ring_tail++;
		if (ring_tail == ring_head)
			break;
		ring_tail++;
		overwritten++;
	}
	for (size_t i = 0; i <= n; i++)
		ring_text[(ring_head + i) % ring_size] = i < n ? text[i] : '\n';
	ring_head += n + 1;
	header_update();
}

/* Writes "[    0.012345] " and the level's letter. Returns the length. */
static size_t stamp(char *buf, size_t size, enum log_level level)
{
	u64 hz = arch_tsc_hz();
	u64 now = hz != 0 ? arch_tsc() : 0;
	u64 sec = hz != 0 ? now / hz : 0;
	/* Below hz * 10^6: no overflow for any TSC slower than 18 THz. */
	u64 usec = hz != 0 ? now % hz * 1000000 / hz : 0;
	int n = fmt_str(buf, size, "[%5llu.%06llu] ", (unsigned long long)sec,
			(unsigned long long)usec);

	if (level != LOG_INFO)
		n += fmt_str(buf + n, size - (size_t)n, "%c ", level_letters[level]);
	return (size_t)n;
}

/* What firmware and loaders name things must not drive the operator's terminal. */
static char printable(char c)
{
	return c >= ' ' && c <= '~' ? c : '?';
}

static size_t make_line(char *line, size_t size, enum log_level level, const char *fmt, va_list ap)
{
	static const char cut[] = "...";
	size_t begin = stamp(line, size, level);
	size_t n = begin + (size_t)fmt_vstr(line + begin, size - begin, fmt, ap);

	if (n >= size) {
		n = size - 1;
		memcpy(line + size - sizeof(cut), cut, sizeof(cut));
	}
	for (size_t i = begin; i < n; i++)
		line[i] = printable(line[i]);
	return n;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX + 1];
	struct guard_token t;
	va_list ap;
	size_t n;

	/* An NMI in the middle of console_write(): its lock ranks above the log's. */
	if (console_busy() || !guard_enter(&guard, &t)) {
		__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
		return;
	}
	/* The time is taken inside the lock, so that it rises from line to line. */
	va_start(ap, fmt);
	n = make_line(line, LOG_LINE_MAX, level, fmt, ap);
	va_end(ap);
	ring_add(line, n);
	if (level <= __atomic_load_n(&console_level, __ATOMIC_RELAXED)) {
		line[n] = '\n';
		console_write_log(line, n + 1);
	}
	guard_leave(&guard, &t);
}

void log_piece(const char *text, size_t n)
{
	static char line[LOG_LINE_MAX];
	static size_t len;
	struct guard_token t;

	if (console_busy() || !guard_enter(&guard, &t)) {
		__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n') {
			ring_add(line, len);
			len = 0;
		} else if (len < sizeof(line) - 1) {
			line[len++] = printable(text[i]);
		}
	}
	console_write_log(text, n);
	guard_leave(&guard, &t);
}

void log_piecef(const char *fmt, ...)
{
	char buf[160];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = fmt_vstr(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	log_piece(buf, (size_t)min_u64((u64)n, sizeof(buf) - 1));
}

void log_set_console_level(enum log_level level)
{
	__atomic_store_n(&console_level, level, __ATOMIC_RELAXED);
}

enum log_level log_line_level(const char *text)
{
	const char *end = strchr(text, ']');

	if (end == NULL || end[1] != ' ' || end[2] == '\0' || end[3] != ' ')
		return LOG_INFO;
	for (u32 i = LOG_ERR; i <= LOG_DEBUG; i++) {
		if (i != LOG_INFO && level_letters[i] == end[2])
			return (enum log_level)i;
	}
	return LOG_INFO;
}

bool log_line_shown(const char *text)
{
	return log_line_level(text) <= __atomic_load_n(&console_level, __ATOMIC_RELAXED);
}

/* True when every field of a header found in memory is one that header_update() writes. */
static bool header_valid(const struct ring_header *h, u32 size)
{
	return h->magic == RING_MAGIC && h->version == RING_VERSION && h->size == size &&
	       h->boot_count != 0 && h->boot_count < RING_BOOTS_MAX && h->head < size &&
	       h->tail < size && h->crc == header_crc(h);
}

/*
 * Copies the text of the boot before into prev, without its oldest lines when it does not fit. The
 * header is valid, the text may still be anything: memory loses bits when the power goes.
 */
static void save_previous(const struct ring_header *h, const char *text, char *prev, size_t size)
{
	size_t len = (h->head + h->size - h->tail) % h->size;
	u64 gone = h->lost;
	const size_t note_max = 64; /* a first line that tells how many are missing */
	size_t skip = 0, n = 0;

	if (size < note_max + 1)
		return;
	while (len - skip > size - note_max - 1) {
		while (skip < len && text[(h->tail + skip) % h->size] != '\n')
			skip++;
		skip += skip < len;
		gone++;
	}
	if (gone != 0)
		n = (size_t)fmt_str(prev, size, "(%llu older lines were overwritten)\n",
				    (unsigned long long)gone);
	for (; skip < len; skip++) {
		char c = text[(h->tail + skip) % h->size];

		prev[n++] = c == '\n' ? c : printable(c);
	}
	if (n != 0 && prev[n - 1] != '\n')
		prev[n++] = '\n';
	previous = prev;
	previous_len = n;
}

void log_init_ring(void *ring, size_t len, char *prev, size_t prev_size)
{
	u64 pos = ring_tail, end = ring_head;
	struct ring_header found;
	struct guard_token t;
	u32 size;

	ASSERT(len >= sizeof(struct ring_header) + EARLY_SIZE && len < UINT32_MAX);
	ASSERT(header == &early_header);
	size = (u32)(len - sizeof(struct ring_header));
	if (!guard_enter(&guard, &t))
		return;
	memcpy(&found, ring, sizeof(found));
	if (header_valid(&found, size)) {
		save_previous(&found, (const char *)ring + sizeof(found), prev, prev_size);
		boot_count = found.boot_count + 1;
	}
	header = ring;
	memset(header, 0, sizeof(*header));
	ring_text = (char *)ring + sizeof(*header);
	ring_size = size;
	ring_head = 0;
	ring_tail = 0;
	/* Not shorter than the early ring: nothing is lost on the way. */
	for (; pos < end; pos++)
		ring_text[ring_head++] = early_text[pos % EARLY_SIZE];
	header_update();
	guard_leave(&guard, &t);
}

/* Copies the line at *pos and moves *pos behind it. False: *pos has reached end. */
static bool ring_line(u64 *pos, u64 end, char *line, size_t size)
{
	struct guard_token t;
	size_t n = 0;

	if (!guard_enter(&guard, &t))
		return false;
	if (*pos < ring_tail)
		*pos = ring_tail; /* overwritten since the last call, and counted */
	if (*pos >= end) {
		guard_leave(&guard, &t);
		return false;
	}
	for (; *pos < ring_head && ring_at(*pos) != '\n'; (*pos)++) {
		if (n + 1 < size)
			line[n++] = ring_at(*pos);
	}
	(*pos)++;
	line[n] = '\0';
	guard_leave(&guard, &t);
	return true;
}

void log_current(log_line_fn *line, void *arg)
{
	char text[LOG_LINE_MAX + 1];
	u64 pos = 0, end;
	struct guard_token t;

	if (!guard_enter(&guard, &t))
		return;
	/* What is written while this runs, perhaps by line() itself, is left for the next time. */
	end = ring_head;
	guard_leave(&guard, &t);
	while (ring_line(&pos, end, text, sizeof(text)))
		line(text, arg);
}

bool log_previous(log_line_fn *line, void *arg)
{
	char text[LOG_LINE_MAX + 1];
	size_t n = 0;

	if (previous == NULL)
		return false;
	for (size_t i = 0; i < previous_len; i++) {
		if (previous[i] == '\n') {
			text[n] = '\0';
			line(text, arg);
			n = 0;
		} else if (n < LOG_LINE_MAX) {
			text[n++] = previous[i];
		}
	}
	return true;
}

u64 log_lost(void)
{
	return __atomic_load_n(&overwritten, __ATOMIC_RELAXED) +
	       __atomic_load_n(&refused, __ATOMIC_RELAXED);
}

u32 log_boot_count(void)
{
	return boot_count;
}

void log_flush(void)
{
	arch_cache_flush();
}
