/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's store: bindings are one to one, incarnations only grow, tokens are used once, and all of it is there after a restart. */
#include "tests/unit/state-fixture.h"

struct generations { unsigned nfs, ram; };

static void note_generation(const char *node, uint64_t incarnation, const char *image, const char *generation, const char *root, void *userdata)
{
	struct generations *g = userdata;

	assert_string_equal(image, "compute");
	assert_int_equal(incarnation, 1);
	g->nfs += !strcmp(root, "nfs") && !strcmp(node, "n01");
	g->ram += !strcmp(root, "ram") && !strcmp(node, "n02") && !strcmp(generation, "sha256-2");
}

/* A node keeps the root it booted with, whatever nodes.d says by now. */
static void a_boot_has_a_kind_of_root(void **state)
{
	struct state *s = reopen(NULL);
	struct state_boot b = { .node = "n02", .mac = M2, .armed = 1000, .image = "compute", .generation = "sha256-2", .root = "ram" }, got;
	struct generations g = { 0 };

	arm(s, "n01", M1);
	assert_int_equal(state_boot_arm(s, &b, NULL), 0);
	assert_int_equal(state_node_put(s, "n01", "joined", 1, 5, "", NULL), 0);
	assert_int_equal(state_node_put(s, "n02", "joined", b.incarnation, 5, "", NULL), 0);
	s = reopen(s);
	assert_int_equal(state_boot_get(s, "n02", b.incarnation, &got, NULL), 0);
	assert_string_equal(got.root, "ram");
	assert_int_equal(state_generations_used(s, note_generation, &g, NULL), 0);
	assert_int_equal(g.nfs, 1);
	assert_int_equal(g.ram, 1);
	state_close(s);
}

static void note_door(const struct state_boot *b, uint64_t since, void *userdata)
{
	struct state_boot *last = userdata;

	assert_string_equal(last->node, "");
	assert_int_equal(since, 5);
	*last = *b;
}

static struct state_boot door(struct state *s)
{
	struct state_boot last = { 0 };

	assert_true(state_doors(s, note_door, &last, NULL) >= 0);
	return last;
}

/* From the token's exchange on, over a goodbye (it has to write back), until the next boot's token is exchanged or it is ended. */
static void a_boot_has_a_door(void **state)
{
	struct state *s = reopen(NULL);
	struct state_boot b = { .node = "n02", .mac = M2, .armed = 1000, .image = "compute", .generation = "sha256-2", .root = "iscsi" }, next;
	const uint8_t key[SSI_CCM_KEY] = { 7 };

	arm(s, "n01", M1);
	assert_int_equal(state_boot_use(s, "n01", 1, key, NULL), 0);
	assert_int_equal(state_node_put(s, "n01", "joined", 1, 5, "", NULL), 0);
	assert_int_equal(state_boot_arm(s, &b, NULL), 0);
	assert_int_equal(state_node_put(s, "n02", "booting", b.incarnation, 5, "", NULL), 0);
	assert_string_equal(door(s).node, "");
	assert_int_equal(state_boot_use(s, "n02", b.incarnation, key, NULL), 0);
	assert_string_equal(door(s).node, "n02");
	assert_memory_equal(door(s).key, key, sizeof(key));
	assert_int_equal(state_boot_leave(s, "n02", b.incarnation, NULL), 0);
	assert_int_equal(state_node_put(s, "n02", "off", b.incarnation, 5, "", NULL), 0);
	s = reopen(s);
	assert_string_equal(door(s).node, "n02");
	assert_true(door(s).over && door(s).left);
	next = b;
	next.incarnation = 0;
	assert_int_equal(state_boot_arm(s, &next, NULL), 0);
	assert_int_equal(next.incarnation, b.incarnation + 1);
	assert_int_equal(door(s).incarnation, b.incarnation);
	assert_int_equal(state_boot_use(s, "n02", next.incarnation, key, NULL), 0);
	assert_int_equal(state_node_put(s, "n02", "booting", next.incarnation, 5, "", NULL), 0);
	assert_int_equal(door(s).incarnation, next.incarnation);
	/* What was ended stays so, whatever it says afterwards. */
	assert_int_equal(state_boot_end_all(s, "n02", NULL), 0);
	assert_int_equal(state_boot_leave(s, "n02", next.incarnation, NULL), 0);
	assert_string_equal(door(s).node, "");
	state_close(s);
}

