/* SPDX-License-Identifier: MIT */
/* links: guest-tools/agent/sample.c guest-tools/agent/text.c guest-tools/agent/process.c guest-tools/agent/cgroup.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <guest-tools/agent/cgroup.h>
#include <guest-tools/agent/process.h>
#include <guest-tools/agent/sample.h>
#include <tern/types.h>

/* A copy without a NUL, so that a parser that reads past its end is seen. */
#define PARSE(function, text, ...)                  \
	({                                          \
		size_t n_ = strlen(text);           \
		char *p_ = malloc(n_ + 1);          \
		bool r_;                            \
		assert_non_null(p_);                \
		memcpy(p_, text, n_);               \
		p_ = realloc(p_, n_ > 0 ? n_ : 1);  \
		r_ = function(p_, n_, __VA_ARGS__); \
		free(p_);                           \
		r_;                                 \
	})

static const char meminfo[] = "MemTotal:        2030464 kB\nMemFree:          512000 kB\n"
			      "MemAvailable:    1500000 kB\nBuffers:           10000 kB\n"
			      "Cached:           800000 kB\nSwapCached:            0 kB\n"
			      "Inactive(file):   300000 kB\nSwapTotal:        100000 kB\n"
			      "SwapFree:          99000 kB\nAnonPages:        200000 kB\n"
			      "HugePages_Total:       0\n";

static void meminfo_is_read(void **state)
{
	struct meminfo m;

	(void)state;
	assert_true(PARSE(sample_meminfo, meminfo, &m));
	assert_int_equal(m.total, 2030464ull << 10);
	assert_int_equal(m.free, 512000ull << 10);
	assert_int_equal(m.available, 1500000ull << 10);
	assert_int_equal(m.cached, 800000ull << 10);
	assert_int_equal(m.anon, 200000ull << 10);
	assert_int_equal(m.inactive_file, 300000ull << 10);
	assert_int_equal(m.swap_total - m.swap_free, 1000ull << 10);
}

static void meminfo_that_makes_no_sense_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"MemTotal: 100 kB",                    /* the line does not end */
		"MemTotal: 100 kB\nMemFree: 101 kB\n", /* more free than there is */
		"MemTotal: x kB\n",
		"MemTotal: -1 kB\n",
		"MemTotal: 99999999999999999999 kB\n",
		"MemTotal: 18014398509481984 kB\n",
		"MemTotal: 100 kB\n\n",
		"MemTotal: 100 kB\nCached: 90 kB\nBuffers: 20 kB\n",
		"MemTotal: 100 kB\nSwapTotal: 1 kB\nSwapFree: 2 kB\n",
	};
	struct meminfo m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(PARSE(sample_meminfo, bad[i], &m));
}

static void refaults_are_summed(void **state)
{
	u64 v;

	(void)state;
	assert_true(PARSE(sample_vmstat,
			  "nr_free_pages 5\nworkingset_refault_anon 7\nworkingset_refault_file 8\n",
			  &v));
	assert_int_equal(v, 15);
	assert_true(PARSE(sample_vmstat, "nr_free_pages 5\n", &v));
	assert_int_equal(v, 0);
	assert_false(PARSE(sample_vmstat, "workingset_refault_anon\n", &v));
	assert_false(PARSE(sample_vmstat,
			   "workingset_refault_a 18446744073709551615\nworkingset_refault_b 1\n",
			   &v));
}

static void pressure_is_read(void **state)
{
	struct psi p;

	(void)state;
	assert_true(PARSE(sample_psi,
			  "some avg10=0.12 avg60=0.00 avg300=0.00 total=123456\n"
			  "full avg10=0.00 avg60=0.00 avg300=0.00 total=42\n",
			  &p));
	assert_int_equal(p.some, 123456);
	assert_int_equal(p.full, 42);
	assert_true(PARSE(sample_psi, "some avg10=0.12 total=9\n", &p));
	assert_int_equal(p.full, 0);
	assert_false(PARSE(sample_psi, "", &p));
	assert_false(PARSE(sample_psi, "most avg10=0.12 total=9\n", &p));
	assert_false(PARSE(sample_psi, "some total=9x\n", &p));
}

static void cpu_disks_and_net_are_read(void **state)
{
	struct cpu_times c;
	struct io_bytes b;

	(void)state;
	assert_true(PARSE(sample_cpu,
			  "cpu  10 1 5 100 20 0 2 3 7 0\ncpu0 5 0 2 50 10 0 1 1 0 0\n"
			  "cpu1 5 1 3 50 10 0 1 2 7 0\nintr 12345 0 0\n",
			  &c));
	assert_int_equal(c.cpus, 2);
	assert_int_equal(c.busy, 10 + 1 + 5 + 2 + 3);
	assert_int_equal(c.all, c.busy + 120);
	assert_false(PARSE(sample_cpu, "cpu \n", &c));
	assert_true(PARSE(sample_disks,
			  " 254 0 vda 10 0 100 5 20 0 200 6 0 9 9\n"
			  " 254 1 vda1 10 0 100 5 20 0 200 6 0 9 9\n"
			  " 259 0 nvme0n1 1 0 1 5 2 0 2 6 0 9 9\n"
			  " 259 1 nvme0n1p1 1 0 1 5 2 0 2 6 0 9 9\n"
			  "   7 0 loop0 10 0 100 5 20 0 200 6 0 9 9\n"
			  " 252 0 dm-0 10 0 100 5 20 0 200 6 0 9 9\n",
			  &b));
	assert_int_equal(b.in, 101 * 512);
	assert_int_equal(b.out, 202 * 512);
	assert_false(PARSE(sample_disks, " 254 0 vda 10 0\n", &b));
	assert_true(PARSE(sample_net,
			  "Inter-|   Receive\n face |bytes\n"
			  "    lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n"
			  "  eth0:1000 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n",
			  &b));
	assert_int_equal(b.in, 1000);
	assert_int_equal(b.out, 500);
	assert_false(PARSE(sample_net, "a\nb\neth0 1 2 3\n", &b));
}

