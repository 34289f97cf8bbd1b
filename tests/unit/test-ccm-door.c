/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The door of ccm's loop face: who is let in, who is told of, and what a crowd, the silent and the slow can cost. */
#include <sys/resource.h>
#include "tests/unit/ccm-fixture.h"

enum { SILENT, LINE, GREETED };          /* of the station's door */
#define GREETED_MAX 256

static const uint8_t bad_key[SSI_CCM_KEY] = "not the key the master knows";

/* --- keys --- */

static void ends_with(struct fixture *x, const struct ssi_ccm_as *as, const uint8_t *key, int code)
{
	int closed = x->closed_node;

	fx_connect(x, as, key);
	fx_until(x, &x->closed_node, closed + 1);
	assert_int_equal(x->why_node.code, code);
	fx_run(x);
	assert_int_equal(x->opened_node + x->opened_master, 0);
}

static void wrong_key_is_refused(void **state)
{
	struct fixture *x = *state;

	ends_with(x, &n1, bad_key, -EKEYREJECTED);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, -EKEYREJECTED);
	assert_true(x->refused_named);
}

static void unknown_identity_is_refused(void **state)
{
	static const struct ssi_ccm_as who = { 9, 7, "x9" };
	struct fixture *x = *state;

	ends_with(x, &who, good_key, -EKEYREJECTED);
	fx_until(x, &x->refused, 1);
	assert_string_equal(x->refused_id.who, "x9");
}

/* It is who it says, but its number is another's. */
static void another_number_is_refused(void **state)
{
	static const struct ssi_ccm_as who = { 2, 7, "n1" };
	struct fixture *x = *state;

	fx_connect(x, &who, good_key);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, -EPROTO);
	assert_string_equal(x->refused_id.who, "n1");
	assert_int_equal(x->opened_node + x->opened_master, 0);
}

static void old_key_is_told_so_and_reported(void **state)
{
	static const struct ssi_ccm_as used = { 1, 6, "n1" };
	struct fixture *x = *state;

	ends_with(x, &used, good_key, -EKEYREVOKED);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, -EKEYREVOKED);
	assert_string_equal(x->refused_id.who, "n1");
	assert_int_equal(x->refused_id.incarnation, 6);
	assert_int_equal(x->closed_master, 0);
}

static void old_name_without_the_key_raises_no_alarm(void **state)
{
	static const struct ssi_ccm_as used = { 1, 6, "n1" };
	struct fixture *x = *state;

	ends_with(x, &used, bad_key, -EKEYREJECTED);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, -EKEYREJECTED);
}

/* Ten in ten seconds, and the next one tells of the others; but alarms are told always. */
static void refusals_are_limited(void **state)
{
	enum { MANY = 15, TOLD = 10 };
	static const struct ssi_ccm_as used = { 1, 6, "n1" }, old = { 1, 5, "n1" };
	struct fixture *x = *state;

	for (int i = 0; i < MANY; i++)
		ends_with(x, &old, good_key, -EKEYREVOKED);
	fx_until(x, &x->refused, TOLD);
	fx_pass(x, 100);
	assert_int_equal(x->refused, TOLD);
	assert_int_equal(x->why_refused.code, -EKEYREVOKED);
	for (int i = 0; i < MANY; i++)
		ends_with(x, &used, good_key, -EKEYREVOKED);
	fx_until(x, &x->refused, TOLD + MANY);
	ends_with(x, &n1, bad_key, -EKEYREJECTED);
	assert_int_equal(x->refused, TOLD + MANY);
	x->master->station->refusals_told.from -= 10000;     /* ten seconds later */
	ends_with(x, &n1, bad_key, -EKEYREJECTED);
	fx_until(x, &x->refused, TOLD + MANY + 1);
	assert_non_null(strstr(x->why_refused.text, "(6 more were refused before)"));
}

/* --- who knocks by hand --- */

struct knock { int fd; struct ssi_tls *tls; };

static struct knock knock_on(struct fixture *x)
{
	struct knock k = { .fd = ssi_sock_connect(loopback, x->port, NULL) };
	struct pollfd p = { .fd = k.fd, .events = POLLOUT };

	assert_true(k.fd >= 0);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	return k;
}

/* Its first word, and none after it. */
static struct knock knock_greet(struct fixture *x, unsigned number)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .incarnation = 7 };
	struct knock k = knock_on(x);

	snprintf(id.who, sizeof(id.who), "n%u", number);
	assert_int_equal(ssi_tls_client(k.fd, &id, good_key, &k.tls, NULL), 0);
	assert_int_equal(ssi_tls_handshake(k.tls, NULL), -EAGAIN);
	return k;
}

