/* SPDX-License-Identifier: MIT */
/* links: guest-tools/agent/conf.c guest-tools/agent/hint.c guest-tools/agent/link.c guest-tools/agent/notice.c guest-tools/agent/reclaim.c guest-tools/agent/cgroup.c guest-tools/agent/text.c guest-tools/agent/predict_hint.c guest-tools/hint/duration.c hv/lib/toml.c hv/lib/str.c hv/lib/fmt.c */
/* libs: -lpthread */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include <guest-tools/agent/conf.h>
#include <guest-tools/agent/hint.h>
#include <guest-tools/agent/link.h>
#include <guest-tools/agent/notice.h>
#include <guest-tools/agent/reclaim.h>
#include <guest-tools/hint/duration.h>
#include <guest-tools/hint/hint_proto.h>
#include <tern/types.h>

static struct conf c;
static struct conf_error e;

static int parse(const char *text)
{
	return conf_parse(&c, text, strlen(text), &e);
}

static void a_configuration_is_read(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_int_equal(c.interval_s, 1);
	assert_true(c.gentle && c.profiles && c.user_hints);
	assert_int_equal(
		parse("[sample]\ninterval = \"2s\"\ninterval_max = \"10s\"\n"
		      "[forecast]\nhorizon = \"2m\"\nmin = \"256MiB\"\nprofiles = false\n"
		      "[reclaim]\ngentle = false\nkeep = \"1GiB\"\npsi_limit = 50\n"
		      "[hints]\nusers = false\nmax = \"2GiB\"\n"
		      "[hint.nightly]\nunit = \"backup.service\"\nneed = \"600MiB\"\nfor = \"1h\"\n"
		      "[hint.b]\nexe = \"pg_restore\"\nneed = \"1GiB\"\nfor = \"90\"\n"),
		0);
	assert_int_equal(c.interval_s, 2);
	assert_int_equal(c.horizon_s, 120);
	assert_int_equal(c.min, MiB(256));
	assert_int_equal(c.psi_limit, 50);
	assert_int_equal(c.hint_max, GiB(2));
	assert_false(c.profiles || c.gentle || c.user_hints);
	assert_int_equal(c.hint_count, 2);
	assert_int_equal(c.hint[0].kind, RUN_UNIT);
	assert_string_equal(c.hint[0].name, "backup.service");
	assert_int_equal(c.hint[0].seconds, 3600);
	assert_int_equal(c.hint[1].kind, RUN_EXE);
	assert_string_equal(c.hint[1].label, "b");
}

