/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The checks: each on folders and files made for it, the packet filter on rulesets that nft and iptables printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "bootsvc/check.h"
#include "bootsvc/dhcp.h"
#include "bootsvc/packetfilter.h"
#include "libssi/base/file.h"
#include "libssi/base/hash.h"
#include "libssi/base/path.h"
#include "libssi/comm/json.h"

static char dir[] = "/tmp/ssi-check-XXXXXX";
static char proc[64], sys[64], run[64], store[64];
static struct bootsvc_options options = { .run = run, .store = store, .config = "/etc/ssi/nodes.d", .exports = "nfsd", .dhcp = true, .http_port = 7780, .ccm_port = 7701 };

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = ssi_path_join(dir, name), *parent = strdup(path);

	*strrchr(parent, '/') = '\0';
	assert_int_equal(ssi_path_mkdirs(parent, 0755), 0);
	assert_int_equal(ssi_file_write_atomic(path, text, strlen(text), 0644), 0);
}

static struct ssi_registry *registry(const char *text)
{
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct ssi_registry_source src = { .name = "t.ini", .text = text, .len = strlen(text) };
	struct ssi_registry *r = NULL;

	if (ssi_registry_parse(&src, 1, &r, &errors) < 0)
		fail_msg("%s", errors.data);
	return r;
}

#define SYSTEM "[system demo]\ninterface = eth1\nnetwork = 10.77.0.0/16\nimage = compute\n"

/* Run one check; its state is compared, and a finding with the text must be there (NULL: none). */
static void expect(const char *conf, pid_t daemon, const char *check, const char *state, const char *text)
{
	_cleanup_registry_ struct ssi_registry *r = registry(conf);
	struct check_context c = { .options = &options, .proc = proc, .sys = sys, .registry = r, .daemon = daemon };
	_cleanup_json_ json_t *list = check_run(&c, check);
	_cleanup_free_ char *dump = json_dumps(list, 0);
	const json_t *one = json_array_get(list, 0);

	assert_int_equal(json_array_size(list), 1);
	if (strcmp(ssi_json_str(one, "state"), state) != 0 || (text && !strstr(dump, text)))
		fail_msg("expected %s with '%s', got %s", state, text ? text : "", dump);
	if (strcmp(state, "problem") == 0)
		assert_non_null(strstr(dump, "\"advice\""));
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(proc, sizeof(proc), "%s/proc", dir);
	snprintf(sys, sizeof(sys), "%s/sys", dir);
	snprintf(run, sizeof(run), "%s/run", dir);
	snprintf(store, sizeof(store), "%s/store", dir);
	return 0;
}

static int teardown(void **state)
{
	return ssi_path_rmtree(dir);
}

static void every_check_is_named(void **state)
{
	struct check_context c = { .options = &options, .proc = proc, .sys = sys };

	for (const struct check *k = checks; k->name; k++) {
		_cleanup_json_ json_t *list = NULL;

		assert_true(*k->what && k->run);
		if (strcmp(k->name, "dhcp") != 0)        /* would send */
			list = check_run(&c, k->name);   /* without a registry: must not fall over */
	}
	assert_null(check_run(&c, "nonsense"));
}

static void arp(void **state)
{
	expect(SYSTEM "[node n[01-10]]\naddress = 10.77.1.1\n", 0, "arp", "unknown", NULL);
	put("proc/sys/net/ipv4/neigh/default/gc_thresh3", "1024\n");
	expect(SYSTEM "[node n[01-10]]\naddress = 10.77.1.1\n", 0, "arp", "ok", "room for 1024");
	expect(SYSTEM "[node n[0001-2000]]\naddress = 10.77.1.1\n", 0, "arp", "problem", "too few for 2000 nodes");
}

static void ipv6(void **state)
{
	expect(SYSTEM, 0, "ipv6", "problem", "13 s longer");
	put("proc/sys/net/ipv6/conf/eth1/disable_ipv6", "1\n");
	expect(SYSTEM, 0, "ipv6", "problem", "sysctl net.ipv6.conf.eth1");
	put("proc/sys/net/ipv6/conf/eth1/disable_ipv6", "0\n");
	expect(SYSTEM, 0, "ipv6", "ok", NULL);
}

