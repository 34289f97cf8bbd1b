/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new IPv4 connection's way through the input chains. Called by check-firewall.c.
 * The rules are kept as nft's own JSON: {"FAMILY TABLE CHAIN": {"where", "base", "policy", "rules": [[expr…]…]}}.
 */
#include "bootsvc/packetfilter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libssi/comm/json.h"

#define DEPTH_MAX 16         /* of jumps: the kernel's own bound */

enum match { NO, MAYBE, YES };
enum verdict { GO_ON, ACCEPT, DROP };

static void key_format(char *buf, size_t n, const json_t *o, const char *chain)
{
	snprintf(buf, n, "%s %s %s", ssi_json_str(o, "family"), ssi_json_str(o, "table"), chain);
}

static bool family_ipv4(const json_t *o)
{
	const char *f = ssi_json_str(o, "family");

	return strcmp(f, "ip") == 0 || strcmp(f, "inet") == 0;
}

static void chain_add(json_t *rules, const json_t *chain)
{
	char key[256], where[256];

	key_format(key, sizeof(key), chain, ssi_json_str(chain, "name"));
	snprintf(where, sizeof(where), "chain %s of table %s %s", ssi_json_str(chain, "name"), ssi_json_str(chain, "family"), ssi_json_str(chain, "table"));
	json_object_set_new(rules, key, json_pack("{s:s, s:b, s:s, s:[]}", "where", where, "base", strcmp(ssi_json_str(chain, "hook"), "input") == 0,
						  "policy", ssi_json_str(chain, "policy"), "rules"));
}

static void rule_add(json_t *rules, const json_t *rule)
{
	char key[256];

	key_format(key, sizeof(key), rule, ssi_json_str(rule, "chain"));
	json_array_append(json_object_get(json_object_get(rules, key), "rules"), json_object_get(rule, "expr"));
}

int packetfilter_parse_nft(const char *text, json_t **ret, struct ssi_err *e)
{
	json_error_t je;
	_cleanup_json_ json_t *j = json_loads(text, 0, &je), *rules = json_object();
	const json_t *list = json_object_get(j, "nftables"), *o;
	size_t i;

	if (!json_is_array(list))
		return ssi_errf(e, -EBADMSG, "not what 'nft -j list ruleset' prints");
	json_array_foreach((json_t *)list, i, o) {
		const json_t *chain = json_object_get(o, "chain"), *rule = json_object_get(o, "rule");

		if (chain && family_ipv4(chain))
			chain_add(rules, chain);
		else if (rule && family_ipv4(rule))
			rule_add(rules, rule);
	}
	*ret = TAKE_PTR(rules);
	return 0;
}

static bool number_in(const json_t *v, json_int_t n)
{
	const json_t *range = json_object_get(v, "range");

	if (range)
		return n >= json_integer_value(json_array_get(range, 0)) && n <= json_integer_value(json_array_get(range, 1));
	return json_is_integer(v) ? json_integer_value(v) == n : json_is_string(v) && atoll(json_string_value(v)) == n;
}

/* A name, or one with a '*' at its end. */
static bool name_in(const json_t *v, const char *name)
{
	const char *s = json_string_value(v);
	size_t n = s ? strlen(s) : 0;

	return n && (s[n - 1] == '*' ? strncmp(s, name, n - 1) == 0 : strcmp(s, name) == 0);
}

/* Is the packet's value, a name or else a number, in the right side: one value, a list, a set? */
static enum match value_in(const json_t *right, const char *name, json_int_t number)
{
	const json_t *set = json_object_get(right, "set"), *list = set ? set : right, *v;
	const char *s = json_string_value(right);
	size_t i;

	if (s && *s == '@')
		return MAYBE;
	if (!json_is_array(list))
		return (name ? name_in(list, name) : number_in(list, number)) ? YES : NO;
	json_array_foreach((json_t *)list, i, v)
		if (name ? name_in(v, name) : number_in(v, number))
			return YES;
	return NO;
}

static enum match protocol_in(const json_t *right, const struct packetfilter_packet *p)
{
	enum match by_name = value_in(right, p->tcp ? "tcp" : "udp", 0);

	return by_name == NO ? value_in(right, NULL, p->tcp ? 6 : 17) : by_name;
}

static enum match payload_match(const json_t *left, const json_t *right, const struct packetfilter_packet *p)
{
	const char *protocol = ssi_json_str(left, "protocol"), *field = ssi_json_str(left, "field");

	if (strcmp(protocol, "ip6") == 0 || strcmp(protocol, p->tcp ? "udp" : "tcp") == 0 || strncmp(protocol, "icmp", 4) == 0)
		return NO;
	if (strcmp(field, "dport") == 0)
		return value_in(right, NULL, p->port);
	if (strcmp(protocol, "ip") == 0 && strcmp(field, "protocol") == 0)
		return protocol_in(right, p);
	return MAYBE;
}

static enum match meta_match(const char *key, const json_t *right, const struct packetfilter_packet *p)
{
	if (strcmp(key, "iifname") == 0 || strcmp(key, "iif") == 0)
		return value_in(right, p->interface, 0);
	if (strcmp(key, "l4proto") == 0)
		return protocol_in(right, p);
	if (strcmp(key, "nfproto") == 0)
		return value_in(right, "ipv4", 0);
	return MAYBE;
}

