/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads between a node and its master: what is told is what is kept; what does not follow, or comes from who is no member, is passed over. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/comm/ccm-internal.h"
#include "ssi/procspace/load-head.h"
#include "ssi/procspace/load-node.h"
#include "ssi/procspace/load.h"

struct fixture {
	sd_event *event;
	struct ssi_ccm *ccm;
	struct ssi_load_head *head;
	struct ssi_load *load;           /* the node's */
	uint64_t *values;
	bool member;
	int told;
};

static bool fx_member(struct ssi_ccm_conn *c, void *userdata)
{
	return ((struct fixture *)userdata)->member;
}

static void fx_told(const struct ssi_load_of *n, void *userdata)
{
	((struct fixture *)userdata)->told++;
}

static void fx_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	ssi_load_head_closed(((struct fixture *)userdata)->head, c);
}

static const struct ssi_load_ops load_ops = { .member = fx_member, .told = fx_told };
static const struct ssi_ccm_ops ccm_ops = { .closed = fx_closed };

static int setup(void **state)
{
	static const struct ssi_load_cpu cpus[2] = { { .number = 0 }, { .number = 1 } };
	struct ssi_load_shape s = { .n_cpus = 2, .cpus = cpus, .cpuinfo = "" };
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	x->member = true;
	assert_int_equal(sd_event_new(&x->event), 0);
	assert_int_equal(ssi_ccm_new(x->event, &ccm_ops, x, &x->ccm), 0);
	assert_int_equal(ssi_load_head_new(x->ccm, &load_ops, x, &x->head), 0);
	x->load = ssi_load_new(&s, &x->values);
	assert_non_null(x->load);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_load_head_free(x->head);
	ssi_ccm_free(x->ccm);
	sd_event_unref(x->event);
	free(x->load);
	free(x);
	return 0;
}

static struct ssi_ccm_conn *conn(struct fixture *x)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .who = "n01", .incarnation = 1 };
	struct ssi_ccm_conn *c;

	assert_int_equal(ccm_conn_loose(x->ccm, &id, &c), 0);
	return c;
}

/* What the teller says over c goes to the head, or is lost on the way. */
static int tell(struct fixture *x, struct ssi_load_teller *t, struct ssi_ccm_conn *c, bool lost)
{
	struct ssi_ccm_head f;
	struct ssi_err e;
	int r;

	assert_int_equal(ssi_load_tell(t, c, x->load), 0);
	assert_true(c->told->len >= sizeof(f));
	memcpy(&f, c->told->data, sizeof(f));
	r = lost ? 0 : ccm_conn_hear(c, &f, (const uint8_t *)c->told->data + sizeof(f), &e);
	ssi_buf_consume(c->told, sizeof(f) + f.size);
	return r;
}

static uint64_t kept(struct fixture *x, unsigned value)
{
	const struct ssi_load_of *o = ssi_load_head_get(x->head, "n01");

	return o ? o->load->values[value] : UINT64_MAX;
}

static void keeps_what_is_told(void **state)
{
	struct fixture *x = *state;
	struct ssi_load_teller t = { 0 };
	struct ssi_ccm_conn *c = conn(x);
	uint64_t *cpu0 = x->values + SSI_LOAD_FIXED;

	assert_null(ssi_load_head_get(x->head, "n01"));
	x->values[SSI_LOAD_1] = 150;
	cpu0[0] = cpu0[3] = 100;
	assert_int_equal(tell(x, &t, c, false), 0);
	assert_int_equal(kept(x, SSI_LOAD_1), 150);
	assert_int_equal(ssi_load_head_get(x->head, "n01")->busy, 0);
	/* A second in which one of two processors did something half of the time. */
	x->values[SSI_LOAD_1] = 20;
	cpu0[0] += 50;
	cpu0[3] += 50;
	cpu0[SSI_LOAD_CPU + 3] += 100;
	assert_int_equal(tell(x, &t, c, false), 0);
	assert_int_equal(kept(x, SSI_LOAD_1), 20);
	assert_int_equal(ssi_load_head_get(x->head, "n01")->busy, 250);
	assert_int_equal(ssi_load_head_get(x->head, "n01")->idle_cpus, 150);
	assert_int_equal(x->told, 2);
	ssi_load_head_forget(x->head, "n01");
	assert_null(ssi_load_head_get(x->head, "n01"));
	ssi_load_forget(&t);
}

static void is_put_right_within_a_minute(void **state)
{
	struct fixture *x = *state;
	struct ssi_load_teller t = { 0 };
	struct ssi_ccm_conn *c = conn(x);

	assert_int_equal(tell(x, &t, c, false), 0);
	x->values[SSI_LOAD_1] = 1;
	assert_int_equal(tell(x, &t, c, true), 0);
	x->values[SSI_LOAD_5] = 2;
	assert_int_equal(tell(x, &t, c, false), 0);      /* it does not follow on what is here */
	assert_int_equal(kept(x, SSI_LOAD_5), 0);
	for (int i = 0; i < 60; i++)
		assert_int_equal(tell(x, &t, c, false), 0);
	assert_int_equal(kept(x, SSI_LOAD_1), 1);
	assert_int_equal(kept(x, SSI_LOAD_5), 2);
	ssi_load_forget(&t);
}

static void a_session_after_another(void **state)
{
	struct fixture *x = *state;
	struct ssi_load_teller t = { 0 };
	struct ssi_ccm_conn *one = conn(x), *two;

	x->values[SSI_LOAD_1] = 7;
	assert_int_equal(tell(x, &t, one, false), 0);
	ssi_load_head_closed(x->head, one);
	assert_int_equal(kept(x, SSI_LOAD_1), 7);        /* the last of it stays */
	two = conn(x);
	x->values[SSI_LOAD_1] = 8;
	assert_int_equal(tell(x, &t, two, false), 0);
	assert_int_equal(kept(x, SSI_LOAD_1), 7);        /* built on what another session said */
	ssi_load_forget(&t);
	assert_int_equal(tell(x, &t, two, false), 0);
	assert_int_equal(kept(x, SSI_LOAD_1), 8);
	ssi_load_forget(&t);
}

static void members_alone_count(void **state)
{
	struct fixture *x = *state;
	struct ssi_load_teller t = { 0 };
	struct ssi_ccm_conn *c = conn(x);

	x->member = false;
	assert_int_equal(tell(x, &t, c, false), 0);
	assert_null(ssi_load_head_get(x->head, "n01"));
	assert_int_equal(x->told, 0);
	ssi_load_forget(&t);
}

static void nonsense_ends_the_session(void **state)
{
	struct fixture *x = *state;
	struct ssi_ccm_head f = { .module = SSI_MOD_PROCSPACE, .type = SSI_PROCSPACE_LOAD, .sequence = 1 };
	struct ssi_ccm_conn *c = conn(x);
	struct ssi_err e;

	f.size = 3;
	assert_true(ccm_conn_hear(c, &f, (const uint8_t *)"\xff\xff\xff", &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keeps_what_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(is_put_right_within_a_minute, setup, teardown),
		cmocka_unit_test_setup_teardown(a_session_after_another, setup, teardown),
		cmocka_unit_test_setup_teardown(members_alone_count, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_ends_the_session, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