/* All but the HELLO. */
static struct knock knock_enter(struct fixture *x, unsigned number)
{
	uint64_t deadline = ssi_clock_mono_ms() + WAIT_MS;
	struct knock k = knock_greet(x, number);
	int r;

	while ((r = ssi_tls_handshake(k.tls, NULL)) == -EAGAIN && ssi_clock_mono_ms() < deadline)
		sd_event_run(x->event, 1000);
	assert_int_equal(r, 0);
	fx_run(x);
	return k;
}

static bool knock_is_over(struct knock *k)
{
	uint8_t b[256];

	return ssi_tls_read(k->tls, b, sizeof(b), NULL) != -EAGAIN;
}

static void knock_end(struct knock *k)
{
	ssi_tls_free(k->tls);
	close(k->fd);
}

/* What stands at the door comes to this number. */
static void door_comes_to(struct fixture *x, int where, unsigned n)
{
	uint64_t deadline = ssi_clock_mono_ms() + WAIT_MS;

	while (x->master->station->n_door[where] != n && ssi_clock_mono_ms() < deadline)
		assert_true(sd_event_run(x->event, 100000) >= 0);
	assert_int_equal(x->master->station->n_door[where], n);
}

static void garbage_is_refused(void **state)
{
	struct fixture *x = *state;
	struct knock k = knock_on(x);

	assert_int_equal(write(k.fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	fx_until(x, &x->refused, 1);
	assert_false(x->refused_named);
	assert_int_equal(x->why_refused.code, -EPROTO);
	close(k.fd);
	k = knock_on(x);
	assert_int_equal(write(k.fd, "\x16\x03\x01\x01\x00\x01", 6), 6);      /* the beginning of a greeting */
	shutdown(k.fd, SHUT_WR);
	fx_until(x, &x->refused, 2);
	assert_int_equal(x->why_refused.code, -ECONNRESET);
	close(k.fd);
	assert_int_equal(x->keys, 0);
}

/* Nothing, half a greeting, no HELLO: each has its time. */
static void the_silent_time_out(void **state)
{
	struct fixture *x = *state;
	struct knock k[3];
	uint64_t began = ssi_clock_mono_ms();

	x->master->station->config.connect_ms = 300;
	k[0] = knock_on(x);
	k[1] = knock_on(x);
	assert_int_equal(write(k[1].fd, "\x16\x03\x01\x01\x00\x01", 6), 6);
	fx_until(x, &x->refused, 2);
	assert_in_range(ssi_clock_mono_ms() - began, 250, 5000);
	assert_int_equal(x->why_refused.code, -ETIMEDOUT);
	assert_int_equal(x->keys, 0);
	k[2] = knock_enter(x, 1);
	fx_until(x, &x->refused, 3);
	assert_int_equal(x->why_refused.code, -ETIMEDOUT);
	assert_string_equal(x->refused_id.who, "n1");
	assert_true(knock_is_over(&k[2]));
	for (int i = 0; i < 3; i++)
		knock_end(&k[i]);
}

/* Who is slow and alone is waited for; others would be let in before it. */
static void a_slow_one_alone_has_time(void **state)
{
	struct fixture *x = *state;
	struct knock k = knock_greet(x, 1);
	int r;

	fx_pass(x, 2200);                /* twice the time it has when others wait */
	assert_int_equal(x->refused, 0);
	while ((r = ssi_tls_handshake(k.tls, NULL)) == -EAGAIN)
		sd_event_run(x->event, 1000);
	assert_int_equal(r, 0);
	door_comes_to(x, GREETED, 0);
	assert_int_equal(x->master->station->n_hellos, 1);
	knock_end(&k);
}

/* Of each that is worked on. */
static void greeted_have_time(struct fixture *x, unsigned ms)
{
	struct ssi_ccm_station *s = x->master->station;
	uint64_t now = ssi_clock_mono_ms();
	struct station_conn *c;

	TAILQ_FOREACH(c, &s->door[GREETED], link)
		c->deadline = now + ms;
	station_tick_by(s, now, now + ms);
}

/* More handshakes than are worked on at a time stand in line, at no cost; those before them that come to nothing make room, and who has a key is let in. */
static void a_crowd_stands_in_line(void **state)
{
	enum { CROWD = 300, GO = 10 };
	struct fixture *x = *state;
	struct knock k[CROWD];
	uint64_t began;

	for (int i = 0; i < CROWD; i++) {
		k[i] = knock_greet(x, (unsigned)i + 2);
		greeted_have_time(x, WAIT_MS);       /* the first still stands there when the last has come */
		fx_run(x);
	}
	door_comes_to(x, LINE, CROWD - GREETED_MAX);
	assert_int_equal(x->master->station->n_door[GREETED], GREETED_MAX);
	for (int i = CROWD - GO; i < CROWD; i++)
		knock_end(&k[i]);        /* some have no patience */
	door_comes_to(x, LINE, CROWD - GREETED_MAX - GO);
	assert_int_equal(x->keys, GREETED_MAX);
	greeted_have_time(x, 1000);
	began = ssi_clock_mono_ms();
	fx_join(x);
	assert_in_range(ssi_clock_mono_ms() - began, 0, 4000);
	assert_string_equal(ssi_ccm_identity(x->at_master)->who, "n1");
	for (int i = 0; i < CROWD - GO; i++)
		knock_end(&k[i]);
}

static void files_may_be(unsigned n)
{
	struct rlimit files;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < n)
		skip();
	files.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

/* More idlers than may wait: the oldest make room, and who has a key is let in all the same. */
static void idlers_keep_nobody_out(void **state)
{
	enum { IDLERS = 4110, MAY = 4096 };
	struct fixture *x = *state;
	static int fds[IDLERS];

	files_may_be(2 * IDLERS + 100);
	for (int i = 0; i < IDLERS; i++) {
		fds[i] = knock_on(x).fd;
		if (i % 64 == 0)
			fx_run(x);       /* the kernel lets only so many wait */
	}
	fx_until(x, &x->refused, 6);     /* those that made room; the rest still waits */
	assert_in_range(x->master->station->n_door[SILENT], 1, MAY);
	fx_join(x);
	assert_in_range(x->master->station->n_door[SILENT], 1, MAY);
	assert_int_equal(x->keys, 1);
	for (int i = 0; i < IDLERS; i++)
		close(fds[i]);
}

/* Of a node with a key one connection may wait to say HELLO: the newest. */
static void a_node_knocks_once_at_a_time(void **state)
{
	struct fixture *x = *state;
	struct knock a = knock_enter(x, 1), b, c = knock_enter(x, 2);

	assert_int_equal(x->master->station->n_hellos, 2);
	b = knock_enter(x, 1);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, -EUSERS);
	assert_string_equal(x->refused_id.who, "n1");
	assert_int_equal(x->master->station->n_hellos, 2);
	assert_true(knock_is_over(&a));
	assert_false(knock_is_over(&b));
	assert_false(knock_is_over(&c));
	fx_join(x);                      /* it does not keep its node out either */
	knock_end(&a);
	knock_end(&b);
	knock_end(&c);
}

/* And of all nodes together only so many. */
static void those_without_a_hello_are_bounded(void **state)
{
	enum { MANY = STATION_HELLOS_MAX + 3 };
	static struct knock k[MANY];
	struct fixture *x = *state;

	files_may_be(2 * MANY + 100);
	x->master->station->config.connect_ms = 60000;
	for (unsigned i = 0; i < MANY; i++)
		k[i] = knock_enter(x, i + 2);
	fx_until(x, &x->refused, 3);
	assert_int_equal(x->why_refused.code, -EMFILE);
	assert_int_equal(x->master->station->n_hellos, STATION_HELLOS_MAX);
	for (unsigned i = 0; i < 3; i++)
		assert_true(knock_is_over(&k[i]));
	assert_false(knock_is_over(&k[3]));
	fx_join(x);
	for (unsigned i = 0; i < MANY; i++)
		knock_end(&k[i]);
}

/* Out of descriptors the door rests, and does not turn without end; then it goes on. */
static void without_descriptors_it_waits(void **state)
{
	struct fixture *x = *state;
	struct rlimit before, none;
	struct knock k = knock_on(x);
	unsigned turns = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)k.fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (uint64_t end = ssi_clock_mono_ms() + 1200; ssi_clock_mono_ms() < end; turns++)
		assert_true(sd_event_run(x->event, 100000) >= 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(x->master->station->n_door[SILENT], 0);
	assert_in_range(turns, 1, 60);
	door_comes_to(x, SILENT, 1);
	fx_join(x);
	knock_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wrong_key_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_identity_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(another_number_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(old_key_is_told_so_and_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(old_name_without_the_key_raises_no_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals_are_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(the_silent_time_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_one_alone_has_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_crowd_stands_in_line, setup, teardown),
		cmocka_unit_test_setup_teardown(idlers_keep_nobody_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_node_knocks_once_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(those_without_a_hello_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(without_descriptors_it_waits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
