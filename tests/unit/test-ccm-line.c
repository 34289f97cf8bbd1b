/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line, ccm's blocking face: in a thread of its own, against a master in the loop. */
#include "tests/unit/ccm-fixture.h"

static const uint8_t bad_key[SSI_CCM_KEY] = "not the key the master knows";

/* Dials, says `say`, hears into room bytes, hangs up: as far as it comes. */
struct dialer {
	uint16_t port;
	struct ssi_identity id;
	uint32_t number;
	const uint8_t *key;
	uint16_t module, type;
	const char *say;             /* NULL: nothing */
	size_t room;                 /* 0: it does not listen */
	unsigned listen_ms;
	int r, done;
	struct ssi_err e;
	char answer[64];
	size_t len;
};

static void *dialer_run(void *userdata)
{
	struct dialer *d = userdata;
	struct ssi_ccm_line *l = NULL;

	d->r = ssi_ccm_dial(loopback, d->port, &d->id, d->number, d->key, WAIT_MS, &l, &d->e);
	if (d->r >= 0 && d->say)
		d->r = ssi_ccm_line_send(l, d->module, d->type, 5, d->say, strlen(d->say), WAIT_MS, &d->e);
	if (d->r >= 0 && d->room)
		d->r = ssi_ccm_line_recv(l, d->module, d->type, d->answer, d->room, &d->len, d->listen_ms, &d->e);
	ssi_ccm_hangup(l);
	__atomic_store_n(&d->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* A line from start to end, while the master's loop runs. */
static void dial(struct fixture *x, struct dialer *d)
{
	uint64_t deadline = ssi_clock_mono_ms() + WAIT_MS;
	pthread_t t;

	d->port = x->port;
	d->key = d->key ? d->key : good_key;
	d->listen_ms = d->listen_ms ? d->listen_ms : WAIT_MS;
	assert_int_equal(pthread_create(&t, NULL, dialer_run, d), 0);
	while (!__atomic_load_n(&d->done, __ATOMIC_ACQUIRE) && ssi_clock_mono_ms() < deadline)
		assert_true(sd_event_run(x->event, 10000) >= 0);
	assert_int_equal(d->done, 1);
	pthread_join(t, NULL);
}

#define NODE { SSI_IDENTITY_NODE, "n1", 7 }
#define BOOT { SSI_IDENTITY_BOOT, MAC, 7 }

static void it_speaks(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .id = NODE, .number = 1, .module = 2, .type = 1, .say = "ping", .room = 64 };

	x->echo = true;
	dial(x, &d);
	assert_int_equal(d.r, 0);
	assert_int_equal(d.len, 4);
	assert_memory_equal(d.answer, "ping", 4);
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->why_master.code, -EHOSTDOWN);
	assert_int_equal(x->refused, 0);
}

static void a_booting_machine_speaks(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .id = BOOT, .number = SSI_CCM_BOOTING + 1, .module = 1, .type = 1, .say = "token", .room = 64 };

	x->echo = true;
	dial(x, &d);
	assert_int_equal(d.r, 0);
	assert_memory_equal(d.answer, "token", 5);
	d = (struct dialer){ .id = BOOT, .number = SSI_CCM_BOOTING + 1, .module = 2, .type = 1, .say = "as a node", .room = 64 };
	dial(x, &d);                     /* which it is not */
	assert_int_equal(d.r, -ECONNRESET);
	fx_until(x, &x->refused, 1);
	assert_int_equal(x->why_refused.code, -EPERM);
	assert_string_equal(x->refused_id.who, MAC);
	assert_int_equal(x->got, 1);
}

/* Both are there at once: a node's session is not touched by that of its machine that boots. */
static void it_is_not_its_node(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .id = BOOT, .number = SSI_CCM_BOOTING + 1, .module = 1, .type = 1, .say = "hello" };

	fx_join(x);
	dial(x, &d);
	assert_int_equal(d.r, 0);
	fx_until(x, &x->got, 1);
	fx_until(x, &x->closed_master, 1);
	fx_pass(x, 100);
	assert_int_equal(x->closed_node, 0);
	assert_int_equal(x->closed_master, 1);
}

