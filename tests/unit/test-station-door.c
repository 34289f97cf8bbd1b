/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who knocks at a station, and as whom one knocks: identities, keys whose time is over, one station as many nodes, connections that come to nothing. */
#include <poll.h>
#include "libssi/comm/sock.h"
#include "tests/unit/station-ends.h"

#define EXPIRED_TRIES 15                 /* more than refused() may be told of in its time */
#define CROWD 256                        /* handshakes at a time */

static struct station_peer *peer(struct end *x, uint32_t node)
{
	return station_peer_find(x->s, node);
}

static void door_open(struct ends *all, unsigned i, uint32_t number, const struct ssi_ccm_station_ops *ops)
{
	struct ssi_ccm_station_config c = end_config(number, ops);

	c.plain = false;
	end_open(all, i, c);
}

static void node_open(struct ends *all, unsigned i, const char *who)
{
	struct ssi_ccm_station_config c = end_config(1, &ops_plain);

	c.plain = false;
	c.who = who;
	end_open(all, i, c);
}

static void node_connect(struct ends *all, const uint8_t *with)
{
	assert_int_equal(ssi_ccm_connect_to(all->end[1].s, DOOR, loopback, ssi_ccm_station_port(all->end[0].s), with), 0);
}

/* The door knows "web", as node 1. */
static int knows_web(struct end *x, const struct ssi_identity *id, uint32_t *ret_node)
{
	*ret_node = 1;
	x->said++;
	return strcmp(id->who, "web") != 0 ? -ENOENT : (int)x->fails;
}

static struct ends *identifying(int what)
{
	struct ends *all = calloc(1, sizeof(*all));

	door_open(all, 0, DOOR, &ops_identify);
	all->end[0].on_identify = knows_web;
	all->end[0].fails = what;
	assert_int_equal(ssi_ccm_listen_to(all->end[0].s, SSI_CCM_ANY_NODE, NULL), 0);
	return all;
}

static void test_identified(void **state)
{
	struct ends *all = identifying(0);
	struct end *door = &all->end[0], *node = &all->end[1];

	node_open(all, 1, "web");
	assert_null(ssi_ccm_identity_of(door->s, 1));
	node_connect(all, key);
	until(all, door->ups && node->ups);
	assert_int_equal(door->said, 1);
	assert_string_equal(ssi_ccm_identity_of(door->s, 1)->who, "web");
	assert_int_equal(ssi_ccm_identity_of(door->s, 1)->incarnation, 5);
	assert_int_equal(ssi_ccm_address_of(door->s, 1).s_addr, loopback.s_addr);
	assert_int_equal(call(node, DOOR, 1, 3), 0);
	until(all, door->calls);
	assert_string_equal(door->told, "up:1 2.1:3");
	ends_free(all);
}

/* Whose number the key is of counts, not what a HELLO says. */
static void test_identified_as_another(void **state)
{
	struct ends *all = identifying(0);
	struct end *door = &all->end[0], *node = &all->end[1];
	struct ssi_ccm_station_config c = end_config(2, &ops_plain);

	c.plain = false;
	c.who = "web";
	end_open(all, 1, c);
	node_connect(all, key);
	until(all, door->refusals && node->failures);
	assert_int_equal(door->refused.code, -EPROTO);
	assert_string_equal(door->who.who, "web");
	assert_int_equal(door->ups, 0);
	ends_free(all);
}

static void test_unknown(void **state)
{
	struct ends *all = identifying(0);
	struct end *door = &all->end[0], *node = &all->end[1];

	node_open(all, 1, "mail");
	node_connect(all, key);
	until(all, door->refusals && node->failures);
	assert_int_equal(node->why.code, -EKEYREJECTED);
	assert_string_equal(door->who.who, "mail");
	assert_int_equal(door->ups, 0);
	ends_free(all);
}

