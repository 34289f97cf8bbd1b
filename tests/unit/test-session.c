/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both sides of membership, boot and rexec over real TLS on loopback, in one loop: real children run, the master goes and comes back. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "libssi/base/hash.h"
#include "ssi/boot/master.h"
#include "ssi/boot/node.h"
#include "ssi/boot/text.h"
#include "ssi/membership/head.h"
#include "ssi/membership/node.h"
#include "ssi/rexec/head.h"
#include "ssi/rexec/node.h"

#define WAIT_MS 10000
#define TEST_S 300           /* heartbeats keep the loop awake: what is waited for there has no other bound */
#define TOKEN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define MAC "52:54:00:00:00:01"

static const struct in_addr loopback = { 0x0100007f };
static const uint8_t node_key[SSI_CCM_KEY] = "0123456789abcdef0123456789abcde";

struct fixture {
	sd_event *event;
	/* master */
	struct ssi_ccm *master;
	struct ssi_head *head;
	struct ssi_rexec *rexec;
	struct ssi_boot_master boot;
	uint16_t port;
	bool token_used;
	int changes, intrusions, stages, failures, exits, slow;
	enum ssi_nodestate state;
	bool rejoined;
	struct ssi_rexec_exit exit;
	struct ssi_buf out, err;
	char failure[128];
	/* node */
	struct ssi_ccm *node;
	struct ssi_member *member;
	struct ssi_rexec_node *runner;
	int joined, lost, over, orders, views;
	uint64_t view_nodes, view_cpus;
	uint32_t cpus, cpus_told;
};

/* --- the master --- */

static int ma_key(const struct ssi_identity *id, struct in_addr peer, uint8_t ret[SSI_CCM_KEY], void *userdata)
{
	struct fixture *x = userdata;

	if (id->kind == SSI_IDENTITY_BOOT) {
		ssi_hash_unhex(TOKEN, ret, SSI_CCM_KEY);
		return strcmp(id->who, MAC) ? -ENOENT : x->token_used;
	}
	memcpy(ret, node_key, SSI_CCM_KEY);
	return strcmp(id->who, "n01") ? -ENOENT : 0;
}

static void ma_opened(struct ssi_ccm_conn *c, void *userdata)
{
}

static void ma_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	ssi_rexec_closed(x->rexec, c, why);
	ssi_head_closed(x->head, c);
}

static void ma_refused(struct in_addr peer, const struct ssi_identity *id, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	x->intrusions += why->code == -EKEYREVOKED;
}

static int ma_token(struct ssi_ccm_conn *c, const char *mac, uint64_t incarnation, uint8_t ret_key[SSI_CCM_KEY], struct ssi_err *e, void *userdata)
{
	struct fixture *x = userdata;

	assert_string_equal(mac, MAC);
	assert_int_equal(incarnation, 7);
	x->token_used = true;
	memcpy(ret_key, node_key, SSI_CCM_KEY);
	return 0;
}

static void ma_stage(struct ssi_ccm_conn *c, const struct ssi_boot_stage *s, void *userdata)
{
	((struct fixture *)userdata)->stages++;
	assert_string_equal(s->name, "root");
}

static void ma_failed(struct ssi_ccm_conn *c, const char *stage, const char *text, const char *next, uint32_t delay_s, void *userdata)
{
	struct fixture *x = userdata;

	snprintf(x->failure, sizeof(x->failure), "%s: %s; %s; %u", stage, text, next, delay_s);
	x->failures++;
}

static void ma_event(struct ssi_ccm_conn *c, const char *kind, const char *text, void *userdata)
{
}

static void ma_changed(const struct ssi_head_node *n, enum ssi_nodestate before, enum ssi_nodeevent ev, const struct ssi_head_join *join, void *userdata)
{
	struct fixture *x = userdata;

	x->changes++;
	x->state = n->state;
	x->rejoined = join && join->rejoin;
}

static void ma_head_refused(struct ssi_ccm_conn *c, const char *text, void *userdata)
{
}

static void ma_drained(struct ssi_ccm_conn *c, void *userdata)
{
	ssi_rexec_drained(((struct fixture *)userdata)->rexec, c);
}

