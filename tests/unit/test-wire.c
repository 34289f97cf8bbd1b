/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libssi/model/wire and libssi/model/bootargs: what crosses between master and node. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "libssi/model/bootargs.h"
#include "libssi/model/wire.h"

static void identities(void **state)
{
	static const char *const good[] = { "boot:52:54:00:00:00:01:7", "node:n01:18446744073709551615", "node:a.b-c:1" };
	static const char *const bad[] = {
		"", "boot", "boot:", "node:", "node::1", "node:n01", "node:n01:", "node:n01:0", "node:n01:07", "node:n01:-1", "node:n01:1x",
		"node:n01:18446744073709551616", "boot:n01:7", "boot:52:54:00:00:00:01", "boot:52:54:00:00:00:0A:7", "boot:52-54-00-00-00-01:7",
		"NODE:n01:1", "node:../x:1", "node:a:b:1",
		"node:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1",
	};
	struct ssi_identity id;
	char text[128];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(ssi_identity_parse(good[i], &id), 0);
		assert_int_equal(ssi_identity_format(&id, text, sizeof(text)), 0);
		assert_string_equal(text, good[i]);
		assert_int_equal(ssi_identity_format(&id, text, strlen(good[i])), -ENOSPC);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(ssi_identity_parse(bad[i], &id), -EINVAL);
}

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FULL "ssi.node=n01 ssi.number=1073741823 ssi.system=demo ssi.mac=52:54:00:00:00:01 ssi.ip=10.77.0.11/24 ssi.gw=10.77.0.1 " \
	"ssi.master=10.77.0.1:7701 ssi.inc=7 ssi.token=" TOKEN " ssi.root=nfs:/sha256-ab ssi.state=disk:/dev/vdb ssi.init=systemd " \
	"ssi.delay=5 ssi.rescue ssi.debug"
#define NEEDED "ssi.node=n01 ssi.number=3 ssi.mac=52:54:00:00:00:01 ssi.ip=10.77.0.11/24 ssi.master=10.77.0.1 ssi.inc=7 ssi.token=" TOKEN " ssi.root=nfs:/a"

static void bootargs_both_ways(void **state)
{
	struct ssi_bootargs a;
	struct ssi_err e = { 0 };
	char text[2048];

	assert_int_equal(ssi_bootargs_parse(FULL, &a, &e), 0);
	assert_string_equal(a.node, "n01");
	assert_int_equal(a.number, SSI_BOOTARGS_NUMBER_MAX);
	assert_int_equal(a.address.s_addr, inet_addr("10.77.0.11"));
	assert_int_equal(a.prefix, 24);
	assert_int_equal(a.port, 7701);
	assert_int_equal(a.delay_s, 5);
	assert_true(a.rescue && a.debug);
	assert_int_equal(ssi_bootargs_format(&a, text, sizeof(text)), 0);
	assert_string_equal(text, FULL);
	assert_int_equal(ssi_bootargs_format(&a, text, sizeof(FULL)), 0);
	for (size_t n = 0; n < sizeof(FULL); n++)
		assert_int_equal(ssi_bootargs_format(&a, text, n), -ENOSPC);
}

#define RAM "ssi.root=ram:http://10.77.0.1:7780/image/compute/sha256-" TOKEN "/root.erofs"

static void bootargs_of_a_root_in_memory(void **state)
{
	static const char *const bad[] = {
		"", "nfs:/a", "ram:", "ram:/a", "ram:http://10.77.0.1:7780", "ram:http://10.77.0.1/a", "ram:http://10.77.0.1:0/a", "ram:http://10.77.0.1:65536/a",
		"ram:http://:7780/a", "ram:http://0.0.0.0:7780/a", "ram:http://master:7780/a", "ram:https://10.77.0.1:7780/a", "ram:http:///a",
		"ram:http://1000.1000.1000.1000:77800000/a",
	};
	struct ssi_bootargs a;
	struct in_addr server;
	struct ssi_err e;
	char text[2048];
	const char *path;
	uint16_t port = 77;

	assert_int_equal(ssi_bootargs_parse(NEEDED " " RAM " ssi.root.size=132640768 ssi.root.sha256=" TOKEN, &a, &e), 0);
	assert_int_equal(a.root_size, 132640768);
	assert_string_equal(a.root_sha256, TOKEN);
	assert_int_equal(ssi_bootargs_format(&a, text, sizeof(text)), 0);
	assert_non_null(strstr(text, RAM " ssi.root.size=132640768 ssi.root.sha256=" TOKEN));
	assert_int_equal(ssi_bootargs_http(a.root, &server, &port, &path), 0);
	assert_int_equal(server.s_addr, inet_addr("10.77.0.1"));
	assert_int_equal(port, 7780);
	assert_string_equal(path, "/image/compute/sha256-" TOKEN "/root.erofs");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(ssi_bootargs_http(bad[i], &server, &port, &path), -EINVAL);
	assert_int_equal(port, 7780);
	/* The longest names there can be. */
	snprintf(text, sizeof(text), "%s ssi.root=ram:http://255.255.255.254:65535/image/%064d/sha256-" TOKEN "/root.erofs ssi.root.size=1 ssi.root.sha256=" TOKEN,
		 NEEDED, 0);
	assert_int_equal(ssi_bootargs_parse(text, &a, &e), 0);
}

