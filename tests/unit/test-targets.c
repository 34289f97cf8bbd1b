/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iSCSI targets, wanted against actual: names, the steps and their order, and that there are none when nothing differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bootsvc/targets-plan.h"
#include "libssi/base/cleanup.h"

#define DIGEST "00000a456789abcdef0123456789abcdef0123456789abcdef0123456789abcd"
#define G1 "sha256-" DIGEST
#define G2 "sha256-00ff" DIGEST
#define IQN "iqn.2026-11.internal.ssi:demo"
#define TPG "iscsi/" IQN "/tpgt_1"
#define N01 TPG "/acls/" IQN ":n01:7"
#define IMAGE "core/iblock_16777226/ssi-00000a456789abcdef0123456789abcd"
#define VOLUME "core/fileio_16777219/ssi-n01:b5f4-77"
#define SECRET "0123456789abcdef0123456789abcdef"

static const struct target_items nothing = { 0 };

static void names(void **state)
{
	char name[SSI_ISCSI_NAME], longest[65], serial[SSI_ISCSI_SERIAL];

	assert_int_equal(ssi_iscsi_target("demo", name), 0);
	assert_string_equal(name, IQN);
	assert_int_equal(ssi_iscsi_initiator("demo", "n01", 7, name), 0);
	assert_string_equal(name, IQN ":n01:7");
	/* Capitals are the same as small letters in an iSCSI name, and '_' is none. */
	assert_int_equal(ssi_iscsi_initiator("De_mo", "n01", UINT64_MAX, name), 0);
	assert_string_equal(name, "iqn.2026-11.internal.ssi::x44e:x5fmo:n01:18446744073709551615");
	memset(longest, 'a', 64);
	longest[64] = '\0';
	assert_int_equal(ssi_iscsi_initiator(longest, longest, UINT64_MAX, name), 0);
	memset(longest, 'A', 64);
	assert_int_equal(ssi_iscsi_target(longest, name), -ENAMETOOLONG);
	assert_int_equal(ssi_iscsi_initiator(longest, "n01", 1, name), -ENAMETOOLONG);
	ssi_iscsi_serial(G1, serial);
	assert_string_equal(serial, "00000a456789abcdef0123456789abcd");
}

/* The value is OpenSSL's: printf ssi-iscsi-chap | openssl mac -digest SHA256 -macopt hexkey:... HMAC */
static void the_secret_is_of_the_key(void **state)
{
	uint8_t key[32] = { 0 };
	char one[SSI_ISCSI_SECRET], other[SSI_ISCSI_SECRET];

	assert_int_equal(ssi_iscsi_secret(key, one), 0);
	assert_string_equal(one, "8fcad83231ecdce9b18fb59d2f46ec73");
	key[31] = 1;
	assert_int_equal(ssi_iscsi_secret(key, other), 0);
	assert_string_not_equal(one, other);
}

static void want(struct target_items *l, const struct target_items *actual, const char *generation)
{
	struct in_addr portal;

	inet_pton(AF_INET, "10.77.0.1", &portal);
	assert_int_equal(targets_want_image(l, actual, "demo", generation, "/images/root.erofs"), 0);
	assert_int_equal(targets_want_system(l, "demo", &portal, 1), 0);
}

static int want_door(struct target_items *l, const struct target_items *actual, uint64_t incarnation, const char *generation, const char *volume)
{
	struct target_door d = { "demo", "n01", incarnation, SECRET, generation, volume, "b5f4-77", 3 };

	return targets_want_door(l, actual, &d);
}

static bool nothing_reads(const char *path, const char *value, void *userdata)
{
	return false;
}

static bool all_reads(const char *path, const char *value, void *userdata)
{
	return true;
}

static size_t place(const struct target_steps *p, bool remove, enum target_kind kind, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->s[i].remove == remove && p->s[i].item.kind == kind && strcmp(p->s[i].item.path, path) == 0)
			return i;
	fail_msg("no step for %s", path);
	return 0;
}

static const char *value_of(const struct target_steps *p, const char *path)
{
	return p->s[place(p, false, TARGET_SET, path)].item.value;
}

