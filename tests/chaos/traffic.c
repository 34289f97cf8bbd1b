/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the two stations of traffic.h, their threads and their accounts. Called by exactly-once. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/clock.h"
#include "tests/chaos/proxy.h"
#include "tests/chaos/traffic.h"

#define BODY_MAX (48u << 10)
#define WAIT_MS 200                  /* a receiver looks so often whether all is over */
#define CALL_MS 60000

enum { MOD_SEQUENCE = 1, MOD_NOSEQ, MOD_ARRIVED, MOD_SHORT, MOD_CALL };

struct stream {                      /* of one direction, module and sequence */
	_Atomic uint64_t sent, received;
};

struct end {
	struct traffic *t;
	struct ssi_ccm_station *station;
	uint32_t number, peer;
	struct stream in[TRAFFIC_MODULES + 1][TRAFFIC_STREAMS];      /* sent is the other end's to count */
};

struct traffic {
	const struct traffic_plan *plan;
	struct end ends[2];
	_Atomic uint64_t lost, twice, wrong, failed, gone, received;
	_Atomic bool over;
};

struct job {                         /* what a thread is to do */
	pthread_t thread;
	struct end *end;
	uint16_t module;
	uint64_t sequence, messages, random;
};

/* --- bodies --- */

static void body_fill(uint8_t *p, size_t n, uint64_t number, uint16_t module, uint64_t sequence)
{
	uint64_t state = number ^ (uint64_t)module << 40 ^ sequence << 48;

	memcpy(p, &number, sizeof(number));
	for (size_t i = sizeof(number); i < n; i += sizeof(state)) {
		uint64_t word = chaos_random(&state);

		memcpy(p + i, &word, n - i < sizeof(word) ? n - i : sizeof(word));
	}
}

static bool body_is_right(const uint8_t *p, size_t n, uint64_t number, uint16_t module, uint64_t sequence)
{
	uint8_t want[BODY_MAX];

	if (n > sizeof(want))
		return false;
	body_fill(want, n, number, module, sequence);
	return !memcmp(p, want, n);
}

/* Mostly some hundred bytes, now and then as much as several records. */
static size_t body_size(uint64_t *random)
{
	uint64_t r = chaos_random(random);

	if (r % 400 == 0)
		return 8 + (r >> 16) % (BODY_MAX - 8);
	return 8 + (r >> 16) % (r % 8 ? 120 : 900);
}

/* --- receiving --- */

static void account(struct end *end, const struct ssi_ccm_head *head, const void *body)
{
	struct traffic *t = end->t;
	struct stream *s;
	uint64_t number, next;

	if (head->module > TRAFFIC_MODULES || head->sequence >= TRAFFIC_STREAMS || head->size < sizeof(number)) {
		t->wrong++;
		return;
	}
	s = &end->in[head->module][head->sequence];
	memcpy(&number, body, sizeof(number));
	next = s->received++;
	t->received++;
	if (number > next)
		t->lost++;
	else if (number < next)
		t->twice++;
	else if (!body_is_right(body, head->size, number, head->module, head->sequence))
		t->wrong++;
	if (number > next)
		s->received = number + 1;        /* from here on again: one gap is counted once */
}

static void *receive(void *userdata)
{
	struct job *j = userdata;
	uint8_t body[BODY_MAX];

	while (!j->end->t->over) {
		struct ssi_ccm_head from = { .node = j->end->peer, .module = j->module, .sequence = j->sequence };
		ssize_t n = ssi_ccm_brecv(j->end->station, &from, body, sizeof(body), WAIT_MS);

		if (n >= 0)
			account(j->end, &from, body);
		else if (n != -ETIMEDOUT && !j->end->t->over) {
			j->end->t->failed++;
			fprintf(stderr, "station %u: brecv of module %u: %s\n", j->end->number, j->module, strerror((int)-n));
			return NULL;
		}
	}
	return NULL;
}

static void on_arrived(struct end *end, const struct ssi_ccm_head *head)
{
	struct ssi_ccm_head from = { .node = head->node, .module = MOD_ARRIVED, .sequence = SSI_CCM_NOSEQ };
	void *body;

	while (head->module == MOD_ARRIVED && ssi_ccm_arecv(end->station, &from, &body) >= 0) {
		account(end, &from, body);
		ssi_ccm_body_free(body);
		from.sequence = SSI_CCM_NOSEQ;
	}
}