static void bootargs_among_others(void **state)
{
	struct ssi_bootargs a;

	assert_int_equal(ssi_bootargs_parse("BOOT_IMAGE=/x quiet \"a b=c ssi.node=zz\" dyndbg=\"file x ssi.node=zz +p\" " NEEDED
					    " ssi.node=n02 \"ssi.init=systemd\" ssi.system=\"demo\" ssi.newer=1 ssi.debug=no console=ttyS0\n", &a, NULL), 0);
	assert_string_equal(a.node, "n02");
	assert_int_equal(a.number, 3);
	assert_string_equal(a.init, "systemd");
	assert_string_equal(a.system, "demo");
	assert_int_equal(a.port, 7701);
	assert_int_equal(a.delay_s, 30);
	assert_false(a.debug);
	assert_int_equal(ssi_bootargs_parse("ssi.root=disk:LABEL=master", &a, NULL), 0);
	assert_string_equal(a.init, "ssi");
	assert_int_equal(ssi_bootargs_parse("ssi.root=disk:/dev/vda ssi.node=m", &a, NULL), 0);
	assert_int_equal(a.number, 0);
}

#define ISCSI "ssi.root=iscsi:0123456789abcdef0123456789abcdef"

static void bootargs_of_an_iscsi_root(void **state)
{
	static const char *const bad[] = {
		ISCSI, ISCSI "0 ssi.iscsi=10.77.0.1:3260", ISCSI " ssi.iscsi=", ISCSI " ssi.iscsi=10.77.0.1", ISCSI " ssi.iscsi=target:3260",
		ISCSI " ssi.iscsi=10.77.0.1:0", ISCSI " ssi.iscsi=10.77.0.1:3260,", "ssi.root=iscsi: ssi.iscsi=10.77.0.1:3260",
	};
	struct ssi_bootargs a;
	struct in_addr server;
	struct ssi_err e;
	char text[2048];
	uint16_t port = 77;

	assert_int_equal(ssi_bootargs_parse(NEEDED " " ISCSI " ssi.iscsi=10.77.0.1:3260,10.78.0.1:860", &a, &e), 0);
	assert_int_equal(ssi_bootargs_format(&a, text, sizeof(text)), 0);
	assert_non_null(strstr(text, ISCSI " ssi.iscsi=10.77.0.1:3260,10.78.0.1:860"));
	assert_int_equal(ssi_bootargs_portal(a.iscsi, 0, &server, &port), 0);
	assert_int_equal(port, 3260);
	assert_int_equal(ssi_bootargs_portal(a.iscsi, 1, &server, &port), 0);
	assert_int_equal(port, 860);
	assert_int_equal(ntohl(server.s_addr), 0x0a4e0001);
	assert_int_equal(ssi_bootargs_portal(a.iscsi, 2, &server, &port), -ENOENT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), "%s %s", NEEDED, bad[i]);
		assert_int_equal(ssi_bootargs_parse(text, &a, &e), -EINVAL);
	}
	assert_int_equal(ssi_bootargs_parse(NEEDED " " ISCSI, &a, &e), -EINVAL);
	assert_non_null(strstr(e.text, "no ssi.iscsi on the kernel command line"));
}

