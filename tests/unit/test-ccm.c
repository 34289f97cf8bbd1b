/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ccm over real loopback sockets: who is let in, what may be said, and how a connection ends. Every wait is for an event, with a bound. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/comm/ccm-internal.h"
#include "libssi/comm/sock.h"

#define WAIT_MS 5000
#define BIG (700u << 10)

static const struct in_addr loopback = { 0x0100007f };
static const struct ssi_identity n01 = { SSI_IDENTITY_NODE, "n01", 7 };
static const uint8_t good_key[SSI_CCM_KEY] = "0123456789abcdef0123456789abcde";
static const uint8_t bad_key[SSI_CCM_KEY] = "not the key the master knows";

/* Both ends in one loop: the master listens, the node connects. */
struct fixture {
	sd_event *event;
	struct ssi_ccm *master, *node;
	struct ssi_ccm_conn *at_master, *at_node;
	int keys, opened, closed_master, closed_node, refused, drained, got, got_node;
	size_t got_bytes;
	struct ssi_err why_master, why_node, why_refused;
	struct ssi_identity refused_id;
	bool refused_named, echo, close_on_frame, unsettled, settle_fails;
	int holds, settles;
};

static int fx_key(const struct ssi_identity *id, struct in_addr peer, uint8_t ret[SSI_CCM_KEY], void *userdata)
{
	struct fixture *x = userdata;

	x->keys++;
	if (strcmp(id->who, "n01") && strcmp(id->who, "52:54:00:00:00:01"))
		return -ENOENT;
	memcpy(ret, good_key, SSI_CCM_KEY);
	return id->incarnation < 7 ? 1 : 0;
}

static void fx_opened_master(struct ssi_ccm_conn *c, void *userdata)
{
	struct fixture *x = userdata;

	x->at_master = c;
	x->opened++;
}

static void fx_closed_master(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	x->at_master = NULL;
	x->closed_master++;
	x->why_master = *why;
}

static void fx_refused(struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	x->refused++;
	x->why_refused = *why;
	x->refused_named = id;
	if (id)
		x->refused_id = *id;
}

static void fx_drained(struct ssi_ccm_conn *c, void *userdata)
{
	((struct fixture *)userdata)->drained++;
}

static void fx_hold(void *userdata)
{
	((struct fixture *)userdata)->holds++;
}

static int fx_settle(struct ssi_err *e, void *userdata)
{
	struct fixture *x = userdata;

	x->settles++;
	x->unsettled = false;
	return x->settle_fails ? ssi_errf(e, -ENOSPC, "it could not be stored") : 0;
}

static void fx_opened_node(struct ssi_ccm_conn *c, void *userdata)
{
	((struct fixture *)userdata)->opened++;
}

static void fx_closed_node(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	x->closed_node++;
	x->why_node = *why;
	x->at_node = NULL;
}

static const struct ssi_ccm_ops master_ops = { .key = fx_key, .opened = fx_opened_master, .closed = fx_closed_master, .refused = fx_refused,
	.hold = fx_hold, .settle = fx_settle };
static const struct ssi_ccm_ops node_ops = { .opened = fx_opened_node, .closed = fx_closed_node, .drained = fx_drained };

static int fx_on_master(struct ssi_ccm_conn *c, const struct ssi_frame *f, const uint8_t *body, void *userdata)
{
	struct fixture *x = userdata;

	x->got++;
	x->got_bytes += f->size;
	x->unsettled = true;
	if (x->close_on_frame)
		ssi_ccm_close(c, NULL);
	return x->echo ? ssi_ccm_send(c, f->module, f->type, SSI_WIRE_REPLY, f->sequence, body, f->size) : 0;
}

