/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stations: what happens when a connection or a peer goes, or may not come. */
#include "tests/unit/station-fixture.h"

#define STREAM 20000
struct stream { struct ssi_ccm_station *s; uint32_t node; int sent; };

static void *stream_send(void *userdata)
{
	struct stream *t = userdata;
	uint8_t *p = pattern(100000, 0);

	for (int i = 0; i < STREAM; i++) {
		struct ssi_ccm_head h = to(t->node, (uint64_t)i);
		size_t n = i % 500 == 499 ? 100000 : (size_t)i % 300;

		if (ssi_ccm_bsend(t->s, &h, p, n, 0, WAIT) < 0)
			break;
		t->sent++;
	}
	free(p);
	return NULL;
}

static void *stream_receive(void *userdata)
{
	struct stream *t = userdata;
	uint8_t *p = pattern(100000, 0), *got = malloc(100000);

	for (int i = 0; i < STREAM; i++) {
		struct ssi_ccm_head h = to(t->node, SSI_CCM_NOSEQ);
		size_t n = i % 500 == 499 ? 100000 : (size_t)i % 300;

		if (ssi_ccm_brecv(t->s, &h, got, 100000, WAIT) != (ssize_t)n || h.sequence != (uint64_t)i || memcmp(got, p, n) != 0)
			break;
		t->sent++;
	}
	free(p);
	free(got);
	return NULL;
}

