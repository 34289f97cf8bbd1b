/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the view of all simulated nodes: one copy, the newest that any of them was told, and the digests of those before. What was told to
 * one is told to all in the same bytes, so each message is decoded once; the others are recognised. Called by crowd.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/base/cleanup.h"
#include "ssi/membership/membership.pb-c.h"
#include "tests/sim/sim.h"

#define KNOWN_BODIES 8               /* messages that are recognised */
#define KNOWN_DIGESTS 1024           /* views whose digests are remembered */
#define TAG_VIEW_MEMBER 0x12         /* View.members: field 2, with a length */

struct body { uint8_t *p; size_t n; bool whole; uint64_t number, since; };

struct knowledge {
	struct ssi_view view;
	struct body bodies[KNOWN_BODIES];
	unsigned next;
	struct { uint64_t number, digest; } digests[KNOWN_DIGESTS];
};

int knowledge_new(struct knowledge **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void knowledge_free(struct knowledge *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < KNOWN_BODIES; i++)
		free(k->bodies[i].p);
	ssi_view_free(&k->view);
	free(k);
}

static const struct body *knowledge_recognise(const struct knowledge *k, bool whole, const uint8_t *p, size_t n)
{
	for (unsigned i = 1; i <= KNOWN_BODIES; i++) {
		const struct body *b = &k->bodies[(k->next - i) % KNOWN_BODIES];
		if (b->p && b->whole == whole && b->n == n && !memcmp(b->p, p, n))
			return b;
	}
	return NULL;
}

/* Decode it, and bring the copy up to date if this is newer. */
static const struct body *knowledge_decode(struct knowledge *k, bool whole, const uint8_t *p, size_t n)
{
	struct body *b = &k->bodies[k->next++ % KNOWN_BODIES];
	Ssi__Membership__View *v = ssi__membership__view__unpack(NULL, n, p);

	free(b->p);
	*b = (struct body){ .p = v ? malloc(n + 1) : NULL };
	if (!b->p) {
		ssi__membership__view__free_unpacked(v, NULL);
		return NULL;
	}
	memcpy(b->p, p, n);
	b->n = n;
	b->whole = whole;
	b->number = v->number;
	b->since = v->since;
	if (v->number > k->view.number && (!v->since || v->since <= k->view.number)) {
		ssi_view_apply(&k->view, v);
		k->digests[v->number % KNOWN_DIGESTS].number = v->number;
		k->digests[v->number % KNOWN_DIGESTS].digest = k->view.digest;
	}
	ssi__membership__view__free_unpacked(v, NULL);
	return b;
}

/* Past the node's own entry, which is another for each; what follows is not. */
static int knowledge_skip_own(const uint8_t **p, size_t *n)
{
	size_t len = 0, at = 1;
	unsigned shift = 0;

	if (!*n || **p != TAG_VIEW_MEMBER)
		return -EBADMSG;
	for (; at < *n && shift < 28; shift += 7) {
		len |= (size_t)((*p)[at] & 0x7f) << shift;
		if (!((*p)[at++] & 0x80))
			break;
	}
	if (at + len > *n)
		return -EBADMSG;
	*p += at + len;
	*n -= at + len;
	return 0;
}

int knowledge_take(struct knowledge *k, uint64_t *number, bool whole, const uint8_t *p, size_t n)
{
	const struct body *b;

	if (whole && knowledge_skip_own(&p, &n) < 0)
		return -EBADMSG;
	b = knowledge_recognise(k, whole, p, n);
	if (!b)
		b = knowledge_decode(k, whole, p, n);
	if (!b)
		return -EBADMSG;
	if (b->since > *number)
		return -ESTALE;
	if (!b->since || b->number > *number)
		*number = b->number;
	return 0;
}

const struct ssi_view *knowledge_view(const struct knowledge *k)
{
	return &k->view;
}

uint64_t knowledge_digest(const struct knowledge *k, uint64_t number)
{
	return number && k->digests[number % KNOWN_DIGESTS].number == number ? k->digests[number % KNOWN_DIGESTS].digest : 0;
}

bool knowledge_has(const struct knowledge *k, uint32_t node)
{
	size_t low = 0, high = k->view.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (k->view.members[mid].number < node)
			low = mid + 1;
		else
			high = mid;
	}
	return low < k->view.n && k->view.members[low].number == node;
}
