/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns what waits to be sent on a connection: frames copied one behind the other, and at most one body that many connections share, at its
 * place between them. Called by whoever sends, and by ccm-conn.c, which empties it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libssi/comm/ccm-internal.h"

size_t queue_waiting(const struct ssi_ccm_conn *c)
{
	return c->out.len - c->out_at + (c->shared ? c->shared->len - c->shared_at : 0);
}

size_t queue_piece(const struct ssi_ccm_conn *c, const uint8_t **ret)
{
	bool shared = c->shared && c->out_at == c->shared_from;

	*ret = shared ? c->shared->data + c->shared_at : (const uint8_t *)c->out.data + c->out_at;
	return shared ? c->shared->len - c->shared_at : (c->shared ? c->shared_from : c->out.len) - c->out_at;
}

void queue_sent(struct ssi_ccm_conn *c, size_t n)
{
	if (!c->shared || c->out_at < c->shared_from) {
		c->out_at += n;
		return;
	}
	c->shared_at += n;
	if (c->shared_at < c->shared->len)
		return;
	ssi_ccm_body_unref(c->shared);
	c->shared = NULL;
}

/* What it is told in this batch leaves at the batch's end. */
static void queue_talks(struct ssi_ccm_conn *c)
{
	if (c->talking)
		return;
	c->talking = true;
	TAILQ_INSERT_TAIL(&c->m->talking, c, talk);
}

/* A frame into the queue: its header, n bytes of p, and more that the caller sees to. */
static int queue_frame(struct ssi_ccm_conn *c, struct ssi_frame *f, const void *p, size_t n)
{
	size_t waiting = queue_waiting(c);
	uint8_t *to;

	if (c->state != CONN_OPEN)
		return -ENOTCONN;
	if (f->size > SSI_WIRE_BODY_MAX)
		return -EMSGSIZE;
	if (waiting && waiting + f->size > CCM_QUEUE_MAX) {
		c->starved = true;
		return -EAGAIN;
	}
	if (c->out_at > CCM_QUEUE_MAX / 4) {
		ssi_buf_consume(&c->out, c->out_at);
		c->shared_from -= c->shared ? c->out_at : 0;
		c->out_at = 0;
	}
	to = (uint8_t *)ssi_buf_reserve(&c->out, SSI_WIRE_HEADER + n);
	if (!to)
		return -ENOMEM;
	f->source = c->self_node;
	f->destination = c->peer_node;
	f->incarnation = c->id.incarnation;
	ssi_wire_encode(f, to);
	if (n)
		memcpy(to + SSI_WIRE_HEADER, p, n);
	c->out.len += SSI_WIRE_HEADER + n;
	return 0;
}

/* Let it go, at once or with the batch. idle: nothing was on its way before it. */
static int queue_go(struct ssi_ccm_conn *c, bool idle)
{
	if (c->fd < 0)
		return 0;
	if (c->m->held)
		queue_talks(c);
	else if (idle)
		conn_flush(c);
	return c->state == CONN_OPEN ? 0 : -ENOTCONN;
}

int ssi_ccm_send(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint8_t flags, uint64_t sequence, const void *body, size_t len)
{
	struct ssi_frame f = { .flags = flags, .module = module, .type = type, .sequence = sequence, .size = (uint32_t)len };
	bool idle = !queue_waiting(c);
	int r = len > SSI_WIRE_BODY_MAX ? -EMSGSIZE : queue_frame(c, &f, body, len);

	return r < 0 ? r : queue_go(c, idle);
}

struct ssi_ccm_body *ssi_ccm_body_new(size_t len)
{
	struct ssi_ccm_body *b = malloc(sizeof(*b) + len);

	if (b)
		*b = (struct ssi_ccm_body){ .refs = 1, .len = len };
	return b;
}

void ssi_ccm_body_unref(struct ssi_ccm_body *b)
{
	if (b && --b->refs == 0)
		free(b);
}

int ssi_ccm_send_shared(struct ssi_ccm_conn *c, uint16_t module, uint16_t type, uint8_t flags, uint64_t sequence, const void *head, size_t n,
			struct ssi_ccm_body *b)
{
	static const struct ssi_err half = { .code = -ENOMEM, .text = "no memory for the rest of a message" };
	struct ssi_frame f = { .flags = flags, .module = module, .type = type, .sequence = sequence, .size = (uint32_t)(n + b->len) };
	bool idle = !queue_waiting(c);
	int r = n + b->len > SSI_WIRE_BODY_MAX ? -EMSGSIZE : queue_frame(c, &f, head, n);

	if (r < 0)
		return r;
	if (c->shared || c->fd < 0 || !b->len) {       /* one at a time: a second is a copy */
		if (ssi_buf_add(&c->out, b->data, b->len) < 0)
			conn_fail(c, &half);
	} else {
		b->refs++;
		c->shared = b;
		c->shared_at = 0;
		c->shared_from = c->out.len;
	}
	return c->state == CONN_OPEN ? queue_go(c, idle) : -ENOTCONN;
}
