/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libssi/model/registry: inheritance, origins, what is refused, and how long it takes. Every tests/corpus/nodes.d/NAME.ini must
 * give exactly the mistakes in NAME.expect, line by line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"
#include "libssi/model/registry.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SLOWER 20      /* how much a sanitizer may cost */
#else
#define SLOWER 1
#endif

static const char demo[] =
	"[system demo]\ninterface = eth1\nnetwork = 10.77.0.0/24\npool = 10.77.0.200-10.77.0.250\ndiscovery = bind\nimage = compute\nargs = quiet\n"
	"[node n[01-64]]\naddress = 10.77.0.11\n"
	"[node n02]\nmachine = 52:54:00:00:00:02\ninit = systemd\n"
	"[node n[02-03]]\ninit = ssi\nroot = ram\nstate = disk\nstate_size = 512M\nargs = console=ttyS0\n"
	"[machine 52:54:00:00:00:02]\npower = fence_ipmilan\npower.ip = 10.0.2.2\ncomment = rack 1, left\n";

static struct ssi_registry *parse(const struct ssi_registry_source *src, size_t n)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct ssi_registry *r = NULL;

	if (ssi_registry_parse(src, n, &r, &errors) < 0)
		fail_msg("%s", errors.data);
	return r;
}

static const struct ssi_value *value(const struct ssi_value *v, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].key, key))
			return &v[i];
	fail_msg("no value %s", key);
	return NULL;
}

static void check_value(const struct ssi_node *n, const char *key, const char *text, const char *file, unsigned line)
{
	const struct ssi_value *v = value(n->values, n->n_values, key);

	assert_string_equal(v->value, text);
	assert_string_equal(v->from.file, file);
	assert_int_equal(v->from.line, line);
}

static void state_volumes(const struct ssi_node *without, const struct ssi_node *with)
{
	assert_false(without->state);
	check_value(without, "state", "none", "default", 0);
	assert_int_equal(without->state_size, 2ull << 30);
	assert_true(with->state);
	check_value(with, "state", "disk", "a.ini", 16);
	assert_int_equal(with->state_size, 512 << 20);
	assert_string_equal(with->state_fs, "ext4");
	assert_int_equal(with->state_on_upgrade, SSI_UPGRADE_ASK);
}

static void inheritance(void **state)
{
	_cleanup_registry_ struct ssi_registry *r = parse(&(struct ssi_registry_source){ "a.ini", demo, sizeof(demo) - 1 }, 1);
	const struct ssi_node *n1 = ssi_registry_node(r, "n01"), *n2 = ssi_registry_node(r, "n02"), *n3 = ssi_registry_node(r, "n03");
	const struct ssi_system *s = ssi_registry_system(r, "demo");

	assert_int_equal(r->n_nodes, 64);
	assert_int_equal(r->n_systems, 1);
	assert_string_equal(s->interface, "eth1");
	assert_int_equal(s->master.s_addr, inet_addr("10.77.0.1"));
	assert_int_equal(s->netmask.s_addr, inet_addr("255.255.255.0"));
	assert_int_equal(s->discovery, SSI_DISCOVERY_BIND);
	assert_int_equal(s->heartbeat_ms, 500);
	assert_int_equal(s->detach_ms, 3000);
	assert_int_equal(s->failover, SSI_FAILOVER_OFF);
	assert_int_equal(s->spares, 0);
	assert_string_equal(value(s->values, s->n_values, "failover_limit")->value, "3 in 10m");
	assert_int_equal(s->fence, SSI_FENCE_BOTH);
	assert_string_equal(value(s->values, s->n_values, "master")->value, "10.77.0.1");
	assert_int_equal(n1->number, 1);
	assert_ptr_equal(n1->system, s);
	assert_string_equal(n1->args, "quiet");
	check_value(n1, "args", "quiet", "a.ini", 7);
	check_value(n1, "system", "demo", "default", 0);
	check_value(n1, "role", "compute", "default", 0);
	check_value(n1, "address", "10.77.0.11", "a.ini", 9);
	/* n02 alone is nearer than n[02-03], although that stands later. */
	assert_string_equal(n2->init, "systemd");
	check_value(n2, "init", "systemd", "a.ini", 12);
	assert_string_equal(n2->args, "console=ttyS0");
	assert_string_equal(n2->machine, "52:54:00:00:00:02");
	assert_int_equal(n2->address.s_addr, inet_addr("10.77.0.12"));
	assert_string_equal(n2->values[0].from.section, "");
	assert_string_equal(value(n2->values, n2->n_values, "machine")->from.section, "[node n02]");
	assert_string_equal(n3->init, "ssi");
	assert_string_equal(n1->root, "nfs");
	check_value(n1, "root", "nfs", "default", 0);
	assert_string_equal(n3->root, "ram");
	check_value(n3, "root", "ram", "a.ini", 15);
	state_volumes(n1, n3);
	assert_string_equal(ssi_machine_value(ssi_registry_machine(r, "52:54:00:00:00:02"), "power.ip"), "10.0.2.2");
	assert_null(ssi_machine_value(r->machines[0], "power.user"));
	assert_null(ssi_registry_node(r, "n65"));
	assert_null(ssi_registry_machine(r, "52:54:00:00:00:03"));
	assert_true(ssi_node_equal(n1, n1));
	assert_false(ssi_node_equal(n1, n2));
}

