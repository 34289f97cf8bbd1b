/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both sides of membership and of the boot dialogue: a node joins, changes, loses its connection, leaves; the master goes and comes back. */
#include "tests/unit/session-fixture.h"

static void joins_and_beats(void **state)
{
	struct fixture *x = *state;
	const struct ssi_head_node *n;

	fx_join(x);
	assert_int_equal(x->state, SSI_NODE_JOINED);
	assert_int_equal(x->view_nodes, 1);
	assert_int_equal(x->view_cpus, 3);
	n = ssi_head_node(x->head, "n01");
	assert_string_equal(n->inventory.nics[0].mac, MAC);
	while (n->mem_free != 77)        /* the first heartbeat */
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	assert_true(n->load > 1.4 && n->load < 1.6);
}

static void processor_appears(void **state)
{
	struct fixture *x = *state;
	struct ssi_head_totals t;
	uint64_t since;

	fx_join(x);
	since = ssi_head_node(x->head, "n01")->since_ms;
	x->cpus = 4;
	while (x->view_cpus != 4)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	assert_int_equal(ssi_head_totals(x->head, "demo", &t), 0);
	assert_int_equal(t.cpus, 4);
	/* The session goes on: it has not joined again, and is joined since when it was. */
	assert_int_equal(x->joined, 1);
	assert_int_equal(x->lost, 0);
	assert_int_equal(ssi_head_node(x->head, "n01")->since_ms, since);
	x->cpus = 2;
	ssi_member_update(x->member);
	while (x->view_cpus != 2)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
}

static void master_comes_back(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ma_stop(x);
	fx_until(x, &x->lost, 3);        /* it tries, and tries again */
	ma_start(x);
	assert_int_equal(ssi_head_restore(x->head, "n01", SSI_NODE_JOINED, 7, 0, "", NULL), 0);
	x->changes = 0;
	fx_until(x, &x->joined, 2);
	assert_int_equal(x->changes, 1);
	assert_true(x->rejoined);
	assert_int_equal(x->over, 0);
}

/* Nobody says goodbye: the node finds out by itself, at the latest by the master's silence. */
static void master_comes_back_after_a_crash(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ma_crash(x);
	fx_until(x, &x->lost, 3);
	ma_start(x);
	assert_int_equal(ssi_head_restore(x->head, "n01", SSI_NODE_JOINED, 7, 0, "", NULL), 0);
	fx_until(x, &x->joined, 2);
	assert_true(x->rejoined);
	ma_crash(x);
	ma_start(x);                     /* so soon that the node's session has not ended: it is another master all the same */
	assert_int_equal(ssi_head_restore(x->head, "n01", SSI_NODE_JOINED, 7, 0, "", NULL), 0);
	fx_until(x, &x->joined, 3);
	assert_int_equal(x->over, 0);
}

static void fx_until_beats(struct fixture *x, int n)
{
	for (uint64_t before; n > 0; n--) {
		before = ssi_head_node(x->head, "n01")->uptime_ms;
		while (ssi_head_node(x->head, "n01")->uptime_ms == before)
			assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	}
}

/* A connection that breaks is nobody's loss: the node stays joined, and what was said meanwhile arrives. */
static void connection_breaks_unnoticed(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_conn *there;
	uint64_t since;

	fx_join(x);
	fx_until_beats(x, 1);
	there = ssi_head_conn(x->head, "n01");
	since = ssi_head_node(x->head, "n01")->since_ms;
	for (int i = 0; i < 6; i++) {
		uint32_t cpus = 10 + (uint32_t)i;

		fx_cut(i % 2 ? x->master : x->node, 1);
		x->cpus = cpus;
		ssi_member_update(x->member);
		while (x->view_cpus != cpus)
			assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
		assert_int_equal(ssi_head_order(x->head, "n01", SSI_HEAD_REBOOT, "by hand"), 0);
		fx_cut(x->master, 1);
		fx_until(x, &x->orders, i + 1);
	}
	fx_until_beats(x, 3);
	assert_int_equal(x->joined, 1);
	assert_int_equal(x->lost, 0);
	assert_int_equal(x->orders, 6);
	assert_ptr_equal(ssi_head_conn(x->head, "n01"), there);
	assert_int_equal(ssi_head_node(x->head, "n01")->since_ms, since);
}

