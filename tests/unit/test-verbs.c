/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's verbs at its control socket: a store with events, the real handlers in a thread with its own loop, a real client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootsvc/control.h"
#include "bootsvc/events.h"
#include "bootsvc/images.h"
#include "bootsvc/inventory.h"
#include "libssi/base/path.h"

#define NODES 3                      /* event i is of node n01 to n03, in turn */

static char dir[64], path[128];
static struct bootsvc_options options = { .run = dir, .state = dir };
static struct daemon served;
static pthread_t thread;

static void *serve(void *userdata)
{
	sd_event_loop(served.event);
	ssi_control_server_free(served.control);         /* sends the answer to "stop" */
	ssi_control_server_free(served.users);
	return NULL;
}

/* n events are in the store, then the daemon's loop is another thread's until down(). */
static void up(size_t n)
{
	struct ssi_err e = { 0 };

	strcpy(dir, "/tmp/ssi-verbs-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/bootsvc.sock", dir);
	served = (struct daemon) { .opt = &options };
	assert_int_equal(sd_event_new(&served.event), 0);
	if (state_open(dir, &served.state, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(events_new(served.state, &served.events), 0);
	if (control_start(&served, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(state_begin(served.state, false, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		char node[8], text[128];
		struct state_event ev = { .time = i, .kind = "bind", .node = node, .machine = "", .text = text };

		snprintf(node, sizeof(node), "n%02zu", i % NODES + 1);
		snprintf(text, sizeof(text), "event %zu, which says as much as one does: bound to the first free node of the system", i);
		assert_int_equal(state_event_add(served.state, &ev, NULL), 0);
	}
	assert_int_equal(state_commit(served.state, NULL), 0);
}

static void go(void)
{
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
}

static void down(void)
{
	_cleanup_json_ json_t *answer = NULL;

	assert_int_equal(ssi_control_ask(path, "stop", NULL, 10000, &answer, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	events_free(served.events);
	state_close(served.state);
	sd_event_unref(served.event);
	assert_int_equal(ssi_path_rmtree(dir), 0);
}

struct seen { size_t n; json_int_t first, last; char text[256]; };

static int see(const json_t *e, void *userdata)
{
	struct seen *s = userdata;

	assert_true(ssi_json_int(e, "id") > s->last);
	s->last = ssi_json_int(e, "id");
	if (!s->n++)
		s->first = s->last;
	snprintf(s->text, sizeof(s->text), "%s", ssi_json_str(e, "text"));
	return 0;
}

/* args is taken over. */
static struct seen events(json_t *args)
{
	_cleanup_control_ struct ssi_control *c = NULL;
	_cleanup_json_ json_t *own = args, *answer = NULL;
	struct seen s = { 0 };
	struct ssi_err e = { 0 };

	if (ssi_control_open(path, &c, &e) < 0 || ssi_control_call(c, "events", own, 10000, see, &s, &answer, &e) != 0)
		fail_msg("%s", e.text);
	return s;
}

/* A node says what it likes, and a text may be cut within a character: it is told all the same. */
static void what_is_no_utf8_is_told(void **state)
{
	struct seen s;

	up(1);
	events_add(served.events, "node-event", "n01", "", 1, "disk: \xff\xc3");
	go();
	s = events(NULL);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.text, "disk: \xef\xbf\xbd\xef\xbf\xbd");
	down();
}

/* "limit" is how many of the newest are told, however large it is; of some nodes, how many of theirs. */
static void the_newest_are_told(void **state)
{
	static const struct { json_int_t since, limit; size_t n, of_one; } cases[] = {
		{ 0, 0, 6000, 2000 }, { 0, 1, 1, 1 }, { 0, 100, 100, 100 }, { 0, 1500, 1500, 1500 }, { 0, 5999, 5999, 2000 }, { 0, 100000, 6000, 2000 },
		{ 5400, 100, 100, 100 }, { 5400, 1500, 600, 200 }, { 6000, 5, 0, 0 }, { 7000, 0, 0, 0 },
	};

	up(6000);
	go();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct seen s = events(json_pack("{s:I, s:I}", "since", cases[i].since, "limit", cases[i].limit));

		assert_int_equal(s.n, cases[i].n);
		if (s.n) {
			assert_int_equal(s.first, 6000 - s.n + 1);
			assert_int_equal(s.last, 6000);
		}
		s = events(json_pack("{s:I, s:I, s:s}", "since", cases[i].since, "limit", cases[i].limit, "node", "x9,n02"));
		assert_int_equal(s.n, cases[i].of_one);
		if (s.n)
			assert_int_equal(s.last, 5999);
	}
	down();
}

static void a_reason_that_is_no_utf8_is_a_reason(void **state)
{
	_cleanup_json_ json_t *j = control_node_result("n01", "no\xff");

	assert_string_equal(ssi_json_str(j, "error"), "no\xef\xbf\xbd");
}

static void an_inventory_that_is_no_utf8_is_kept(void **state)
{
	static struct ssi_inventory v = { .cpus = 2, .cpu_model = "a\xff", .kernel = "\xc3(", .n_nics = 1, .nics = { { "eth\xe9", "52:54:00:00:00:01", "e1000" } },
					  .n_accelerators = 1, .accelerators = { { .address = "0000:00:02.0", .driver = "\x80" } } }, back;
	_cleanup_free_ char *text = inventory_format(&v);

	assert_non_null(text);
	inventory_parse(text, &back);
	assert_int_equal(back.cpus, 2);
	assert_string_equal(back.cpu_model, "a\xef\xbf\xbd");
	assert_int_equal(back.n_nics, 1);
	assert_string_equal(back.nics[0].mac, "52:54:00:00:00:01");
	assert_int_equal(back.n_accelerators, 1);
}

/* A store that cannot be: an error, and no descriptor that is not its own is closed. */
static void a_store_that_cannot_be(void **state)
{
	struct bootsvc_options o = { .store = "/dev/null/store" };
	struct daemon d = { .opt = &o };
	struct images *im = NULL;
	struct ssi_err e;

	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0 || open("/dev/null", O_RDONLY) == STDIN_FILENO);
	assert_int_equal(images_new(&d, &im, &e), -ENOTDIR);
	assert_null(im);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
}

static struct in_addr address(const char *s)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, s, &a), 1);
	return a;
}

/* Linux answers on every interface for each of its addresses: whoever asks is of the network he is in. */
static void a_machine_is_of_its_own_network(void **state)
{
	static const char text[] = "[system a]\ninterface = eth1\nnetwork = 10.77.0.0/24\n[system b]\ninterface = eth2\nnetwork = 10.78.0.0/24\n";
	struct ssi_registry_source src = { "t.ini", text, strlen(text) };
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	_cleanup_registry_ struct ssi_registry *reg = NULL;
	struct daemon d = { 0 };

	assert_int_equal(ssi_registry_parse(&src, 1, &reg, &errors), 0);
	d.registry = reg;
	assert_string_equal(daemon_system_at(&d, address("10.77.0.1"), address("10.77.0.9"))->name, "a");
	assert_string_equal(daemon_system_at(&d, address("10.77.0.1"), address("10.78.0.9"))->name, "b");
	assert_string_equal(daemon_system_at(&d, address("10.77.0.1"), address("192.168.1.9"))->name, "a");      /* behind a router */
	assert_string_equal(daemon_system_at(&d, address("10.9.0.1"), address("10.78.0.9"))->name, "b");
	assert_null(daemon_system_at(&d, address("10.9.0.1"), address("192.168.1.9")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_utf8_is_told),
		cmocka_unit_test(the_newest_are_told),
		cmocka_unit_test(a_reason_that_is_no_utf8_is_a_reason),
		cmocka_unit_test(an_inventory_that_is_no_utf8_is_kept),
		cmocka_unit_test(a_store_that_cannot_be),
		cmocka_unit_test(a_machine_is_of_its_own_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
