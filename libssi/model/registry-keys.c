/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which sections and keys nodes.d has and what their values look like: the one list of them (doc/nodes.d.md explains it). */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/base/path.h"
#include "libssi/model/registry-internal.h"
#include "libssi/model/shared.h"

#define REG_ARGS_MAX 1024                /* bytes; a kernel takes 2048, and ours go in as well */
#define REG_HEARTBEAT_MIN 50
#define REG_HEARTBEAT_MAX 60000
#define REG_DETACH_MAX 3600000
#define REG_STATE_MIN (512ull << 20)     /* bytes */
#define REG_STATE_MAX (64ull << 40)

static int keys_scan_address(const char *value, size_t n, uint32_t *ret)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr a;

	if (n >= sizeof(text))
		return -EINVAL;
	memcpy(text, value, n);
	text[n] = '\0';
	if (inet_pton(AF_INET, text, &a) != 1)
		return -EINVAL;
	*ret = ntohl(a.s_addr);
	return 0;
}

/* One that a machine can have: not "this network", loopback, multicast or above. */
static bool keys_is_unicast(uint32_t a)
{
	return a >> 24 != 0 && a >> 24 != 127 && a >> 28 < 14;
}

static int keys_scan_network(const char *value, uint32_t *ret_network, uint32_t *ret_prefix)
{
	const char *slash = strchr(value, '/');

	if (!slash || ssi_num_u32(slash + 1, 8, 30, ret_prefix) < 0)
		return -EINVAL;
	return keys_scan_address(value, slash - value, ret_network);
}

static int keys_scan_pool(const char *value, uint32_t *ret_first, uint32_t *ret_last)
{
	size_t n = strcspn(value, "- \t");
	const char *last = value + n + strspn(value + n, " \t");

	if (*last != '-' || keys_scan_address(value, n, ret_first) < 0)
		return -EINVAL;
	last += 1 + strspn(last + 1, " \t");
	return keys_scan_address(last, strlen(last), ret_last);
}

uint32_t reg_address(const char *value)
{
	uint32_t a = 0;

	keys_scan_address(value, strlen(value), &a);
	return a;
}

void reg_network(const char *value, uint32_t *ret_network, unsigned *ret_prefix)
{
	*ret_network = *ret_prefix = 0;
	keys_scan_network(value, ret_network, ret_prefix);
}

void reg_pool(const char *value, uint32_t *ret_first, uint32_t *ret_last)
{
	*ret_first = *ret_last = 0;
	keys_scan_pool(value, ret_first, ret_last);
}

/* ---- checks ---- */

static int check_address(const char *value, struct ssi_err *e)
{
	uint32_t a;

	if (keys_scan_address(value, strlen(value), &a) < 0)
		return ssi_errf(e, -EINVAL, "not an address such as 10.77.0.11");
	return keys_is_unicast(a) ? 0 : ssi_errf(e, -EINVAL, "no machine can have this address");
}

static int check_portal(const char *value, struct ssi_err *e)
{
	return *value ? check_address(value, e) : 0;
}

static int check_network(const char *value, struct ssi_err *e)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr fits;
	uint32_t a, prefix;

	if (keys_scan_network(value, &a, &prefix) < 0)
		return ssi_errf(e, -EINVAL, "not a network such as 10.77.0.0/24 (/8 to /30)");
	if (!keys_is_unicast(a))
		return ssi_errf(e, -EINVAL, "no machine can have addresses of this network");
	fits.s_addr = htonl(a & reg_mask(prefix));
	if (a & ~reg_mask(prefix))
		return ssi_errf(e, -EINVAL, "not the first address of a /%u: did you mean %s/%u?", prefix,
				inet_ntop(AF_INET, &fits, text, sizeof(text)), prefix);
	return 0;
}

static int check_pool(const char *value, struct ssi_err *e)
{
	uint32_t first, last;

	if (keys_scan_pool(value, &first, &last) < 0)
		return ssi_errf(e, -EINVAL, "not a range of addresses such as 10.77.0.200-10.77.0.250");
	return first > last ? ssi_errf(e, -EINVAL, "the range runs backwards") : 0;
}