static void a_wrong_configuration_names_the_place(void **state)
{
	static const struct {
		const char *text;
		u32 line, col;
		const char *words;
	} rows[] = {
		{"[sampel]\n", 1, 2, "unknown table"},
		{"[sample]\ninterwal = \"1s\"\n", 2, 1, "unknown key sample.interwal"},
		{"x = 1\n", 1, 1, "unknown key x"},
		{"[sample]\ninterval = 5\n", 2, 12, "a time such as"},
		{"[forecast]\nmin = \"much\"\n", 2, 7, "a size such as"},
		{"[reclaim]\npsi_limit = 1001\n", 2, 13, "0 to 1000"},
		{"[reclaim]\ngentle = \"yes\"\n", 2, 10, "true or false"},
		{"[hint.a]\nexe = \"x\"\nunit = \"y\"\n", 3, 1, "not both"},
		{"[hint.a]\nexe = \"\"\n", 2, 7, "a name"},
		{"[hint.a.b]\n", 1, 2, "[hint.NAME]"},
		{"[hint.a]\nexe = \"x\"\nneed = \"1MiB\"\n", 0, 0, "lacks"},
		{"[sample]\ninterval_max = \"60s\"\n", 0, 0, "silent"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(parse(rows[i].text), -EINVAL);
		assert_int_equal(e.line, rows[i].line);
		assert_int_equal(e.col, rows[i].col);
		assert_non_null(strstr(e.text, rows[i].words));
	}
}

static void times_are_read(void **state)
{
	u32 s = 7;

	(void)state;
	assert_int_equal(duration_parse("90", &s), 0);
	assert_int_equal(s, 90);
	assert_int_equal(duration_parse("2m", &s), 0);
	assert_int_equal(s, 120);
	assert_int_equal(duration_parse("1d", &s), 0);
	assert_int_equal(s, 86400);
	assert_int_equal(duration_parse("", &s), -EINVAL);
	assert_int_equal(duration_parse("m", &s), -EINVAL);
	assert_int_equal(duration_parse("2mm", &s), -EINVAL);
	assert_int_equal(duration_parse("-2", &s), -EINVAL);
	assert_int_equal(duration_parse("0s", &s), -ERANGE);
	assert_int_equal(duration_parse("4294967296", &s), -ERANGE);
	assert_int_equal(duration_parse("4294967295d", &s), -ERANGE);
	assert_int_equal(s, 86400);
}

static void packets_of_hints_are_checked(void **state)
{
	static struct hint_state s;
	struct observation o = {.now_ms = 1000, .used = MiB(100), .advertised = GiB(1)};
	struct hint_request r = {.version = HINT_VERSION, .seconds = 60, .bytes = MiB(500)};
	struct hint_peer user = {.pid = 42, .uid = 1000}, root = {.pid = 43};

	(void)state;
	s.count = 0;
	conf_default(&c);
	assert_int_equal(hint_apply(&s, &r, sizeof(r) - 1, &user, &c, &o), -EINVAL);
	assert_int_equal(hint_apply(&s, &r, sizeof(r) + 1, &user, &c, &o), -EINVAL);
	r.version = 2;
	assert_int_equal(hint_apply(&s, &r, sizeof(r), &user, &c, &o), -EINVAL);
	r.version = HINT_VERSION;
	assert_int_equal(hint_apply(&s, &r, sizeof(r), &user, &c, &o), 0);
	assert_int_equal(s.h[0].bytes, MiB(500));
	c.hint_max = MiB(50);
	assert_int_equal(hint_apply(&s, &r, sizeof(r), &user, &c, &o), 0);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.h[0].bytes, MiB(50));
	assert_int_equal(hint_apply(&s, &r, sizeof(r), &root, &c, &o), 0);
	assert_int_equal(s.h[1].bytes, MiB(500));
	c.user_hints = false;
	assert_int_equal(hint_apply(&s, &r, sizeof(r), &user, &c, &o), -EACCES);
	r = (struct hint_request){.version = HINT_VERSION};
	assert_int_equal(hint_apply(&s, &r, sizeof(r), &root, &c, &o), 0);
	assert_int_equal(s.count, 1);
}

static void cold_memory_is_given_back_gently(void **state)
{
	struct reclaim r = {0};
	struct reclaim_view v = {
		.now_ms = 5000, .used = GiB(1), .cache = MiB(640), .inactive = MiB(320)};

	(void)state;
	conf_default(&c);
	assert_int_equal(reclaim_gentle(&r, &v, &c), 0); /* the first only looks */
	v.now_ms += 10000;
	assert_int_equal(reclaim_gentle(&r, &v, &c), MiB(5));
	assert_int_equal(reclaim_gentle(&r, &v, &c), 0); /* not twice */
	/* Somebody waited for memory: pauses that double, up to their limit. */
	v.psi_some = c.psi_limit + 1;
	for (u32 i = 0; i < 8; i++) {
		v.now_ms = r.next_ms;
		assert_int_equal(reclaim_gentle(&r, &v, &c), 0);
	}
	assert_int_equal(r.pause_ms, 320000);
	v.psi_some = 0;
	v.refaults = 1000; /* what was taken came back */
	v.now_ms = r.next_ms;
	assert_int_equal(reclaim_gentle(&r, &v, &c), 0);
	v.now_ms = r.next_ms;
	assert_int_equal(reclaim_gentle(&r, &v, &c), MiB(5));
	v.cache = c.keep + MiB(2);
	v.now_ms = r.next_ms;
	assert_int_equal(reclaim_gentle(&r, &v, &c), MiB(2));
	v.cache = c.keep;
	v.now_ms = r.next_ms;
	assert_int_equal(reclaim_gentle(&r, &v, &c), 0);
	c.gentle = false;
	v.cache = GiB(1);
	v.now_ms = r.next_ms;
	assert_int_equal(reclaim_gentle(&r, &v, &c), 0);
}

