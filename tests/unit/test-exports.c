/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exports, wanted against actual: the steps, their order, and that there are none when nothing differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bootsvc/exports-plan.h"

#define G1 "sha256-1111"
#define G2 "sha256-2222"
#define NET "10.77.0.0/24"

static void want(struct export_list *l, const char *generation, const char *client)
{
	assert_int_equal(export_list_add(l, "", "", client), 0);
	assert_int_equal(export_list_add(l, "compute", generation, client), 0);
}

static void see(struct export_view *v, const char *mounts, const char *etab)
{
	assert_int_equal(export_view_mounts(v, "/run/ssi/export", mounts), 0);
	assert_int_equal(export_view_etab(v, "/run/ssi/export", etab), 0);
}

static void from_nothing(void **state)
{
	SSI_CLEANUP(export_list_free) struct export_list wanted = { 0 };
	SSI_CLEANUP(export_view_free) struct export_view actual = { 0 };
	SSI_CLEANUP(export_plan_free) struct export_plan plan = { 0 };
	static const enum export_do order[] = { EXPORT_ROOT_MOUNT, EXPORT_MOUNT, EXPORT_EXPORT, EXPORT_EXPORT, EXPORT_EXPORT, EXPORT_EXPORT };

	want(&wanted, G1, NET);
	want(&wanted, G1, "10.78.0.0/16");
	want(&wanted, G1, NET);
	assert_int_equal(wanted.n, 4);
	assert_int_equal(export_plan_make(&wanted, &actual, &plan), 0);
	assert_int_equal(plan.n, sizeof(order) / sizeof(*order));
	for (size_t i = 0; i < plan.n; i++)
		assert_int_equal(plan.steps[i].what, order[i]);
	assert_string_equal(plan.steps[1].image, "compute");
}

static void again_is_nothing(void **state)
{
	SSI_CLEANUP(export_list_free) struct export_list wanted = { 0 };
	SSI_CLEANUP(export_view_free) struct export_view actual = { 0 };
	SSI_CLEANUP(export_plan_free) struct export_plan plan = { 0 };

	want(&wanted, G1, NET);
	see(&actual, "proc /proc proc rw 0 0\nssi-export /run/ssi/export tmpfs rw 0 0\n/dev/loop0 /run/ssi/export/" G1 " erofs ro 0 0\n",
	    "/srv\t*(rw)\n/run/ssi/export\t" NET "(ro,fsid=0)\n/run/ssi/export/" G1 "\t" NET "(ro,sync)\n");
	assert_int_equal(export_plan_make(&wanted, &actual, &plan), 0);
	assert_int_equal(plan.n, 0);
}

static void what_is_not_used_goes(void **state)
{
	SSI_CLEANUP(export_list_free) struct export_list wanted = { 0 };
	SSI_CLEANUP(export_view_free) struct export_view actual = { 0 };
	SSI_CLEANUP(export_plan_free) struct export_plan plan = { 0 };

	want(&wanted, G2, NET);
	see(&actual, "ssi-export /run/ssi/export tmpfs rw 0 0\n/dev/loop0 /run/ssi/export/" G1 " erofs ro 0 0\n"
	    "/dev/loop1 /run/ssi/export/" G2 " erofs ro 0 0\n/dev/loop2 /run/ssi/export-other erofs ro 0 0\n",
	    "/run/ssi/export\t" NET "(ro)\n/run/ssi/export/" G1 "\t" NET "(ro)\n/run/ssi/export/" G2 "\t" NET "(ro)\n/run/ssi/export/a/b\t*(rw)\n");
	assert_int_equal(export_plan_make(&wanted, &actual, &plan), 0);
	assert_int_equal(plan.n, 2);
	assert_int_equal(plan.steps[0].what, EXPORT_UNEXPORT);
	assert_string_equal(plan.steps[0].generation, G1);
	assert_string_equal(plan.steps[0].client, NET);
	assert_int_equal(plan.steps[1].what, EXPORT_UNMOUNT);
}

static void shared_ones(void **state)
{
	SSI_CLEANUP(export_list_free) struct export_list wanted = { 0 };
	SSI_CLEANUP(export_view_free) struct export_view actual = { 0 };
	SSI_CLEANUP(export_plan_free) struct export_plan plan = { 0 }, again = { 0 }, gone = { 0 };
	struct ssi_shared home = { "/home", false }, rooted = { "/home", true };
	static const char mounts[] = "ssi-export /run/ssi/export tmpfs rw 0 0\n/dev/vdb /run/ssi/export/shared+home ext4 rw 0 0\n";

	assert_int_equal(export_list_add(&wanted, "", "", NET), 0);
	assert_int_equal(export_list_add_shared(&wanted, &home, NET), 0);
	assert_int_equal(export_list_add_shared(&wanted, &rooted, NET), 0);       /* the first one counts */
	assert_int_equal(wanted.n, 2);
	assert_int_equal(export_plan_make(&wanted, &actual, &plan), 0);
	assert_int_equal(plan.n, 4);
	assert_int_equal(plan.steps[1].what, EXPORT_MOUNT);
	assert_string_equal(plan.steps[1].generation, "shared+home");
	assert_string_equal(plan.steps[1].source, "/home");
	assert_int_equal(plan.steps[3].what, EXPORT_EXPORT);
	assert_false(plan.steps[3].root);
	/* It is there, but with root: exported once more, nothing else. */
	see(&actual, mounts, "/run/ssi/export\t" NET "(ro,no_root_squash,fsid=0)\n/run/ssi/export/shared+home\t" NET "(rw,sync,no_root_squash)\n");
	assert_int_equal(export_plan_make(&wanted, &actual, &again), 0);
	assert_int_equal(again.n, 1);
	assert_int_equal(again.steps[0].what, EXPORT_EXPORT);
	assert_string_equal(again.steps[0].source, "/home");
	export_list_free(&wanted);
	assert_int_equal(export_plan_make(&wanted, &actual, &gone), 0);
	assert_int_equal(gone.n, 3);
	assert_int_equal(gone.steps[2].what, EXPORT_UNMOUNT);
}

/* The server, started before the daemon, knows the exports from a file; their mounts are gone with the host's power. */
static void mounted_anew_is_exported_anew(void **state)
{
	SSI_CLEANUP(export_list_free) struct export_list wanted = { 0 };
	SSI_CLEANUP(export_view_free) struct export_view actual = { 0 };
	SSI_CLEANUP(export_plan_free) struct export_plan plan = { 0 };
	static const enum export_do order[] = { EXPORT_ROOT_MOUNT, EXPORT_MOUNT, EXPORT_EXPORT, EXPORT_EXPORT };

	want(&wanted, G1, NET);
	see(&actual, "", "/run/ssi/export\t" NET "(ro,fsid=0)\n/run/ssi/export/" G1 "\t" NET "(ro,sync)\n");
	assert_int_equal(export_plan_make(&wanted, &actual, &plan), 0);
	assert_int_equal(plan.n, sizeof(order) / sizeof(*order));
	for (size_t i = 0; i < plan.n; i++)
		assert_int_equal(plan.steps[i].what, order[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_nothing),
		cmocka_unit_test(again_is_nothing),
		cmocka_unit_test(what_is_not_used_goes), cmocka_unit_test(shared_ones), cmocka_unit_test(mounted_anew_is_exported_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