static void bootargs_refused(void **state)
{
	static const struct { const char *line, *says; } bad[] = {
		{ "", "no ssi.root on the kernel command line" },
		{ "ssi.root=nfs:/a", "no ssi.node on the kernel command line" },
		{ "ssi.root=nfs:/a ssi.node=n01", "no ssi.number on the kernel command line: it should be a node's number" },
		{ NEEDED " ssi.number=0", "ssi.number=0: should be a node's number, 1 to 1073741823" }, { NEEDED " ssi.number=1073741824", "ssi.number=" },
		{ NEEDED " ssi.number=4294967299", "ssi.number=4294967299: should" }, { NEEDED " ssi.number=-1", "ssi.number=-1" },
		{ NEEDED " ssi.number=3x", "ssi.number=3x" }, { NEEDED " ssi.number", "ssi.number=: should" },
		{ NEEDED " ssi.root=nfs:a", "ssi.root=nfs:a: should be nfs:/PATH" },
		{ NEEDED " ssi.root=disk:/", "ssi.root=disk:/: should be" },
		{ NEEDED " ssi.root=disk:LABEL=", "ssi.root=" }, { NEEDED " ssi.root=\"nfs:/a b\"", "ssi.root=nfs:/a b: should" },
		{ NEEDED " ssi.node=", "ssi.node=: should be a node's name" }, { NEEDED " ssi.node", "ssi.node=: should" },
		{ NEEDED " ssi.node=a/b", "ssi.node=a/b" }, { NEEDED " ssi.mac=ff:ff:ff:ff:ff:ff", "ssi.mac=" },
		{ NEEDED " ssi.ip=10.77.0.11", "ssi.ip=10.77.0.11: should be an address with its prefix" },
		{ NEEDED " ssi.ip=10.77.0.11/33", "ssi.ip=" }, { NEEDED " ssi.ip=10.77.0/24", "ssi.ip=" }, { NEEDED " ssi.ip=0.0.0.0/24", "ssi.ip=" },
		{ NEEDED " ssi.gw=x", "ssi.gw=x" }, { NEEDED " ssi.master=10.77.0.1:0", "ssi.master=" }, { NEEDED " ssi.master=10.77.0.1:65536", "ssi.master=" },
		{ NEEDED " ssi.inc=0", "ssi.inc=0" }, { NEEDED " ssi.inc=-1", "ssi.inc=-1" }, { NEEDED " ssi.token=12", "ssi.token=12: should be 64" },
		{ NEEDED " ssi.token=" TOKEN "0", "ssi.token=" }, { NEEDED " ssi.state=memory", "ssi.state=memory" }, { NEEDED " ssi.init=sysv", "ssi.init=sysv" },
		{ NEEDED " ssi.delay=soon", "ssi.delay=soon" }, { NEEDED " ssi.rescue=perhaps", "ssi.rescue=perhaps" },
		{ NEEDED " " RAM, "no ssi.root.size on the kernel command line" },
		{ NEEDED " " RAM " ssi.root.size=1", "no ssi.root.sha256 on the kernel command line" },
		{ NEEDED " " RAM " ssi.root.size=0 ssi.root.sha256=" TOKEN, "ssi.root.size=0: should be the image's size" },
		{ NEEDED " " RAM " ssi.root.size=1 ssi.root.sha256=12", "ssi.root.sha256=12: should be 64" },
		{ NEEDED " ssi.root=ram:http://10.77.0.1:7780/\xe4", "ssi.root=ram:" }, { NEEDED " ssi.root=ram:10.77.0.1:/a", "or disk:LABEL=NAME" },
		{ NEEDED " ssi.root=nfs:/" TOKEN TOKEN TOKEN TOKEN TOKEN, "ssi.root=: should be" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct ssi_bootargs a = { .node = "kept" };
		struct ssi_err e = { 0 };

		assert_int_equal(ssi_bootargs_parse(bad[i].line, &a, &e), -EINVAL);
		if (!strstr(e.text, bad[i].says))
			fail_msg("'%s' is not in '%s'", bad[i].says, e.text);
		assert_string_equal(a.node, "kept");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(identities),
		cmocka_unit_test(bootargs_both_ways),
		cmocka_unit_test(bootargs_among_others),
		cmocka_unit_test(bootargs_of_a_root_in_memory),
		cmocka_unit_test(bootargs_of_an_iscsi_root),
		cmocka_unit_test(bootargs_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
