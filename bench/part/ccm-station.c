/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns ccm's two ends, plain and with TLS: stations 1 (calling) and 2 (serving), used as a service would that cares for speed: bodies from some KiB
 * on by reference, two buffers in turn so that what was sent by reference is never written to. Called by ccm-ends and the table of experiments.
 * The key is in this file: what is served here is an echo, for anybody.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "bench/part/ccm-ends.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "libssi/comm/station.h"

enum { CALLER = 1, SERVER = 2 };                                 /* the lower number connects */
enum { MODULE_BODY = 1, MODULE_DONE, MODULE_CALL };
enum { FUNCTION_ECHO = 1, FUNCTION_CAST, FUNCTION_COUNT, FUNCTION_BLOCK };
enum { BY_REFERENCE = 16384 };                                   /* bodies of so many bytes and more */
enum { PATIENCE_MS = 30000 };

static const uint8_t station_key[SSI_CCM_STATION_KEY] = "bench/ccm: known to everybody.";

/* What the next block is, as with raw sockets. */
struct station_block {
	uint32_t size, count, stream;
};

/* A serving station. Its thread receives during a block and at no other time: calls are then served by the station's own thread, as in a service that has
 * nothing but calls. */
struct server {
	struct ssi_ccm_station *station;
	pthread_mutex_t lock;
	pthread_cond_t begun;
	struct station_block block;      /* count 0: none */
};

/* The calling end. */
struct caller {
	struct ssi_ccm_station *station;
	uint64_t sequence;
	uint64_t cast;                   /* FUNCTION_COUNT will have answered so many when all have been served */
};

static uint64_t station_cast;            /* calls served, by the one thread of this process' stations at a time */

static unsigned by_reference(size_t size)
{
	return size >= BY_REFERENCE ? SSI_CCM_KEEP : 0;
}

/* One message back for each that comes, or one after all of them. buffers: two of BENCH_BODY_MAX bytes. */
static int serve_block(struct ssi_ccm_station *s, const struct station_block *b, uint8_t *buffers[2])
{
	const struct ssi_ccm_head done = { .node = CALLER, .module = MODULE_DONE };
	int r = 0;

	for (uint32_t i = 0; i < b->count && r >= 0; i++) {
		struct ssi_ccm_head head = { .node = CALLER, .module = MODULE_BODY, .sequence = SSI_CCM_NOSEQ };
		ssize_t n = ssi_ccm_brecv(s, &head, buffers[i % 2], BENCH_BODY_MAX, PATIENCE_MS);
		if (n < 0)
			return (int)n;
		if (b->stream)
			continue;
		/* What came has acknowledged the message before it: its buffer is free again, without waiting. */
		if (by_reference((size_t)n))
			r = ssi_ccm_settle(s, CALLER, PATIENCE_MS);
		if (r >= 0)
			r = ssi_ccm_bsend(s, &head, buffers[i % 2], (size_t)n, by_reference((size_t)n), PATIENCE_MS);
	}
	if (r >= 0 && b->stream)
		r = ssi_ccm_bsend(s, &done, "", 1, 0, PATIENCE_MS);
	return r < 0 ? r : ssi_ccm_settle(s, CALLER, PATIENCE_MS);
}

/* A block that fails has lost its caller: the next one comes from another. */
static void *serve_blocks(void *arg)
{
	struct server *v = arg;
	_cleanup_free_ uint8_t *one = bench_body(), *other = bench_body();

	while (one && other) {
		struct station_block b;

		pthread_mutex_lock(&v->lock);
		while (v->block.count == 0)
			pthread_cond_wait(&v->begun, &v->lock);
		b = v->block;
		v->block.count = 0;
		pthread_mutex_unlock(&v->lock);
		serve_block(v->station, &b, (uint8_t *[]){ one, other });
	}
	return NULL;
}

static void on_block(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	struct server *v = userdata;

	if (call->size != sizeof(v->block))
		return;
	pthread_mutex_lock(&v->lock);
	memcpy(&v->block, body, sizeof(v->block));
	pthread_cond_signal(&v->begun);
	pthread_mutex_unlock(&v->lock);
	ssi_ccm_answer(s, call, NULL, 0);
}

static void on_echo(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	ssi_ccm_answer(s, call, body, call->size);
}

static void on_cast(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	station_cast++;
}

static void on_count(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	ssi_ccm_answer(s, call, &station_cast, sizeof(station_cast));
}