/* Both ways at once, while the connection is cut again and again: all of it, once, in order. */
static void test_cuts(void **state)
{
	struct pair *x = *state;
	struct stream t[4] = { { x->a, 2, 0 }, { x->b, 1, 0 }, { x->b, 1, 0 }, { x->a, 2, 0 } };
	pthread_t id[4];
	struct ssi_ccm_station_stats stats;

	pthread_create(&id[0], NULL, stream_send, &t[0]);
	pthread_create(&id[1], NULL, stream_receive, &t[1]);
	pthread_create(&id[2], NULL, stream_send, &t[2]);
	pthread_create(&id[3], NULL, stream_receive, &t[3]);
	for (int i = 0; i < 40; i++) {
		usleep(3000);
		cut(i % 2 ? x->a : x->b, i % 2 ? 2 : 1);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(id[i], NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(t[i].sent, STREAM);
	ssi_ccm_station_stats(x->a, &stats);
	assert_int_equal(stats.sessions, 1);
	assert_true(stats.links > 2);
	assert_int_equal(x->seen_a.gone, 0);
}

static void *wait_receive(void *userdata)
{
	struct waiting *w = userdata;
	struct ssi_ccm_head h = to(1, 99);
	uint64_t before = ssi_clock_mono_ms();
	char buf[10];

	w->r = ssi_ccm_brecv(w->s, &h, buf, sizeof(buf), WAIT);
	w->ms = ssi_clock_mono_ms() - before;
	return NULL;
}

/* The other end stops without a word: every waiter has its error within the time. */
static void test_gone(void **state)
{
	struct pair *x = *state;
	struct waiting w[3] = { { x->b, 0, 0 }, { x->b, 0, 0 }, { x->b, 0, 0 } };
	const struct ssi_ccm_head h = to(1, 1);
	pthread_t id[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&id[i], NULL, wait_receive, &w[i]);
	usleep(50000);
	ssi_ccm_part(x->a, 2);
	for (int i = 0; i < 3; i++) {
		pthread_join(id[i], NULL);
		assert_int_equal(w[i].r, -EHOSTDOWN);
		assert_in_range(w[i].ms, 0, 3000);
	}
	assert_int_equal(ssi_ccm_bsend(x->b, &h, "", 0, 0, WAIT), -EHOSTDOWN);
	assert_true(seen_comes(&x->seen_b, &x->seen_b.gone, 1));
	/* And back: a new session. */
	assert_int_equal(ssi_ccm_connect_to(x->a, 2, loopback, ssi_ccm_station_port(x->b), key), 0);
	assert_int_equal(ssi_ccm_await(x->b, 1, WAIT), 0);
	assert_int_equal(ssi_ccm_await(x->a, 2, WAIT), 0);
	send_text(x->a, 2, 1, "again");
	expect_text(x->b, 1, 1, "again");
}

/* A new incarnation is a new session; an old one is refused. */
static void test_incarnation(void **state)
{
	struct pair *x = *state;
	uint16_t port = ssi_ccm_station_port(x->b);

	ssi_ccm_station_free(x->a);
	x->a = station(1, 9, x->b->config.plain, &x->seen_a);
	assert_int_equal(ssi_ccm_connect_to(x->a, 2, loopback, port, key), 0);
	assert_int_equal(ssi_ccm_await(x->a, 2, WAIT), 0);
	assert_true(seen_comes(&x->seen_b, &x->seen_b.up, 2));
	send_text(x->a, 2, 1, "nine");
	expect_text(x->b, 1, 1, "nine");
	ssi_ccm_station_free(x->a);
	x->a = station(1, 8, x->b->config.plain, &x->seen_a);
	assert_int_equal(ssi_ccm_connect_to(x->a, 2, loopback, port, key), 0);
	assert_true(seen_comes(&x->seen_b, &x->seen_b.refused, 1));
	assert_int_equal(x->seen_b.why.code, -ESTALE);
	assert_int_equal(ssi_ccm_await(x->a, 2, 50), -ETIMEDOUT);
}

/* Keys that were used enough give way to those of a new connection, and nothing is lost. */
static void test_rekey(void **state)
{
	struct pair *x = *state;
	struct station_peer *p = station_peer_find(x->a, 2);
	struct ssi_ccm_station_stats stats;
	char text[32];

	pthread_mutex_lock(&p->lock);
	pthread_mutex_lock(&p->conn->tls_lock);
	ssi_tls_wear(p->conn->tls, 150);
	pthread_mutex_unlock(&p->conn->tls_lock);
	pthread_mutex_unlock(&p->lock);
	for (uint64_t i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "%d", (int)i);
		send_text(x->a, 2, i, text);
		expect_text(x->b, 1, i, text);
		send_text(x->b, 1, i, text);
		expect_text(x->a, 2, i, text);
	}
	assert_true(seen_comes(&x->seen_a, &x->seen_a.link_up, 1));
	send_text(x->a, 2, 1, "after");
	expect_text(x->b, 1, 1, "after");
	ssi_ccm_station_stats(x->a, &stats);
	assert_int_equal(stats.sessions, 1);
	assert_int_equal(stats.links, 2);
}

static void test_permits(void **state)
{
	struct pair *x = *state;
	struct ssi_ccm_head h = { .node = 2, .module = 3, .type = 8, .sequence = 1 };

	assert_int_equal(ssi_ccm_bsend(x->a, &h, "not allowed", 12, 0, WAIT), 0);
	assert_true(seen_comes(&x->seen_b, &x->seen_b.refused, 1));
	assert_int_equal(x->seen_b.why.code, -EPERM);
	assert_true(seen_comes(&x->seen_a, &x->seen_a.gone, 1));    /* it would only say it again */
}

static void test_wrong_key(void **state)
{
	struct pair x = { 0 };

	x.a = station(1, 5, false, &x.seen_a);
	x.b = station(2, 6, false, &x.seen_b);
	assert_int_equal(ssi_ccm_listen_to(x.b, 1, key), 0);
	assert_int_equal(ssi_ccm_connect_to(x.a, 2, loopback, ssi_ccm_station_port(x.b), other_key), 0);
	assert_true(seen_comes(&x.seen_b, &x.seen_b.refused, 1));
	assert_int_equal(x.seen_b.why.code, -EKEYREJECTED);
	assert_int_equal(ssi_ccm_await(x.a, 2, 50), -ETIMEDOUT);
	ssi_ccm_station_free(x.a);
	ssi_ccm_station_free(x.b);
}

static void test_plain_is_local(void **state)
{
	const struct ssi_ccm_station_config c = { .number = 1, .incarnation = 1, .plain = true };
	struct ssi_ccm_station *s;

	assert_int_equal(ssi_ccm_station_new(&c, &s, NULL), -EPERM);
	ssi_ccm_station_free(NULL);
}

/* Who is silent for half of dead_ms has its connection broken: a sign of life must come before. */
static void test_signs_of_life(void **state)
{
	struct ssi_ccm_station_config c = { .number = 1, .incarnation = 1, .address = loopback, .dead_ms = 1000 };    /* and a heartbeat each 500 */
	struct ssi_ccm_station *s;

	assert_int_equal(ssi_ccm_station_new(&c, &s, NULL), -EINVAL);
	c.heartbeat_ms = 200;
	assert_int_equal(ssi_ccm_station_new(&c, &s, NULL), 0);
	ssi_ccm_station_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(test_cuts),
		both(test_gone),
		both(test_incarnation),
		cmocka_unit_test_setup_teardown(test_rekey, setup_tls, teardown),
		both(test_permits),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_plain_is_local),
		cmocka_unit_test(test_signs_of_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
