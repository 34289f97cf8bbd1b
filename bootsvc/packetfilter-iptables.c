/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 'iptables -S' read into nft's form, so that one evaluator serves both. Options that it does not know become matches that nobody knows. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bootsvc/packetfilter.h"
#include "libssi/comm/json.h"

#define TABLE "ip filter "   /* the first two words of a chain's key */

static json_t *chain_get(json_t *rules, const char *name)
{
	char key[128], where[128];
	json_t *chain;

	snprintf(key, sizeof(key), TABLE "%s", name);
	chain = json_object_get(rules, key);
	if (chain)
		return chain;
	snprintf(where, sizeof(where), "iptables' chain %s", name);
	chain = json_pack("{s:s, s:b, s:s, s:[]}", "where", where, "base", strcmp(name, "INPUT") == 0, "policy", "", "rules");
	json_object_set_new(rules, key, chain);
	return chain;
}

/* "67", "67:69", "67,69:70" as a set. */
static json_t *ports_set(char *s)
{
	json_t *set = json_array();
	char *save = NULL;

	for (char *w = strtok_r(s, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(w, ':');

		if (colon)
			json_array_append_new(set, json_pack("{s:[i, i]}", "range", atoi(w), colon[1] ? atoi(colon + 1) : 65535));
		else
			json_array_append_new(set, json_integer(atoi(w)));
	}
	return json_pack("{s:o}", "set", set);
}

static json_t *states_set(char *s)
{
	json_t *list = json_array();
	char *save = NULL;

	for (char *w = strtok_r(s, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		for (char *p = w; *p; p++)
			*p |= 0x20;
		json_array_append_new(list, json_string(w));
	}
	return list;
}

static json_t *match_new(json_t *left, json_t *right, bool not)
{
	return json_pack("{s:{s:s, s:o, s:o}}", "match", "op", not ? "!=" : "==", "left", left, "right", right);
}

/* An option with its value; NULL when it says nothing that matters ("-m tcp"). */
static json_t *option_expr(const char *option, char *value, bool not)
{
	if (strcmp(option, "-m") == 0)
		return NULL;
	if (strcmp(option, "-p") == 0)
		return match_new(json_pack("{s:{s:s}}", "meta", "key", "l4proto"), json_string(value), not);
	if (strcmp(option, "-i") == 0) {
		size_t n = strlen(value);

		if (n && value[n - 1] == '+')
			value[n - 1] = '*';
		return match_new(json_pack("{s:{s:s}}", "meta", "key", "iifname"), json_string(value), not);
	}
	if (strcmp(option, "--dport") == 0 || strcmp(option, "--dports") == 0)
		return match_new(json_pack("{s:{s:s, s:s}}", "payload", "protocol", "th", "field", "dport"), ports_set(value), not);
	if (strcmp(option, "--ctstate") == 0 || strcmp(option, "--state") == 0)
		return match_new(json_pack("{s:{s:s}}", "ct", "key", "state"), states_set(value), not);
	return json_pack("{s:s}", "xt", option);
}

static json_t *target_expr(json_t *rules, const char *target, bool go)
{
	static const struct { const char *target, *statement; } ends[] = {
		{ "ACCEPT", "accept" }, { "DROP", "drop" }, { "REJECT", "reject" }, { "RETURN", "return" },
	};
	char key[128];

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (strcmp(ends[i].target, target) == 0)
			return json_pack("{s:b}", ends[i].statement, 1);
	snprintf(key, sizeof(key), TABLE "%s", target);
	if (json_object_get(rules, key))
		return json_pack("{s:{s:s}}", go ? "goto" : "jump", "target", target);
	return json_pack("{s:b}", "log", 1);     /* LOG and others that go on */
}

/* The rest behind a comment, which stands in quotes where it has blanks. */
static char *comment_skip(char *rest)
{
	rest += strspn(rest, " ");
	if (*rest == '"')
		for (rest++; *rest && *rest != '"'; rest++)
			rest += *rest == '\\' && rest[1];
	return rest + strcspn(rest, " ");
}

/* The words behind "-A CHAIN". */
static void rule_read(json_t *rules, const char *chain, char *save)
{
	json_t *exprs = json_array();
	bool not = false;

	for (char *w = strtok_r(NULL, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *value;
		json_t *x;

		if (strcmp(w, "!") == 0) {
			not = true;
			continue;
		}
		if (strcmp(w, "--comment") == 0) {       /* no match; it may say "-j DROP" */
			save = comment_skip(save);
			continue;
		}
		if (*w != '-')       /* a further value of an option that is not known */
			continue;
		value = strtok_r(NULL, " ", &save);
		if (strcmp(w, "-j") == 0 || strcmp(w, "-g") == 0) {
			if (value)
				json_array_append_new(exprs, target_expr(rules, value, w[1] == 'g'));
			break;       /* what follows are the target's own options */
		}
		x = value ? option_expr(w, value, not) : json_pack("{s:s}", "xt", w);
		if (x)
			json_array_append_new(exprs, x);
		not = false;
	}
	json_array_append_new(json_object_get(chain_get(rules, chain), "rules"), exprs);
}

int packetfilter_parse_iptables(const char *text, json_t **ret, struct ssi_err *e)
{
	_cleanup_json_ json_t *rules = json_object();
	_cleanup_free_ char *copy = strdup(text);
	char *save = NULL;

	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		char *words = NULL, *what = strtok_r(line, " ", &words), *chain = strtok_r(NULL, " ", &words), *policy;

		if (!what || !chain)
			return ssi_errf(e, -EBADMSG, "not what 'iptables -S' prints");
		if (strcmp(what, "-A") == 0) {
			rule_read(rules, chain, words);
		} else if (strcmp(what, "-P") == 0 && (policy = strtok_r(NULL, " ", &words))) {
			json_object_set_new(chain_get(rules, chain), "policy", json_string(strcmp(policy, "DROP") == 0 ? "drop" : "accept"));
		} else if (strcmp(what, "-N") == 0) {
			chain_get(rules, chain);
		} else {
			return ssi_errf(e, -EBADMSG, "not what 'iptables -S' prints");
		}
	}
	*ret = TAKE_PTR(rules);
	return 0;
}