/* What cannot be looked at is not well. */
static void mistakes_are_not_well(void **state)
{
	static const char *const of_the_registry[] = { "dhcp", "firewall", "power", "images", "arp", "ipv6" };
	struct check_context c = { .options = &options, .proc = proc, .sys = sys };

	for (size_t i = 0; i < sizeof(of_the_registry) / sizeof(*of_the_registry); i++) {
		_cleanup_json_ json_t *list = check_run(&c, of_the_registry[i]);

		if (strcmp(ssi_json_str(json_array_get(list, 0), "state"), "unknown") != 0)
			fail_msg("%s: %s", of_the_registry[i], ssi_json_str(json_array_get(list, 0), "state"));
	}
}

static void nfsd(void **state)
{
	expect(SYSTEM, 0, "nfsd", "problem", "does not run");
	put("proc/fs/nfsd/threads", "0\n");
	expect(SYSTEM, 0, "nfsd", "problem", "no thread");
	put("proc/fs/nfsd/threads", "8\n");
	expect(SYSTEM "[node n[001-100]]\naddress = 10.77.1.1\n", 0, "nfsd", "ok", "8 threads");
	expect(SYSTEM "[node n[0001-1000]]\naddress = 10.77.1.1\n", 0, "nfsd", "problem", "threads = 62");
	put("proc/fs/nfsd/max_block_size", "131072\n");
	expect(SYSTEM, 0, "nfsd", "ok", "pieces of 128 KiB");
	put("proc/fs/nfsd/max_block_size", "1048576\n");
	expect(SYSTEM, 0, "nfsd", "ok", "8 threads");
	put("proc/fs/nfsd/threads", "0\n");
	expect(SYSTEM "[node n[1-3]]\naddress = 10.77.0.11\nroot = ram\n", 0, "nfsd", "ok", "no node has its root over NFS");
	expect(SYSTEM "[node n[1-3]]\naddress = 10.77.0.11\nroot = ram\n[node n2]\nroot = nfs\n", 0, "nfsd", "problem", "no thread");
}

static void tftp(void **state)
{
	expect(SYSTEM, 0, "tftp", "unknown", "not there yet");
	put("run/dnsmasq.conf", "port=0\nenable-tftp\n");
	expect(SYSTEM "[node n[001-100]]\naddress = 10.77.1.1\n", 0, "tftp", "problem", "50 TFTP transfers");
	put("run/dnsmasq.conf", "port=0\ntftp-max=500\n");
	expect(SYSTEM "[node n[0001-1000]]\naddress = 10.77.1.1\n", 0, "tftp", "ok", "500");
}

static void modules(void **state)
{
	put("proc/filesystems", "nodev\tsysfs\nnodev\toverlay\n\terofs\n");
	put("sys/module/loop/parameters/max_loop", "0\n");
	put("sys/module/nfsd/refcnt", "0\n");
	expect(SYSTEM, 0, "modules", "ok", NULL);
}

static void power(void **state)
{
	expect(SYSTEM "[machine 52:54:00:00:00:01]\ncomment = x\n", 0, "power", "ok", "0 of 1");
	expect(SYSTEM "[machine 52:54:00:00:00:01]\npower = fence_nowhere\n", 0, "power", "problem", "t.ini:5: machine 52:54:00:00:00:01: no fence agent");
}

/* Sockets as the kernel prints them, and processes that hold them. */
static void ports(void **state)
{
	static const char tcp[] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
		"   0: 00000000:1E64 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1 0 100 0 0 10 0\n"     /* 7780 */
		"   1: 0100007F:1E15 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1002 1 0 100 0 0 10 0\n"     /* 7701 on 127.0.0.1 */
		"   2: 00000000:0801 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1003 1 0 100 0 0 10 0\n"     /* 2049, the kernel's */
		"   3: 0100000A:1E15 0200000A:C000 01 00000000:00000000 00:00000000 00000000     0        0 1004 1 0 100 0 0 10 0\n";    /* a connection */
	static const char udp6[] = "  sl  local_address rem_address   st\n"
		" 9: 00000000000000000000000000000000:0045 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1005 2 0 0\n";
	_cleanup_free_ char *fd = ssi_path_join(dir, "proc/321/fd"), *link1 = ssi_path_join(dir, "proc/321/fd/5"), *link2 = ssi_path_join(dir, "proc/321/fd/6");

	put("proc/net/tcp", "  sl\n");
	put("proc/net/udp", "  sl\n");
	expect(SYSTEM, 0, "ports", "ok", "all are free");
	put("proc/net/tcp", tcp);
	put("proc/net/udp6", udp6);
	put("proc/321/comm", "nginx\n");
	put("proc/321/stat", "321 (nginx (x)) S 77 321 321 0 -1\n");
	assert_int_equal(ssi_path_mkdirs(fd, 0755), 0);
	assert_int_equal(symlink("socket:[1001]", link1), 0);
	assert_int_equal(symlink("pipe:[1003]", link2), 0);
	put("proc/fs/nfsd/threads", "8\n");
	expect(SYSTEM, 0, "ports", "problem", "TCP port 7780 (boot scripts) is held by nginx (process 321)");
	expect(SYSTEM, 0, "ports", "problem", "UDP port 69 (TFTP) is held by a process that cannot be seen");
	put("proc/net/udp6", "  sl\n");
	expect(SYSTEM, 77, "ports", "ok", "free or ours");   /* a child of the daemon */
	expect(SYSTEM, 321, "ports", "ok", "free or ours");
	expect(SYSTEM, 78, "ports", "problem", "nginx");
}

