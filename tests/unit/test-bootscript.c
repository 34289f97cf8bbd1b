/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What iPXE is told: the paths it may ask for, the scripts it gets, and what dnsmasq says before that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "bootsvc/bootscript.h"
#include "bootsvc/dnsmasq-conf.h"
#include "bootsvc/route.h"

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void route_knows_what_is_served(void **state)
{
	struct route r;

	assert_int_equal(route_parse("/boot/52:54:00:AB:00:01", &r), 0);
	assert_int_equal(r.kind, ROUTE_BOOT);
	assert_string_equal(r.mac, "52:54:00:ab:00:01");
	assert_int_equal(route_parse("/boot/52-54-00-ab-00-01", &r), 0);
	assert_string_equal(r.mac, "52:54:00:ab:00:01");
	assert_int_equal(route_parse("/boot/52%3A54%3a00%3A00%3A00%3A01", &r), 0);
	assert_string_equal(r.mac, "52:54:00:00:00:01");
	assert_int_equal(route_parse("/image/compute/sha256-" DIGITS "/vmlinuz", &r), 0);
	assert_int_equal(r.kind, ROUTE_IMAGE);
	assert_string_equal(r.image, "compute");
	assert_string_equal(r.generation, "sha256-" DIGITS);
	assert_string_equal(r.file, "vmlinuz");
	assert_int_equal(route_parse("/image/compute/sha256-" DIGITS "/initramfs-iscsi", &r), 0);
	assert_string_equal(r.file, "initramfs-iscsi");
	assert_int_equal(route_parse("/image/compute/sha256-" DIGITS "/root.erofs", &r), 0);
	assert_string_equal(r.file, "root.erofs");
}

static void route_refuses_the_rest(void **state)
{
	static const char *const paths[] = {
		"", "/", "boot/52:54:00:00:00:01", "/boot/", "/boot/52:54:00:00:00", "/boot/52:54:00:00:00:01/", "/boot/ff:ff:ff:ff:ff:ff",
		"/boot/52%2f54:00:00:00:01", "/boot/52%", "/boot/52%5", "/boot/52%zz", "/boot/%00", "/boot/%2552", "/image/compute",
		"/image//sha256-" DIGITS "/vmlinuz", "/image/../sha256-" DIGITS "/vmlinuz", "/image/compute/current/vmlinuz",
		"/image/compute/sha256-" DIGITS "/root.verity", "/image/compute/sha256-" DIGITS "/manifest.json", "/image/compute/sha256-" DIGITS "/../vmlinuz", "/image/compute/sha256-" DIGITS "0/vmlinuz",
		"/image/compute/sha256-" DIGITS "/vmlinuz/", "/image/%2e%2e/sha256-" DIGITS "/vmlinuz", "/image/a%2fb/sha256-" DIGITS "/vmlinuz",
		"/image/compute/sha256-" DIGITS "/vmlinuz ", "/image/comp\x80te/sha256-" DIGITS "/vmlinuz", "/etc/passwd",
	};
	struct route r = { .kind = 77 };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		assert_true(route_parse(paths[i], &r) < 0);
		assert_int_equal(r.kind, 77);
	}
}

static struct in_addr address(const char *s)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, s, &a), 1);
	return a;
}

static void script_boots(void **state)
{
	struct ssi_bootargs args = { .node = "n01", .number = 3, .system = "demo", .mac = "52:54:00:00:00:01", .address = address("10.77.0.11"), .prefix = 24,
				     .master = address("10.77.0.1"), .port = 7701, .incarnation = 7, .token = DIGITS, .root = "nfs:/sha256-" DIGITS,
				     .init = "ssi", .delay_s = 30 };
	struct bootscript b = { .master = args.master, .http_port = 7780, .image = "compute", .generation = "sha256-" DIGITS, .args = &args,
				.more = "console=ttyS0" };
	_cleanup_buf_ struct ssi_buf s = SSI_BUF_INIT, none = SSI_BUF_INIT, disks = SSI_BUF_INIT;
	char more[2048];
	struct ssi_bootargs back;
	char *line;

	assert_int_equal(bootscript_boot(&b, &s), 0);
	assert_int_equal(strncmp(s.data, "#!ipxe\n", 7), 0);
	/* What the firmware could not start, it is not asked to again before it was restarted. */
	line = strstr(s.data, "\nboot ||\n");
	assert_non_null(line);
	line = strstr(line, "\nreboot ||\n");
	assert_non_null(line);
	assert_non_null(strstr(line, "\n:failed\n"));
	line = strstr(s.data, "\nkernel http://10.77.0.1:7780/image/compute/sha256-" DIGITS "/vmlinuz ");
	assert_non_null(line);
	*strstr(line + 1, " || goto failed") = '\0';
	assert_non_null(strstr(line, " console=ttyS0"));
	assert_int_equal(ssi_bootargs_parse(strchr(line + 8, ' '), &back, NULL), 0);
	assert_int_equal(back.number, 3);
	assert_int_equal(back.incarnation, 7);
	assert_string_equal(back.token, DIGITS);

	/* A second archive where the node has disks of the master's, in the order in which they are unpacked. */
	assert_null(strstr(s.data, "initramfs-iscsi"));
	strcpy(args.iscsi, "10.77.0.1:3260");
	assert_int_equal(bootscript_boot(&b, &disks), 0);
	assert_non_null(strstr(disks.data, "/vmlinuz initrd=initramfs initrd=initramfs-iscsi panic=30 "));
	line = strstr(disks.data, "\ninitrd --name initramfs http://10.77.0.1:7780/image/compute/sha256-" DIGITS "/initramfs || goto failed\n");
	assert_non_null(line);
	assert_non_null(strstr(line, "\ninitrd --name initramfs-iscsi http://10.77.0.1:7780/image/compute/sha256-" DIGITS "/initramfs-iscsi || goto failed\nboot ||"));
	args.iscsi[0] = '\0';

	memset(more, 'x', sizeof(more));
	more[sizeof(more) - 1] = '\0';
	b.more = more;
	assert_int_equal(bootscript_boot(&b, &none), -ENOSPC);
	assert_int_equal(none.len, 0);
	/* The longest that is taken is whole in a kernel's 2048 bytes, its NUL too. */
	for (b.more++; bootscript_boot(&b, &none) < 0; b.more++)
		assert_true(*b.more);
	assert_true(strlen(b.more) > 1500);
	line = strstr(none.data, "/vmlinuz ") + strlen("/vmlinuz ");
	assert_in_range(strstr(line, " || goto failed") - line, 2000, 2047);
}