static const struct ssi_ccm_ops ma_ccm_ops = { .key = ma_key, .opened = ma_opened, .closed = ma_closed, .refused = ma_refused, .drained = ma_drained };
static const struct ssi_boot_ops ma_boot_ops = { .token = ma_token, .stage = ma_stage, .failed = ma_failed, .node_event = ma_event };
static const struct ssi_head_ops ma_head_ops = { .changed = ma_changed, .refused = ma_head_refused };

static void ma_start(struct fixture *x)
{
	x->boot = (struct ssi_boot_master){ &ma_boot_ops, x };
	assert_int_equal(ssi_ccm_new(x->event, &ma_ccm_ops, x, &x->master), 0);
	assert_int_equal(ssi_boot_master(x->master, &x->boot), 0);
	assert_int_equal(ssi_head_new(x->event, x->master, &ma_head_ops, x, &x->head), 0);
	assert_int_equal(ssi_rexec_new(x->master, &x->rexec), 0);
	assert_int_equal(ssi_head_set_system(x->head, "demo", 50, 1000, 1), 0);
	assert_int_equal(ssi_head_set_node(x->head, "n01", "demo", 1, loopback, NULL), 0);
	assert_int_equal(ssi_ccm_listen(x->master, loopback, x->port, NULL), 0);
	x->port = ssi_ccm_port(x->master);
}

static void ma_stop(struct fixture *x)
{
	ssi_rexec_free(x->rexec);
	ssi_head_free(x->head);
	ssi_ccm_free(x->master);
	x->rexec = NULL;
	x->head = NULL;
	x->master = NULL;
}

/* --- the node --- */

static void no_inventory(struct ssi_inventory *ret, void *userdata)
{
	struct fixture *x = userdata;

	ret->cpus = x->cpus_told = x->cpus;
	ret->memory = 4096;
	ret->n_nics = 1;
	strcpy(ret->nics[0].mac, MAC);
	strcpy(ret->nics[0].name, "eth0");
}

static size_t no_stages(struct ssi_boot_stage *ret, size_t max, void *userdata)
{
	ret[0] = (struct ssi_boot_stage){ "root", 1, 2, 1 };
	return 1;
}

static bool no_vitals(double *ret_load, uint64_t *ret_mem_free, void *userdata)
{
	struct fixture *x = userdata;
	bool changed = x->cpus != x->cpus_told;

	*ret_load = 1.5;
	*ret_mem_free = 77;
	return changed;
}

static void no_joined(bool again, void *userdata)
{
	((struct fixture *)userdata)->joined++;
}

static void no_lost(const struct ssi_err *why, void *userdata)
{
	((struct fixture *)userdata)->lost++;
}

static void no_view(const struct ssi_view *v, void *userdata)
{
	struct fixture *x = userdata;

	x->views++;
	x->view_nodes = v->n;
	x->view_cpus = v->cpus;
}

static void no_order(enum ssi_member_order what, const char *reason, void *userdata)
{
	((struct fixture *)userdata)->orders++;
}

static void no_over(const char *why, void *userdata)
{
	((struct fixture *)userdata)->over++;
}

static const struct ssi_member_ops no_member_ops = { .inventory = no_inventory, .stages = no_stages, .vitals = no_vitals, .joined = no_joined,
	.lost = no_lost, .view = no_view, .order = no_order, .over = no_over };

static void no_opened(struct ssi_ccm_conn *c, void *userdata)
{
	ssi_member_opened(((struct fixture *)userdata)->member, c);
}

static void no_closed(struct ssi_ccm_conn *c, const struct ssi_err *why, void *userdata)
{
	struct fixture *x = userdata;

	ssi_rexec_node_closed(x->runner, c);
	ssi_member_closed(x->member, c, why);
}

static void no_drained(struct ssi_ccm_conn *c, void *userdata)
{
	ssi_rexec_node_drained(((struct fixture *)userdata)->runner, c);
}

static const struct ssi_ccm_ops no_ccm_ops = { .opened = no_opened, .closed = no_closed, .drained = no_drained };

