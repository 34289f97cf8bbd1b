/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fencing stands on: the plan, the packet filter's table as text and read back, NFS clients, the neighbour table, and what the store keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bootsvc/child.h"
#include "bootsvc/doors-nft.h"
#include "bootsvc/fence-plan.h"
#include "bootsvc/neighbour.h"
#include "bootsvc/nfs-clients.h"
#include "bootsvc/state.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"

#define M1 "52:54:00:00:00:01"
#define M2 "52:54:00:00:00:02"

static char dir[64];

static int setup(void **state)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	strcpy(dir, "/tmp/ssi-fence-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return ssi_path_rmtree(dir);
}

/* --- the plan --- */

static void order_and_policies(void **state)
{
	unsigned done = 0;

	for (int s = 0; s < FENCE_STEPS; s++) {
		assert_false(fence_plan_confirmed(SSI_FENCE_BOTH, done));
		assert_int_equal(fence_plan_next(SSI_FENCE_BOTH, done, 0), s);
		done |= FENCE_BIT(s);
	}
	assert_int_equal(fence_plan_next(SSI_FENCE_BOTH, done, 0), -1);
	assert_true(fence_plan_confirmed(SSI_FENCE_BOTH, done));
	/* Storage needs no power, power no doors; a key goes in any case. */
	assert_true(fence_plan_confirmed(SSI_FENCE_STORAGE, done & ~FENCE_BIT(FENCE_POWER)));
	assert_false(fence_plan_confirmed(SSI_FENCE_STORAGE, done & ~FENCE_BIT(FENCE_NFS)));
	assert_true(fence_plan_confirmed(SSI_FENCE_POWER, FENCE_BIT(FENCE_KEY) | FENCE_BIT(FENCE_POWER)));
	assert_false(fence_plan_confirmed(SSI_FENCE_POWER, FENCE_BIT(FENCE_POWER)));
	assert_int_equal(fence_plan_next(SSI_FENCE_POWER, FENCE_BIT(FENCE_KEY), 0), FENCE_POWER);
	/* What failed in this round is not tried again in it, and keeps nothing else from being tried. */
	assert_int_equal(fence_plan_next(SSI_FENCE_BOTH, FENCE_BIT(FENCE_KEY), FENCE_BIT(FENCE_ISCSI)), FENCE_DOOR);
	assert_int_equal(fence_plan_next(SSI_FENCE_BOTH, FENCE_BIT(FENCE_KEY), done), -1);
}

static void pauses_grow_to_a_minute(void **state)
{
	assert_int_equal(fence_plan_pause_ms(1), 2000);
	assert_int_equal(fence_plan_pause_ms(2), 4000);
	assert_int_equal(fence_plan_pause_ms(6), 60000);
	assert_int_equal(fence_plan_pause_ms(1000000), 60000);
}

/* --- doors --- */

/* As nft 1.0.6 prints what doors_script makes. */
#define HEAD "{\"nftables\": [{\"metainfo\": {\"version\": \"1.0.6\", \"release_name\": \"Lester Gooch #5\", \"json_schema_version\": 1}}," \
	"{\"table\": {\"family\": \"inet\", \"name\": \"ssi-fence\", \"handle\": 2}},"
#define SET "{\"set\": {\"family\": \"inet\", \"name\": \"machines\", \"table\": \"ssi-fence\", \"type\": \"ether_addr\", \"handle\": 3," \
	"\"elem\": [\"52:54:00:00:00:02\", \"52:54:00:00:00:01\"]}},"
#define CHAINS "{\"chain\": {\"family\": \"inet\", \"table\": \"ssi-fence\", \"name\": \"fenced\", \"handle\": 1}}," \
	"{\"chain\": {\"family\": \"inet\", \"table\": \"ssi-fence\", \"name\": \"input\", \"handle\": 2, \"type\": \"filter\", \"hook\": \"input\"," \
	"\"prio\": -10, \"policy\": \"accept\"}},"
#define RULE(chain, expr) "{\"rule\": {\"family\": \"inet\", \"table\": \"ssi-fence\", \"chain\": \"" chain "\", \"handle\": 5, \"expr\": [" expr "]}}"
#define MATCH "{\"match\": {\"op\": \"==\", \"left\": {\"payload\": {\"protocol\": \"udp\", \"field\": \"dport\"}}, \"right\": 67}}, {\"accept\": null}"
#define PASS RULE("fenced", MATCH) "," RULE("fenced", MATCH) "," RULE("fenced", MATCH) ","
#define DROP RULE("fenced", "{\"drop\": null}") ","
#define ETHER(op) "{\"match\": {\"op\": \"" op "\", \"left\": {\"payload\": {\"protocol\": \"ether\", \"field\": \"saddr\"}}, \"right\": \"@machines\"}}"
#define JUMP RULE("input", ETHER("==") ", {\"jump\": {\"target\": \"fenced\"}}")
#define TAIL "]}"

