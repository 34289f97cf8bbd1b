/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/shared and libssi/model/users: which paths may be shared, what they are called, and whose numbers count on a node. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/model/shared.h"
#include "libssi/model/users.h"

static void paths(void **state)
{
	const char *text = " /home, /srv/data:no_root_squash\t/opt/x.y_z-1 ";
	char line[SSI_SHARED_TEXT], name[SSI_SHARED_NAME];
	struct ssi_shared s;

	assert_int_equal(ssi_shared_check(text, NULL), 0);
	assert_int_equal(ssi_shared_check("", NULL), 0);
	assert_int_equal(ssi_shared_paths(text, line, sizeof(line)), 0);
	assert_string_equal(line, "/home,/srv/data,/opt/x.y_z-1");
	assert_int_equal(ssi_shared_paths(text, line, 8), -ENOSPC);
	assert_true(ssi_shared_next(&text, &s) && !s.root);
	assert_string_equal(s.path, "/home");
	assert_true(ssi_shared_next(&text, &s) && s.root);
	assert_string_equal(s.path, "/srv/data");
	ssi_shared_name(s.path, name);
	assert_string_equal(name, "shared+srv+data");
	assert_true(ssi_shared_is_name(name));
	assert_false(ssi_shared_is_name("sha256-1234"));
	assert_true(ssi_shared_next(&text, &s));
	assert_false(ssi_shared_next(&text, &s));
}

static void refused(void **state)
{
	static const struct { const char *text, *says; } bad[] = {
		{ "home", "not a path" }, { "/", "not a path" }, { "/home/", "not a path" }, { "//home", "not a path" }, { "/a/../b", "not a path" },
		{ "/a/.", "not a path" }, { "/a b/c", "not a path" }, { "/a\\b", "not a path" }, { "/a+b", "not a path" }, { "/home:rw", "not a path" },
		{ "/home:no_root_squashed", "not a path" }, { "/home:", "not a path" }, { "/etc", "of its own" }, { "/etc/ssi", "of its own" },
		{ "/run/user", "of its own" }, { "/usr", "of its own" }, { "/tmp", "of its own" }, { "/home /home", "shared already" },
		{ "/srv /srv/data", "shared already" }, { "/srv/data /srv", "shared already" }, { "/a /b /c /d /e /f /g /h /i", "more than 8" },
		{ "/123456789012345678901234567890123456789012345678901234567890123", "not a path" },
		{ "/12345678901234567890123456789012345678901234567890123456789 /b2345678901234567890123456789012345678901234567890123456789"
		  " /c2345678901234567890123456789012345678901234567890123456789 /d2345678901234567890123456789012345678901234567890123456789", "bytes of paths" },
	};
	static const char *const good[] = { "/usr/local", "/var/lib/x", "/srv /srv2", "/...", "/etcetera",
		"/12345678901234567890123456789012345678901234567890123456789012" };
	struct ssi_err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (ssi_shared_check(bad[i].text, &e) == 0 || !strstr(e.text, bad[i].says))
			fail_msg("'%s' should be refused with '%s'", bad[i].text, bad[i].says);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (ssi_shared_check(good[i], &e) < 0)
			fail_msg("'%s': %s", good[i], e.text);
}

static void give(enum ssi_users kind, const char *text, const char *want)
{
	_cleanup_buf_ struct ssi_buf got = SSI_BUF_INIT;

	assert_int_equal(ssi_users_give(kind, text, &got), 0);
	assert_string_equal(got.data ? got.data : "", want);
}

static void only_people_are_given(void **state)
{
	give(SSI_USERS_PASSWD,
	     "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000:Ann,,,:/home/ann:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	     "# a comment\n\nbob:$6$secret:59999:100::/home/bob:/bin/sh\nbad:x:1001:1001\n+::::::\n-x:x:1002:1:::/bin/sh\n",
	     "ann:*:1000:1000:Ann,,,:/home/ann:/bin/bash\nbob:*:59999:100::/home/bob:/bin/sh\n");
	give(SSI_USERS_GROUP, "root:x:0:\nann:x:1000:\nstaff:x:50:ann\nlab:x:2000:ann,bob\n", "ann:*:1000:\nlab:*:2000:ann,bob\n");
}