static void detached_means_reboot(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	ma_stop(x);
	ma_start(x);
	assert_int_equal(ssi_head_restore(x->head, "n01", SSI_NODE_DETACHED, 7, 0, "nothing heard", NULL), 0);
	fx_until(x, &x->over, 1);
	assert_int_equal(x->joined, 1);
}

static void is_ordered_and_leaves(void **state)
{
	struct fixture *x = *state;

	fx_join(x);
	assert_int_equal(ssi_head_order(x->head, "n01", SSI_HEAD_REBOOT, "by hand"), 0);
	fx_until(x, &x->orders, 1);
	x->changes = 0;
	assert_int_equal(ssi_member_leave(x->member, "reboot"), 0);
	fx_until(x, &x->changes, 1);
	assert_int_equal(x->state, SSI_NODE_OFF);
	assert_string_equal(ssi_head_node(x->head, "n01")->reason, "reboot");
}

/* --- the boot dialogue, blocking, in a thread --- */

struct dialogue { struct ssi_bootargs args; int r, again, report; struct ssi_boot_keys keys; struct ssi_err e; };

static void *dialogue_run(void *userdata)
{
	struct dialogue *d = userdata;
	struct ssi_ccm_line *l = NULL;

	d->report = ssi_boot_report_dial(&d->args, NULL, WAIT_MS, &l, &d->e);
	if (d->report >= 0)
		d->report = ssi_boot_report_stage(l, "root", 1, 2, 1, WAIT_MS, &d->e);
	if (d->report >= 0)
		d->report = ssi_boot_report_failed(l, "root", "mount: no", "look", 30, WAIT_MS, &d->e);
	ssi_ccm_hangup(l);
	d->r = ssi_boot_exchange_token(&d->args, WAIT_MS, &d->keys, &d->e);
	if (d->r >= 0)
		d->again = ssi_boot_exchange_token(&d->args, WAIT_MS, &d->keys, &d->e);
	return NULL;
}

static void texts_are_made_fit(void **state)
{
	static const struct { const char *from, *to; } texts[] = {
		{ "plain", "plain" },
		{ "a\033[31mb\tc\177", "a?[31mb?c?" },
		{ "na\xc3\xafve \xe2\x86\x92", "na\xc3\xafve \xe2\x86\x92" },
		{ "\xc2\x9b" "1m", "??1m" },                       /* CSI */
		{ "\xff\xfe", "??" },
		{ "\xc0\xaf", "??" },                              /* a longer '/' */
		{ "cut \xe2\x86", "cut ??" },
		{ "123456789012345", "123456789012345" },
		{ "1234567890123456", "123456789012345" },
		{ "1234567890123\xe2\x86\x92", "1234567890123" },   /* not half a character */
	};
	char to[16];

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_string_equal(ssi_text_copy(to, sizeof(to), texts[i].from), texts[i].to);
	assert_string_equal(ssi_text_copy(to, sizeof(to), NULL), "");
	assert_string_equal(ssi_text_copy(to, 1, "x"), "");
}

static void token_is_traded_once(void **state)
{
	struct fixture *x = *state;
	struct dialogue d = { .args = { .mac = MAC, .master = loopback, .port = x->port, .number = 1, .incarnation = 7, .token = TOKEN } };
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, dialogue_run, &d), 0);
	fx_until(x, &x->intrusions, 1);
	pthread_join(t, NULL);
	assert_int_equal(d.report, 0);
	assert_int_equal(x->stages, 1);
	assert_string_equal(x->failure, "root: mount: no; look; 30");
	assert_int_equal(d.r, 0);
	assert_memory_equal(d.keys.key, node_key, SSI_CCM_KEY);
	assert_int_equal(d.again, -EKEYREVOKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(joins_and_beats, setup, teardown),
		cmocka_unit_test_setup_teardown(processor_appears, setup, teardown),
		cmocka_unit_test_setup_teardown(master_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(master_comes_back_after_a_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(connection_breaks_unnoticed, setup, teardown),
		cmocka_unit_test_setup_teardown(detached_means_reboot, setup, teardown),
		cmocka_unit_test_setup_teardown(is_ordered_and_leaves, setup, teardown),
		cmocka_unit_test(texts_are_made_fit),
		cmocka_unit_test_setup_teardown(token_is_traded_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