static void images(void **state)
{
	static const char manifest[] = "{\"files\":{\"vmlinuz\":{\"size\":3}},\"format\":1}\n";
	_cleanup_free_ char *current = ssi_path_join(dir, "store/compute/current");
	char hex[SSI_HASH_HEX], name[200];
	const char *conf = SYSTEM "[node n[01-02]]\naddress = 10.77.1.1\n";
	struct ssi_hash *h = ssi_hash_new();

	expect(conf, 0, "images", "problem", "image compute: there is none in");
	ssi_hash_add(h, manifest, strlen(manifest));
	ssi_hash_end(h, hex);
	snprintf(name, sizeof(name), "store/compute/sha256-%s/manifest.json", hex);
	put(name, manifest);
	snprintf(name, sizeof(name), "sha256-%s", hex);
	assert_int_equal(symlink(name, current), 0);
	expect(conf, 0, "images", "problem", "its vmlinuz is not there");
	snprintf(name, sizeof(name), "store/compute/sha256-%s/vmlinuz", hex);
	put(name, "four");
	expect(conf, 0, "images", "problem", "its vmlinuz has another size");
	put(name, "abc");
	expect(conf, 0, "images", "ok", "all whole");
	snprintf(name, sizeof(name), "store/compute/sha256-%s/manifest.json", hex);
	put(name, "{\"files\":{}}\n");
	expect(conf, 0, "images", "problem", "manifest.json is damaged");
}

static json_t *ruleset(const char *name, int (*parse)(const char *text, json_t **ret, struct ssi_err *e))
{
	_cleanup_free_ char *folder = ssi_path_join(getenv("srcdir") ? getenv("srcdir") : ".", "tests/corpus/nft"), *path = ssi_path_join(folder, name), *text = NULL;
	struct ssi_err e = { 0 };
	json_t *rules = NULL;

	assert_int_equal(ssi_file_read(path, 1 << 20, &text, NULL), 0);
	if (parse(text, &rules, &e) < 0)
		fail_msg("%s", e.text);
	return rules;
}

struct way { bool tcp; uint16_t port; const char *interface; bool drops; };

static void ways(const json_t *rules, const struct way *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct packetfilter_packet p = { .tcp = w[i].tcp, .port = w[i].port, .interface = w[i].interface };
		const char *where = NULL;

		if (packetfilter_drops(rules, &p, &where) != w[i].drops)
			fail_msg("%s %u on %s: %s", p.tcp ? "tcp" : "udp", p.port, p.interface, w[i].drops ? "should be dropped" : where);
	}
}
#define WAYS(rules, ...) ways(rules, (const struct way[]){ __VA_ARGS__ }, sizeof((const struct way[]){ __VA_ARGS__ }) / sizeof(struct way))

static void filter_nft(void **state)
{
	_cleanup_json_ json_t *strict = ruleset("strict.json", packetfilter_parse_nft), *loose = ruleset("loose.json", packetfilter_parse_nft), *none = NULL;
	struct ssi_err e;

	WAYS(strict, { true, 7780, "eth1", false }, { true, 7701, "eth1", false }, { true, 2049, "eth1", false }, { true, 2049, "eth2", true },
	     { false, 69, "eth1", false }, { false, 69, "br0", true }, { false, 67, "eth1", true }, { true, 69, "eth1", true }, { false, 67, "lo", false },
	     { true, 443, "eth1", true });
	WAYS(loose, { true, 7780, "eth0", true }, { true, 7780, "eth1", false }, { false, 67, "eth1", true }, { true, 67, "eth1", false });
	assert_int_equal(packetfilter_parse_nft("{\"nftables\": 3}", &none, &e), -EBADMSG);
	assert_int_equal(packetfilter_parse_nft("{\"nftables\": []}", &none, &e), 0);
	WAYS(none, { true, 7780, "eth1", false });
}