static void failover_policy(void **state)
{
	static const char text[] =
		"[system a]\ninterface = eth1\nnetwork = 10.1.0.0/16\nspares = 2\nfailover = auto\nfailover_delay = 30s\nfailover_limit = 5 in 1h\n"
		"failover_share = 34%\n"
		"[system b]\ninterface = eth2\nnetwork = 10.2.0.0/16\nspares = 52:54:00:00:00:04, 52-54-00-00-00-0A\nfailover = ask\nshared = /home, /srv/data:no_root_squash\n";
	_cleanup_registry_ struct ssi_registry *r = parse(&(struct ssi_registry_source){ "a.ini", text, sizeof(text) - 1 }, 1);
	const struct ssi_system *a = ssi_registry_system(r, "a"), *b = ssi_registry_system(r, "b");

	assert_string_equal(a->shared, "");
	assert_string_equal(b->shared, "/home, /srv/data:no_root_squash");

	assert_int_equal(a->failover, SSI_FAILOVER_AUTO);
	assert_int_equal(a->failover_delay_ms, 30000);
	assert_int_equal(a->failover_limit, 5);
	assert_int_equal(a->failover_limit_ms, 3600000);
	assert_int_equal(a->failover_share, 34);
	assert_int_equal(a->spares, 2);
	assert_int_equal(a->n_spare_machines, 0);
	assert_int_equal(b->failover, SSI_FAILOVER_ASK);
	assert_int_equal(b->failover_delay_ms, 0);
	assert_int_equal(b->failover_limit, 3);
	assert_int_equal(b->failover_limit_ms, 600000);
	assert_int_equal(b->failover_share, 50);
	assert_int_equal(b->spares, 0);
	assert_int_equal(b->n_spare_machines, 2);
	assert_string_equal(b->spare_machines[0], "52:54:00:00:00:04");
	assert_string_equal(b->spare_machines[1], "52:54:00:00:00:0a");
}

static void later_files_win(void **state)
{
	static const char b[] = "[system demo]\nimage = other\ndetach = 5s\nfence = storage\n[node n02]\nmachine =\ninit = ssi\n[node n[01-64]]\nargs =\n";
	struct ssi_registry_source src[] = { { "a.ini", demo, sizeof(demo) - 1 }, { "b.ini", b, sizeof(b) - 1 } };
	_cleanup_registry_ struct ssi_registry *r = parse(src, 2), *old = parse(src, 1);
	const struct ssi_node *n1 = ssi_registry_node(r, "n01"), *n2 = ssi_registry_node(r, "n02");

	assert_int_equal(r->n_nodes, 64);
	assert_int_equal(ssi_registry_system(r, "demo")->detach_ms, 5000);
	assert_int_equal(ssi_registry_system(r, "demo")->fence, SSI_FENCE_STORAGE);
	check_value(n1, "image", "other", "b.ini", 2);
	check_value(n1, "args", "", "b.ini", 9);
	check_value(n2, "args", "console=ttyS0", "a.ini", 18);
	check_value(n2, "init", "ssi", "b.ini", 7);
	assert_string_equal(n2->machine, "");
	assert_false(ssi_node_equal(n1, ssi_registry_node(old, "n01")));
	assert_string_equal(n2->root, "ram");
}