static void arrived_first(const struct ssi_ccm_head *head, void *userdata)
{
	on_arrived(&((struct traffic *)userdata)->ends[0], head);
}

static void arrived_second(const struct ssi_ccm_head *head, void *userdata)
{
	on_arrived(&((struct traffic *)userdata)->ends[1], head);
}

static void on_short(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	account(userdata, call, body);
}

static void on_call(struct ssi_ccm_station *s, const struct ssi_ccm_head *call, const void *body, void *userdata)
{
	struct ssi_ccm_head as = *call;
	struct end *end = userdata;

	as.sequence = (uint64_t)(call->type - 1);        /* a call's sequence is the station's: its function names the stream */
	account(end, &as, body);
	if (ssi_ccm_answer(s, call, body, call->size) < 0)
		end->t->failed++;
}

static void on_state(uint32_t node, uint64_t incarnation, enum ssi_ccm_state state, void *userdata)
{
	((struct traffic *)userdata)->gone += state == SSI_CCM_GONE;
}

/* --- sending --- */

static int send_one(struct job *j, const struct ssi_ccm_head *to, const uint8_t *body, size_t n)
{
	static _Thread_local uint8_t answer[BODY_MAX];
	ssize_t r;

	if (to->module == MOD_SHORT)
		return ssi_ccm_rcall_short(j->end->station, to, body, n, 0, CALL_MS);
	if (to->module != MOD_CALL)
		return ssi_ccm_bsend(j->end->station, to, body, n, 0, CALL_MS);
	r = ssi_ccm_call(j->end->station, to, SSI_CCM_LONG, body, n, answer, sizeof(answer), CALL_MS);
	if (r >= 0 && ((size_t)r != n || memcmp(answer, body, n) != 0))
		j->end->t->wrong++;
	return r < 0 ? (int)r : 0;
}

static void *send_all(void *userdata)
{
	struct job *j = userdata;
	struct end *other = &j->end->t->ends[j->end == &j->end->t->ends[0]];
	uint8_t body[BODY_MAX];

	for (uint64_t i = 0; i < j->messages && !j->end->t->over; i++) {
		uint64_t sequence = chaos_random(&j->random) % TRAFFIC_STREAMS;
		struct stream *s = &other->in[j->module][sequence];
		struct ssi_ccm_head to = { .node = j->end->peer, .module = j->module, .type = (uint16_t)(1 + sequence), .sequence = sequence };
		size_t n = body_size(&j->random);
		int r;

		body_fill(body, n, s->sent++, j->module, sequence);
		r = send_one(j, &to, body, n);
		if (r < 0 && !j->end->t->over) {
			j->end->t->failed++;
			fprintf(stderr, "station %u: sending to module %u: %s\n", j->end->number, j->module, strerror(-r));
			return NULL;
		}
	}
	return NULL;
}

/* --- the run --- */

static int end_make(struct traffic *t, unsigned i, struct ssi_err *e)
{
	static const struct ssi_ccm_station_ops ops[2] = { { .state = on_state, .arrived = arrived_first }, { .state = on_state, .arrived = arrived_second } };
	const struct ssi_ccm_station_config config = {
		.number = i, .incarnation = 7, .address = { htonl(INADDR_LOOPBACK) }, .plain = t->plan->plain, .ops = &ops[i], .userdata = t,
		.dead_ms = t->plan->dead_ms,
	};
	const struct ssi_ccm_permit lines[] = {
		{ 1, 0, BODY_MAX, 1 - i, 1 - i }, { 2, 0, BODY_MAX, 1 - i, 1 - i }, { 3, 0, BODY_MAX, 1 - i, 1 - i }, { 4, 0, BODY_MAX, 1 - i, 1 - i },
		{ 5, 0, BODY_MAX, 1 - i, 1 - i },
	};
	struct end *end = &t->ends[i];
	int r;

	end->t = t;
	end->number = i;
	end->peer = 1 - i;
	r = ssi_ccm_station_new(&config, &end->station, e);
	if (r >= 0)
		r = ssi_ccm_permit(end->station, lines, sizeof(lines) / sizeof(*lines));
	if (r >= 0)
		r = ssi_ccm_regist(end->station, MOD_SHORT, SSI_CCM_DEFAULT, on_short, end);
	if (r >= 0)
		r = ssi_ccm_regist(end->station, MOD_CALL, SSI_CCM_DEFAULT, on_call, end);
	return r < 0 ? ssi_errno(e, r, "station %u", i) : 0;
}

