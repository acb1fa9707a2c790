/* SPDX-License-Identifier: MIT */
/* links: hv/console.c hv/lock.c hv/lib/str.c hv/lib/fmt.c tests/fake/fake_host.c */
/*
 * What the log of one boot tells the next. A boot is a fresh hv/log.c, so this file includes it and
 * sets its state back.
 */
#include "hv/log.c"
#include "tests/fake/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RING_SIZE (64u << 10)

static char memory[RING_SIZE] __attribute__((aligned(64)));
static char prev[RING_SIZE];
static char lines[256 * 1024];
static size_t lines_len;
static u32 line_count;

static void collect(const char *text, void *arg)
{
	(void)arg;
	assert_true(strlen(text) <= LOG_LINE_MAX);
	for (const char *p = text; *p != '\0'; p++)
		assert_in_range((u8)*p, ' ', '~');
	lines_len += (size_t)snprintf(lines + lines_len, sizeof(lines) - lines_len, "%s\n", text);
	line_count++;
}

static void boot_with(size_t prev_size)
{
	header = &early_header;
	ring_text = early_text;
	ring_size = EARLY_SIZE;
	ring_head = 0;
	ring_tail = 0;
	overwritten = 0;
	boot_count = 1;
	previous = NULL;
	previous_len = 0;
	log_info("hello");
	log_init_ring(memory, sizeof(memory), prev, prev_size);
}

static bool read_previous(void)
{
	lines_len = 0;
	line_count = 0;
	lines[0] = '\0';
	return log_previous(collect, NULL);
}

static int reset(void **state)
{
	(void)state;
	fake_reset();
	memset(memory, 0, sizeof(memory));
	boot_with(sizeof(prev));
	return 0;
}

static void test_previous_boot(void **state)
{
	(void)state;
	assert_false(read_previous());
	log_info("first boot");
	log_err("it died");
	boot_with(sizeof(prev));
	assert_int_equal(log_boot_count(), 2);
	assert_true(read_previous());
	assert_int_equal(line_count, 3);
	assert_non_null(strstr(lines, "] hello\n"));
	assert_non_null(strstr(lines, "] first boot\n"));
	assert_non_null(strstr(lines, "] E it died\n"));
	boot_with(sizeof(prev));
	assert_int_equal(log_boot_count(), 3);
	assert_true(read_previous());
	assert_int_equal(line_count, 1);
}

static void test_previous_wrapped_and_small_copy(void **state)
{
	static const size_t sizes[] = {0, 1, 64, 65, 66, 100, 200, 4096, RING_SIZE};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int k = 0; k < 5000; k++)
			log_info("line %d of round %u", k, i);
		memset(prev, 0, sizeof(prev));
		boot_with(sizes[i]);
		assert_int_equal(prev[sizes[i] < RING_SIZE ? sizes[i] : 0] == '\0' ||
					 sizes[i] == RING_SIZE,
				 1);
		if (!read_previous())
			continue;
		if (sizes[i] >= 4096)
			assert_non_null(strstr(lines, "line 4999 of round"));
		assert_memory_equal(lines, "(", 1);
		assert_non_null(strstr(lines, " older lines were overwritten)\n"));
	}
}

static void test_every_header_bit_matters(void **state)
{
	(void)state;
	log_info("first boot");
	for (u32 bit = 0; bit < offsetof(struct ring_header, pad) * 8; bit++) {
		memory[bit / 8] = (char)(memory[bit / 8] ^ 1 << bit % 8);
		boot_with(sizeof(prev));
		assert_false(read_previous());
		assert_int_equal(log_boot_count(), 1);
		log_info("again");
	}
}

/* A header with a right checksum and wild fields: made by hand, or by another version. */
static void test_wild_fields_with_right_crc(void **state)
{
	static const u32 wild[] = {0, 1, RING_SIZE - 65, RING_SIZE - 64, RING_SIZE, UINT32_MAX};
	struct ring_header *h = (struct ring_header *)(void *)memory;

	(void)state;
	for (u32 field = 0; field < 7; field++) {
		for (u32 i = 0; i < ARRAY_SIZE(wild); i++) {
			boot_with(sizeof(prev));
			memset(memory + sizeof(*h), 'x', sizeof(memory) - sizeof(*h));
			memcpy(memory + field * sizeof(u32), &wild[i], sizeof(u32));
			h->crc = header_crc(h);
			boot_with(sizeof(prev));
			read_previous();
		}
	}
}

/* A valid header before text that lost its bits: read safely, shown harmlessly. */
static void test_text_is_not_trusted(void **state)
{
	struct ring_header *h = (struct ring_header *)(void *)memory;

	(void)state;
	srandom(7);
	for (u32 round = 0; round < 50; round++) {
		for (u32 i = sizeof(*h); i < sizeof(memory); i++)
			memory[i] = (char)random();
		h->head = (u32)random() % h->size;
		h->tail = (u32)random() % h->size;
		h->crc = header_crc(h);
		boot_with(sizeof(prev));
		assert_true(read_previous());
	}
}

static void test_panic_breaks_the_lock(void **state)
{
	struct guard_token t;

	(void)state;
	assert_true(guard_enter(&guard, &t)); /* the panic came while the log was being written */
	console_panic();
	log_err("panic text");
	lines_len = 0;
	log_current(collect, NULL);
	assert_non_null(strstr(lines, "panic text"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_previous_boot, reset),
		cmocka_unit_test_setup(test_previous_wrapped_and_small_copy, reset),
		cmocka_unit_test_setup(test_every_header_bit_matters, reset),
		cmocka_unit_test_setup(test_wild_fields_with_right_crc, reset),
		cmocka_unit_test_setup(test_text_is_not_trusted, reset),
		cmocka_unit_test_setup(test_panic_breaks_the_lock,
				       reset), /* the last: no way back */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