static void test_wrong_key(void **state)
{
	struct ends *all = identifying(0);
	struct end *door = &all->end[0], *node = &all->end[1];

	node_open(all, 1, "web");
	node_connect(all, other_key);
	until(all, door->refusals && node->failures);
	assert_int_equal(node->why.code, -EKEYREJECTED);
	assert_int_equal(door->refused.code, -EKEYREJECTED);
	until(all, node->failures >= 2);     /* it is tried again */
	ends_free(all);
}

/* Knocks EXPIRED_TRIES times with a key whose time is over, as fast as it goes. */
static void knock(struct ends *all)
{
	struct end *node = &all->end[1];

	node_open(all, 1, "web");
	for (unsigned i = 0; i < EXPIRED_TRIES; i++) {
		node_connect(all, key);
		until(all, node->failures == i + 1);
		assert_int_equal(node->why.code, -EKEYREVOKED);
		assert_int_equal(ssi_ccm_part(node->s, DOOR), 0);
	}
	ends_pass(all, 50);
	assert_int_equal(all->end[0].ups + node->ups, 0);
}

static void test_expired(void **state)
{
	struct ends *all = identifying(1);

	knock(all);
	assert_int_equal(all->end[0].refusals, EXPIRED_TRIES);     /* each of them */
	assert_int_equal(all->end[0].refused.code, -EKEYREVOKED);
	assert_string_equal(all->end[0].who.who, "web");
	ends_free(all);
}

static void test_expired_quietly(void **state)
{
	struct ends *all = identifying(2);

	knock(all);
	assert_int_equal(all->end[0].refusals, 10);
	assert_int_equal(all->end[0].refused.code, -EKEYREVOKED);
	ends_free(all);
}

/* A name alone raises no alarm. */
static void test_expired_wrong_key(void **state)
{
	struct ends *all = identifying(1);
	struct end *door = &all->end[0], *node = &all->end[1];

	node_open(all, 1, "web");
	node_connect(all, other_key);
	until(all, door->refusals && node->failures);
	assert_int_equal(door->refused.code, -EKEYREJECTED);
	assert_int_equal(node->why.code, -EKEYREJECTED);
	ends_free(all);
}

/* Nobody listens there: it is told, and tried again until it is parted with. */
static void test_refused_connect(void **state)
{
	struct ends *all = calloc(1, sizeof(*all));
	struct end *node = &all->end[1];
	uint16_t port;

	door_open(all, 0, DOOR, &ops_plain);
	port = ssi_ccm_station_port(all->end[0].s);
	end_close(&all->end[0]);
	node_open(all, 1, NULL);
	assert_int_equal(ssi_ccm_connect_to(node->s, DOOR, loopback, port, key), 0);
	until(all, node->failures == 3);
	assert_int_equal(node->why.code, -ECONNREFUSED);
	assert_int_equal(ssi_ccm_part(node->s, DOOR), 0);
	ends_pass(all, 500);
	assert_int_equal(node->failures, 3);
	ends_free(all);
}

/* A station that only connects has no door; it stands for many nodes, each of them with its own incarnation, and each a name of its own here. */
static void connect_as(struct ends *all, unsigned door, uint32_t alias, uint32_t number, uint64_t incarnation)
{
	struct ssi_ccm_as as = { .number = number, .incarnation = incarnation };
	struct end *x = &all->end[door];

	snprintf(as.who, sizeof(as.who), "%u", number);
	assert_int_equal(ssi_ccm_connect_as(all->end[1].s, alias, &as, DOOR + door, loopback, ssi_ccm_station_port(x->s), key), 0);
}

static struct ends *many(void)
{
	struct ends *all = calloc(1, sizeof(*all));
	struct ssi_ccm_station_config c = end_config(0, &ops_plain);

	door_open(all, 0, DOOR, &ops_plain);
	c.plain = false;
	c.connects_only = true;
	end_open(all, 1, c);
	for (uint32_t i = 1; i <= 4; i++)
		assert_int_equal(ssi_ccm_listen_to(all->end[0].s, i, key), 0);
	return all;
}