/* What was sent has arrived when the line is hung up. */
static void last_words_arrive(void **state)
{
	struct fixture *x = *state;

	for (int i = 1; i <= 20; i++) {
		struct dialer d = { .id = NODE, .number = 1, .module = 2, .type = 1, .say = "last words" };

		dial(x, &d);
		assert_int_equal(d.r, 0);
		assert_int_equal(x->got, i);
	}
	fx_until(x, &x->closed_master, 20);
	assert_int_equal(x->got_bytes, 20 * strlen("last words"));
}

static void refused_with(struct fixture *x, struct dialer d, int code)
{
	int refused = x->refused;

	dial(x, &d);
	assert_int_equal(d.r, code);
	assert_int_not_equal(d.e.text[0], 0);
	fx_until(x, &x->refused, refused + 1);
	assert_int_equal(x->opened_master, 0);
}

static void it_is_refused(void **state)
{
	struct fixture *x = *state;

	refused_with(x, (struct dialer){ .id = NODE, .number = 1, .key = bad_key }, -EKEYREJECTED);
	assert_int_equal(x->why_refused.code, -EKEYREJECTED);
	refused_with(x, (struct dialer){ .id = { SSI_IDENTITY_NODE, "x9", 7 }, .number = 1 }, -EKEYREJECTED);
	refused_with(x, (struct dialer){ .id = { SSI_IDENTITY_BOOT, MAC, 6 }, .number = SSI_CCM_BOOTING + 1 }, -EKEYREVOKED);
	assert_int_equal(x->why_refused.code, -EKEYREVOKED);
	assert_string_equal(x->refused_id.who, MAC);
	refused_with(x, (struct dialer){ .id = { SSI_IDENTITY_BOOT, MAC, 5 }, .number = SSI_CCM_BOOTING + 1 }, -EKEYREVOKED);
	refused_with(x, (struct dialer){ .id = BOOT, .number = 1 }, -ECONNRESET);       /* another's number */
	assert_int_equal(x->why_refused.code, -EPROTO);
}

/* A used token is an alarm only from who has it. */
static void a_token_without_the_key_is_no_alarm(void **state)
{
	struct fixture *x = *state;

	refused_with(x, (struct dialer){ .id = { SSI_IDENTITY_BOOT, MAC, 6 }, .number = SSI_CCM_BOOTING + 1, .key = bad_key }, -EKEYREJECTED);
	assert_int_equal(x->why_refused.code, -EKEYREJECTED);
}

static void answers_are_bounded(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .id = NODE, .number = 1, .module = 2, .type = 1, .say = "seventeen bytes!!", .room = 16 };

	x->echo = true;
	dial(x, &d);
	assert_int_equal(d.r, -EMSGSIZE);
	d = (struct dialer){ .id = NODE, .number = 1, .module = 2, .type = 1, .say = "seventeen bytes!!", .room = 17 };
	dial(x, &d);
	assert_int_equal(d.r, 0);
	assert_int_equal(d.len, 17);
}

static int says_more(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	static const uint8_t noise[3000];

	assert_int_equal(ssi_ccm_send(c, 2, 9, 1, noise, sizeof(noise)), 0);
	assert_int_equal(ssi_ccm_send_news(c, 7, 1, noise, 100), 0);
	assert_int_equal(ssi_ccm_send(c, 7, 1, 1, NULL, 0), 0);
	return fx_on_master(c, f, body, userdata);
}

/* It waits for one thing; what else it is told is dropped. */
static void others_are_dropped(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .id = NODE, .number = 1, .module = 2, .type = 1, .say = "ping", .room = 4 };

	x->echo = true;
	for (size_t i = 0; i < x->master->n_rules; i++)
		x->master->rules[i].handle = says_more;
	dial(x, &d);
	assert_int_equal(d.r, 0);
	assert_memory_equal(d.answer, "ping", 4);
}

