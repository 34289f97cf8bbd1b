/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One set of addresses, and one chain at the input hook that drops what comes from them but for what a boot takes. A drop in any chain is final, so other
 * tables cannot open a door again; taking this one away can, which is why doors.c looks. Called by doors.c.
 */
#include "bootsvc/doors-nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libssi/comm/json.h"

#define FENCED_RULES 4               /* of the chain "fenced", the drop included */

static int by_mac(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool doors_list_has(const struct doors_list *l, const char *mac)
{
	return l->n && bsearch(mac, l->mac, l->n, sizeof(*l->mac), by_mac);
}

int doors_list_add(struct doors_list *l, const char *mac)
{
	char (*more)[SSI_MAC_LEN];

	if (doors_list_has(l, mac))
		return 0;
	more = reallocarray(l->mac, l->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->mac = more;
	memset(l->mac[l->n], 0, sizeof(l->mac[l->n]));
	strncpy(l->mac[l->n++], mac, SSI_MAC_LEN - 1);
	qsort(l->mac, l->n, sizeof(*l->mac), by_mac);
	return 1;
}

bool doors_list_equal(const struct doors_list *a, const struct doors_list *b)
{
	return a->n == b->n && (!a->n || memcmp(a->mac, b->mac, a->n * sizeof(*a->mac)) == 0);
}

void doors_list_free(struct doors_list *l)
{
	free(l->mac);
	*l = (struct doors_list) { 0 };
}

/*
 * TFTP goes on from a port of the server's choosing, so UDP is open but for the services below 1024 and NFS. The first two lines: an nft that deletes what is not
 * there fails. ICMP and ICMPv6 by their numbers: a master without /etc/protocols has no names for them.
 */
int doors_script(const struct doors_list *closed, uint16_t http_port, uint16_t ccm_port, struct ssi_buf *ret)
{
	ssi_buf_adds(ret, "table inet " DOORS_TABLE "\ndelete table inet " DOORS_TABLE "\n");
	if (!closed->n)
		return ret->err;
	ssi_buf_adds(ret, "table inet " DOORS_TABLE " {\n\tset machines {\n\t\ttype ether_addr\n\t\telements = {");
	for (size_t i = 0; i < closed->n; i++)
		ssi_buf_addf(ret, "%s %s", i ? "," : "", closed->mac[i]);
	ssi_buf_adds(ret, " }\n\t}\n\tchain fenced {\n\t\tudp dport { 67, 69, 1024-2048, 2050-65535 } accept\n");
	ssi_buf_addf(ret, "\t\ttcp dport { %u, %u } accept\n", http_port, ccm_port);
	ssi_buf_adds(ret, "\t\tmeta l4proto { 1, 58 } accept\n\t\tdrop\n\t}\n"
		     "\tchain input {\n\t\ttype filter hook input priority -10; policy accept;\n\t\tether saddr @machines jump fenced\n\t}\n}\n");
	return ret->err;
}

/* The machines of the set: an address, or {"elem":{"val":…}} where nft has more to say of it. */
static int take_set(const json_t *set, struct doors_list *to)
{
	const json_t *list = json_object_get(set, "elem"), *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v) {
		const json_t *elem = json_object_get(v, "elem"), *text = elem ? json_object_get(elem, "val") : v;
		char mac[SSI_MAC_LEN];

		if (!json_is_string(text) || ssi_mac_parse(json_string_value(text), mac) < 0)
			return -EBADMSG;
		if (doors_list_add(to, mac) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* "ether saddr @machines jump fenced", and nothing else that would have to match. */
static bool is_jump(const json_t *rule)
{
	const json_t *expr = json_object_get(rule, "expr"), *match = json_object_get(json_array_get(expr, 0), "match");
	const json_t *payload = json_object_get(json_object_get(match, "left"), "payload");

	return json_array_size(expr) == 2 && strcmp(ssi_json_str(match, "op"), "==") == 0 && strcmp(ssi_json_str(match, "right"), "@machines") == 0 &&
	       strcmp(ssi_json_str(payload, "protocol"), "ether") == 0 && strcmp(ssi_json_str(payload, "field"), "saddr") == 0 &&
	       strcmp(ssi_json_str(json_object_get(json_array_get(expr, 1), "jump"), "target"), "fenced") == 0;
}

static bool is_drop(const json_t *rule)
{
	const json_t *expr = json_object_get(rule, "expr"), *first = json_array_get(expr, 0);

	return json_array_size(expr) == 1 && json_is_object(first) && json_object_get(first, "drop");
}

struct seen { unsigned input, fenced; bool set, hook, jump, drop; };

static int take(const json_t *o, struct seen *s, struct doors_list *to)
{
	const json_t *set = json_object_get(o, "set"), *chain = json_object_get(o, "chain"), *rule = json_object_get(o, "rule");

	if (set && strcmp(ssi_json_str(set, "name"), "machines") == 0) {
		s->set = strcmp(ssi_json_str(set, "type"), "ether_addr") == 0;
		return take_set(set, to);
	}
	if (chain && strcmp(ssi_json_str(chain, "name"), "input") == 0)
		s->hook = strcmp(ssi_json_str(chain, "hook"), "input") == 0;
	if (!rule)
		return 0;
	if (strcmp(ssi_json_str(rule, "chain"), "input") == 0) {
		s->input++;
		s->jump = is_jump(rule);
	} else if (strcmp(ssi_json_str(rule, "chain"), "fenced") == 0) {
		s->fenced++;
		s->drop = is_drop(rule);         /* of the last one */
	}
	return 0;
}

int doors_parse(const char *json, struct doors_list *ret, struct ssi_err *e)
{
	_cleanup_doors_ struct doors_list l = { 0 };
	json_error_t je;
	_cleanup_json_ json_t *j = json_loads(json, 0, &je);
	const json_t *list = json_object_get(j, "nftables"), *o;
	struct seen s = { 0 };
	size_t i;

	if (!json_is_array(list))
		return ssi_errf(e, -EBADMSG, "not what 'nft -j list table' prints");
	json_array_foreach((json_t *)list, i, o) {
		int r = take(o, &s, &l);

		if (r < 0)
			return ssi_errno(e, r, "the set of table " DOORS_TABLE);
	}
	if (!s.set || !s.hook || s.input != 1 || !s.jump || s.fenced != FENCED_RULES || !s.drop)
		return ssi_errf(e, -EBADMSG, "table inet " DOORS_TABLE " was changed by somebody");
	*ret = l;
	l = (struct doors_list) { 0 };
	return 0;
}