static int fx_on_node(struct ssi_ccm_conn *c, const struct ssi_frame *f, const uint8_t *body, void *userdata)
{
	struct fixture *x = userdata;

	assert_int_equal(f->flags, SSI_WIRE_REPLY);
	assert_false(x->unsettled);      /* no answer before what it says is stored */
	x->got_node++;
	return 0;
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	const struct ssi_ccm_rule at_master[] = {
		{ 1, 1, 256, SSI_FROM_BOOT, fx_on_master, x },
		{ 2, 1, 1u << 20, SSI_FROM_NODE, fx_on_master, x },
		{ 2, 3, 16, SSI_FROM_NODE, fx_on_master, x },
	};
	const struct ssi_ccm_rule at_node = { 2, 1, 1u << 20, SSI_FROM_MASTER, fx_on_node, x };

	assert_non_null(x);
	assert_int_equal(sd_event_new(&x->event), 0);
	assert_int_equal(ssi_ccm_new(x->event, &master_ops, x, &x->master), 0);
	assert_int_equal(ssi_ccm_new(x->event, &node_ops, x, &x->node), 0);
	assert_int_equal(ssi_ccm_register(x->master, at_master, sizeof(at_master) / sizeof(*at_master)), 0);
	assert_int_equal(ssi_ccm_register(x->master, at_master, 1), -EEXIST);
	assert_int_equal(ssi_ccm_register(x->node, &at_node, 1), 0);
	assert_int_equal(ssi_ccm_listen(x->master, loopback, 0, NULL), 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_ccm_free(x->node);
	ssi_ccm_free(x->master);
	sd_event_unref(x->event);
	free(x);
	return 0;
}

static int fx_late(sd_event_source *s, uint64_t usec, void *userdata)
{
	*(bool *)userdata = true;
	return 0;
}

/* Run the loop until *what is at least n. */
static void fx_until(struct fixture *x, const int *what, int n)
{
	sd_event_source *timer = NULL;
	bool late = false;

	sd_event_add_time_relative(x->event, &timer, CLOCK_MONOTONIC, WAIT_MS * 1000, 1, fx_late, &late);
	while (*what < n && !late)
		assert_true(sd_event_run(x->event, UINT64_MAX) >= 0);
	sd_event_source_disable_unref(timer);
	assert_int_equal(*what < n, false);
}

static void fx_connect(struct fixture *x, const struct ssi_identity *id, const uint8_t *key)
{
	assert_int_equal(ssi_ccm_connect(x->node, loopback, ssi_ccm_port(x->master), id, key, WAIT_MS, &x->at_node, NULL), 0);
}

static void fx_join(struct fixture *x)
{
	fx_connect(x, &n01, good_key);
	fx_until(x, &x->opened, 2);
}

static void good_key_is_let_in(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	assert_int_equal(x->keys, 1);
	assert_string_equal(ssi_ccm_identity(x->at_master)->who, "n01");
	assert_int_equal(ssi_ccm_identity(x->at_master)->incarnation, 7);
	x->echo = true;
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, 1, "hello", 5), 0);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 3, 0, 2, NULL, 0), 0);
	fx_until(x, &x->got, 2);
	assert_int_equal(x->got_bytes, 5);
}

static void wrong_key_is_refused(void **state)
{
	struct fixture *x = *state;

	fx_connect(x, &n01, bad_key);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_node.code, -EKEYREJECTED);
	assert_int_equal(x->why_refused.code, -EKEYREJECTED);
	assert_true(x->refused_named);
	assert_int_equal(x->opened, 0);
}

static void unknown_identity_is_refused(void **state)
{
	static const struct ssi_identity who = { SSI_IDENTITY_NODE, "n99", 7 };
	struct fixture *x = *state;

	fx_connect(x, &who, good_key);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_node.code, -EKEYREJECTED);
	assert_string_equal(x->refused_id.who, "n99");
}

static void old_key_is_told_so_and_reported(void **state)
{
	static const struct ssi_identity used = { SSI_IDENTITY_BOOT, "52:54:00:00:00:01", 6 };
	struct fixture *x = *state;

	fx_connect(x, &used, good_key);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_node.code, -EKEYREVOKED);
	assert_int_equal(x->why_refused.code, -EKEYREVOKED);
	assert_string_equal(x->refused_id.who, "52:54:00:00:00:01");
	assert_int_equal(x->closed_master, 0);
}

static void old_name_without_the_key_raises_no_alarm(void **state)
{
	static const struct ssi_identity used = { SSI_IDENTITY_BOOT, "52:54:00:00:00:01", 6 };
	struct fixture *x = *state;

	fx_connect(x, &used, bad_key);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, -EKEYREJECTED);
}

static void oversize_ends_the_connection(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_send(x->at_node, 2, 3, 0, 0, "seventeen bytes!!", 17);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->why_master.code, -EMSGSIZE);
	assert_int_equal(x->got, 0);
}

static void wrong_sender_ends_the_connection(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_send(x->at_node, 1, 1, 0, 0, "x", 1);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->why_master.code, -EPERM);
}