static void several_systems(void **state)
{
	static const char text[] =
		"[system a]\ninterface = eth1\nnetwork = 10.1.0.0/16\nimage = x\n[system b]\ninterface = eth2\nnetwork = 10.2.0.0/30\nimage = y\n"
		"dhcp = proxy\n[node a[1-300]]\nsystem = a\naddress = 10.1.0.2\n[node b1]\nsystem=b\naddress = 10.2.0.2\nrole = leader\n";
	_cleanup_registry_ struct ssi_registry *r = parse(&(struct ssi_registry_source){ "a.ini", text, sizeof(text) - 1 }, 1);

	assert_int_equal(r->n_nodes, 301);
	assert_string_equal(ssi_registry_node(r, "b1")->image, "y");
	assert_string_equal(ssi_registry_node(r, "b1")->role, "leader");
	assert_int_equal(ssi_registry_node(r, "b1")->number, 301);
	assert_int_equal(ssi_registry_node(r, "a300")->address.s_addr, inet_addr("10.1.1.45"));
	assert_int_equal(ssi_registry_system(r, "b")->dhcp, SSI_DHCP_PROXY);
}

static void nothing_is_fine(void **state)
{
	_cleanup_registry_ struct ssi_registry *r = parse(NULL, 0);

	assert_int_equal(r->n_nodes + r->n_systems + r->n_machines, 0);
	assert_null(ssi_registry_node(r, "n1"));
}

static void second_places_name_the_first(void **state)
{
	static const char b[] = "[machine 52-54-00-00-00-02]\npower = fence_dummy\n[node x1]\naddress = 10.77.0.12\nmachine = 52:54:00:00:00:02\n";
	struct ssi_registry_source src[] = { { "a.ini", demo, sizeof(demo) - 1 }, { "b.ini", b, sizeof(b) - 1 } };
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct ssi_registry *r = NULL;

	assert_int_equal(ssi_registry_parse(src, 2, &r, &errors), -EINVAL);
	assert_null(r);
	assert_string_equal(errors.data,
		"b.ini:1: [machine 52:54:00:00:00:02] a second time, first in a.ini:19\n"
		"b.ini:4: address = 10.77.0.12: x1 would have the address of n02 (a.ini:9)\n"
		"b.ini:5: machine = 52:54:00:00:00:02: is fixed to n02 already (a.ini:11)\n");
}

/* ---- size ---- */

/* Of the processor, not of the clock: what else runs on the machine does not count. */
static uint64_t parse_ms(const struct ssi_buf *text, size_t nodes)
{
	clock_t start = clock();
	struct ssi_registry *r = parse(&(struct ssi_registry_source){ "big.ini", text->data, text->len }, 1);

	assert_int_equal(r->n_nodes, nodes);
	ssi_registry_free(r);
	return (uint64_t)(clock() - start) * 1000 / CLOCKS_PER_SEC;
}

static void many_nodes(void **state)
{
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT;
	uint64_t ms;

	ssi_buf_adds(&text, "[system s]\ninterface = eth1\nnetwork = 10.0.0.0/8\nimage = i\n");
	for (unsigned i = 0; i < 5000; i++)
		ssi_buf_addf(&text, "[node n%04u]\naddress = 10.1.%u.%u\nmachine = 52:54:00:00:%02x:%02x\nargs = console=ttyS0\n"
			     "[machine 52:54:00:00:%02x:%02x]\npower = fence_ipmilan\npower.ip = 10.2.%u.%u\npower.username = admin\n",
			     i, i / 256, i % 256, i / 256, i % 256, i / 256, i % 256, i / 256, i % 256);
	ms = parse_ms(&text, 5000);
	print_message("5,000 nodes, each a section, with a machine: %u ms\n", (unsigned)ms);
	assert_true(ms < 300 * SLOWER);
	ssi_buf_free(&text);
	ssi_buf_adds(&text, "[system s]\ninterface = eth1\nnetwork = 10.0.0.0/8\nimage = i\n[node n[00001-65536]]\naddress = 10.1.0.0\n");
	ms = parse_ms(&text, 65536);
	print_message("65,536 nodes in a range: %u ms\n", (unsigned)ms);
	ssi_buf_adds(&text, "[node one-more]\naddress = 10.3.0.0\n");
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct ssi_registry *r = NULL;

	assert_int_equal(ssi_registry_parse(&(struct ssi_registry_source){ "big.ini", text.data, text.len }, 1, &r, &errors), -EINVAL);
	assert_string_equal(errors.data, "big.ini: 65537 nodes so far: at most 65536 can be\n");
}