static void the_node_gets_what_it_asks_for_or_the_truth(void **state)
{
	struct reclaim r = {0};
	struct reclaim_view v = {.now_ms = 1000, .used = MiB(500)};
	u64 bytes;

	(void)state;
	conf_default(&c);
	assert_int_equal(reclaim_step(&r, &v, &c, &bytes), RECLAIM_IDLE);
	reclaim_begin(&r, 9, MiB(400), 4000, &v);
	assert_int_equal(reclaim_step(&r, &v, &c, &bytes), RECLAIM_TAKE);
	assert_int_equal(bytes, MiB(32));
	v.psi_some = 500; /* others suffer: wait, while there is time */
	assert_int_equal(reclaim_step(&r, &v, &c, &bytes), RECLAIM_IDLE);
	v.now_ms = 3000;
	v.used = MiB(410);
	assert_int_equal(reclaim_step(&r, &v, &c, &bytes), RECLAIM_TAKE);
	assert_int_equal(bytes, MiB(10));
	v.now_ms = 4000;
	assert_int_equal(reclaim_step(&r, &v, &c, &bytes), RECLAIM_DROP);
	assert_int_equal(reclaim_step(&r, &v, &c, &bytes), RECLAIM_TAKE);
	v.now_ms = 5000;
	assert_int_equal(reclaim_step(&r, &v, &c, &bytes), RECLAIM_LATE);
	assert_int_equal(bytes, MiB(90));
	v.used = MiB(400);
	assert_int_equal(reclaim_step(&r, &v, &c, &bytes), RECLAIM_DONE);
	assert_int_equal(bytes, MiB(100));
}

static void notices_are_said_once_in_a_while(void **state)
{
	struct notice n = {0};
	struct agent_sample s = {.cpu = 500};
	struct notice_view v = {.now_ms = 1000,
				.used = MiB(500),
				.forecast = MiB(500),
				.advertised = GiB(1),
				.horizon_ms = 60000,
				.sample = &s};
	struct agent_notice m;

	(void)state;
	assert_false(notice_next(&n, &v, &m));
	v.forecast = MiB(1000);
	assert_true(notice_next(&n, &v, &m));
	assert_int_equal(m.kind, AGENT_PRE_CONGESTION);
	assert_int_equal(m.resource, AGENT_MEMORY);
	assert_int_equal(m.level, 488);
	assert_int_equal(m.horizon_ms, 60000);
	assert_false(notice_next(&n, &v, &m));
	v.now_ms += 300000;
	assert_true(notice_next(&n, &v, &m));
	v.forecast = MiB(100);
	v.used = MiB(100);
	s.cpu = 10;
	assert_false(notice_next(&n, &v, &m));
	v.now_ms += 600000;
	assert_true(notice_next(&n, &v, &m));
	assert_int_equal(m.kind, AGENT_LOW_UTILIZATION);
	assert_true(notice_next(&n, &v, &m));
	assert_int_equal(m.resource, AGENT_CPU);
	assert_false(notice_next(&n, &v, &m));
}

/* --- the port, with a node at its other end --- */

struct node {
	int fd;
	int mode; /* 0: as it should be; 1: an event before each answer; 2: a wrong head; 3: hangs up */
	u64 seqs[16];
	u32 types[16], count;
};

static void node_send(int fd, void *m, u32 bytes, u16 type, u64 seq)
{
	struct agent_head head = {bytes, AGENT_ABI_VERSION, type, seq};

	memcpy(m, &head, sizeof(head));
	/* In two pieces: the other end must put them together. */
	(void)!write(fd, m, 5);
	(void)!write(fd, (u8 *)m + 5, bytes - 5);
}

static void *node_main(void *arg)
{
	struct node *n = arg;
	u8 m[AGENT_MESSAGE_MAX];
	struct agent_head head;

	while (read(n->fd, &head, sizeof(head)) == (ssize_t)sizeof(head)) {
		struct agent_result r = {.to = head.seq,
					 .result = head.type == AGENT_HELLO ? 3 : 0};
		struct agent_event event = {.bytes = MiB(7), .kind = AGENT_SHRINK};
		struct agent_state s = {.advertised = GiB(2), .grant = GiB(1)};

		if (head.bytes > sizeof(head) && read(n->fd, m, head.bytes - sizeof(head)) !=
							 (ssize_t)(head.bytes - sizeof(head)))
			break;
		n->seqs[n->count] = head.seq;
		n->types[n->count++] = head.type;
		if (n->mode == 3)
			break;
		if (n->mode == 1)
			node_send(n->fd, &event, sizeof(event), AGENT_EVENT, 100 + n->count);
		if (head.type == AGENT_QUERY)
			node_send(n->fd, &s, sizeof(s), AGENT_STATE, n->count);
		else
			node_send(n->fd, &r, n->mode == 2 ? 24 : sizeof(r), AGENT_RESULT, n->count);
	}
	close(n->fd);
	return NULL;
}