static void no_start(struct fixture *x)
{
	struct ssi_member_config config = { .master = loopback, .port = x->port, .node = "n01", .incarnation = 7 };

	memcpy(config.key, node_key, sizeof(config.key));
	assert_int_equal(ssi_ccm_new(x->event, &no_ccm_ops, x, &x->node), 0);
	assert_int_equal(ssi_rexec_node_new(x->event, x->node, &x->runner), 0);
	assert_int_equal(ssi_member_new(x->event, x->node, &config, &no_member_ops, x, &x->member), 0);
	assert_int_equal(ssi_member_start(x->member, false), 0);
}

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	assert_non_null(x);
	alarm(TEST_S);
	assert_int_equal(sd_event_new(&x->event), 0);
	x->cpus = x->cpus_told = 3;
	ma_start(x);
	assert_int_equal(ssi_head_boot(x->head, "n01", 7), 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	ssi_rexec_node_free(x->runner);
	ssi_member_free(x->member);
	ssi_ccm_free(x->node);
	ma_stop(x);
	sd_event_unref(x->event);
	ssi_buf_free(&x->out);
	ssi_buf_free(&x->err);
	free(x);
	return 0;
}

static int fx_late(sd_event_source *s, uint64_t usec, void *userdata)
{
	*(bool *)userdata = true;
	return 0;
}

static void fx_until(struct fixture *x, const int *what, int n)
{
	sd_event_source *timer = NULL;
	bool late = false;

	sd_event_add_time_relative(x->event, &timer, CLOCK_MONOTONIC, WAIT_MS * 1000, 1, fx_late, &late);
	while (*what < n && !late)
		assert_true(sd_event_run(x->event, UINT64_MAX) >= 0);
	sd_event_source_disable_unref(timer);
	assert_false(*what < n);
}

static void fx_join(struct fixture *x)
{
	no_start(x);
	fx_until(x, &x->joined, 1);
	fx_until(x, &x->views, 1);
}

/* --- membership --- */

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

struct dialogue { struct ssi_bootargs args; int r, again, report; uint8_t key[SSI_CCM_KEY]; struct ssi_err e; };

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
	d->r = ssi_boot_exchange_token(&d->args, WAIT_MS, d->key, &d->e);
	if (d->r >= 0)
		d->again = ssi_boot_exchange_token(&d->args, WAIT_MS, d->key, &d->e);
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
	struct dialogue d = { .args = { .mac = MAC, .master = loopback, .port = x->port, .incarnation = 7, .token = TOKEN } };
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, dialogue_run, &d), 0);
	fx_until(x, &x->intrusions, 1);
	pthread_join(t, NULL);
	assert_int_equal(d.report, 0);
	assert_int_equal(x->stages, 1);
	assert_string_equal(x->failure, "root: mount: no; look; 30");
	assert_int_equal(d.r, 0);
	assert_memory_equal(d.key, node_key, SSI_CCM_KEY);
	assert_int_equal(d.again, -EKEYREVOKED);
}

/* --- rexec --- */

static void re_output(struct ssi_rexec_call *call, int fd, const void *p, size_t n, void *userdata)
{
	struct fixture *x = userdata;

	ssi_buf_add(fd == 2 ? &x->err : &x->out, p, n);
	if (!x->slow)
		ssi_rexec_consumed(call, n);
}

static void re_exited(struct ssi_rexec_call *call, const struct ssi_rexec_exit *e, void *userdata)
{
	struct fixture *x = userdata;

	x->exit = *e;
	x->exits++;
}

static const struct ssi_rexec_ops re_ops = { .output = re_output, .exited = re_exited };

static struct ssi_rexec_call *re_more(struct fixture *x, const char *script)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL }, *env[] = { "GREETING=hello", NULL };
	struct ssi_rexec_call *call = NULL;

	assert_int_equal(ssi_rexec_start(x->rexec, ssi_head_conn(x->head, "n01"), (char **)argv, (char **)env, "/tmp", 0, &re_ops, x, &call, NULL), 0);
	return call;
}

static struct ssi_rexec_call *re_start(struct fixture *x, const char *script)
{
	fx_join(x);
	return re_more(x, script);
}

static void command_runs(void **state)
{
	struct fixture *x = *state;

	re_start(x, "echo $GREETING from $PWD; echo oh >&2; exit 3");
	fx_until(x, &x->exits, 1);
	assert_string_equal(x->out.data, "hello from /tmp\n");
	assert_string_equal(x->err.data, "oh\n");
	assert_int_equal(x->exit.status, 3);
	assert_string_equal(x->exit.error, "");
}