static void repetition_is_bounded(void **state)
{
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT, errors = SSI_BUF_INIT;
	struct ssi_registry *r = NULL;

	ssi_buf_adds(&text, "[system s]\ninterface = eth1\nnetwork = 10.0.0.0/8\nimage = i\n[node n[00001-65536]]\naddress = 10.1.0.0\n");
	for (int i = 0; i < 20; i++)
		ssi_buf_adds(&text, "[node n[00001-65536]]\nargs = quiet\n");
	assert_int_equal(ssi_registry_parse(&(struct ssi_registry_source){ "big.ini", text.data, text.len }, 1, &r, &errors), -EINVAL);
	assert_string_equal(errors.data, "big.ini:37: more than 1048576 names in the [node] sections together\n");
}

/* ---- corpus ---- */

static int corpus_one(const char *folder, const char *name)
{
	_cleanup_free_ char *ini = ssi_path_join(folder, name), *expect = strdup(ini), *text = NULL, *want = NULL;
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT, source = SSI_BUF_INIT;
	char *w, *g, *save_w = NULL, *save_g = NULL;
	struct ssi_registry *r = NULL;
	size_t len;
	int err;

	memcpy(strrchr(expect, '.'), ".exp", 5);
	expect = realloc(expect, strlen(expect) + 8);
	strcat(expect, "ect");
	ssi_buf_addf(&source, "nodes.d/%s", name);
	assert_int_equal(ssi_file_read(ini, 32u << 20, &text, &len), 0);
	if (ssi_file_read(expect, 1 << 20, &want, NULL) < 0)
		fail_msg("%s is missing", expect);
	ssi_buf_adds(&errors, "");
	err = ssi_registry_parse(&(struct ssi_registry_source){ source.data, text, len }, 1, &r, &errors);
	if (getenv("CORPUS_SHOW"))
		print_message("==> %s\n%s", name, errors.data);
	assert_int_equal(err, -EINVAL);
	w = strtok_r(want, "\n", &save_w);
	g = strtok_r(errors.data, "\n", &save_g);
	for (; w && g; w = strtok_r(NULL, "\n", &save_w), g = strtok_r(NULL, "\n", &save_g))
		if (!strstr(g, w)) {
			print_error("%s: '%s' is not in '%s'\n", name, w, g);
			return 1;
		}
	if (w || g)
		print_error("%s: %s: %s\n", name, w ? "not said" : "said too", w ? w : g);
	return w || g;
}

static void corpus(void **state)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *folder = ssi_path_join(srcdir ? srcdir : ".", "tests/corpus/nodes.d");
	_cleanup_closedir_ DIR *d = opendir(folder);
	int n = 0, bad = 0;
	struct dirent *de;

	assert_non_null(d);
	while ((de = readdir(d))) {
		size_t len = strlen(de->d_name);

		if (len < 5 || strcmp(de->d_name + len - 4, ".ini") != 0)
			continue;
		bad += corpus_one(folder, de->d_name);
		n++;
	}
	print_message("%d malformed files\n", n);
	assert_int_equal(bad, 0);
	assert_true(n >= 45);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(inheritance),
		cmocka_unit_test(failover_policy),
		cmocka_unit_test(later_files_win),
		cmocka_unit_test(several_systems),
		cmocka_unit_test(nothing_is_fine),
		cmocka_unit_test(second_places_name_the_first),
		cmocka_unit_test(many_nodes),
		cmocka_unit_test(repetition_is_bounded),
		cmocka_unit_test(corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
