/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns SunRPC's two ends: libtirpc over TCP with rpcgen's own stubs, dispatcher and XDR (sunrpc.x), given what does it good: no delay, results into the
 * caller's buffer instead of a new one, answers from the argument's memory without a copy. Its port is known, so that no rpcbind is needed. Called by ccm-ends
 * and the table of experiments.
 *
 * Three forms of a call that needs no answer. note: what rpcgen gives for a void procedure; its empty answer is waited for. at_once: the stub
 * with a timeout of zero; it returns when the call has been written. batch: clnt_call without a result and with a timeout of zero (batching,
 * rpc(3)): calls gather in the stream's buffer and leave when it is full, or with the next call that is waited for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include "bench/part/ccm-ends.h"
#include "bench/part/sunrpc.h"
#include "libssi/base/cleanup.h"

void ssi_bench_1(struct svc_req *req, SVCXPRT *xprt);     /* rpcgen's dispatcher, which its header leaves out */

static u_quad_t sunrpc_served;           /* svc_run's thread is the only one that touches it */

struct sunrpc {
	/* A timeout of zero leaves the handle's stream in the middle of an answer that never comes, and the next answer is taken for its rest:
	 * what has been served is therefore asked on a handle of its own. */
	CLIENT *client, *watch;
	u_quad_t cast;                   /* BENCH_COUNT will have said so many when all have been served */
	bool at_once;                    /* the client's timeout is zero */
};

bool_t bench_echo_1_svc(payload *in, payload *out, struct svc_req *req)
{
	*out = *in;
	return TRUE;
}

bool_t bench_note_1_svc(payload *in, void *out, struct svc_req *req)
{
	sunrpc_served++;
	return TRUE;
}

bool_t bench_cast_1_svc(payload *in, void *out, struct svc_req *req)
{
	sunrpc_served++;
	return FALSE;                    /* the dispatcher sends no answer */
}

bool_t bench_count_1_svc(void *in, u_quad_t *out, struct svc_req *req)
{
	*out = sunrpc_served;
	return TRUE;
}

/* Nothing to free: a result is the argument's memory, which the dispatcher frees. */
int ssi_bench_1_freeresult(SVCXPRT *xprt, xdrproc_t xdr, caddr_t result)
{
	return TRUE;
}

static void *sunrpc_run(void *arg)
{
	svc_run();
	return NULL;
}

static int sunrpc_serve(const struct bench_peer *self, struct ssi_err *e)
{
	int fd = bench_tcp_listen(self, BENCH_SUNRPC, e);
	pthread_t thread;
	SVCXPRT *xprt;
	int r;

	if (fd < 0)
		return fd;
	xprt = svc_vc_create(fd, 0, 0);
	if (!xprt || !svc_reg(xprt, SSI_BENCH, SSI_BENCH_1, ssi_bench_1, NULL))
		return ssi_errf(e, -EIO, "SunRPC does not take the service");
	r = pthread_create(&thread, NULL, sunrpc_run, NULL);
	if (r != 0)
		return ssi_errno(e, -r, "thread of SunRPC");
	pthread_detach(thread);
	return 0;
}

static int sunrpc_check(CLIENT *client, enum clnt_stat status, struct ssi_err *e)
{
	return status == RPC_SUCCESS ? 0 : ssi_errf(e, -EIO, "%s", clnt_sperror(client, "SunRPC"));
}

static int sunrpc_connect(const struct bench_peer *peer, CLIENT **ret, struct ssi_err *e)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = peer->addr, .sin_port = htons((uint16_t)(peer->port + BENCH_SUNRPC)) };
	const struct netbuf server = { .buf = &a, .len = sizeof(a), .maxlen = sizeof(a) };
	_cleanup_close_ int fd = bench_tcp_connect(peer, BENCH_SUNRPC, e);

	if (fd < 0)
		return fd;
	*ret = clnt_vc_create(fd, &server, SSI_BENCH, SSI_BENCH_1, 0, 0);
	if (!*ret)
		return ssi_errf(e, -EIO, "%s", clnt_spcreateerror("SunRPC"));
	clnt_control(*ret, CLSET_FD_CLOSE, NULL);        /* clnt_destroy closes the socket */
	TAKE_FD(fd);
	return 0;
}