static void rates_are_of_the_interval(void **state)
{
	struct counters a = {.time_ns = 1000000000, .mem.total = 1 << 20};
	struct counters b = a;
	struct agent_sample s;

	(void)state;
	b.time_ns += 2000000000;
	b.psi_mem.some = 1000000; /* half of two seconds */
	b.cpu = (struct cpu_times){.busy = 150, .all = 200, .cpus = 2};
	a.cpu = (struct cpu_times){.busy = 100, .all = 100, .cpus = 2};
	b.disk.in = 4096;
	a.net.in = 100; /* the counter began again */
	sample_make(&a, &b, &s);
	assert_int_equal(s.interval_ms, 2000);
	assert_int_equal(s.psi_mem_some, 500);
	assert_int_equal(s.cpu, 500);
	assert_int_equal(s.disk_read, 2048);
	assert_int_equal(s.net_rx, 0);
	sample_make(&b, &b, &s);
	assert_int_equal(s.interval_ms, 1);
	assert_int_equal(s.cpu, 0);
	assert_int_equal(s.head.bytes, 0);
}

#define STAT_REST \
	" 4194560 100 0 0 0 5 5 0 0 20 0 1 0 4711 10000000 2500 18446744073709551615 1 1 0 0 0\n"

static void processes_are_read(void **state)
{
	struct proc_stat p;

	(void)state;
	assert_true(PARSE(process_parse, "812 (cc1) S 800 790 790 0 -1" STAT_REST, &p));
	assert_int_equal(p.pid, 812);
	assert_int_equal(p.ppid, 800);
	assert_int_equal(p.pgrp, 790);
	assert_int_equal(p.start_ticks, 4711);
	assert_int_equal(p.rss_pages, 2500);
	assert_string_equal(p.name, "cc1");
	assert_false(p.kernel_thread);
	/* A process may call itself what it likes. */
	assert_true(PARSE(process_parse, "812 (a) R 1 (\x01 b)) S 2 0 0 0 -1" STAT_REST, &p));
	assert_string_equal(p.name, "a)_R_1_(__b)");
	assert_true(p.kernel_thread);
	assert_false(PARSE(process_parse, "812 (cc1 S 800 790 790 0 -1" STAT_REST, &p));
	assert_false(PARSE(process_parse, "0 (x) S 800 790 790 0 -1" STAT_REST, &p));
	assert_false(PARSE(process_parse, "812 (cc1) S 800 790", &p));
	assert_false(PARSE(process_parse, "812 )cc1( S 800 790 790 0 -1" STAT_REST, &p));
}

static bool none_known(const char *name, void *arg)
{
	(void)arg;
	return strcmp(name, "small") == 0;
}

static void add(struct processes *all, s32 pid, s32 pgrp, const char *name, u64 mib)
{
	struct process *p = &all->p[all->count++];

	*p = (struct process){.s = {.pid = pid,
				    .ppid = 1,
				    .pgrp = pgrp,
				    .rss_pages = mib * 256,
				    .start_ticks = (u64)pid}};
	strcpy(p->s.name, name);
}

static void groups_of_processes_are_runs(void **state)
{
	static struct processes all;
	struct run runs[2];

	(void)state;
	all.count = 0;
	add(&all, 10, 10, "make", 5);
	add(&all, 11, 10, "cc1", 100);
	add(&all, 12, 12, "tiny", 3);
	add(&all, 13, 10, "cc1", 50);
	add(&all, 14, 14, "small", 1);
	assert_int_equal(process_runs(&all, runs, 2, none_known, NULL), 2);
	assert_string_equal(runs[0].name, "make");
	assert_int_equal(runs[0].bytes, 155ull << 20);
	assert_int_equal(runs[0].kind, RUN_EXE);
	assert_string_equal(runs[1].name, "small");
	/* With room for two the two greatest stay. */
	add(&all, 15, 15, "big", 900);
	assert_int_equal(process_runs(&all, runs, 2, none_known, NULL), 2);
	assert_string_equal(runs[1].name, "big");
}

static void cgroup_files_are_read(void **state)
{
	u64 v;

	(void)state;
	assert_true(PARSE(cgroup_number, "123456\n", &v));
	assert_int_equal(v, 123456);
	assert_false(PARSE(cgroup_number, "max\n", &v));
	assert_true(PARSE(cgroup_stat, "anon 1\ninactive_file 77\nactive_file 3\n", "inactive_file",
			  &v));
	assert_int_equal(v, 77);
	assert_false(PARSE(cgroup_stat, "anon 1\n", "inactive_file", &v));
	assert_true(cgroup_is_unit("nginx.service"));
	assert_true(cgroup_is_unit("session-1.scope"));
	assert_false(cgroup_is_unit("system.slice"));
	assert_false(cgroup_is_unit(".service"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(meminfo_is_read),
		cmocka_unit_test(meminfo_that_makes_no_sense_is_refused),
		cmocka_unit_test(refaults_are_summed),
		cmocka_unit_test(pressure_is_read),
		cmocka_unit_test(cpu_disks_and_net_are_read),
		cmocka_unit_test(rates_are_of_the_interval),
		cmocka_unit_test(processes_are_read),
		cmocka_unit_test(groups_of_processes_are_runs),
		cmocka_unit_test(cgroup_files_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
