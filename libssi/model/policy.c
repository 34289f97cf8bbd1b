/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns what the words in policy.d mean. Called by the daemon, which knows the nodes, and by "ssi policy check". */
#include "libssi/model/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/num.h"
#include "libssi/model/conf.h"

#define POLICY_NUMBER_MAX 1e6
#define POLICY_EQUAL 1e-9                /* scores that differ by less are the same */
#define POLICY_REASONS 4                 /* nodes of which it is said why they are not taken */

const char *const ssi_policy_metrics[SSI_METRICS] = { "load", "average", "busy", "memory", "jobs", "pressure_cpu", "pressure_memory", "pressure_io" };
const char *const ssi_policy_choosers[SSI_CHOOSERS] = { "lowest", "highest", "round-robin", "same-as", "local" };

/* --- reading --- */

/* Digits, at most one point: what strtod would take besides (signs, exponents, hexadecimal, "nan", a locale's comma) is no number here. */
static int policy_number(const char *s, double *ret)
{
	double v = 0, place = 1;
	bool point = false, digit = false;

	for (; *s; s++) {
		if (*s == '.' && !point) {
			point = true;
			continue;
		}
		if (*s < '0' || *s > '9')
			return -EINVAL;
		digit = true;
		if (point)
			v += (*s - '0') * (place /= 10);
		else
			v = v * 10 + (*s - '0');
		if (v > POLICY_NUMBER_MAX)
			return -ERANGE;
	}
	if (!digit)
		return -EINVAL;
	*ret = v;
	return 0;
}

static int check_number(const char *value, struct ssi_err *e)
{
	double v;
	int r = policy_number(value, &v);

	return r < 0 ? ssi_errf(e, r, "a number such as 1.5, at most a million, is expected") : 0;
}

static int check_range(const char *value, struct ssi_err *e)
{
	_cleanup_nodelist_ struct ssi_nodelist *l = NULL;

	return ssi_nodelist_parse(value, &l, e);
}

enum { POLICY_HELP, POLICY_CHOOSE, POLICY_FULL, POLICY_NODES, POLICY_MIN_MEMORY, POLICY_METRIC };
#define METRIC_KEYS(check) \
	{ "load", 0, NULL, check, POLICY_METRIC + SSI_METRIC_LOAD }, { "average", 0, NULL, check, POLICY_METRIC + SSI_METRIC_AVERAGE }, \
	{ "busy", 0, NULL, check, POLICY_METRIC + SSI_METRIC_BUSY }, { "memory", 0, NULL, check, POLICY_METRIC + SSI_METRIC_MEMORY }, \
	{ "jobs", 0, NULL, check, POLICY_METRIC + SSI_METRIC_JOBS }, { "pressure_cpu", 0, NULL, check, POLICY_METRIC + SSI_METRIC_PRESSURE_CPU }, \
	{ "pressure_memory", 0, NULL, check, POLICY_METRIC + SSI_METRIC_PRESSURE_MEMORY }, \
	{ "pressure_io", 0, NULL, check, POLICY_METRIC + SSI_METRIC_PRESSURE_IO }

static const struct ssi_conf_key policy_keys[] = {
	{ "help", 0, NULL, NULL, POLICY_HELP }, { "choose", 0, "lowest highest round-robin same-as local", NULL, POLICY_CHOOSE },
	{ "full", 0, "refuse lowest", NULL, POLICY_FULL }, { 0 },
};
static const struct ssi_conf_key filter_keys[] = {
	{ "nodes", 0, NULL, check_range, POLICY_NODES }, { "min_memory", 0, NULL, ssi_conf_check_size, POLICY_MIN_MEMORY }, METRIC_KEYS(check_number), { 0 },
};
static const struct ssi_conf_key weight_keys[] = { METRIC_KEYS(check_number), { 0 } };
enum { SECTION_POLICY, SECTION_FILTER, SECTION_WEIGHT };
static const struct ssi_conf_section policy_sections[] = {
	{ "policy", NULL, policy_keys, SECTION_POLICY }, { "filter", NULL, filter_keys, SECTION_FILTER }, { "weight", NULL, weight_keys, SECTION_WEIGHT }, { 0 },
};

struct reading { struct ssi_policy *policy; bool chooses; };

static void policy_word(struct reading *rd, int id, const char *value)
{
	struct ssi_policy *p = rd->policy;

	if (id == POLICY_HELP)
		snprintf(p->help, sizeof(p->help), "%s", value);
	else if (id == POLICY_FULL)
		p->full_lowest = strcmp(value, "lowest") == 0;
	for (int i = 0; id == POLICY_CHOOSE && i < SSI_CHOOSERS; i++)
		if (strcmp(value, ssi_policy_choosers[i]) == 0) {
			p->choose = (enum ssi_policy_chooser)i;
			rd->chooses = true;
		}
}