static void test_connect_as(void **state)
{
	struct ends *all = many();
	struct end *door = &all->end[0], *node = &all->end[1];
	struct ssi_ccm_as bad = { .number = 7, .incarnation = 0 };

	assert_int_equal(ssi_ccm_station_port(node->s), 0);
	assert_int_equal(node->s->listener, -1);
	for (uint32_t i = 1; i <= 3; i++)
		connect_as(all, 0, 10 + i, i, 20 + i);
	until(all, door->ups == 3 && node->ups == 3);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(peer(door, i)->incarnation, 20 + i);
		assert_int_equal(ssi_ccm_identity_of(door->s, i)->incarnation, 20 + i);
		assert_int_equal(call(node, 10 + i, 1, 10 + i), 0);
		assert_int_equal(call(door, i, 1, i), 0);
	}
	until(all, door->calls == 3 && node->calls == 3);
	for (uint32_t i = 1; i <= 3; i++) {
		char word[16];

		snprintf(word, sizeof(word), "up:%u", 10 + i);
		assert_non_null(strstr(node->told, word));
	}
	assert_int_equal(ssi_ccm_connect_as(node->s, 20, &bad, DOOR, loopback, 1, key), -EINVAL);
	bad = (struct ssi_ccm_as){ .number = DOOR, .incarnation = 1 };
	assert_int_equal(ssi_ccm_connect_as(node->s, 20, &bad, DOOR, loopback, 1, key), -EINVAL);
	bad.number = 1;
	assert_int_equal(ssi_ccm_connect_as(node->s, 11, &bad, DOOR, loopback, 1, key), -EEXIST);
	ends_free(all);
}

/* Another in the place of one that was parted with just now: the goodbye is still the old one's. */
static void test_connect_as_another(void **state)
{
	struct ends *all = many();
	struct end *door = &all->end[0], *node = &all->end[1];

	connect_as(all, 0, 11, 1, 5);
	until(all, door->ups == 1 && node->ups == 1);
	assert_int_equal(ssi_ccm_part(node->s, 11), 0);
	connect_as(all, 0, 11, 4, 9);
	until(all, door->ups == 2 && node->ups == 2 && door->gones == 1);
	assert_non_null(strstr(door->ended[1].text, "has ended"));
	assert_int_equal(door->refusals, 0);
	assert_int_equal(peer(door, 4)->incarnation, 9);
	assert_int_equal(call(node, 11, 1, 3), 0);
	until(all, door->calls);
	/* And as this station itself: a name that was an alias once is a node's number again. */
	assert_int_equal(ssi_ccm_part(node->s, 11), 0);
	until(all, door->gones == 2);
	assert_int_equal(ssi_ccm_connect_to(node->s, 11, loopback, ssi_ccm_station_port(door->s), key), 0);
	until(all, node->failures);
	assert_int_equal(peer(node, 11)->remote, 11);
	assert_ptr_equal(peer(node, 11)->self, &node->s->self);
	ends_free(all);
}

/* What one node was allowed to send is not for the next one behind the same name. */
static void test_connect_as_permits(void **state)
{
	struct ends *all = many();
	struct end *door = &all->end[0], *node = &all->end[1], *other = &all->end[2];
	const struct ssi_ccm_head to = { .node = 1, .module = 3, .type = 7, .sequence = 1 };

	door_open(all, 2, DOOR + 2, &ops_plain);
	node->s->permits[1].first = node->s->permits[1].last = DOOR + 2;
	assert_int_equal(ssi_ccm_listen_to(other->s, 1, key), 0);
	connect_as(all, 2, 11, 1, 5);
	until(all, other->ups && node->ups == 1);
	assert_int_equal(ssi_ccm_regist(node->s, 3, 7, end_on_call, node), 0);
	assert_int_equal(ssi_ccm_rcall_short(other->s, &to, "", 0, SSI_CCM_NOWAIT, 0), 0);
	assert_int_equal(ssi_ccm_rcall_short(other->s, &to, "", 0, SSI_CCM_NOWAIT, 0), 0);
	until(all, node->calls == 2);
	assert_int_equal(ssi_ccm_part(node->s, 11), 0);
	until(all, other->gones);
	connect_as(all, 0, 11, 1, 5);
	until(all, door->ups && node->ups == 2);
	assert_int_equal(ssi_ccm_rcall_short(door->s, &to, "", 0, SSI_CCM_NOWAIT, 0), 0);
	until(all, node->refusals);
	assert_int_equal(node->refused.code, -EPERM);
	assert_int_equal(node->calls, 2);
	ends_free(all);
}