static void unknown_message_ends_the_connection(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_send(x->at_node, 9, 9, 0, 0, NULL, 0);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->why_master.code, -EPROTO);
}

static void false_source_ends_the_connection(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_set_nodes(x->at_master, 0, 1);
	ssi_ccm_set_nodes(x->at_node, 2, 0);
	ssi_ccm_send(x->at_node, 2, 3, 0, 0, NULL, 0);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->why_master.code, -EPROTO);
}

static void garbage_is_refused(void **state)
{
	struct fixture *x = *state;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = loopback, .sin_port = htons(ssi_ccm_port(x->master)) };

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	fx_until(x, &x->refused, 1);
	assert_false(x->refused_named);
	close(fd);
}

/* More idlers than may wait: the oldest make room, and who has a key is let in all the same. */
static void fx_run(struct fixture *x)
{
	while (sd_event_run(x->event, 0) > 0)
		;
}

static void idlers_keep_nobody_out(void **state)
{
	enum { IDLERS = 4110 };
	struct fixture *x = *state;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = loopback, .sin_port = htons(ssi_ccm_port(x->master)) };
	struct rlimit files;
	int fds[IDLERS];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < 2 * IDLERS + 100)
		skip();
	files.rlim_cur = 2 * IDLERS + 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	for (int i = 0; i < IDLERS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&sa, sizeof(sa)), 0);
		if (i % 64 == 0)
			fx_run(x);       /* the kernel lets only so many wait */
	}
	fx_until(x, &x->refused, 6);     /* those that made room; the rest still waits */
	fx_join(x);
	for (int i = 0; i < IDLERS; i++)
		close(fds[i]);
}

static void closing_sends_what_is_queued(void **state)
{
	struct fixture *x = *state;
	uint8_t *big = calloc(1, BIG);

	fx_join(x);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, 0, big, BIG), 0);
	ssi_ccm_close(x->at_node, NULL);
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, 0, "x", 1), -ENOTCONN);
	fx_until(x, &x->closed_node, 1);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->got, 2);
	assert_int_equal(x->got_bytes, 2 * BIG);
	assert_int_equal(x->why_node.code, -ECANCELED);
	assert_int_equal(x->why_master.code, -ECONNRESET);
	free(big);
}

static void full_queue_says_again_then_drained(void **state)
{
	struct fixture *x = *state;
	uint8_t *big = calloc(1, BIG);
	int r = 0, sent = 0;

	fx_join(x);
	while ((r = ssi_ccm_send(x->at_node, 2, 1, 0, 0, big, BIG)) == 0 && sent < 100)
		sent++;
	assert_int_equal(r, -EAGAIN);
	fx_until(x, &x->drained, 1);
	fx_until(x, &x->got, sent);
	assert_int_equal(x->got_bytes, (size_t)sent * BIG);
	free(big);
}

static void handler_may_close(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->close_on_frame = true;
	ssi_ccm_send(x->at_node, 2, 3, 0, 0, NULL, 0);
	ssi_ccm_send(x->at_node, 2, 3, 0, 0, NULL, 0);
	fx_until(x, &x->closed_master, 1);
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->got, 1);
	assert_int_equal(x->why_master.code, -ECANCELED);
}

static void a_batch_is_settled_once(void **state)
{
	struct fixture *x = *state;
	int before;

	fx_join(x);
	x->echo = true;
	before = x->settles;
	for (int i = 0; i < 8; i++)
		assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, 1, "hello", 5), 0);
	fx_until(x, &x->got_node, 8);
	assert_int_equal(x->holds, x->settles);
	assert_true(x->settles - before < 8);
}

static void what_is_not_stored_is_not_answered(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	x->echo = x->settle_fails = true;
	assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, 1, "hello", 5), 0);
	fx_until(x, &x->closed_master, 1);
	assert_string_equal(x->why_master.text, "it could not be stored");
	fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->got_node, 0);
}

static void reconnects_after_the_peer_is_gone(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ssi_ccm_close(x->at_master, NULL);
	fx_until(x, &x->closed_node, 1);
	fx_connect(x, &n01, good_key);
	fx_until(x, &x->opened, 4);
	x->echo = true;
	ssi_ccm_send(x->at_node, 2, 1, 0, 3, "again", 5);
	fx_until(x, &x->got_node, 1);
}

