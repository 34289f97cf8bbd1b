/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the node's copy of the view. Called by the node's side of membership. Kept in an array by number: changes come seldom. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ssi/boot/text.h"
#include "ssi/membership/membership.pb-c.h"
#include "ssi/membership/view.h"

/* Where number is, or would be. */
static size_t view_find(const struct ssi_view *v, uint32_t number)
{
	size_t low = 0, high = v->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (v->members[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint64_t digest_add(uint64_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 0x100000001b3u;
	return h;
}

uint64_t ssi_view_facts(const struct ssi_view_member *m)
{
	const uint64_t facts[] = { htobe64(m->number), htobe64(ntohl(m->address.s_addr)), htobe64(m->cpus), htobe64(m->memory), htobe64(m->incarnation),
				   htobe64(m->nics), htobe64(m->accelerators), htobe64(m->drained) };
	uint64_t h = digest_add(0xcbf29ce484222325u, facts, sizeof(facts));

	h = digest_add(h, m->name, strlen(m->name));
	h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u;      /* the sum of many must depend on all bits of each */
	h ^= h >> 32;
	return h ? h : 1;
}

static uint64_t view_share(const struct ssi_view_member *m)
{
	return ssi_view_share(ssi_view_facts(m), !strcmp(m->state, "suspect"));
}

static void view_remove(struct ssi_view *v, size_t at)
{
	v->cpus -= v->members[at].cpus;
	v->memory -= v->members[at].memory;
	v->nics -= v->members[at].nics;
	v->accelerators -= v->members[at].accelerators;
	v->digest -= view_share(&v->members[at]);
	v->n--;
	memmove(&v->members[at], &v->members[at + 1], (v->n - at) * sizeof(*v->members));
}

static int view_insert(struct ssi_view *v, size_t at, const Ssi__Membership__Member *m)
{
	struct ssi_view_member *to;

	if (v->n == v->cap) {
		size_t cap = v->cap ? v->cap * 2 : 16;
		to = realloc(v->members, cap * sizeof(*to));
		if (!to)
			return -ENOMEM;
		v->members = to;
		v->cap = cap;
	}
	to = &v->members[at];
	memmove(to + 1, to, (v->n - at) * sizeof(*to));
	v->n++;
	*to = (struct ssi_view_member){
		.number = m->number, .cpus = m->cpus, .memory = m->memory, .nics = m->nics, .accelerators = m->accelerators,
		.incarnation = m->incarnation, .drained = m->drained,
	};
	to->address.s_addr = m->address;
	ssi_text_copy(to->name, sizeof(to->name), m->name);
	ssi_text_copy(to->state, sizeof(to->state), m->state);
	v->cpus += m->cpus;
	v->memory += m->memory;
	v->nics += m->nics;
	v->accelerators += m->accelerators;
	v->digest += view_share(to);
	return 0;
}

static bool view_is_member(const Ssi__Membership__Member *m)
{
	return !strcmp(m->state, "joined") || !strcmp(m->state, "suspect");
}

/* Those of whom only the state changed; NULL: they are members no more. Who is not known is passed over. */
static void view_mark(struct ssi_view *v, const uint32_t *numbers, size_t n, const char *state)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = view_find(v, numbers[i]);
		if (at == v->n || v->members[at].number != numbers[i])
			continue;
		if (!state) {
			view_remove(v, at);
			continue;
		}
		v->digest -= view_share(&v->members[at]);
		ssi_text_copy(v->members[at].state, sizeof(v->members[at].state), state);
		v->digest += view_share(&v->members[at]);
	}
}

int ssi_view_apply(struct ssi_view *v, const struct Ssi__Membership__View *m)
{
	int r = 0;

	if (m->since > v->number)
		return -ESTALE;
	if (!m->since)
		ssi_view_free(v);
	for (size_t i = 0; i < m->n_members && r >= 0; i++) {
		size_t at = view_find(v, m->members[i]->number);
		if (at < v->n && v->members[at].number == m->members[i]->number)
			view_remove(v, at);
		if (view_is_member(m->members[i]))
			r = view_insert(v, at, m->members[i]);
	}
	view_mark(v, m->suspect, m->n_suspect, "suspect");
	view_mark(v, m->joined, m->n_joined, "joined");
	view_mark(v, m->gone, m->n_gone, NULL);
	if (m->number > v->number)
		v->number = m->number;
	return r;
}

int ssi_view_format(const struct ssi_view *v, struct ssi_buf *ret)
{
	char address[INET_ADDRSTRLEN];

	ssi_buf_addf(ret, "view %" PRIu64 "\nnodes %zu\ncpus %" PRIu64 "\nmemory %" PRIu64 "\n", v->number, v->n, v->cpus, v->memory);
	ssi_buf_addf(ret, "nics %" PRIu64 "\naccelerators %" PRIu64 "\n", v->nics, v->accelerators);
	for (size_t i = 0; i < v->n; i++) {
		const struct ssi_view_member *m = &v->members[i];
		ssi_buf_addf(ret, "member %s %u %s %s %u %" PRIu64 " %u %u%s\n", m->name, m->number, m->state,
			     inet_ntop(AF_INET, &m->address, address, sizeof(address)), m->cpus, m->memory, m->nics, m->accelerators,
			     m->drained ? " drained" : "");
	}
	return ret->err;
}

void ssi_view_free(struct ssi_view *v)
{
	free(v->members);
	*v = (struct ssi_view){ 0 };
}