static void note_shared(const char *node, const char *shared, void *userdata)
{
	unsigned *n = userdata;

	assert_string_equal(node, "n01");
	assert_string_equal(shared, "/home");
	(*n)++;
}

/* What a node has mounted it keeps, whatever nodes.d says by now; until it is off. */
static void a_boot_has_shared_file_systems(void **state)
{
	struct state *s = reopen(NULL);
	unsigned n = 0;

	arm(s, "n01", M1);
	arm(s, "n02", M2);
	assert_int_equal(state_boot_shared(s, "n01", 1, "/home", NULL), 0);
	assert_int_equal(state_node_put(s, "n01", "joined", 1, 5, "", NULL), 0);
	assert_int_equal(state_node_put(s, "n02", "joined", 1, 5, "", NULL), 0);
	s = reopen(s);
	assert_int_equal(state_shared_used(s, note_shared, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(state_node_put(s, "n01", "off", 1, 6, "", NULL), 0);
	assert_int_equal(state_shared_used(s, note_shared, &n, NULL), 0);
	assert_int_equal(n, 1);
	state_close(s);
}

static void a_clock_set_back_is_no_age(void **state)
{
	struct state_boot b = { .armed = 5000 }, none = { 0 };

	assert_int_equal(state_boot_age(&b, 7000), 2000);
	assert_int_equal(state_boot_age(&b, 4000), 0);
	assert_int_equal(state_boot_age(&none, 7000), 0);
}

static void note_hold(const struct state_node *n, void *userdata)
{
	if (!strcmp(n->name, "n01"))
		snprintf(userdata, 16, "%s", n->hold);
}

static void count_snapshot(const struct state_snapshot *p, void *userdata)
{
	char *names = userdata;

	strcat(names, p->name);
}

static void a_volume_outlives_all(void **state)
{
	const struct state_volume v = {
		.node = "n01", .system = "demo", .uuid = "0a0a0a0a-1111-4222-8333-444444444444", .fs = "ext4", .size = UINT64_C(5) << 40, .made = 12, .serial = 3,
		.image = "compute", .generation = "sha256-1", .incarnation = 7, .taker = UINT64_C(1) << 40, .decision = "fresh", .decided_for = "sha256-2",
		.next = "0b0b0b0b-1111-4222-8333-444444444444", .trouble = "none",
	};
	struct state_snapshot p = {
		.node = "n01", .name = "b", .time = 2, .size = UINT64_C(5) << 40, .incarnation = 6, .system = "demo", .file = "volume-2.img", .uuid = "u", .fs = "xfs",
		.image = "compute", .generation = "sha256-0", .how = "moved", .why = "by hand",
	}, q;
	struct state_volume w;
	struct state *s = reopen(NULL);
	char names[16] = "";

	assert_int_equal(state_volume_get(s, "n01", &w, NULL), -ENOENT);
	assert_int_equal(state_volume_put(s, &v, NULL), 0);
	assert_int_equal(state_snapshot_put(s, &p, NULL), 0);
	s = reopen(s);
	memset(&w, 0, sizeof(w));
	assert_int_equal(state_volume_get(s, "n01", &w, NULL), 0);
	assert_memory_equal(&v, &w, sizeof(v));
	memset(&q, 0, sizeof(q));
	assert_int_equal(state_snapshot_get(s, "n01", "b", &q, NULL), 0);
	assert_memory_equal(&p, &q, sizeof(p));
	/* Oldest first, and another node's are its own. */
	strcpy(p.name, "a");
	p.time = 1;
	assert_int_equal(state_snapshot_put(s, &p, NULL), 0);
	strcpy(p.node, "n02");
	assert_int_equal(state_snapshot_put(s, &p, NULL), 0);
	assert_int_equal(state_snapshot_each(s, "n01", count_snapshot, names, NULL), 0);
	assert_string_equal(names, "ab");
	assert_int_equal(state_snapshot_rm(s, "n01", "a", NULL), 0);
	assert_int_equal(state_snapshot_get(s, "n01", "a", &q, NULL), -ENOENT);
	/* Its snapshots outlive a volume. */
	assert_int_equal(state_volume_rm(s, "n01", NULL), 0);
	assert_int_equal(state_volume_get(s, "n01", &w, NULL), -ENOENT);
	assert_int_equal(state_snapshot_get(s, "n01", "b", &q, NULL), 0);
	state_close(s);
}

static void holds_outlive_all(void **state)
{
	struct state *s = reopen(NULL);
	char hold[16] = "?";

	assert_int_equal(state_node_hold(s, "n01", "drained", NULL), 0);
	assert_int_equal(state_node_put(s, "n01", "joined", 3, 5, "", NULL), 0);
	s = reopen(s);
	assert_int_equal(state_node_each(s, note_hold, hold, NULL), 0);
	assert_string_equal(hold, "drained");
	assert_int_equal(state_node_hold(s, "n01", "", NULL), 0);
	assert_int_equal(state_node_each(s, note_hold, hold, NULL), 0);
	assert_string_equal(hold, "");
	state_close(s);
}

static void note_failover(const struct state_failover *f, void *userdata)
{
	*(struct state_failover *)userdata = *f;
}

static void note_spare(const struct state_machine *m, void *userdata)
{
	strcat(userdata, m->waited ? "!" : "");
	strcat(userdata, m->mac + 15);
}

/* Its step, the machine that has failed, the binding that nodes.d does not undo, and what counts for the limit. */
static void a_failover_outlives_all(void **state)
{
	const struct state_failover put = { .node = "n02", .step = "fence", .machine = M2, .spare = M1, .why = "lost", .since = 7, .detached = 5, .ordered = true };
	struct state *s = reopen(NULL);
	struct state_failover got = { 0 };
	struct state_machine m;
	char instead[SSI_MAC_LEN], spares[64] = "";
	uint64_t first;
	unsigned n;

	assert_int_equal(state_failover_put(s, &put, NULL), 0);
	assert_int_equal(state_bind(s, "n02", M1, 10, NULL), 0);
	assert_int_equal(state_bind_instead(s, "n02", M2, NULL), 0);
	assert_int_equal(state_machine_fail(s, M2, "as n02: lost", 11, NULL), 0);
	assert_int_equal(state_failover_begun(s, "demo", "n02", 1000, NULL), 0);
	assert_int_equal(state_failover_begun(s, "demo", "n03", 2000, NULL), 0);
	s = reopen(s);
	assert_int_equal(state_failover_each(s, note_failover, &got, NULL), 0);
	assert_string_equal(got.node, "n02");
	assert_string_equal(got.step, "fence");
	assert_string_equal(got.machine, M2);
	assert_string_equal(got.spare, M1);
	assert_string_equal(got.why, "lost");
	assert_true(got.since == 7 && got.detached == 5 && got.ordered && !got.sound);
	assert_int_equal(state_bound_instead(s, "n02", instead, NULL), 0);
	assert_string_equal(instead, M2);
	assert_int_equal(state_failover_lately(s, "demo", 1000, &n, &first, NULL), 0);
	assert_true(n == 1 && first == 2000);
	assert_int_equal(state_failover_lately(s, "other", 0, &n, &first, NULL), 0);
	assert_int_equal(n, 0);
	/* A machine that has failed is kept as no spare, by nobody; accepted, it is as any other. */
	assert_int_equal(state_machine_keep(s, M2, "demo", 12, NULL), 0);
	assert_int_equal(state_machine_get(s, M2, &m, NULL), 0);
	assert_string_equal(m.failed, "as n02: lost");
	assert_true(m.failed_at == 11 && !m.spare);
	assert_int_equal(state_machine_fail(s, M2, "", 0, NULL), 0);
	assert_int_equal(state_machine_keep(s, M2, "demo", 12, NULL), 0);
	assert_int_equal(state_machine_keep(s, M1, "demo", 12, NULL), 0);
	assert_int_equal(state_spare_count(s, "demo", &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(state_machine_waits(s, M2, 13, NULL), 0);
	assert_int_equal(state_spare_each(s, "demo", note_spare, spares, NULL), 0);
	assert_string_equal(spares, "!02");
	/* Bound anew, by whomever: it stands in nobody's place. */
	assert_int_equal(state_bind(s, "n02", M2, 14, NULL), 0);
	assert_int_equal(state_bound_instead(s, "n02", instead, NULL), 0);
	assert_string_equal(instead, "");
	assert_int_equal(state_failover_rm(s, "n02", NULL), 0);
	memset(&got, 0, sizeof(got));
	assert_int_equal(state_failover_each(s, note_failover, &got, NULL), 0);
	assert_string_equal(got.node, "");
	state_close(s);
}

static void a_node_has_one_identity(void **state)
{
	struct state *s = reopen(NULL);
	uint8_t a[STATE_IDENTITY], b[STATE_IDENTITY], c[STATE_IDENTITY];

	assert_int_equal(state_identity(s, "n01", a, NULL), 0);
	assert_int_equal(state_identity(s, "n02", c, NULL), 0);
	s = reopen(s);
	assert_int_equal(state_identity(s, "n01", b, NULL), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, c, sizeof(a));
	state_close(s);
}

static void one_daemon_at_a_time(void **state)
{
	struct state *s = reopen(NULL), *second = NULL;
	struct ssi_err e;

	assert_int_equal(state_open(dir, &second, &e), -EBUSY);
	assert_null(second);
	state_close(s);
}

static void bindings_are_one_to_one(void **state)
{
	struct state *s = reopen(NULL);
	char node[64], mac[SSI_MAC_LEN];

	assert_int_equal(state_bind(s, "n01", M1, 5, NULL), 0);
	assert_int_equal(state_bind(s, "n02", M1, 6, NULL), 0);
	assert_int_equal(state_machine_of(s, "n01", mac, NULL), -ENOENT);
	assert_int_equal(state_bind(s, "n02", M2, 7, NULL), 0);
	assert_int_equal(state_node_of(s, M1, node, NULL), -ENOENT);
	s = reopen(s);
	assert_int_equal(state_node_of(s, M2, node, NULL), 0);
	assert_string_equal(node, "n02");
	assert_int_equal(state_machine_rm(s, M2, NULL), -EBUSY);
	assert_int_equal(state_machine_rm(s, M1, NULL), 0);
	assert_int_equal(state_unbind(s, "n02", NULL), 1);
	assert_int_equal(state_unbind(s, "n02", NULL), 0);
	state_close(s);
}

/* Anyone on the network can ask in the name of machines that nobody has ever seen. */
static void strangers_have_an_end(void **state)
{
	struct state *s = reopen(NULL);
	struct in_addr from = { 0 };
	char mac[SSI_MAC_LEN];
	unsigned all, unbound;

	assert_int_equal(state_begin(s, false, NULL), 0);
	for (unsigned i = 0; i < STATE_STRANGERS; i++) {
		snprintf(mac, sizeof(mac), "52:54:01:%02x:%02x:%02x", i >> 16 & 0xff, i >> 8 & 0xff, i & 0xff);
		assert_int_equal(state_machine_seen(s, mac, "demo", from, 5, NULL), 1);
	}
	assert_int_equal(state_commit(s, NULL), 0);
	assert_int_equal(state_machine_seen(s, M1, "demo", from, 6, NULL), -EUSERS);
	assert_int_equal(state_machine_seen(s, mac, "demo", from, 6, NULL), 0);          /* known */
	assert_int_equal(state_bind(s, "n01", M1, 7, NULL), 0);                          /* named by nodes.d or a person */
	assert_int_equal(state_machine_seen(s, M1, "demo", from, 8, NULL), 0);
	assert_int_equal(state_bind(s, "n02", mac, 9, NULL), 0);                         /* one stranger less */
	assert_int_equal(state_machine_seen(s, M2, "demo", from, 10, NULL), 1);
	assert_int_equal(state_machine_count(s, &all, &unbound, NULL), 0);
	assert_int_equal(all, STATE_STRANGERS + 2);
	assert_int_equal(unbound, STATE_STRANGERS);
	state_close(s);
}

static void incarnations_only_grow(void **state)
{
	uint8_t key[SSI_CCM_KEY] = { 1 };
	struct state *s = reopen(NULL);
	struct state_boot b;

	assert_int_equal(arm(s, "n01", M1), 1);
	assert_int_equal(arm(s, "n01", M1), 1);          /* nobody used it: the same again */
	assert_int_equal(arm(s, "n01", M2), 2);          /* another machine: not its number */
	assert_int_equal(state_boot_use(s, "n01", 2, key, NULL), 0);
	assert_int_equal(state_boot_use(s, "n01", 2, key, NULL), -EKEYREVOKED);
	s = reopen(s);
	assert_int_equal(arm(s, "n01", M2), 3);
	assert_int_equal(state_boot_get(s, "n01", 2, &b, NULL), 0);
	assert_true(b.used);
	assert_memory_equal(b.key, key, sizeof(key));
	assert_int_equal(state_boot_end(s, "n01", 3, NULL), 0);
	assert_int_equal(state_boot_use(s, "n01", 3, key, NULL), -EKEYREVOKED);
	for (uint64_t i = 4; i < 20; i++) {
		assert_int_equal(arm(s, "n01", M2), i);
		assert_int_equal(state_boot_use(s, "n01", i, key, NULL), 0);
	}
	assert_int_equal(state_boot_get(s, "n01", 5, &b, NULL), -ENOENT);
	assert_int_equal(arm(s, "n02", M1), 1);
	state_close(s);
}

static void what_is_rolled_back_never_was(void **state)
{
	struct state *s = reopen(NULL);
	char node[64];

	assert_int_equal(state_begin(s, true, NULL), 0);
	assert_int_equal(state_begin(s, false, NULL), 0);
	assert_int_equal(state_bind(s, "n01", M1, 5, NULL), 0);
	assert_int_equal(state_commit(s, NULL), 0);
	state_rollback(s);
	assert_int_equal(state_node_of(s, M1, node, NULL), -ENOENT);
	assert_int_equal(state_begin(s, true, NULL), 0);
	assert_int_equal(state_bind(s, "n01", M1, 5, NULL), 0);
	assert_int_equal(state_commit(s, NULL), 0);
	assert_int_equal(state_node_of(s, M1, node, NULL), 0);
	state_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_daemon_at_a_time, setup, teardown),
		cmocka_unit_test(a_clock_set_back_is_no_age),
		cmocka_unit_test_setup_teardown(a_boot_has_a_kind_of_root, setup, teardown),
		cmocka_unit_test_setup_teardown(a_boot_has_a_door, setup, teardown),
		cmocka_unit_test_setup_teardown(a_boot_has_shared_file_systems, setup, teardown),
		cmocka_unit_test_setup_teardown(a_volume_outlives_all, setup, teardown),
		cmocka_unit_test_setup_teardown(holds_outlive_all, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failover_outlives_all, setup, teardown),
		cmocka_unit_test_setup_teardown(a_node_has_one_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(bindings_are_one_to_one, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_have_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(incarnations_only_grow, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_rolled_back_never_was, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