static void from_nothing(void **state)
{
	SSI_CLEANUP(targets_items_free) struct target_items wanted = { 0 };
	SSI_CLEANUP(targets_steps_free) struct target_steps p = { 0 };

	/* In whatever order they are wanted, and twice. */
	assert_int_equal(want_door(&wanted, &nothing, 7, G1, "/volumes/n01"), 0);
	want(&wanted, &nothing, G1);
	want(&wanted, &nothing, G1);
	assert_int_equal(targets_plan(&wanted, &nothing, nothing_reads, NULL, &p), 0);
	assert_int_equal(p.n, wanted.n);
	assert_string_equal(p.s[0].item.path, "iscsi");
	/* The HBA's number is of the digest, above all that targetcli gives out; a volume's is of the node. */
	assert_true(place(&p, false, TARGET_IMAGE, IMAGE "/enable") < place(&p, false, TARGET_LINK, TPG "/lun/lun_0/ssi"));
	assert_true(place(&p, false, TARGET_VOLUME, VOLUME "/enable") < place(&p, false, TARGET_LINK, TPG "/lun/lun_32771/ssi"));
	assert_true(place(&p, false, TARGET_SET, TPG "/attrib/generate_node_acls") < place(&p, false, TARGET_DIR, TPG "/np/10.77.0.1:3260"));
	assert_true(place(&p, false, TARGET_LINK, TPG "/lun/lun_0/ssi") < place(&p, false, TARGET_LINK, N01 "/lun_0/ssi"));
	/* Read the image, write the volume; and nobody gets in before that is so. */
	assert_string_equal(value_of(&p, TPG "/attrib/authentication"), "1");
	assert_string_equal(value_of(&p, N01 "/lun_0/write_protect"), "1");
	assert_string_equal(value_of(&p, N01 "/lun_1/write_protect"), "0");
	assert_string_equal(value_of(&p, N01 "/auth/userid"), "n01");
	assert_string_equal(value_of(&p, N01 "/auth/password"), SECRET);
	assert_true(place(&p, false, TARGET_SET, N01 "/lun_1/write_protect") < place(&p, false, TARGET_SET, N01 "/auth/password"));
	/* The door is opened last. */
	assert_string_equal(p.s[p.n - 1].item.path, TPG "/enable");
	assert_string_equal(p.s[p.n - 1].item.value, "1");
}