/* It stands in dnsmasq's configuration: there '*' would be every interface that begins so, '!' all others, and '"' quotes. */
static int check_interface(const char *value, struct ssi_err *e)
{
	size_t n = strlen(value);

	if (n > 15 || strpbrk(value, "/ \t:,*!\"") || !strcmp(value, ".") || !strcmp(value, ".."))
		return ssi_errf(e, -EINVAL, "not the name of a network interface (at most 15 bytes)");
	return 0;
}

static int keys_check_ms(const char *value, uint64_t min, uint64_t max, const char *says, struct ssi_err *e)
{
	uint64_t ms;
	int r = ssi_conf_check_duration(value, e);

	if (r < 0)
		return r;
	ssi_num_duration_ms(value, &ms);
	return ms < min || ms > max ? ssi_errf(e, -ERANGE, "%s", says) : 0;
}

static int check_heartbeat(const char *value, struct ssi_err *e)
{
	return keys_check_ms(value, REG_HEARTBEAT_MIN, REG_HEARTBEAT_MAX, "must be from 50ms to 60s", e);
}

static int check_detach(const char *value, struct ssi_err *e)
{
	return keys_check_ms(value, 3 * REG_HEARTBEAT_MIN, REG_DETACH_MAX, "must be from 150ms to 1h", e);
}

static int check_mac(const char *value, struct ssi_err *e)
{
	char mac[SSI_MAC_LEN];

	if (ssi_mac_parse(value, mac) < 0)
		return ssi_errf(e, -EINVAL, "not a machine's Ethernet address such as 52:54:00:00:00:01");
	return 0;
}

/*
 * They go through iPXE, which splits at blanks and knows ${...}, && and ||, onto a line where quotes group words.
 * ssi. words are the boot server's alone: a second ssi.node= would be another node.
 */
static int check_args(const char *value, struct ssi_err *e)
{
	bool quoted = false, start = true;

	if (strlen(value) > REG_ARGS_MAX)
		return ssi_errf(e, -E2BIG, "more than %d bytes", REG_ARGS_MAX);
	for (const char *p = value; *p; p++) {
		const char *word = p + (*p == '"');

		if (start && !strncmp(word, "ssi.", 4))
			return ssi_errf(e, -EINVAL, "'%.*s' is set by the boot server alone", (int)strcspn(word, "= \t\""), word);
		if (start && (!strncmp(p, "&&", 2) || !strncmp(p, "||", 2)) && strchr(" \t", p[2]))
			return ssi_errf(e, -EINVAL, "iPXE would take '%.2s' for an end of the command", p);
		if (p[0] == '$' && p[1] == '{')
			return ssi_errf(e, -EINVAL, "iPXE would replace '${'");
		if (*p == '"')
			quoted = !quoted;
		start = *p == ' ' || *p == '\t';
	}
	return quoted ? ssi_errf(e, -EINVAL, "a quote that is not closed would swallow what follows") : 0;
}

/* XFS needs 300 MiB; a size in odd bytes is no whole number of blocks. */
static int check_state_size(const char *value, struct ssi_err *e)
{
	uint64_t size;
	int r = ssi_conf_check_size(value, e);

	if (r < 0)
		return r;
	ssi_num_size(value, &size);
	if (size < REG_STATE_MIN || size > REG_STATE_MAX)
		return ssi_errf(e, -ERANGE, "must be from 512M to 64T");
	return size % (1u << 20) ? ssi_errf(e, -EINVAL, "must be whole MiB") : 0;
}

/* ---- the table ---- */

/* What a node takes from its system where no [node] section says it. */
#define KEYS_OF_BOTH \
	{ .name = "image", .id = REG_IMAGE, .check = ssi_conf_check_name }, \
	{ .name = "role", .id = REG_ROLE, .words = "compute leader" }, \
	{ .name = "init", .id = REG_INIT, .words = "ssi systemd" }, \
	{ .name = "root", .id = REG_ROOT, .words = "nfs ram iscsi" }, \
	{ .name = "state", .id = REG_STATE, .words = "none disk" }, \
	{ .name = "state_size", .id = REG_STATE_SIZE, .check = check_state_size }, \
	{ .name = "state_fs", .id = REG_STATE_FS, .words = "ext4 xfs" }, \
	{ .name = "state_on_upgrade", .id = REG_STATE_ON_UPGRADE, .words = "keep fresh ask" }, \
	{ .name = "args", .id = REG_ARGS, .flags = SSI_CONF_EMPTY, .check = check_args }