static int station_serve(const struct bench_peer *self, unsigned above, bool plain, struct ssi_err *e)
{
	const struct ssi_ccm_station_config config = { .number = SERVER, .incarnation = ssi_clock_wall_ms(), .address = self->addr,
						       .port = (uint16_t)(self->port + above), .plain = plain };
	const struct ssi_ccm_permit permit[] = { { MODULE_BODY, 0, BENCH_BODY_MAX, CALLER, CALLER }, { MODULE_CALL, 0, BENCH_BODY_MAX, CALLER, CALLER } };
	struct server *v = calloc(1, sizeof(*v));        /* for the life of the process */
	struct ssi_ccm_station *s;
	pthread_t thread;
	int r = v ? ssi_ccm_station_new(&config, &s, e) : ssi_errf(e, -ENOMEM, "no memory");

	if (r < 0) {
		free(v);
		return r;
	}
	*v = (struct server){ .station = s, .lock = PTHREAD_MUTEX_INITIALIZER, .begun = PTHREAD_COND_INITIALIZER };
	r = ssi_ccm_permit(s, permit, sizeof(permit) / sizeof(permit[0]));
	if (r >= 0)
		r = ssi_ccm_regist(s, MODULE_CALL, FUNCTION_ECHO, on_echo, NULL);
	if (r >= 0)
		r = ssi_ccm_regist(s, MODULE_CALL, FUNCTION_CAST, on_cast, NULL);
	if (r >= 0)
		r = ssi_ccm_regist(s, MODULE_CALL, FUNCTION_COUNT, on_count, NULL);
	if (r >= 0)
		r = ssi_ccm_regist(s, MODULE_CALL, FUNCTION_BLOCK, on_block, v);
	if (r >= 0)
		r = ssi_ccm_listen_to(s, CALLER, station_key);
	if (r >= 0)
		r = -pthread_create(&thread, NULL, serve_blocks, v);
	if (r < 0)
		return ssi_errno(e, r, "the serving station");
	pthread_detach(thread);
	return 0;
}

static void station_close(void *end)
{
	struct caller *c = end;

	ssi_ccm_station_free(c->station);
	free(c);
}

static int station_open(const struct bench_peer *peer, unsigned above, bool plain, void **ret, struct ssi_err *e)
{
	const struct ssi_ccm_station_config config = { .number = CALLER, .incarnation = ssi_clock_wall_ms(), .plain = plain,
						       .address.s_addr = htonl(plain ? INADDR_LOOPBACK : INADDR_ANY) };
	const struct ssi_ccm_permit permit[] = { { MODULE_DONE, 0, 1, SERVER, SERVER }, { MODULE_BODY, 0, BENCH_BODY_MAX, SERVER, SERVER },
						 { MODULE_CALL, 0, BENCH_BODY_MAX, SERVER, SERVER } };
	struct caller *c = calloc(1, sizeof(*c));
	int r = c ? ssi_ccm_station_new(&config, &c->station, e) : ssi_errf(e, -ENOMEM, "no memory");

	if (r < 0) {
		free(c);
		return r;
	}
	r = ssi_ccm_permit(c->station, permit, sizeof(permit) / sizeof(permit[0]));
	if (r >= 0)
		r = ssi_ccm_connect_to(c->station, SERVER, peer->addr, (uint16_t)(peer->port + above), station_key);
	if (r >= 0)
		r = ssi_ccm_await(c->station, SERVER, PATIENCE_MS);
	if (r < 0) {
		station_close(c);
		return ssi_errno(e, r, "the calling station");
	}
	*ret = c;
	return 0;
}

static int station_begin(struct caller *c, size_t size, unsigned count, bool stream, struct ssi_err *e)
{
	const struct ssi_ccm_head to = { .node = SERVER, .module = MODULE_CALL, .type = FUNCTION_BLOCK };
	const struct station_block b = { .size = (uint32_t)size, .count = count, .stream = stream };
	ssize_t n = ssi_ccm_call(c->station, &to, SSI_CCM_SHORT, &b, sizeof(b), NULL, 0, PATIENCE_MS);

	return n < 0 ? ssi_errno(e, (int)n, "ccm, beginning a block") : 0;
}

int bench_station_begin_echo(void *end, size_t size, unsigned count, struct ssi_err *e)
{
	return station_begin(end, size, count, false, e);
}

int bench_station_begin_stream(void *end, size_t size, unsigned count, struct ssi_err *e)
{
	return station_begin(end, size, count, true, e);
}

int bench_station_send(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	struct caller *c = end;
	const struct ssi_ccm_head to = { .node = SERVER, .module = MODULE_BODY, .sequence = ++c->sequence };
	int r = ssi_ccm_bsend(c->station, &to, out, size, by_reference(size), PATIENCE_MS);

	return r < 0 ? ssi_errno(e, r, "ccm, sending") : 0;
}