/* Station 0 connects to station 1, through whatever stands between. */
static int ends_meet(struct traffic *t, struct ssi_err *e)
{
	static const uint8_t key[SSI_CCM_STATION_KEY] = "the key of these two, no others";
	const struct in_addr loopback = { htonl(INADDR_LOOPBACK) };
	uint16_t port = ssi_ccm_station_port(t->ends[1].station);
	int r;

	r = ssi_ccm_listen_to(t->ends[1].station, 0, key);
	if (r >= 0)
		r = ssi_ccm_connect_to(t->ends[0].station, 1, loopback, t->plan->through(port, t->plan->userdata), key);
	if (r >= 0)
		r = ssi_ccm_await(t->ends[0].station, 1, CALL_MS);
	return r < 0 ? ssi_errno(e, r, "the stations do not meet") : 0;
}

static size_t jobs_make(struct traffic *t, struct job *jobs)
{
	size_t n = 0;

	for (int i = 0; i < 2; i++) {
		for (uint64_t q = 0; q < TRAFFIC_STREAMS; q++)
			jobs[n++] = (struct job){ .end = &t->ends[i], .module = MOD_SEQUENCE, .sequence = q };
		jobs[n++] = (struct job){ .end = &t->ends[i], .module = MOD_NOSEQ, .sequence = SSI_CCM_NOSEQ };
	}
	for (int i = 0; i < 2; i++)
		for (uint16_t m = 1; m <= TRAFFIC_MODULES; m++, n++)
			jobs[n] = (struct job){ .end = &t->ends[i], .module = m, .random = t->plan->seed + n,
						.messages = t->plan->messages / (2 * TRAFFIC_MODULES) };
	return n;
}

static uint64_t sent_in_all(const struct traffic *t)
{
	uint64_t n = 0;

	for (int i = 0; i < 2; i++)
		for (int m = 1; m <= TRAFFIC_MODULES; m++)
			for (int q = 0; q < TRAFFIC_STREAMS; q++)
				n += t->ends[i].in[m][q].sent;
	return n;
}

/* Until everything that is to be sent has been received, or nothing comes any more. */
static void traffic_wait(struct traffic *t)
{
	uint64_t want = t->plan->messages / (2 * TRAFFIC_MODULES) * 2 * TRAFFIC_MODULES, last = 0, since = ssi_clock_mono_ms();

	while (t->received < want && !t->failed && ssi_clock_mono_ms() - since < t->plan->quiet_ms) {
		if (t->received != last)
			since = ssi_clock_mono_ms();
		last = t->received;
		usleep(10000);
	}
	usleep(100000);                  /* what came twice at the very end has come by now */
	t->over = true;
}

int traffic_run(const struct traffic_plan *plan, struct traffic_result *ret, struct ssi_err *e)
{
	enum { JOBS = 2 * (TRAFFIC_STREAMS + 1 + TRAFFIC_MODULES) };
	_cleanup_free_ struct traffic *t = calloc(1, sizeof(*t));
	uint64_t began = ssi_clock_mono_ms();
	struct job jobs[JOBS];
	size_t n = 0;
	int r;

	if (!t)
		return ssi_errf(e, -ENOMEM, "no memory");
	t->plan = plan;
	r = end_make(t, 0, e);
	if (r >= 0)
		r = end_make(t, 1, e);
	if (r >= 0)
		r = ends_meet(t, e);
	if (r >= 0)
		n = jobs_make(t, jobs);
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&jobs[i].thread, NULL, jobs[i].messages ? send_all : receive, &jobs[i]) != 0)
			abort();
	if (r >= 0)
		traffic_wait(t);
	for (int i = 0; i < 2 && r >= 0; i++)
		ssi_ccm_station_stats(t->ends[i].station, &ret->stats[i]);
	if (r >= 0)
		ret->seconds = (double)(ssi_clock_mono_ms() - began) / 1000;
	ret->gone = t->gone;             /* what comes now is our own farewell */
	ssi_ccm_station_free(t->ends[0].station);
	ssi_ccm_station_free(t->ends[1].station);
	for (size_t i = 0; i < n; i++)
		pthread_join(jobs[i].thread, NULL);
	ret->sent = sent_in_all(t);
	ret->received = t->received;
	ret->lost = t->lost;
	ret->twice = t->twice;
	ret->wrong = t->wrong;
	ret->failed = t->failed;
	return r;
}