static void nobody_answers(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .id = NODE, .number = 1, .module = 2, .type = 1, .say = "ping", .room = 4, .listen_ms = 100 };

	dial(x, &d);
	assert_int_equal(d.r, -ETIMEDOUT);
	assert_int_equal(x->got, 1);
}

static void the_master_hangs_up(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .id = NODE, .number = 1, .module = 2, .type = 1, .say = "ping", .room = 4 };

	x->close_on_frame = true;
	dial(x, &d);
	assert_int_equal(d.r, -ECONNRESET);
	assert_string_equal(d.e.text, "the master ends the session");
	fx_until(x, &x->closed_master, 1);
	assert_int_equal(x->why_master.code, -ECANCELED);
}

/* A door that nobody opens: the whole dial has one bound. */
static void dialing_is_bounded(void **state)
{
	const struct ssi_identity id = NODE;
	int fd = ssi_sock_listen(loopback, 0, NULL);
	struct sockaddr_in sa = { 0 };
	socklen_t n = sizeof(sa);
	struct ssi_ccm_line *l = NULL;
	uint64_t began = ssi_clock_mono_ms();
	struct ssi_err e;

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(ssi_ccm_dial(loopback, ntohs(sa.sin_port), &id, 1, good_key, 100, &l, &e), -ETIMEDOUT);
	assert_in_range(ssi_clock_mono_ms() - began, 90, 2000);
	assert_null(l);
	close(fd);
	assert_int_equal(ssi_ccm_dial(loopback, ntohs(sa.sin_port), &id, 1, good_key, 100, &l, &e), -ECONNREFUSED);
	ssi_ccm_hangup(NULL);
}

/* That a token was used is believed only of who has its key. */
static void a_stranger_denies_access(void **state)
{
	const struct ssi_identity id = BOOT;
	struct ssi_ccm_line *l = NULL;
	struct fx_stranger stranger;

	fx_stranger_start(&stranger, 1);
	assert_int_equal(ssi_ccm_dial(loopback, stranger.port, &id, SSI_CCM_BOOTING + 1, good_key, WAIT_MS, &l, NULL), -EKEYREJECTED);
	fx_stranger_end(&stranger);
	assert_int_equal(stranger.denied, 1);
}

static void bodies_are_bounded(void **state)
{
	struct fixture *x = *state;
	struct dialer d = { .id = NODE, .number = 1, .module = 2, .type = 1 };
	char *much = malloc(SSI_CCM_BODY_MAX + 2);

	memset(much, 'x', SSI_CCM_BODY_MAX + 1);
	much[SSI_CCM_BODY_MAX + 1] = '\0';
	d.say = much;
	dial(x, &d);
	assert_int_equal(d.r, -EMSGSIZE);
	much[SSI_CCM_BODY_MAX] = '\0';
	d = (struct dialer){ .id = NODE, .number = 1, .module = 2, .type = 1, .say = much };
	dial(x, &d);
	assert_int_equal(d.r, 0);
	fx_until(x, &x->got, 1);
	assert_int_equal(x->got_bytes, SSI_CCM_BODY_MAX);
	free(much);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_speaks, setup, teardown),
		cmocka_unit_test_setup_teardown(a_booting_machine_speaks, setup, teardown),
		cmocka_unit_test_setup_teardown(it_is_not_its_node, setup, teardown),
		cmocka_unit_test_setup_teardown(last_words_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(it_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_token_without_the_key_is_no_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(others_are_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(the_master_hangs_up, setup, teardown),
		cmocka_unit_test(dialing_is_bounded),
		cmocka_unit_test(a_stranger_denies_access),
		cmocka_unit_test_setup_teardown(bodies_are_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