static int knock_as(struct ends *all, const struct ssi_identity *id, struct ssi_tls **ret)
{
	int fd = ssi_sock_connect(loopback, ssi_ccm_station_port(all->end[0].s), NULL);

	assert_true(fd >= 0);
	ends_turn(all);
	assert_int_equal(ssi_tls_client(fd, id, key, ret, NULL), 0);
	assert_int_equal(ssi_tls_handshake(*ret, NULL), -EAGAIN);
	return fd;
}

/* Who has just come stands in line for a moment: who is slow is not sent away for that while there is room for both. */
static void test_room_for_slow(void **state)
{
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .who = "web", .incarnation = 5 };
	struct ends *all = identifying(0);
	struct end *door = &all->end[0];
	struct pollfd tick = { .fd = door->s->tick, .events = POLLIN };
	struct ssi_tls *tls[2];
	uint64_t now;
	int fd[2];

	fd[0] = knock_as(all, &id, &tls[0]);
	until(all, door->s->n_door[2] == 1);
	fd[1] = knock_as(all, &id, &tls[1]);
	now = ssi_clock_mono_ms();
	TAILQ_FIRST(&door->s->door[2])->deadline = now;
	station_tick_by(door->s, now, now);
	assert_int_equal(poll(&tick, 1, WAIT), 1);   /* so that it looks at the time in the turn in which the other comes */
	until(all, door->s->n_door[0] + door->s->n_door[1] == 0);
	assert_int_equal(door->s->n_door[2], 2);
	for (unsigned i = 0; i < 2; i++) {
		ssi_tls_free(tls[i]);
		close(fd[i]);
	}
	ends_free(all);
}

/*
 * As many as are worked on at a time say nothing more, and their time ends in the same moment: who stands in line behind them gets its turn, though
 * nothing else happens.
 */
static void test_line_moves(void **state)
{
	struct ends *all = identifying(0);
	struct end *door = &all->end[0], *node = &all->end[1];
	struct ssi_identity id = { .kind = SSI_IDENTITY_NODE, .who = "web", .incarnation = 5 };
	struct ssi_tls *tls[CROWD] = { NULL };
	struct station_conn *c;
	int fd[CROWD];

	door->s->config.connect_ms = 60000;  /* the first still has time when the last has come, however long that takes here */
	for (unsigned i = 0; i < CROWD; i++) {
		fd[i] = knock_as(all, &id, &tls[i]);
		ends_turn(all);
	}
	until(all, door->s->n_door[2] == CROWD);
	TAILQ_FOREACH(c, &door->s->door[2], link)
		c->deadline = ssi_clock_mono_ms() + 1000;
	node_open(all, 1, "web");
	node_connect(all, key);
	until(all, door->s->n_door[1] == 1);
	node->frozen = true;
	until(all, door->s->n_door[2] < CROWD);
	ends_pass(all, 100);
	assert_int_equal(door->s->n_door[1], 0);
	node->frozen = false;
	until(all, door->ups == 1);
	for (unsigned i = 0; i < CROWD; i++) {
		ssi_tls_free(tls[i]);
		close(fd[i]);
	}
	ends_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identified), cmocka_unit_test(test_identified_as_another), cmocka_unit_test(test_unknown), cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_expired), cmocka_unit_test(test_expired_quietly), cmocka_unit_test(test_expired_wrong_key),
		cmocka_unit_test(test_refused_connect), cmocka_unit_test(test_connect_as), cmocka_unit_test(test_connect_as_another),
		cmocka_unit_test(test_connect_as_permits), cmocka_unit_test(test_room_for_slow), cmocka_unit_test(test_line_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
