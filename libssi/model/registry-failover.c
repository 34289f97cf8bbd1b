/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A system's spares and its failover policy: what the values look like, and what they mean. The checks are called through registry-keys.c's table. */
#include <errno.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/model/registry-internal.h"

#define FAILOVER_SPARES_MAX 4096
#define FAILOVER_DELAY_MAX 86400000ull
#define FAILOVER_LIMIT_MAX 4096
#define FAILOVER_BLANKS ", \t"

/* The next word of a list; false at its end. A word that is too long for an address is cut, and so is none. */
static bool failover_word(const char **at, char *ret, size_t size)
{
	size_t n;

	*at += strspn(*at, FAILOVER_BLANKS);
	n = strcspn(*at, FAILOVER_BLANKS);
	if (!n)
		return false;
	snprintf(ret, size, "%.*s", (int)n, *at);
	*at += n;
	return true;
}

int reg_check_spares(const char *value, struct ssi_err *e)
{
	char word[24], mac[SSI_MAC_LEN];
	const char *at = value;
	uint32_t number;
	int r = ssi_num_u32(value, 0, FAILOVER_SPARES_MAX, &number);

	if (r == 0)
		return 0;
	if (r == -ERANGE)
		return ssi_errf(e, r, "must be from 0 to %d", FAILOVER_SPARES_MAX);
	while (failover_word(&at, word, sizeof(word)))
		if (ssi_mac_parse(word, mac) < 0)
			return ssi_errf(e, -EINVAL, "'%s' is neither a number nor a machine's Ethernet address such as 52:54:00:00:00:04", word);
	return 0;
}

int reg_check_delay(const char *value, struct ssi_err *e)
{
	uint64_t ms;
	int r = ssi_conf_check_duration(value, e);

	if (r < 0)
		return r;
	ssi_num_duration_ms(value, &ms);
	return ms > FAILOVER_DELAY_MAX ? ssi_errf(e, -ERANGE, "must be at most 24h") : 0;
}

/* "3 in 10m" */
static int failover_scan_limit(const char *value, uint32_t *ret_n, uint64_t *ret_ms)
{
	size_t n = strcspn(value, " \t");
	const char *in = value + n + strspn(value + n, " \t"), *time = in + 2 + strspn(in + (strlen(in) > 2 ? 2 : 0), " \t");
	char number[12];

	if (n >= sizeof(number) || strncmp(in, "in", 2) != 0 || !strchr(" \t", in[2]) || !in[2])
		return -EINVAL;
	snprintf(number, sizeof(number), "%.*s", (int)n, value);
	if (ssi_num_u32(number, 1, FAILOVER_LIMIT_MAX, ret_n) < 0 || ssi_num_duration_ms(time, ret_ms) < 0)
		return -EINVAL;
	return *ret_ms < 1000 || *ret_ms > FAILOVER_DELAY_MAX ? -ERANGE : 0;
}

int reg_check_limit(const char *value, struct ssi_err *e)
{
	uint32_t n;
	uint64_t ms;
	int r = failover_scan_limit(value, &n, &ms);

	if (r == -ERANGE)
		return ssi_errf(e, r, "the time must be from 1s to 24h");
	return r < 0 ? ssi_errf(e, r, "not a limit such as '3 in 10m': so many failovers, from 1 to %d, in so long", FAILOVER_LIMIT_MAX) : 0;
}

static int failover_scan_share(const char *value, uint32_t *ret)
{
	size_t n = strlen(value);
	char number[8];

	if (n < 2 || n > sizeof(number) || value[n - 1] != '%')
		return -EINVAL;
	snprintf(number, sizeof(number), "%.*s", (int)(n - 1), value);
	return ssi_num_u32(number, 1, 100, ret);
}

int reg_check_share(const char *value, struct ssi_err *e)
{
	uint32_t share;

	return failover_scan_share(value, &share) < 0 ? ssi_errf(e, -EINVAL, "not a share such as 50%% (1%% to 100%%)") : 0;
}

static void failover_machines(struct reg *r, struct ssi_system *s, const char *value)
{
	const char *at = value;
	char word[24], mac[SSI_MAC_LEN];

	while (failover_word(&at, word, sizeof(word)))
		if (ssi_mac_parse(word, mac) == 0)
			ssi_arena_push(&r->arena, &s->spare_machines, &s->n_spare_machines, ssi_arena_strdup(&r->arena, mac));
}

void reg_failover_take(struct reg *r, struct ssi_system *s, enum reg_key k, const char *value)
{
	uint64_t ms = 0;

	switch (k) {
	case REG_FAILOVER:
		s->failover = !strcmp(value, "auto") ? SSI_FAILOVER_AUTO : !strcmp(value, "ask") ? SSI_FAILOVER_ASK : SSI_FAILOVER_OFF;
		break;
	case REG_FAILOVER_DELAY:
		ssi_num_duration_ms(value, &ms);
		s->failover_delay_ms = (uint32_t)ms;
		break;
	case REG_FAILOVER_LIMIT:
		failover_scan_limit(value, &s->failover_limit, &ms);
		s->failover_limit_ms = (uint32_t)ms;
		break;
	case REG_FAILOVER_SHARE:
		failover_scan_share(value, &s->failover_share);
		break;
	case REG_SPARES:
		if (ssi_num_u32(value, 0, FAILOVER_SPARES_MAX, &s->spares) < 0)
			failover_machines(r, s, value);
		break;
	default:
		break;
	}
}

/* A machine is one system's spare, once, and no node's. */
void reg_check_spare_machines(struct reg *r)
{
	_cleanup_map_ struct ssi_map seen = { 0 }, fixed = { 0 };

	for (size_t i = 0; i < r->pub.n_nodes; i++)
		if (r->pub.nodes[i]->machine[0])
			ssi_map_put(&fixed, r->pub.nodes[i]->machine, r->pub.nodes[i]);
	for (size_t i = 0; i < r->pub.n_systems; i++) {
		struct reg_system *s = (struct reg_system *)r->pub.systems[i];

		for (size_t k = 0; k < s->pub.n_spare_machines; k++) {
			const char *mac = s->pub.spare_machines[k];
			const struct ssi_node *n = ssi_map_get(&fixed, mac);
			const struct reg_system *other = ssi_map_get(&seen, mac);

			if (n)
				reg_entry_error(r, s->chosen[REG_SPARES], "%s is the machine of %s (%s:%u): it cannot be a spare", mac, n->name,
						((const struct reg_node *)n)->chosen[REG_MACHINE].entry->section->file,
						((const struct reg_node *)n)->chosen[REG_MACHINE].entry->line);
			else if (other)
				reg_entry_error(r, s->chosen[REG_SPARES], "%s is a spare of [system %s] already", mac, other->pub.name);
			else if (ssi_map_put(&seen, mac, s) < 0)
				r->arena.failed = true;
		}
	}
}