static const struct ssi_conf_key keys_system[] = {
	{ .name = "interface", .id = REG_INTERFACE, .check = check_interface },
	{ .name = "network", .id = REG_NETWORK, .check = check_network },
	{ .name = "master", .id = REG_MASTER, .check = check_address },
	{ .name = "portal", .id = REG_PORTAL, .flags = SSI_CONF_EMPTY, .check = check_portal },
	{ .name = "dhcp", .id = REG_DHCP, .words = "server proxy" },
	{ .name = "pool", .id = REG_POOL, .flags = SSI_CONF_EMPTY, .check = check_pool },
	{ .name = "discovery", .id = REG_DISCOVERY, .words = "ask spare bind" },
	{ .name = "heartbeat", .id = REG_HEARTBEAT, .check = check_heartbeat },
	{ .name = "detach", .id = REG_DETACH, .check = check_detach },
	{ .name = "spares", .id = REG_SPARES, .check = reg_check_spares },
	{ .name = "failover", .id = REG_FAILOVER, .words = "auto ask off" },
	{ .name = "failover_delay", .id = REG_FAILOVER_DELAY, .check = reg_check_delay },
	{ .name = "failover_limit", .id = REG_FAILOVER_LIMIT, .check = reg_check_limit },
	{ .name = "failover_share", .id = REG_FAILOVER_SHARE, .check = reg_check_share },
	{ .name = "fence", .id = REG_FENCE, .words = "storage power both" },
	{ .name = "shared", .id = REG_SHARED, .flags = SSI_CONF_EMPTY, .check = ssi_shared_check },
	KEYS_OF_BOTH,
	{ 0 },
};

static const struct ssi_conf_key keys_node[] = {
	{ .name = "system", .id = REG_SYSTEM, .check = ssi_conf_check_name },
	{ .name = "address", .id = REG_ADDRESS, .check = check_address },
	KEYS_OF_BOTH,
	{ .name = "machine", .id = REG_MACHINE, .flags = SSI_CONF_EMPTY, .check = check_mac },
	{ 0 },
};

static const struct ssi_conf_key keys_machine[] = {
	{ .name = "power", .id = REG_OTHER, .check = ssi_conf_check_name },
	{ .name = "power.*", .id = REG_OTHER },
	{ .name = "comment", .id = REG_OTHER, .flags = SSI_CONF_EMPTY },
	{ 0 },
};

const struct ssi_conf_section reg_sections[] = {
	{ .kind = "system", .name = "NAME", .keys = keys_system, .id = REG_SECTION_SYSTEM },
	{ .kind = "node", .name = "RANGE", .keys = keys_node, .id = REG_SECTION_NODE },
	{ .kind = "machine", .name = "MAC", .keys = keys_machine, .id = REG_SECTION_MACHINE },
	{ 0 },
};

const char *reg_key_name(enum reg_key k)
{
	for (size_t i = 0; i < 2; i++)
		for (const struct ssi_conf_key *key = i ? keys_system : keys_node; key->name; key++)
			if (key->id == (int)k)
				return key->name;
	return "";
}

const char *reg_key_default(enum reg_key k)
{
	static const char *const defaults[REG_KEYS] = {
		[REG_ROLE] = "compute", [REG_INIT] = "ssi", [REG_ROOT] = "nfs", [REG_ARGS] = "",
		[REG_STATE] = "none", [REG_STATE_SIZE] = "2G", [REG_STATE_FS] = "ext4", [REG_STATE_ON_UPGRADE] = "ask",
		[REG_DHCP] = "server", [REG_DISCOVERY] = "ask", [REG_HEARTBEAT] = "500ms", [REG_DETACH] = "3s",
		[REG_SPARES] = "0", [REG_FAILOVER] = "off", [REG_FAILOVER_DELAY] = "0s", [REG_FAILOVER_LIMIT] = "3 in 10m", [REG_FAILOVER_SHARE] = "50%",
		[REG_FENCE] = "both",
	};

	return defaults[k];
}