static void missing_command_says_so(void **state)
{
	struct fixture *x = *state;
	const char *argv[] = { "/no/such/program", NULL };
	struct ssi_rexec_call *call;

	fx_join(x);
	assert_int_equal(ssi_rexec_start(x->rexec, ssi_head_conn(x->head, "n01"), (char **)argv, NULL, NULL, 0, &re_ops, x, &call, NULL), 0);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.status, 127);
	assert_non_null(strstr(x->exit.error, "/no/such/program"));
}

static void input_reaches_the_command(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call = re_start(x, "tr a-z A-Z");

	static const char much[(64 << 10) + 1];

	assert_int_equal(ssi_rexec_input(call, much, sizeof(much)), -EMSGSIZE);   /* waiting would not help */
	assert_int_equal(ssi_rexec_input(call, "shout", 5), 0);
	assert_int_equal(ssi_rexec_input(call, NULL, 0), 0);
	fx_until(x, &x->exits, 1);
	assert_string_equal(x->out.data, "SHOUT");
}

static void much_output_comes_whole(void **state)
{
	struct fixture *x = *state;

	re_start(x, "head -c 3000000 /dev/zero");
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->out.len, 3000000);
	assert_int_equal(x->joined, 1);
}

static void re_until_heartbeat(struct fixture *x)
{
	uint64_t before = ssi_head_node(x->head, "n01")->uptime_ms;

	while (ssi_head_node(x->head, "n01")->uptime_ms == before)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
}

static void slow_reader_holds_it_up(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call;

	x->slow = 1;
	call = re_start(x, "head -c 1000000 /dev/zero");
	while (x->out.len < SSI_REXEC_WINDOW)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	for (int i = 0; i < 5; i++)      /* heartbeats go on, output does not */
		re_until_heartbeat(x);
	assert_int_equal(x->out.len, SSI_REXEC_WINDOW);
	assert_int_equal(x->exits, 0);
	x->slow = 0;
	ssi_rexec_consumed(call, SSI_REXEC_WINDOW);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->out.len, 1000000);
}

/* It goes on writing, and there is never room for all of it: what a command left behind does not hold up its end. */
static void what_it_leaves_behind_is_not_waited_for(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call;

	x->slow = 1;
	call = re_start(x, "yes & read line; exit 3");
	while (x->out.len < SSI_REXEC_WINDOW)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	assert_int_equal(ssi_rexec_input(call, NULL, 0), 0);
	while (!x->exits && x->out.len < 2 * SSI_REXEC_WINDOW) {
		ssi_rexec_consumed(call, 16384);
		re_until_heartbeat(x);   /* so that the pipe is full again */
	}
	assert_int_equal(x->exits, 1);
	assert_int_equal(x->exit.status, 3);
}

/* Nothing more goes into its queue, not a byte: a frame of a call that neither end has. */
static void re_fill(struct ssi_ccm_conn *c, uint16_t type)
{
	static const uint8_t junk[32768];

	for (size_t n = sizeof(junk); n; n /= 2)
		while (ssi_ccm_send(c, SSI_MOD_REXEC, type, 0, UINT64_MAX, junk, n) == 0)
			;
}

/* The queue to the master is full when a command ends. */
static void the_end_finds_its_way(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call = re_start(x, "echo $$; read line; exit 3");
	struct ssi_ccm_conn *c = ssi_member_conn(x->member);
	pid_t pid;

	while (!x->out.len)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	pid = atoi(x->out.data);
	assert_int_equal(ssi_rexec_input(call, NULL, 0), 0);
	while (kill(pid, 0) == 0) {
		re_fill(c, SSI_REXEC_OUTPUT);
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	}
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.status, 3);
}

/* The queue to the node is full when there is room again, and when nobody wants a command any more. */
static void leave_and_kill_find_their_way(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call;
	pid_t pid;

	x->slow = 1;
	call = re_start(x, "head -c 300000 /dev/zero");
	fx_until(x, &x->views, 2);       /* that it has joined is told; who does not take that, for a full queue, is out */
	while (x->out.len < SSI_REXEC_WINDOW)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	re_fill(ssi_head_conn(x->head, "n01"), SSI_REXEC_INPUT);
	x->slow = 0;
	ssi_rexec_consumed(call, SSI_REXEC_WINDOW);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->out.len, 300000);
	ssi_buf_free(&x->out);
	call = re_more(x, "echo $$; exec sleep 1000");
	while (!x->out.len)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	pid = atoi(x->out.data);
	re_fill(ssi_head_conn(x->head, "n01"), SSI_REXEC_INPUT);
	ssi_rexec_cancel(call);
	for (int i = 0; kill(pid, 0) == 0 && i < 1000; i++)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) >= 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(x->exits, 1);
	assert_int_equal(x->joined, 1);
}

