/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent's fifo: what is written into it reaches the master line by line, however much of it waited there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/path.h"
#include "ssi-agent/agent.h"
#include "ssi/boot/boot.pb-c.h"

static char dir[] = "/tmp/test-events-XXXXXX";
static struct agent a = { .run_dir = dir, .events_fd = -1 };
static bool joined;
static char kinds[512][32], texts[512][512];
static size_t n_events;

/* --- the connection to the master, as events.c sees it --- */

struct ssi_ccm_conn *ssi_member_conn(const struct ssi_member *s)
{
	return joined ? (struct ssi_ccm_conn *)&joined : NULL;
}

int ssi_ccm_send(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint64_t sequence, const void *body, size_t len)
{
	Ssi__Boot__NodeEvent *m = ssi__boot__node_event__unpack(NULL, len, body);

	assert_int_equal(type, SSI_BOOT_NODE_EVENT);
	assert_non_null(m);
	assert_true(n_events < sizeof(kinds) / sizeof(kinds[0]));
	snprintf(kinds[n_events], sizeof(kinds[0]), "%s", m->kind);
	snprintf(texts[n_events++], sizeof(texts[0]), "%s", m->text);
	ssi__boot__node_event__free_unpacked(m, NULL);
	return 0;
}

static int setup(void **state)
{
	n_events = 0;
	joined = false;
	assert_int_equal(sd_event_new(&a.event), 0);
	return events_open(&a, NULL);
}

static int teardown(void **state)
{
	events_close(&a);
	a.events_fd = -1;
	a.event = sd_event_unref(a.event);
	return 0;
}

static int a_folder(void **state)
{
	return mkdtemp(dir) ? chdir(dir) : -1;
}

static int no_folder(void **state)
{
	return ssi_path_rmtree(dir);
}

static void say(const char *line)
{
	assert_int_equal(write(a.events_fd, line, strlen(line)), strlen(line));
}

static void take_all(void)
{
	joined = true;
	events_enable(&a, true);
	while (sd_event_run(a.event, 0) > 0)
		;
}

static void a_line_is_an_event(void **state)
{
	say("root-back nfs:/x: back after 3 s\nbare\n\n");
	say("a-kind-that-is-longer-than-any-may-be text\n");
	take_all();
	assert_int_equal(n_events, 2);
	assert_string_equal(kinds[0], "root-back");
	assert_string_equal(texts[0], "nfs:/x: back after 3 s");
	assert_string_equal(kinds[1], "bare");
	assert_string_equal(texts[1], "");
}

static void they_wait_until_joined(void **state)
{
	say("service-failed sshd\n");
	events_enable(&a, true);
	assert_int_equal(sd_event_run(a.event, 0), 1);
	assert_int_equal(sd_event_run(a.event, 0), 0);
	assert_int_equal(n_events, 0);
	take_all();
	assert_int_equal(n_events, 1);
}

/* More than one read takes: each line is whole all the same. */
static void many_that_waited(void **state)
{
	char line[200];

	for (int i = 0; i < 300; i++) {
		snprintf(line, sizeof(line), "service-failed %03d %0*d\n", i, 20 + i % 100, 7);
		say(line);
	}
	take_all();
	assert_int_equal(n_events, 300);
	for (int i = 0; i < 300; i++) {
		assert_string_equal(kinds[i], "service-failed");
		assert_int_equal(strlen(texts[i]), 4 + 20 + i % 100);
		assert_int_equal(atoi(texts[i]), i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_is_an_event, setup, teardown),
		cmocka_unit_test_setup_teardown(they_wait_until_joined, setup, teardown),
		cmocka_unit_test_setup_teardown(many_that_waited, setup, teardown),
	};

	return cmocka_run_group_tests(tests, a_folder, no_folder);
}