static void policy_entry(struct ssi_conf *c, const struct ssi_conf_section *s, const struct ssi_conf_key *k, const char *key,
			 const char *value, void *userdata)
{
	struct reading *rd = userdata;
	struct ssi_policy *p = rd->policy;

	if (s->id == SECTION_POLICY)
		policy_word(rd, k->id, value);
	else if (k->id == POLICY_NODES && !p->nodes)
		ssi_nodelist_parse(value, &p->nodes, NULL);
	else if (k->id == POLICY_MIN_MEMORY)
		ssi_num_size(value, &p->min_memory);
	else if (k->id >= POLICY_METRIC)
		policy_number(value, s->id == SECTION_FILTER ? &p->at_most[k->id - POLICY_METRIC] : &p->weight[k->id - POLICY_METRIC]);
}

static void policy_refused(struct ssi_conf *c, const struct ssi_conf_section *s, const struct ssi_conf_key *k, void *userdata)
{
	if (k->id == POLICY_CHOOSE && s->id == SECTION_POLICY)
		((struct reading *)userdata)->chooses = true;
}

/* A policy that weighs and then does not look at the scores is not what was meant. */
static void policy_whole(const char *file, const struct reading *rd, struct ssi_conf_errors *errors)
{
	const struct ssi_policy *p = rd->policy;
	bool weighs = false, scores = p->choose == SSI_CHOOSE_LOWEST || p->choose == SSI_CHOOSE_HIGHEST;

	for (int i = 0; i < SSI_METRICS; i++)
		weighs |= p->weight[i] > 0;
	if (!rd->chooses)
		ssi_conf_error(errors, file, 0, "no 'choose' in [policy]");
	else if (scores && !weighs)
		ssi_conf_error(errors, file, 0, "choose = %s goes by the score, and nothing is in [weight]", ssi_policy_choosers[p->choose]);
	else if (!scores && weighs && !p->full_lowest)
		ssi_conf_error(errors, file, 0, "choose = %s does not go by the score: nothing in [weight] counts", ssi_policy_choosers[p->choose]);
}

int ssi_policy_parse(const char *file, const char *text, size_t len, struct ssi_policy **ret, struct ssi_buf *errors)
{
	static const struct ssi_conf_ops ops = { .entry = policy_entry, .refused = policy_refused };
	_cleanup_policy_ struct ssi_policy *p = calloc(1, sizeof(*p));
	struct ssi_conf_errors found = { .to = errors };
	struct reading rd = { .policy = p };
	int r;

	if (!p)
		return -ENOMEM;
	for (int i = 0; i < SSI_METRICS; i++)
		p->at_most[i] = -1;
	r = ssi_conf_parse(file, text, len, policy_sections, &ops, &rd, &found);
	if (r == 0 && !found.n)
		policy_whole(file, &rd, &found);
	if (r == 0)
		r = ssi_conf_errors_end(&found);
	if (r == 0)
		*ret = TAKE_PTR(p);
	return r;
}

void ssi_policy_free(struct ssi_policy *p)
{
	if (!p)
		return;
	ssi_nodelist_free(p->nodes);
	free(p);
}

/* --- choosing --- */

double ssi_policy_score(const struct ssi_policy *p, const struct ssi_policy_node *n)
{
	double score = 0;

	for (int i = 0; i < SSI_METRICS; i++)
		score += p->weight[i] * n->metric[i];
	return score;
}

static bool policy_names(const struct ssi_policy *p, const char *name)
{
	for (size_t i = 0; p->nodes && i < p->nodes->n; i++)
		if (strcmp(p->nodes->names[i], name) == 0)
			return true;
	return !p->nodes;
}

/* What neither filters nor their absence change. */
static const char *node_cannot(const struct ssi_policy_node *n, const struct ssi_policy_want *w, char *buf, size_t size)
{
	char has[16], asked[16];

	if (n->objection)
		return n->objection;
	if (n->cpus < w->cpus)
		snprintf(buf, size, "it has %u of the %u processors asked for", n->cpus, w->cpus);
	else if (n->available < w->memory)
		snprintf(buf, size, "%s of the %s of memory asked for are available", ssi_num_format_size(has, sizeof(has), n->available),
			 ssi_num_format_size(asked, sizeof(asked), w->memory));
	else
		return NULL;
	return buf;
}