static void merge(enum ssi_users kind, const char *own, const char *image, const char *master, const char *want, unsigned dropped)
{
	_cleanup_buf_ struct ssi_buf got = SSI_BUF_INIT, again = SSI_BUF_INIT;
	unsigned n = 77;

	assert_int_equal(ssi_users_merge(kind, own, image, master, &got, &n), 0);
	assert_string_equal(got.data ? got.data : "", want);
	assert_int_equal(n, dropped);
	/* The second boot over a state volume that has the outcome of the first. */
	assert_int_equal(ssi_users_merge(kind, got.data ? got.data : "", image, master, &again, &n), 0);
	assert_string_equal(again.data ? again.data : "", want);
}

#define ROOT "root:x:0:0:root:/root:/bin/sh\n"
#define P(name, uid) name ":*:" uid ":" uid "::/home/" name ":/bin/sh\n"
#define X(name, uid) name ":x:" uid ":" uid "::/home/" name ":/bin/sh\n"

static void people_are_the_masters(void **state)
{
	merge(SSI_USERS_PASSWD, ROOT, ROOT, P("ann", "1000"), ROOT P("ann", "1000"), 0);
	/* The image's own stay while the master knows neither name nor number. */
	merge(SSI_USERS_PASSWD, ROOT X("build", "1500"), ROOT X("build", "1500"), P("ann", "1000"), ROOT X("build", "1500") P("ann", "1000"), 0);
	merge(SSI_USERS_PASSWD, ROOT X("build", "1000"), ROOT X("build", "1000"), P("ann", "1000"), ROOT P("ann", "1000"), 1);
	merge(SSI_USERS_PASSWD, ROOT X("ann", "1500"), ROOT X("ann", "1500"), P("ann", "1000"), ROOT P("ann", "1000"), 0);
	/* Who was there at an earlier boot and is gone from the master goes; what the system has of its own stays, below 1000 and above. */
	merge(SSI_USERS_PASSWD, ROOT P("old", "1001") X("sshd", "105") X("nobody", "65534"), ROOT, "", ROOT X("sshd", "105") X("nobody", "65534"), 0);
}

static void a_master_makes_nobody_root(void **state)
{
	merge(SSI_USERS_PASSWD, ROOT, ROOT, "eve:*:0:0::/:/bin/sh\nroot:*:1000:0::/:/bin/sh\nann::1001:1001::/home/ann:/bin/sh\nann:*:1002:1::/:/bin/sh\n"
	      "x:*:01a:1::/:/bin/sh\nsys\001:*:1003:1::/:/bin/sh\n", ROOT "ann:*:1001:1001::/home/ann:/bin/sh\n", 0);
	merge(SSI_USERS_GROUP, "root:x:0:\nshadow:x:42:\n", "root:x:0:\n", "shadow:*:1000:eve\nann:*:1001:ann\n", "root:x:0:\nshadow:x:42:\nann:*:1001:ann\n", 0);
}

static void holds_paths(void **state)
{
	assert_true(ssi_shared_holds("/home /srv/data:no_root_squash", "/home"));
	assert_true(ssi_shared_holds("/home /srv/data:no_root_squash", "/srv/data/a b/..c"));
	assert_false(ssi_shared_holds("/home /srv/data", "/homely"));
	assert_false(ssi_shared_holds("/home /srv/data", "/srv"));
	assert_false(ssi_shared_holds("/home", "/home/../etc"));
	assert_false(ssi_shared_holds("/home", "home"));
	assert_false(ssi_shared_holds("/home", ""));
	assert_false(ssi_shared_holds("", "/home"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_paths),
		cmocka_unit_test(paths), cmocka_unit_test(refused), cmocka_unit_test(only_people_are_given), cmocka_unit_test(people_are_the_masters),
		cmocka_unit_test(a_master_makes_nobody_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