static void filter_iptables(void **state)
{
	_cleanup_json_ json_t *rules = ruleset("iptables.txt", packetfilter_parse_iptables), *none = NULL;
	struct ssi_err e;

	WAYS(rules, { false, 67, "eth1", false }, { false, 67, "br0", true }, { false, 4011, "eth1", true }, { true, 7780, "eth1", false },
	     { true, 7780, "eth9", true }, { true, 7701, "eth1", true }, { true, 2049, "eth1", true });
	assert_int_equal(packetfilter_parse_iptables("nonsense\n", &none, &e), -EBADMSG);
}

/* A comment is no match, whatever it says: the rule behind it counts. */
static void filter_comments(void **state)
{
	static const char rules[] = "-P INPUT ACCEPT\n-A INPUT -i lo -m comment --comment \"let lo in\" -j ACCEPT\n"
		"-A INPUT -p tcp -m tcp --dport 7780 -m comment --comment \"boot; say \\\"hi\\\" -j DROP\" -j ACCEPT\n"
		"-A INPUT -m comment --comment one -p udp -m udp --dport 69 -j ACCEPT\n-A INPUT -m comment --comment \"all else\" -j DROP\n";
	_cleanup_json_ json_t *j = NULL;
	struct ssi_err e;

	assert_int_equal(packetfilter_parse_iptables(rules, &j, &e), 0);
	WAYS(j, { true, 443, "lo", false }, { true, 7780, "eth1", false }, { false, 69, "eth1", false }, { true, 7701, "eth1", true },
	     { false, 67, "eth1", true });
}

/* A DISCOVER of ours turned into an OFFER, as a server would. */
static void dhcp(void **state)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0, 0, 1 };
	static const uint8_t options_offer[] = { 53, 1, 2, 0, 54, 4, 10, 77, 0, 5, 255 };
	uint8_t p[DHCP_PACKET_MAX];
	struct dhcp_offer o = { 0 };
	size_t n = dhcp_discover(mac, 0x12345678, p);

	assert_int_equal(n, 342);
	assert_memory_equal(p + 20 + 8 + 28, mac, 6);
	assert_int_equal(dhcp_parse_offer(p, n, 0x12345678, &o), -EBADMSG);      /* our own */
	p[20 + 3] = 68;                          /* to the client's port */
	p[28] = 2;                               /* a reply */
	memcpy(p + 28 + 16, "\x0a\x4d\x00\x3d", 4);
	memcpy(p + 28 + 240, options_offer, sizeof(options_offer));
	assert_int_equal(dhcp_parse_offer(p, n, 0x12345678, &o), 0);
	assert_string_equal(inet_ntoa(o.server), "10.77.0.5");
	assert_string_equal(inet_ntoa(o.address), "10.77.0.61");
	assert_int_equal(dhcp_parse_offer(p, n, 0x12345679, &o), -EBADMSG);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(dhcp_parse_offer(p, cut, 0x12345678, &o), -EBADMSG);
}

static void shared(void **state)
{
	expect(SYSTEM, 0, "shared", "ok", "nothing is shared");
	expect(SYSTEM "shared = /srv/ssi-check-has-none\n", 0, "shared", "problem", "there is no folder /srv/ssi-check-has-none");
	put("sys/module/nfsd/parameters/nfs4_disable_idmapping", "N\n");
	expect(SYSTEM "shared = /usr/share:no_root_squash\n", 0, "shared", "problem", "maps users by name");
	expect(SYSTEM "shared = /usr/share:no_root_squash\n", 0, "shared", "problem", "is root in /usr/share");
	put("sys/module/nfsd/parameters/nfs4_disable_idmapping", "Y\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_check_is_named), cmocka_unit_test(arp), cmocka_unit_test(ipv6), cmocka_unit_test(mistakes_are_not_well), cmocka_unit_test(nfsd), cmocka_unit_test(tftp), cmocka_unit_test(modules),
		cmocka_unit_test(power), cmocka_unit_test(ports), cmocka_unit_test(images), cmocka_unit_test(filter_nft), cmocka_unit_test(filter_iptables), cmocka_unit_test(filter_comments),
		cmocka_unit_test(dhcp), cmocka_unit_test(shared),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