/* A text that came in part from a file or a machine must not become commands of iPXE's. */
static void script_waits(void **state)
{
	_cleanup_buf_ struct ssi_buf s = SSI_BUF_INIT;

	assert_int_equal(bootscript_wait(address("10.77.0.1"), 7780, "a ${net0/mac} || shell\nshell && x # \x1b[2J", 5, &s), 0);
	assert_non_null(strstr(s.data, "echo ssi: a .{net0/mac} .. shell.shell .. x . .[2J\n"));
	assert_null(strstr(s.data, "\nshell"));
	assert_non_null(strstr(s.data, "chain --replace http://10.77.0.1:7780/boot/${netX/mac:hexhyp}"));
}

static const struct ssi_registry_source two_systems = { "x.ini",
	"[system a]\ninterface = eth1\nnetwork = 10.77.0.0/24\npool = 10.77.0.200-10.77.0.250\n"
	"[system b]\ninterface = eth2\nnetwork = 10.78.0.0/16\ndhcp = proxy\n"
	"[node n01]\nsystem = a\naddress = 10.77.0.11\nimage = compute\n", 0 };

static struct ssi_registry *registry(const char *more)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct ssi_registry_source src[] = { two_systems, { "y.ini", more, strlen(more) } };
	struct ssi_registry *reg = NULL;

	src[0].len = strlen(src[0].text);
	if (ssi_registry_parse(src, 2, &reg, &errors) < 0)
		fail_msg("%s", errors.data);
	return reg;
}

static void dnsmasq_is_told_of_all_systems(void **state)
{
	static const char *const lines[] = {
		"port=0\n", "no-ping\n", "interface=eth1\n", "interface=eth2\n", "dhcp-range=10.77.0.0,static,255.255.255.0,",
		"dhcp-range=10.77.0.200,10.77.0.250,255.255.255.0,", "dhcp-range=10.78.0.0,proxy,255.255.0.0\n",
		"dhcp-boot=tag:eth1,tag:ipxe,http://10.77.0.1:7780/boot/${netX/mac:hexhyp}\n",
		"pxe-service=tag:eth2,tag:!ipxe,x86PC,\"ssi\",undionly.kpxe\n", "dhcp-authoritative\n",
	};
	struct dnsmasq_paths p = { "/run/h", "/var/l", "/usr/lib/ipxe", 7780 };
	_cleanup_buf_ struct ssi_buf s = SSI_BUF_INIT, host = SSI_BUF_INIT;
	_cleanup_registry_ struct ssi_registry *reg = registry("");

	assert_int_equal(dnsmasq_conf(reg, &p, &s), 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (!strstr(s.data, lines[i]))
			fail_msg("no '%s' in:\n%s", lines[i], s.data);
	assert_int_equal(dnsmasq_host(ssi_registry_node(reg, "n01"), "52:54:00:00:00:01", &host), 0);
	assert_string_equal(host.data, "52:54:00:00:00:01,10.77.0.11,n01,2m\n");
}

/* Another configuration is a restart. */
static void dnsmasq_is_not_told_of_nodes(void **state)
{
	_cleanup_registry_ struct ssi_registry *one = registry(""), *more = registry("[node n[02-40]]\nsystem = a\naddress = 10.77.0.12\nimage = compute\n");
	struct dnsmasq_paths p = { "/run/h", "/var/l", "/usr/lib/ipxe", 7780 };
	_cleanup_buf_ struct ssi_buf before = SSI_BUF_INIT, after = SSI_BUF_INIT;

	assert_int_equal(more->n_nodes, 40);
	assert_int_equal(dnsmasq_conf(one, &p, &before), 0);
	assert_int_equal(dnsmasq_conf(more, &p, &after), 0);
	assert_string_equal(after.data, before.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(route_knows_what_is_served),
		cmocka_unit_test(route_refuses_the_rest),
		cmocka_unit_test(script_boots),
		cmocka_unit_test(script_waits),
		cmocka_unit_test(dnsmasq_is_told_of_all_systems),
		cmocka_unit_test(dnsmasq_is_not_told_of_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