/* What a command takes of its input while the queue to the master is full. */
static void leave_for_input_finds_its_way(void **state)
{
	static const char text[65536];
	struct fixture *x = *state;
	struct ssi_rexec_call *call = re_start(x, "cat >/dev/null; exit 3");
	int sent = 0;

	while (sent < 8) {               /* twice the window */
		re_fill(ssi_member_conn(x->member), SSI_REXEC_OUTPUT);
		sent += ssi_rexec_input(call, text, sizeof(text)) == 0;
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	}
	assert_int_equal(ssi_rexec_input(call, NULL, 0), 0);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.status, 3);
}

/* More calls than a node runs at once, each of which had written more than there was room for: one was running then, one had ended. */
static void what_is_cancelled_leaves_nothing(void **state)
{
	static const char *const scripts[] = { "head -c 1000000 /dev/zero", "head -c 300000 /dev/zero" };
	struct fixture *x = *state;

	fx_join(x);
	x->slow = 1;
	for (int i = 0; i < 70; i++) {
		struct ssi_rexec_call *call = re_more(x, scripts[i % 2]);

		while (x->out.len < SSI_REXEC_WINDOW && !x->exits)
			assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
		assert_string_equal(x->exit.error, "");
		ssi_rexec_cancel(call);
		ssi_buf_free(&x->out);
	}
	re_more(x, "exit 3");
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.status, 3);
}

static void is_killed_by_hand(void **state)
{
	struct fixture *x = *state;
	struct ssi_rexec_call *call = re_start(x, "echo up; sleep 1000");

	while (!x->out.len)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	assert_int_equal(ssi_rexec_kill(call, SIGTERM), 0);
	fx_until(x, &x->exits, 1);
	assert_int_equal(x->exit.signal, SIGTERM);
	assert_int_equal(x->exit.status, 128 + SIGTERM);
}

static void is_killed_when_the_master_goes(void **state)
{
	struct fixture *x = *state;
	pid_t pid;

	re_start(x, "echo $$; sleep 1000");
	while (!x->out.len)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) > 0);
	pid = atoi(x->out.data);
	assert_int_equal(kill(pid, 0), 0);
	ma_stop(x);
	for (int i = 0; kill(pid, 0) == 0 && i < 1000; i++)
		assert_true(sd_event_run(x->event, WAIT_MS * 1000) >= 0);
	assert_int_equal(kill(pid, 0), -1);
	ma_start(x);
}

static void lost_node_ends_its_calls(void **state)
{
	struct fixture *x = *state;

	re_start(x, "sleep 1000");
	ssi_head_off(x->head, "n01", "powered off by hand");
	fx_until(x, &x->exits, 1);
	assert_string_equal(x->exit.error, "powered off by hand");
	assert_int_equal(x->exit.status, 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(joins_and_beats, setup, teardown),
		cmocka_unit_test_setup_teardown(processor_appears, setup, teardown),
		cmocka_unit_test_setup_teardown(master_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(detached_means_reboot, setup, teardown),
		cmocka_unit_test_setup_teardown(is_ordered_and_leaves, setup, teardown),
		cmocka_unit_test(texts_are_made_fit),
		cmocka_unit_test_setup_teardown(token_is_traded_once, setup, teardown),
		cmocka_unit_test_setup_teardown(command_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_command_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(input_reaches_the_command, setup, teardown),
		cmocka_unit_test_setup_teardown(much_output_comes_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_reader_holds_it_up, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_leaves_behind_is_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_finds_its_way, setup, teardown),
		cmocka_unit_test_setup_teardown(leave_and_kill_find_their_way, setup, teardown),
		cmocka_unit_test_setup_teardown(leave_for_input_finds_its_way, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_cancelled_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(is_killed_by_hand, setup, teardown),
		cmocka_unit_test_setup_teardown(is_killed_when_the_master_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_node_ends_its_calls, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