/* As a look at configfs finds what is wanted; without is left out. */
static void see(struct target_items *actual, const char *without)
{
	static const struct { const char *path, *link; } all[] = {
		{ "iscsi", NULL }, { "core/iblock_16777226", NULL }, { IMAGE, NULL }, { "iscsi/" IQN, NULL }, { TPG, NULL }, { TPG "/lun/lun_0", NULL },
		{ TPG "/lun/lun_0/ssi", "../../../../../../target/" IMAGE }, { N01, NULL }, { N01 "/lun_0", NULL },
		{ N01 "/lun_0/ssi", "../../../../../../../target/" TPG "/lun/lun_0" }, { TPG "/np/10.77.0.1:3260", NULL },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (!without || strcmp(all[i].path, without) != 0)
			assert_int_equal(targets_saw(actual, all[i].path, all[i].link), 0);
}

static void again_is_nothing(void **state)
{
	SSI_CLEANUP(targets_items_free) struct target_items wanted = { 0 }, actual = { 0 };
	SSI_CLEANUP(targets_steps_free) struct target_steps p = { 0 };

	see(&actual, NULL);
	want(&wanted, &actual, G1);
	assert_int_equal(want_door(&wanted, &actual, 7, G1, NULL), 0);
	assert_int_equal(targets_plan(&wanted, &actual, all_reads, NULL, &p), 0);
	assert_int_equal(p.n, 0);
}

/* Killed in the middle: a disk that was made and not enabled is made good. */
static void half_is_made_whole(void **state)
{
	SSI_CLEANUP(targets_items_free) struct target_items wanted = { 0 }, actual = { 0 };
	SSI_CLEANUP(targets_steps_free) struct target_steps p = { 0 };

	see(&actual, N01 "/lun_0/ssi");
	want(&wanted, &actual, G1);
	assert_int_equal(want_door(&wanted, &actual, 7, G1, NULL), 0);
	assert_int_equal(targets_plan(&wanted, &actual, nothing_reads, NULL, &p), 0);
	assert_int_equal(p.s[0].item.kind, TARGET_IMAGE);
	place(&p, false, TARGET_LINK, N01 "/lun_0/ssi");
	assert_string_equal(p.s[p.n - 1].item.path, TPG "/enable");
}

static void an_older_incarnation_is_shut_out_first(void **state)
{
	SSI_CLEANUP(targets_items_free) struct target_items wanted = { 0 }, actual = { 0 };
	SSI_CLEANUP(targets_steps_free) struct target_steps p = { 0 };

	see(&actual, NULL);
	want(&wanted, &actual, G1);
	assert_int_equal(want_door(&wanted, &actual, 8, G1, NULL), 0);
	assert_int_equal(targets_plan(&wanted, &actual, all_reads, NULL, &p), 0);
	assert_int_equal(p.n, 6);
	assert_true(p.s[0].remove && p.s[1].remove && p.s[2].remove && !p.s[3].remove);
	assert_string_equal(p.s[0].item.path, N01 "/lun_0/ssi");
	assert_string_equal(p.s[2].item.path, N01);
	assert_string_equal(p.s[5].item.path, TPG "/acls/" IQN ":n01:8/lun_0/ssi");
}

static void nothing_stays(void **state)
{
	SSI_CLEANUP(targets_items_free) struct target_items wanted = { 0 }, actual = { 0 };
	SSI_CLEANUP(targets_steps_free) struct target_steps p = { 0 };

	see(&actual, NULL);
	assert_int_equal(targets_plan(&wanted, &actual, all_reads, NULL, &p), 0);
	assert_int_equal(p.n, actual.n - 1);
	assert_string_equal(p.s[p.n - 1].item.path, "core/iblock_16777226");
	assert_true(place(&p, true, TARGET_LINK, TPG "/lun/lun_0/ssi") < place(&p, true, TARGET_DIR, IMAGE));
}

/* A link that leads elsewhere is made anew, at another number: what stands there goes first. */
static void a_link_that_leads_elsewhere(void **state)
{
	SSI_CLEANUP(targets_items_free) struct target_items wanted = { 0 }, actual = { 0 };
	SSI_CLEANUP(targets_steps_free) struct target_steps p = { 0 };

	see(&actual, TPG "/lun/lun_0/ssi");
	assert_int_equal(targets_saw(&actual, TPG "/lun/lun_0/ssi", "../../../target/core/iblock_0/other"), 0);
	want(&wanted, &actual, G1);
	want(&wanted, &actual, G2);
	assert_int_equal(targets_plan(&wanted, &actual, all_reads, NULL, &p), 0);
	assert_true(place(&p, true, TARGET_LINK, TPG "/lun/lun_0/ssi") < place(&p, false, TARGET_LINK, TPG "/lun/lun_1/ssi"));
	place(&p, false, TARGET_DIR, "core/iblock_16842496");
}

/* Digests that begin alike: the second has the next number, and keeps it when the first has gone. */
static void generations_that_begin_alike(void **state)
{
	SSI_CLEANUP(targets_items_free) struct target_items wanted = { 0 }, actual = { 0 }, later = { 0 };
	SSI_CLEANUP(targets_steps_free) struct target_steps p = { 0 };
	static const char other[] = "sha256-0000ff" DIGEST;

	want(&wanted, &nothing, G1);
	want(&wanted, &nothing, other);
	assert_int_equal(targets_plan(&wanted, &nothing, all_reads, NULL, &p), 0);
	place(&p, false, TARGET_LINK, TPG "/lun/lun_0/ssi");
	assert_string_equal(p.s[place(&p, false, TARGET_LINK, TPG "/lun/lun_1/ssi")].item.value, "core/iblock_16777471/ssi-0000ff00000a456789abcdef01234567");
	assert_int_equal(targets_saw(&actual, TPG "/lun/lun_1/ssi", "../target/core/iblock_16777471/ssi-0000ff00000a456789abcdef01234567"), 0);
	assert_string_equal(targets_lun(&actual, "demo", other), TPG "/lun/lun_1/ssi");
	assert_null(targets_lun(&actual, "demo", G1));
	assert_null(targets_lun(&actual, "other", other));
	want(&later, &actual, other);
	targets_steps_free(&p);
	assert_int_equal(targets_plan(&later, &actual, all_reads, NULL, &p), 0);
	for (size_t i = 0; i < p.n; i++)
		assert_null(strstr(p.s[i].item.path, "lun_0"));
}

static void others_are_left_alone(void **state)
{
	assert_false(targets_ours("core/iblock_0"));
	assert_false(targets_ours("core/iblock_12/ssi-mine"));
	assert_false(targets_ours("core/fileio_12/ssi-mine"));
	assert_true(targets_ours("core/iblock_16777216"));
	assert_true(targets_ours("core/fileio_16777216"));
	assert_true(targets_ours("iscsi/" IQN));
}

static void whose_door_it_is(void **state)
{
	char node[8];

	assert_true(targets_is_door(N01, "n01"));
	assert_false(targets_is_door(N01, "n02"));
	assert_false(targets_is_door(N01, "01"));
	assert_false(targets_is_door(N01 "/lun_0", "n01"));
	assert_false(targets_is_door(TPG, "n01"));
	assert_true(targets_is_door("iscsi/x/tpgt_1/acls/" IQN "::x41:12", "A"));
	assert_false(targets_is_door("iscsi/x/tpgt_1/acls/" IQN "::x41:12", "x41"));
	/* A system and a node of one name. */
	assert_true(targets_is_door("iscsi/x/tpgt_1/acls/" IQN ":demo:12", "demo"));
	assert_false(targets_is_door("iscsi/x/tpgt_1/acls/" IQN ":n01:12", "demo"));
	assert_true(targets_is_volume(VOLUME, node, sizeof(node)));
	assert_string_equal(node, "n01");
	assert_false(targets_is_volume(VOLUME "/enable", node, sizeof(node)));
	assert_false(targets_is_volume(IMAGE, node, sizeof(node)));
	assert_false(targets_is_volume(VOLUME, node, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(the_secret_is_of_the_key),
		cmocka_unit_test(from_nothing),
		cmocka_unit_test(again_is_nothing),
		cmocka_unit_test(half_is_made_whole),
		cmocka_unit_test(an_older_incarnation_is_shut_out_first),
		cmocka_unit_test(nothing_stays),
		cmocka_unit_test(a_link_that_leads_elsewhere),
		cmocka_unit_test(generations_that_begin_alike),
		cmocka_unit_test(others_are_left_alone),
		cmocka_unit_test(whose_door_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