static void table_is_read_back(void **state)
{
	_cleanup_doors_ struct doors_list l = { 0 }, want = { 0 };
	struct ssi_err e;

	assert_int_equal(doors_parse(HEAD SET CHAINS PASS DROP JUMP TAIL, &l, &e), 0);
	assert_int_equal(l.n, 2);
	assert_true(doors_list_has(&l, M1) && doors_list_has(&l, M2));
	assert_false(doors_list_has(&l, "52:54:00:00:00:03"));
	assert_int_equal(doors_list_add(&want, M1), 1);
	assert_false(doors_list_equal(&l, &want));
	assert_int_equal(doors_list_add(&want, M2), 1);
	assert_int_equal(doors_list_add(&want, M2), 0);
	assert_true(doors_list_equal(&l, &want));
}

/* Whatever would let one of them through is no closed door. */
static void changed_table_is_none(void **state)
{
	static const char *const bad[] = {
		"", "{}", "{\"nftables\": 1}",
		HEAD TAIL,
		HEAD SET CHAINS PASS DROP TAIL,
		HEAD SET CHAINS PASS JUMP TAIL,
		HEAD SET CHAINS PASS DROP RULE("fenced", "{\"accept\": null}") "," JUMP TAIL,
		HEAD SET CHAINS RULE("fenced", "{\"accept\": null}") "," PASS DROP JUMP TAIL,
		HEAD SET CHAINS PASS DROP RULE("input", "{\"accept\": null}") "," JUMP TAIL,
		HEAD SET CHAINS PASS DROP RULE("input", ETHER("!=") ", {\"jump\": {\"target\": \"fenced\"}}") TAIL,
		HEAD SET CHAINS PASS DROP RULE("input", ETHER("==") "," MATCH ", {\"jump\": {\"target\": \"fenced\"}}") TAIL,
		HEAD SET CHAINS PASS DROP RULE("input", ETHER("==") ", {\"jump\": {\"target\": \"other\"}}") TAIL,
		HEAD CHAINS PASS DROP JUMP TAIL,
		HEAD "{\"set\": {\"name\": \"machines\", \"type\": \"ether_addr\", \"elem\": [\"nonsense\"]}}," CHAINS PASS DROP JUMP TAIL,
	};
	struct doors_list l = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct ssi_err e;

		if (doors_parse(bad[i], &l, &e) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
		assert_null(l.mac);
	}
}

static void script_closes_all_but_a_boot(void **state)
{
	_cleanup_doors_ struct doors_list l = { 0 };
	_cleanup_buf_ struct ssi_buf some = SSI_BUF_INIT, none = SSI_BUF_INIT;

	assert_int_equal(doors_script(&l, 80, 7788, &none), 0);
	assert_string_equal(none.data, "table inet ssi-fence\ndelete table inet ssi-fence\n");
	doors_list_add(&l, M2);
	doors_list_add(&l, M1);
	assert_int_equal(doors_script(&l, 80, 7788, &some), 0);
	assert_int_equal(strncmp(some.data, none.data, none.len), 0);
	assert_non_null(strstr(some.data, "elements = { " M1 ", " M2 " }"));
	assert_non_null(strstr(some.data, "tcp dport { 80, 7788 } accept\n"));
	assert_null(strstr(some.data, "icmp"));  /* a master without /etc/protocols knows no such names */
	assert_non_null(strstr(some.data, "meta l4proto { 1, 58 } accept\n"));
	assert_null(strstr(some.data, "2049"));
	assert_null(strstr(some.data, "3260"));
}

/* --- NFS clients --- */

static void client(const char *name, const char *info)
{
	_cleanup_free_ char *folder = ssi_path_join(dir, name), *path = ssi_path_join3(dir, name, "info"), *ctl = ssi_path_join3(dir, name, "ctl");

	assert_int_equal(mkdir(folder, 0755), 0);
	assert_int_equal(ssi_file_write_atomic(path, info, strlen(info), 0644), 0);
	assert_int_equal(ssi_file_write_atomic(ctl, "", 0, 0644), 0);
}