/* Both ends have much to say, and the keys wear out in the middle of it. */
static void worn_keys_are_changed_unnoticed(void **state)
{
	enum { FRAMES = 40, SIZE = 100000, WORN = 120 };
	struct fixture *x = *state;
	uint8_t *body = calloc(1, SIZE);

	fx_join(x);
	ssi_tls_wear(x->at_node->tls, WORN);
	x->echo = true;
	for (int i = 0; i < FRAMES; i += 4) {
		for (int k = 0; k < 4; k++)
			assert_int_equal(ssi_ccm_send(x->at_node, 2, 1, 0, 1, body, SIZE), 0);
		fx_until(x, &x->got_node, i + 4);
	}
	assert_in_range(ssi_tls_rekeys(x->at_node->tls), 2, FRAMES);
	assert_int_equal(x->got_bytes, (size_t)FRAMES * SIZE);
	assert_int_equal(x->closed_node + x->closed_master, 0);
	free(body);
}

static void nobody_listens(void **state)
{
	struct fixture *x = *state;
	uint16_t port = ssi_ccm_port(x->master);

	ssi_ccm_free(x->master);
	x->master = NULL;
	if (ssi_ccm_connect(x->node, loopback, port, &n01, good_key, WAIT_MS, &x->at_node, &x->why_node) == 0)
		fx_until(x, &x->closed_node, 1);
	assert_int_equal(x->why_node.code, -ECONNREFUSED);
}

/* The blocking face, in a thread of its own against the same master. */
struct dialer { uint16_t port; const uint8_t *key; struct ssi_identity id; struct ssi_err e; int r, done; char answer[16]; size_t len; };

static void *dialer_run(void *userdata)
{
	struct dialer *d = userdata;
	struct ssi_ccm_line *l = NULL;

	d->r = ssi_ccm_dial(loopback, d->port, &d->id, d->key, WAIT_MS, &l, &d->e);
	if (d->r >= 0)
		d->r = ssi_ccm_line_send(l, 2, 1, 5, "ping", 4, WAIT_MS, &d->e);
	if (d->r >= 0)
		d->r = ssi_ccm_line_recv(l, 2, 1, d->answer, sizeof(d->answer), &d->len, WAIT_MS, &d->e);
	ssi_ccm_hangup(l);
	__atomic_store_n(&d->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void dialer_start(struct fixture *x, struct dialer *d, const int *until)
{
	pthread_t t;

	d->port = ssi_ccm_port(x->master);
	assert_int_equal(pthread_create(&t, NULL, dialer_run, d), 0);
	fx_until(x, until, 1);
	pthread_join(t, NULL);
}

static void dial_speaks(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .key = good_key, .id = n01 };

	x->echo = true;
	dialer_start(x, &d, &x->closed_master);
	assert_int_equal(d.r, 0);
	assert_int_equal(d.len, 4);
	assert_memory_equal(d.answer, "ping", 4);
}

static void dial_is_refused(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .key = bad_key, .id = n01 };

	dialer_start(x, &d, &x->refused);
	assert_int_equal(d.r, -EKEYREJECTED);
}

static void dial_times_out(void **state)
{
	int fd = ssi_sock_listen(loopback, 0, NULL);
	struct sockaddr_in sa = { 0 };
	socklen_t n = sizeof(sa);
	struct ssi_ccm_line *l = NULL;
	struct ssi_err e;

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(ssi_ccm_dial(loopback, ntohs(sa.sin_port), &n01, good_key, 50, &l, &e), -ETIMEDOUT);
	assert_null(l);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_key_is_let_in, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_key_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_identity_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(old_key_is_told_so_and_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(old_name_without_the_key_raises_no_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(oversize_ends_the_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_sender_ends_the_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_message_ends_the_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(false_source_ends_the_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(idlers_keep_nobody_out, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_sends_what_is_queued, setup, teardown),
		cmocka_unit_test_setup_teardown(full_queue_says_again_then_drained, setup, teardown),
		cmocka_unit_test_setup_teardown(handler_may_close, setup, teardown),
		cmocka_unit_test_setup_teardown(a_batch_is_settled_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_stored_is_not_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(reconnects_after_the_peer_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(worn_keys_are_changed_unnoticed, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(dial_speaks, setup, teardown),
		cmocka_unit_test_setup_teardown(dial_is_refused, setup, teardown),
		cmocka_unit_test(dial_times_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