int bench_station_round(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	struct caller *c = end;
	struct ssi_ccm_head from = { .node = SERVER, .module = MODULE_BODY };
	ssize_t n;
	int r = bench_station_send(end, out, in, size, e);

	if (r < 0)
		return r;
	from.sequence = c->sequence;
	n = ssi_ccm_brecv(c->station, &from, in, BENCH_BODY_MAX, PATIENCE_MS);
	if (n < 0)
		return ssi_errno(e, (int)n, "ccm, receiving");
	if ((size_t)n != size)
		return ssi_errf(e, -EPROTO, "ccm: %zd bytes came back for %zu", n, size);
	/* The answer has acknowledged it: no waiting. */
	r = by_reference(size) ? ssi_ccm_settle(c->station, SERVER, PATIENCE_MS) : 0;
	return r < 0 ? ssi_errno(e, r, "ccm, settling") : 0;
}

int bench_station_settle_stream(void *end, struct ssi_err *e)
{
	struct caller *c = end;
	struct ssi_ccm_head from = { .node = SERVER, .module = MODULE_DONE, .sequence = SSI_CCM_NOSEQ };
	uint8_t done;
	ssize_t n = ssi_ccm_brecv(c->station, &from, &done, 1, PATIENCE_MS);
	int r = n < 0 ? (int)n : ssi_ccm_settle(c->station, SERVER, PATIENCE_MS);

	return r < 0 ? ssi_errno(e, r, "ccm, end of a stream") : 0;
}

int bench_station_call(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	struct caller *c = end;
	const struct ssi_ccm_head to = { .node = SERVER, .module = MODULE_CALL, .type = FUNCTION_ECHO };
	ssize_t n = ssi_ccm_call(c->station, &to, SSI_CCM_SHORT, out, size, in, BENCH_BODY_MAX, PATIENCE_MS);

	if (n < 0)
		return ssi_errno(e, (int)n, "ccm, calling");
	return (size_t)n == size ? 0 : ssi_errf(e, -EPROTO, "ccm: %zd bytes were answered for %zu", n, size);
}

static int station_count(struct caller *c, uint64_t *ret, struct ssi_err *e)
{
	const struct ssi_ccm_head to = { .node = SERVER, .module = MODULE_CALL, .type = FUNCTION_COUNT };
	ssize_t n = ssi_ccm_call(c->station, &to, SSI_CCM_SHORT, NULL, 0, ret, sizeof(*ret), PATIENCE_MS);

	return n < 0 ? ssi_errno(e, (int)n, "ccm, counting calls") : 0;
}

int bench_station_begin_cast(void *end, size_t size, unsigned count, struct ssi_err *e)
{
	struct caller *c = end;

	return station_count(c, &c->cast, e);
}

int bench_station_cast(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	struct caller *c = end;
	const struct ssi_ccm_head to = { .node = SERVER, .module = MODULE_CALL, .type = FUNCTION_CAST };
	int r = ssi_ccm_rcall_short(c->station, &to, out, size, 0, PATIENCE_MS);

	c->cast++;
	return r < 0 ? ssi_errno(e, r, "ccm, casting") : 0;
}

/* Short calls run in their order: this answer comes after all of them. */
int bench_station_settle_cast(void *end, struct ssi_err *e)
{
	struct caller *c = end;
	uint64_t served = 0;
	int r = station_count(c, &served, e);

	if (r == 0 && served != c->cast)
		return ssi_errf(e, -EPROTO, "ccm served %llu of %llu calls", (unsigned long long)served, (unsigned long long)c->cast);
	return r;
}

static int plain_serve(const struct bench_peer *self, struct ssi_err *e)
{
	return station_serve(self, BENCH_CCM, true, e);
}

static int plain_open(const struct bench_peer *peer, void **ret, struct ssi_err *e)
{
	return station_open(peer, BENCH_CCM, true, ret, e);
}

static int tls_serve(const struct bench_peer *self, struct ssi_err *e)
{
	return station_serve(self, BENCH_CCM_TLS, false, e);
}

static int tls_open(const struct bench_peer *peer, void **ret, struct ssi_err *e)
{
	return station_open(peer, BENCH_CCM_TLS, false, ret, e);
}

const struct bench_transport bench_ccm = { .serve = plain_serve, .open = plain_open, .close = station_close, .loopback = true };
const struct bench_transport bench_ccm_tls = { .serve = tls_serve, .open = tls_open, .close = station_close };