const char *ssi_policy_objection(const struct ssi_policy *p, const struct ssi_policy_node *n, const struct ssi_policy_want *w, char *buf, size_t size)
{
	const char *why = node_cannot(n, w, buf, size);
	char has[16];

	if (why)
		return why;
	if (!policy_names(p, n->name))
		return "the policy does not name it";
	if (n->available < p->min_memory) {
		snprintf(buf, size, "%s of memory are available, too little for the policy", ssi_num_format_size(has, sizeof(has), n->available));
		return buf;
	}
	for (int i = 0; i < SSI_METRICS; i++)
		if (p->at_most[i] >= 0 && n->metric[i] > p->at_most[i]) {
			snprintf(buf, size, "its %s is %.2f, over the policy's %.2f", ssi_policy_metrics[i], n->metric[i], p->at_most[i]);
			return buf;
		}
	if (p->choose == SSI_CHOOSE_SAME_AS && (!w->same_as || strcmp(n->name, w->same_as) != 0))
		return "the other job is not there";
	return NULL;
}

/* Is a to be taken before b? */
static bool policy_before(const struct ssi_policy *p, bool lowest, const struct ssi_policy_want *w, const struct ssi_policy_node *a,
			  const struct ssi_policy_node *b)
{
	double x = ssi_policy_score(p, a), y = ssi_policy_score(p, b);

	if (!lowest && p->choose == SSI_CHOOSE_ROUND_ROBIN) {
		/* Who comes after the last one, then from the beginning. */
		bool a_after = a->number > w->after, b_after = b->number > w->after;

		return a_after != b_after ? a_after : a->number < b->number;
	}
	if (!lowest && p->choose == SSI_CHOOSE_HIGHEST && (x > y + POLICY_EQUAL || y > x + POLICY_EQUAL))
		return x > y;
	if ((lowest || p->choose == SSI_CHOOSE_LOWEST) && (x > y + POLICY_EQUAL || y > x + POLICY_EQUAL))
		return x < y;
	return a->number < b->number;
}

/* Take up to count of those without an objection. fallback: filters do not count. Returns how many. */
static unsigned policy_take(const struct ssi_policy *p, const struct ssi_policy_node *nodes, size_t n, const struct ssi_policy_want *w, bool fallback,
			    size_t *ret)
{
	unsigned taken = 0;
	char buf[128];

	for (; taken < w->count; taken++) {
		size_t best = n;

		for (size_t i = 0; i < n; i++) {
			const char *no = fallback ? node_cannot(&nodes[i], w, buf, sizeof(buf)) : ssi_policy_objection(p, &nodes[i], w, buf, sizeof(buf));
			bool had = no != NULL;

			for (unsigned k = 0; k < taken && !had; k++)
				had = ret[k] == i;
			if (!had && (best == n || policy_before(p, fallback, w, &nodes[i], &nodes[best])))
				best = i;
		}
		if (best == n)
			break;
		ret[taken] = best;
	}
	return taken;
}

static int policy_refuse(const struct ssi_policy *p, const struct ssi_policy_node *nodes, size_t n, const struct ssi_policy_want *w, unsigned found,
			 struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf why = SSI_BUF_INIT;
	size_t said = 0, silent = 0;
	char buf[128];

	for (size_t i = 0; i < n; i++) {
		const char *objection = ssi_policy_objection(p, &nodes[i], w, buf, sizeof(buf));

		if (objection && said++ < POLICY_REASONS)
			ssi_buf_addf(&why, "%s%s: %s", why.len ? "; " : "", nodes[i].name, objection);
		else if (objection)
			silent++;
	}
	if (silent)
		ssi_buf_addf(&why, "; and %zu more", silent);
	if (found)
		return ssi_errf(e, -ENOSPC, "only %u of %u nodes can take it: %s", found, w->count, why.data ?: "there are no more");
	return ssi_errf(e, -ENOSPC, "no node can take it: %s", why.data ?: "there is none");
}

int ssi_policy_choose(const struct ssi_policy *p, const struct ssi_policy_node *nodes, size_t n, const struct ssi_policy_want *want, size_t *ret,
		      struct ssi_err *e)
{
	unsigned found;

	if (p->choose == SSI_CHOOSE_SAME_AS && !want->same_as)
		return ssi_errf(e, -ENOSPC, "same-as: no such job runs; 'ssi jobs' lists those that do");
	found = policy_take(p, nodes, n, want, false, ret);
	if (found < want->count && p->full_lowest)
		found = policy_take(p, nodes, n, want, true, ret);
	return found < want->count ? policy_refuse(p, nodes, n, want, found, e) : 0;
}