static void sunrpc_close(void *end)
{
	struct sunrpc *s = end;

	if (s->client)
		clnt_destroy(s->client);
	if (s->watch)
		clnt_destroy(s->watch);
	free(s);
}

static int sunrpc_open(const struct bench_peer *peer, void **ret, struct ssi_err *e)
{
	struct sunrpc *s = calloc(1, sizeof(*s));
	int r = s ? sunrpc_connect(peer, &s->client, e) : ssi_errf(e, -ENOMEM, "no memory");

	if (r == 0)
		r = sunrpc_connect(peer, &s->watch, e);
	if (r == 0)
		*ret = s;
	else if (s)
		sunrpc_close(s);
	return r;
}

/* How many the server has served so far, from whomever. */
int bench_sunrpc_begin(void *end, size_t size, unsigned count, struct ssi_err *e)
{
	struct sunrpc *s = end;

	return sunrpc_check(s->watch, bench_count_1(NULL, &s->cast, s->watch), e);
}

static payload sunrpc_payload(const uint8_t *p, size_t size)
{
	return (payload){ .payload_len = (u_int)size, .payload_val = (char *)p };
}

int bench_sunrpc_call(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	struct sunrpc *s = end;
	payload argument = sunrpc_payload(out, size), result = sunrpc_payload(in, size);
	int r = sunrpc_check(s->client, bench_echo_1(&argument, &result, s->client), e);

	if (r == 0 && result.payload_len != size)
		return ssi_errf(e, -EPROTO, "SunRPC answered %u bytes for %zu", result.payload_len, size);
	return r;
}

int bench_sunrpc_note(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	struct sunrpc *s = end;
	payload argument = sunrpc_payload(out, size);

	s->cast++;
	return sunrpc_check(s->client, bench_note_1(&argument, NULL, s->client), e);
}

int bench_sunrpc_at_once(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	struct sunrpc *s = end;
	payload argument = sunrpc_payload(out, size);
	struct timeval zero = { 0 };
	enum clnt_stat status;

	if (!s->at_once)
		clnt_control(s->client, CLSET_TIMEOUT, (char *)&zero);
	s->at_once = true;
	s->cast++;
	status = bench_cast_1(&argument, NULL, s->client);
	return status == RPC_TIMEDOUT ? 0 : sunrpc_check(s->client, status, e);
}

int bench_sunrpc_batch(void *end, const uint8_t *out, uint8_t *in, size_t size, struct ssi_err *e)
{
	const struct timeval zero = { 0 };
	struct sunrpc *s = end;
	payload argument = sunrpc_payload(out, size);

	s->cast++;
	return sunrpc_check(s->client, clnt_call(s->client, BENCH_CAST, (xdrproc_t)xdr_payload, (char *)&argument, NULL, NULL, zero), e);
}

/* Calls of one connection are served in order: this answer comes after all of them. */
int bench_sunrpc_settle(void *end, struct ssi_err *e)
{
	struct sunrpc *s = end;
	u_quad_t served = 0;
	int r = sunrpc_check(s->client, bench_count_1(NULL, &served, s->client), e);

	if (r == 0 && served != s->cast)
		return ssi_errf(e, -EPROTO, "SunRPC served %llu of %llu calls", (unsigned long long)served, (unsigned long long)s->cast);
	return r;
}

/* The other connection knows of no order: asked until all have been served. */
int bench_sunrpc_settle_at_once(void *end, struct ssi_err *e)
{
	struct sunrpc *s = end;
	u_quad_t served = 0;
	int r = 0;

	while (r == 0 && served != s->cast)
		r = sunrpc_check(s->watch, bench_count_1(NULL, &served, s->watch), e);
	return r;
}

const struct bench_transport bench_sunrpc = { .serve = sunrpc_serve, .open = sunrpc_open, .close = sunrpc_close };