static pthread_t node_thread;

static void node_begin(struct node *n, struct link *l, int mode)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	*n = (struct node){.fd = fd[1], .mode = mode};
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	link_use_port(l, fd[0]);
	assert_int_equal(pthread_create(&node_thread, NULL, node_main, n), 0);
}

static void messages_go_over_the_port(void **state)
{
	struct node n;
	struct link l;
	struct agent_sample s = {.interval_ms = 1};
	struct agent_demand d = {.bytes = 1};
	struct agent_state st;

	(void)state;
	node_begin(&n, &l, 0);
	assert_int_equal(link_hello(&l, GiB(1), AGENT_CAN_ALL, "tern-agent test"), 3);
	assert_int_equal(l.features, 3);
	assert_int_equal(link_sample(&l, &s), 0);
	assert_int_equal(link_demand(&l, &d), 0);
	assert_int_equal(d.head.bytes, sizeof(d));
	assert_int_equal(link_query(&l, &st), 0);
	assert_int_equal(st.advertised, GiB(2));
	link_close(&l);
	pthread_join(node_thread, NULL);
	assert_int_equal(n.count, 4);
	for (u32 i = 1; i < 4; i++)
		assert_true(n.seqs[i] > n.seqs[i - 1]);
	assert_int_equal(n.types[0], AGENT_HELLO);
	assert_int_equal(n.types[3], AGENT_QUERY);
	assert_int_equal(link_sample(&l, &s), -ENODEV);
}

static void events_before_an_answer_are_kept(void **state)
{
	struct node n;
	struct link l;
	struct agent_sample s = {.interval_ms = 1};
	struct agent_event event;

	(void)state;
	node_begin(&n, &l, 1);
	assert_int_equal(link_hello(&l, GiB(1), AGENT_CAN_ALL, "x"), 3);
	for (u32 i = 0; i < LINK_EVENTS_MAX; i++)
		assert_int_equal(link_sample(&l, &s), 0);
	assert_int_equal(l.event_lost, 1);
	for (u32 i = 0; i < LINK_EVENTS_MAX; i++) {
		assert_int_equal(link_event(&l, &event), 1);
		assert_int_equal(event.head.seq, 101 + i);
	}
	assert_int_equal(link_event(&l, &event), 0);
	link_close(&l);
	pthread_join(node_thread, NULL);
}

static void a_node_that_talks_nonsense_is_hung_up_on(void **state)
{
	(void)state;
	for (int mode = 2; mode <= 3; mode++) {
		struct node n;
		struct link l;

		node_begin(&n, &l, mode);
		assert_int_equal(link_hello(&l, GiB(1), AGENT_CAN_ALL, "x"),
				 mode == 2 ? -EPROTO : -EPIPE);
		assert_int_equal(l.kind, LINK_NONE);
		assert_int_equal(l.fd, -1);
		pthread_join(node_thread, NULL);
	}
}

static void without_a_node_there_is_no_way(void **state)
{
	struct link l;

	(void)state;
	assert_int_equal(link_open(&l, "/nonexistent/tern", "/nonexistent/port"), -ENODEV);
	assert_int_equal(l.kind, LINK_NONE);
	assert_int_equal(l.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_configuration_is_read),
		cmocka_unit_test(a_wrong_configuration_names_the_place),
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(packets_of_hints_are_checked),
		cmocka_unit_test(cold_memory_is_given_back_gently),
		cmocka_unit_test(the_node_gets_what_it_asks_for_or_the_truth),
		cmocka_unit_test(notices_are_said_once_in_a_while),
		cmocka_unit_test(messages_go_over_the_port),
		cmocka_unit_test(events_before_an_answer_are_kept),
		cmocka_unit_test(a_node_that_talks_nonsense_is_hung_up_on),
		cmocka_unit_test(without_a_node_there_is_no_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