static enum match left_match(const json_t *left, const json_t *right, const struct packetfilter_packet *p)
{
	const json_t *payload = json_object_get(left, "payload"), *meta = json_object_get(left, "meta"), *ct = json_object_get(left, "ct");

	if (payload)
		return payload_match(payload, right, p);
	if (meta)
		return meta_match(ssi_json_str(meta, "key"), right, p);
	if (ct && strcmp(ssi_json_str(ct, "key"), "state") == 0)
		return value_in(right, "new", 0);
	return MAYBE;
}

static enum match expr_match(const json_t *match, const struct packetfilter_packet *p)
{
	enum match m = left_match(json_object_get(match, "left"), json_object_get(match, "right"), p);
	const char *op = ssi_json_str(match, "op");

	if (strcmp(op, "!=") == 0)
		return YES - m;
	return strcmp(op, "==") == 0 || strcmp(op, "in") == 0 ? m : MAYBE;
}

static enum verdict chain_walk(const json_t *rules, const json_t *beside, const char *name, const struct packetfilter_packet *p, unsigned depth);

/* A statement that ends a rule; GO_ON for those that do not, and for "return" with *ret_return set. m: how surely the rule matches. */
static enum verdict statement(const json_t *rules, const json_t *key, const json_t *s, enum match m, const struct packetfilter_packet *p, unsigned depth,
			      bool *ret_return)
{
	const json_t *to = json_object_get(s, "jump") ? json_object_get(s, "jump") : json_object_get(s, "goto");
	enum verdict v = GO_ON;

	if (json_object_get(s, "accept"))
		v = ACCEPT;
	else if (json_object_get(s, "drop") || json_object_get(s, "reject"))
		v = DROP;
	else if (to)
		v = chain_walk(rules, key, ssi_json_str(to, "target"), p, depth + 1);
	if (json_object_get(s, "return") || (json_object_get(s, "goto") && v == GO_ON))
		*ret_return = m == YES;
	return v == DROP && m != YES ? GO_ON : v;
}

/* The verdict that a map gives the packet: {"vmap":{"key":…,"data":{"set":[[value, statement]…]}}}. */
static enum verdict vmap_walk(const json_t *rules, const json_t *key, const json_t *vmap, enum match m, const struct packetfilter_packet *p,
			      unsigned depth, bool *ret_return)
{
	const json_t *set = json_object_get(json_object_get(vmap, "data"), "set"), *pair;
	size_t i;

	json_array_foreach((json_t *)set, i, pair) {
		enum match hit = left_match(json_object_get(vmap, "key"), json_array_get(pair, 0), p);
		enum verdict v = hit == NO ? GO_ON : statement(rules, key, json_array_get(pair, 1), hit < m ? hit : m, p, depth, ret_return);

		if (v != GO_ON || *ret_return)
			return v;
	}
	return GO_ON;
}

static enum verdict rule_walk(const json_t *rules, const json_t *key, const json_t *exprs, const struct packetfilter_packet *p, unsigned depth,
			      bool *ret_return)
{
	enum match all = YES;
	size_t i;
	const json_t *s;

	json_array_foreach((json_t *)exprs, i, s) {
		const json_t *match = json_object_get(s, "match"), *vmap = json_object_get(s, "vmap");
		enum match m = match ? expr_match(match, p) : json_object_get(s, "xt") || json_object_get(s, "limit") ? MAYBE : YES;
		enum verdict v;

		all = m < all ? m : all;
		if (all == NO)
			return GO_ON;
		v = match ? GO_ON : vmap ? vmap_walk(rules, key, vmap, all, p, depth, ret_return) : statement(rules, key, s, all, p, depth, ret_return);
		if (v != GO_ON || *ret_return)
			return v;
	}
	return GO_ON;
}

/* beside: the key, as a JSON string, of a chain of the same table. */
static enum verdict chain_walk(const json_t *rules, const json_t *beside, const char *name, const struct packetfilter_packet *p, unsigned depth)
{
	const char *from = json_string_value(beside), *last = strrchr(from, ' ');
	_cleanup_json_ json_t *key = json_sprintf("%.*s%s", (int)(last + 1 - from), from, name);
	const json_t *chain = json_object_get(rules, key ? json_string_value(key) : ""), *list = json_object_get(chain, "rules"), *exprs;
	size_t i;

	if (!chain || depth > DEPTH_MAX)
		return GO_ON;
	json_array_foreach((json_t *)list, i, exprs) {
		bool back = false;
		enum verdict v = rule_walk(rules, key, exprs, p, depth, &back);

		if (v != GO_ON)
			return v;
		if (back)
			break;
	}
	return json_is_true(json_object_get(chain, "base")) && strcmp(ssi_json_str(chain, "policy"), "drop") == 0 ? DROP : GO_ON;
}

bool packetfilter_drops(const json_t *rules, const struct packetfilter_packet *p, const char **ret_where)
{
	const char *key;
	json_t *chain;

	json_object_foreach((json_t *)rules, key, chain) {
		_cleanup_json_ json_t *k = json_string(key);

		if (!k || !json_is_true(json_object_get(chain, "base")) || chain_walk(rules, k, strrchr(key, ' ') + 1, p, 0) != DROP)
			continue;
		if (ret_where)
			*ret_where = ssi_json_str(chain, "where");
		return true;
	}
	return false;
}