static void clients_by_address(void **state)
{
	struct in_addr a = { inet_addr("10.77.0.1") }, b = { inet_addr("10.77.0.12") };
	char name[32] = "";

	client("3", "clientid: 0x1\naddress: \"10.77.0.12:812\"\nstatus: confirmed\nname: \"address: \\\"10.77.0.1:1\\\"\"\n");
	client("11", "clientid: 0x2\naddress: \"10.77.0.12:955\"\nstatus: courtesy\n");
	client("7", "clientid: 0x3\naddress: \"10.77.0.13:955\"\n");
	client("nonsense", "address: \"10.77.0.12:1\"\n");
	assert_int_equal(nfs_clients_next(dir, a, name, NULL), 0);
	assert_int_equal(nfs_clients_next(dir, b, name, NULL), 1);
	assert_string_equal(name, "3");
	assert_int_equal(nfs_clients_next(dir, b, name, NULL), 1);
	assert_string_equal(name, "11");
	assert_int_equal(nfs_clients_next(dir, b, name, NULL), 0);
	assert_int_equal(nfs_clients_next("/nowhere/at/all", b, name, NULL), 0);
}

struct expired { int calls, err; unsigned n; char text[SSI_ERR_MAX]; };

static void on_expired(int err, unsigned n, const struct ssi_err *why, void *userdata)
{
	struct expired *x = userdata;

	*x = (struct expired) { x->calls + 1, err, n, "" };
	snprintf(x->text, sizeof(x->text), "%s", why ? why->text : "");
}

static struct expired expire(struct in_addr from)
{
	struct expired x = { 0 };
	struct nfs_clients *c;
	sd_event *event;

	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(nfs_clients_expire(event, dir, from, on_expired, &x, &c, NULL), 0);
	for (int i = 0; i < 200 && !x.calls; i++)
		sd_event_run(event, 100000);
	sd_event_unref(event);
	assert_int_equal(x.calls, 1);
	return x;
}

/* What counts is that the client is gone, not that somebody took the word. */
static void client_that_stays_is_a_failure(void **state)
{
	_cleanup_free_ char *ctl = ssi_path_join3(dir, "5", "ctl"), *said = NULL;
	struct expired x;

	client("5", "address: \"10.77.0.12:812\"\n");
	x = expire((struct in_addr) { inet_addr("10.77.0.99") });
	assert_int_equal(x.err, 0);
	assert_int_equal(x.n, 0);
	x = expire((struct in_addr) { inet_addr("10.77.0.12") });
	assert_int_equal(x.err, -EIO);
	assert_non_null(strstr(x.text, "client 5 of the machine was not expired: it is still there"));
	assert_int_equal(ssi_file_read(ctl, 64, &said, NULL), 0);
	assert_string_equal(said, "expire\n");
}

static bool is_twelve(struct in_addr address, void *userdata)
{
	(*(unsigned *)userdata)++;
	return address.s_addr == inet_addr("10.77.0.12");
}

static void clients_of_who_is_gone(void **state)
{
	_cleanup_free_ char *gone = ssi_path_join3(dir, "3", "ctl"), *stays = ssi_path_join3(dir, "7", "ctl"), *said = NULL, *silent = NULL;
	unsigned asked = 0;

	client("3", "clientid: 0x1\naddress: \"10.77.0.12:812\"\n");
	client("7", "clientid: 0x3\naddress: \"10.77.0.13:955\"\n");
	client("9", "clientid: 0x4\naddress: \"nonsense that is longer than any address may be:1\"\n");
	assert_int_equal(nfs_clients_expire_gone(dir, is_twelve, &asked), 1);
	assert_int_equal(asked, 2);
	assert_int_equal(ssi_file_read(gone, 64, &said, NULL), 0);
	assert_string_equal(said, "expire\n");
	assert_int_equal(ssi_file_read(stays, 64, &silent, NULL), 0);
	assert_string_equal(silent, "");
	assert_int_equal(nfs_clients_expire_gone("/nowhere/at/all", is_twelve, &asked), 0);
}

/* --- a command beside the loop --- */

struct ran { int calls, err; char out[64], text[SSI_ERR_MAX]; };

static void on_ran(int err, const struct ssi_err *why, const char *out, void *userdata)
{
	struct ran *x = userdata;

	x->calls++;
	x->err = err;
	snprintf(x->out, sizeof(x->out), "%s", out);
	snprintf(x->text, sizeof(x->text), "%s", why ? why->text : "");
}

static struct ran run(char *const argv[], const char *input, unsigned timeout_ms)
{
	struct ran x = { 0 };
	struct child *c;
	sd_event *event;

	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(child_start(event, &(struct child_command){ argv, input, -1, timeout_ms }, on_ran, &x, &c, NULL), 0);
	for (int i = 0; i < 200 && !x.calls; i++)
		sd_event_run(event, 100000);
	sd_event_unref(event);
	assert_int_equal(x.calls, 1);
	return x;
}

static void commands(void **state)
{
	struct ran x = run((char *[]){ "cat", NULL }, "hello", 10000);
	struct child *c;
	sd_event *event;

	assert_int_equal(x.err, 0);
	assert_string_equal(x.out, "hello");
	x = run((char *[]){ "sh", "-c", "echo first >&2; echo 'last one' >&2; exit 3", NULL }, NULL, 10000);
	assert_int_equal(x.err, -EIO);
	assert_string_equal(x.text, "sh failed: last one (exit status 3)");
	x = run((char *[]){ "sleep", "60", NULL }, NULL, 100);
	assert_int_equal(x.err, -ETIMEDOUT);
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(child_start(event, &(struct child_command){ (char *[]){ "ssi-no-such-program", NULL }, NULL, -1, 100 }, on_ran, &x, &c, NULL), -ENOENT);
	assert_int_equal(child_start(event, &(struct child_command){ (char *[]){ "sleep", "60", NULL }, NULL, -1, 60000 }, on_ran, &x, &c, NULL), 0);
	child_free(c);
	sd_event_unref(event);
}

/* --- neighbours --- */

static void who_an_address_is(void **state)
{
	static const char table[] = "IP address       HW type     Flags       HW address            Mask     Device\n"
		"10.77.0.12       0x1         0x2         52:54:00:00:00:02     *        eth1\n"
		"10.77.0.13       0x1         0x0         52:54:00:00:00:01     *        eth1\n"
		"10.77.0.14       0x1         0x6         52:54:00:00:00:0A     *        eth1\n";
	struct in_addr a = { inet_addr("10.77.0.12") }, b = { inet_addr("10.77.0.13") }, c = { inet_addr("10.77.0.14") }, d = { inet_addr("10.77.0.1") };

	assert_true(neighbour_in(table, a, M2));
	assert_false(neighbour_in(table, a, M1));
	assert_false(neighbour_in(table, b, M1));        /* asked for, and it did not answer */
	assert_true(neighbour_in(table, c, "52:54:00:00:00:0a"));
	assert_false(neighbour_in(table, d, M2));
	assert_false(neighbour_in("", a, M2));
}

/* --- the store --- */

static void count(const char *mac, const char *node, void *userdata)
{
	assert_string_equal(mac, M2);
	assert_string_equal(node, "n02");
	++*(unsigned *)userdata;
}

static void count_fence(const struct state_fence *f, void *userdata)
{
	++*(unsigned *)userdata;
}

static void assert_same_fence(const struct state_fence *a, const struct state_fence *b)
{
	assert_string_equal(a->node, b->node);
	assert_string_equal(a->mac, b->mac);
	assert_int_equal(a->address.s_addr, b->address.s_addr);
	assert_int_equal(a->incarnation, b->incarnation);
	assert_int_equal(a->phase, b->phase);
	assert_int_equal(a->proved, b->proved);
	assert_int_equal(a->tries, b->tries);
	assert_int_equal(a->since, b->since);
	assert_int_equal(a->ended, b->ended);
	assert_string_equal(a->why, b->why);
	assert_string_equal(a->reason, b->reason);
}

static void kept_over_a_restart(void **state)
{
	struct state_fence f = { .node = "n02", .mac = M2, .address.s_addr = inet_addr("10.77.0.12"), .incarnation = 7, .phase = STATE_FENCE_WORK, .proved = 5, .tries = 3,
		.since = 1000, .why = "asked for", .reason = "power: no answer" }, g;
	struct state *s;
	unsigned n = 0;

	assert_int_equal(state_open(dir, &s, NULL), 0);
	assert_int_equal(state_fence_get(s, "n02", &g, NULL), -ENOENT);
	assert_int_equal(state_fence_put(s, &f, NULL), 0);
	assert_int_equal(state_door_put(s, M2, "n02", 1, NULL), 0);
	assert_int_equal(state_door_put(s, M2, "n02", 2, NULL), 0);
	state_close(s);
	assert_int_equal(state_open(dir, &s, NULL), 0);
	assert_int_equal(state_fence_get(s, "n02", &g, NULL), 0);
	assert_same_fence(&f, &g);
	assert_int_equal(state_door_each(s, count, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(state_door_rm(s, M2, NULL), 1);
	assert_int_equal(state_door_rm(s, M2, NULL), 0);
	assert_int_equal(state_fence_rm(s, "n02", NULL), 0);
	n = 0;
	assert_int_equal(state_fence_each(s, count_fence, &n, NULL), 0);
	assert_int_equal(n, 0);
	state_close(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_and_policies),
		cmocka_unit_test(pauses_grow_to_a_minute),
		cmocka_unit_test(table_is_read_back),
		cmocka_unit_test(changed_table_is_none),
		cmocka_unit_test(script_closes_all_but_a_boot),
		cmocka_unit_test_setup_teardown(clients_by_address, setup, teardown),
		cmocka_unit_test_setup_teardown(client_that_stays_is_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(clients_of_who_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(commands, setup, teardown),
		cmocka_unit_test(who_an_address_is),
		cmocka_unit_test_setup_teardown(kept_over_a_restart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
